//! The interfaces that a receiver imports, one file or folder each.

mod gate;
mod inbox;
mod later;
mod log;

#[allow(unreachable_pub, reason = "`bindgen!` re-exports them")]
pub use gate::AuthenticatingHandle;
#[allow(unreachable_pub, reason = "`bindgen!` re-exports them")]
pub use inbox::{
    AbandoningHandle, BodyHandle, CommittingHandle, FinishingHandle, LookingHandle, OpeningHandle,
    UploadHandle,
};

impl super::bindings::sandport::upload::types::Host for super::state::State {}
