//! `sandport:upload/inbox`: offers, uploads, bodies and commits, one file each.

mod asking;
mod body;
mod commit;
mod finishing;
mod opening;
mod upload;

use wasmtime::component::Resource;

use crate::sandbox::bindings::sandport::upload::inbox::{Host, Opened};
use crate::sandbox::bindings::sandport::upload::types::Offer;
use crate::sandbox::handles::{AbandoningHandle, LookingHandle};
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
