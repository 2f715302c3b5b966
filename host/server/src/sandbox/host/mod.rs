//! The interfaces that a receiver imports, one file or directory each.

mod gate;
mod inbox;
mod log;

impl super::bindings::sandport::upload::types::Host for super::state::State {}
