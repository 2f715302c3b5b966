//! The interfaces that a receiver imports, one file each.

mod gate;
mod inbox;
mod log;

#[allow(unreachable_pub, reason = "`bindgen!` re-exports them")]
pub use inbox::{PendingHandle, UploadHandle};

impl super::bindings::sandport::upload::types::Host for super::state::State {}
