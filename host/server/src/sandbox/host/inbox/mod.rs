//! `sandport:upload/inbox`: offers, uploads, bodies and commits, one file each.

#![allow(unreachable_pub, reason = "`bindgen!` re-exports the types behind its resources")]

mod asking;
mod body;
mod commit;
mod finishing;
mod opening;
mod upload;

pub use asking::{AbandoningHandle, LookingHandle};
pub use body::BodyHandle;
pub use commit::CommittingHandle;
pub use finishing::FinishingHandle;
pub use opening::OpeningHandle;
pub use upload::UploadHandle;

use wasmtime::component::Resource;

use crate::sandbox::bindings::sandport::upload::inbox::{Host, Opened};
use crate::sandbox::bindings::sandport::upload::types::Offer;
use crate::sandbox::state::State;

impl State {
    /// The guest asks the inbox for something.
    fn handle_offer(&mut self) {
        self.asked.inbox = true;
        self.connection.handle_offer();
    }
}

impl Host for State {
    fn open(&mut self, offer: Offer) -> wasmtime::Result<Opened> {
        self.handle_offer();
        self.offer(offer)
    }

    fn look(&mut self, key: Vec<u8>, settle: bool) -> wasmtime::Result<Resource<LookingHandle>> {
        self.handle_offer();
        let looking = LookingHandle::new(&self.connection, key, settle);
        Ok(self.table.push(looking)?)
    }

    fn abandon(&mut self, key: Vec<u8>) -> wasmtime::Result<Resource<AbandoningHandle>> {
        self.handle_offer();
        let abandoning = AbandoningHandle::new(&self.connection, key);
        Ok(self.table.push(abandoning)?)
    }
}
