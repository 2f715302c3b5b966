//! Questions about uploads, and their ends, by their keys.

use std::sync::Arc;

use sandport_protocol as protocol;
use sandport_protocol::RefusalCode;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::sandbox::bindings::sandport::upload::inbox::{HostAbandoning, HostLooking, Status};
use crate::sandbox::bindings::sandport::upload::types::Refusal;
use crate::sandbox::connection::Connection;
use crate::sandbox::convert;
use crate::sandbox::host::later::Later;
use crate::sandbox::state::State;

/// A question that the inbox looks into.
pub struct LookingHandle(Later<Result<Option<Status>, Refusal>>);

/// An upload on its way out.
pub struct AbandoningHandle(Later<Result<bool, Refusal>>);

impl LookingHandle {
    pub(super) fn new(connection: &Arc<Connection>, key: Vec<u8>, settle: bool) -> Self {
        let connection = Arc::clone(connection);
        Self(Later::coming(async move {
            let _waits = connection.wait_for_disk();
            let inbox = &connection.context.inbox;
            let found = inbox.look(connection.sender.identity(), &key, settle).await;
            there(found).map(|status| status.map(convert::to_status))
        }))
    }
}

impl AbandoningHandle {
    pub(super) fn new(connection: &Arc<Connection>, key: Vec<u8>) -> Self {
        let connection = Arc::clone(connection);
        Self(Later::coming(async move {
            let _waits = connection.wait_for_disk();
            let ended = connection.context.inbox.abandon(connection.sender.identity(), &key).await;
            there(ended).map(|ended| ended.is_some())
        }))
    }
}

/// `None`: the sender has no upload with this key.
fn there<T>(outcome: Result<T, protocol::Refusal>) -> Result<Option<T>, Refusal> {
    match outcome {
        Ok(there) => Ok(Some(there)),
        Err(refusal) if refusal.code == RefusalCode::InvalidState => Ok(None),
        Err(refusal) => Err(convert::to_refusal(refusal)),
    }
}

impl HostLooking for State {
    fn subscribe(
        &mut self,
        this: Resource<LookingHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let answer = self.table.get(&this)?.0.clone();
        answer.subscribe(&mut self.table)
    }

    fn take(
        &mut self,
        this: Resource<LookingHandle>,
    ) -> wasmtime::Result<Option<Result<Option<Status>, Refusal>>> {
        Ok(self.table.get(&this)?.0.take())
    }

    fn drop(&mut self, this: Resource<LookingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostAbandoning for State {
    fn subscribe(
        &mut self,
        this: Resource<AbandoningHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let answer = self.table.get(&this)?.0.clone();
        answer.subscribe(&mut self.table)
    }

    fn take(
        &mut self,
        this: Resource<AbandoningHandle>,
    ) -> wasmtime::Result<Option<Result<bool, Refusal>>> {
        Ok(self.table.get(&this)?.0.take())
    }

    fn drop(&mut self, this: Resource<AbandoningHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
