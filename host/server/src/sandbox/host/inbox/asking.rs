//! Questions about uploads, and their ends, by their keys.

use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::sandbox::bindings::sandport::upload::inbox::{HostAbandoning, HostLooking, Status};
use crate::sandbox::bindings::sandport::upload::types::Refusal;
use crate::sandbox::convert;
use crate::sandbox::handles::{AbandoningHandle, LookingHandle};
use crate::sandbox::state::State;

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
        let found = self.table.get(&this)?.0.take();
        Ok(found.map(|found| {
            found.map(|status| status.map(convert::to_status)).map_err(convert::to_refusal)
        }))
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
        let ended = self.table.get(&this)?.0.take();
        Ok(ended.map(|ended| ended.map_err(convert::to_refusal)))
    }

    fn drop(&mut self, this: Resource<AbandoningHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
