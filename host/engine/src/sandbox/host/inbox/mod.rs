//! `sandport:upload/inbox`: offers, uploads, bodies and commits, one file each.

#![allow(unreachable_pub, reason = "`bindgen!` re-exports the types behind its resources")]

mod body;
mod commit;
mod finishing;
mod opening;
mod upload;

pub use body::BodyHandle;
pub use commit::CommittingHandle;
pub use finishing::FinishingHandle;
pub use opening::OpeningHandle;
pub use upload::UploadHandle;

use wasmtime::component::Resource;

use crate::sandbox::bindings::sandport::upload::inbox::Host;
use crate::sandbox::bindings::sandport::upload::types::Offer;
use crate::sandbox::state::State;

impl Host for State {
    fn open(&mut self, offer: Offer) -> wasmtime::Result<Resource<OpeningHandle>> {
        self.asked.inbox = true;
        let opening = OpeningHandle::new(self, offer);
        Ok(self.table.push(opening)?)
    }
}
