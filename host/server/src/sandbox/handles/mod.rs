//! What a guest holds, behind the resources of the interfaces: in the words of this program, and with nothing of the
//! bindings, which name these types.

#![allow(unreachable_pub, reason = "`bindgen!` re-exports the types behind its resources")]

mod asking;
mod authenticating;
mod body;
mod committing;
mod finishing;
mod later;
mod opening;
mod upload;

pub use asking::{AbandoningHandle, LookingHandle};
pub use authenticating::AuthenticatingHandle;
pub use body::BodyHandle;
pub use committing::CommittingHandle;
pub(super) use committing::Told;
pub use finishing::FinishingHandle;
pub(super) use later::Later;
pub use opening::OpeningHandle;
pub(super) use opening::{Response, open, tell};
pub use upload::UploadHandle;
