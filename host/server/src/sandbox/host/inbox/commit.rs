//! Commits on their way.

use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

use crate::sandbox::bindings::sandport::upload::inbox::HostCommitting;
use crate::sandbox::bindings::sandport::upload::types::{Receipt, Refusal};
use crate::sandbox::convert;
use crate::sandbox::handles::CommittingHandle;
use crate::sandbox::state::State;

impl HostCommitting for State {
    fn subscribe(
        &mut self,
        this: Resource<CommittingHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let watch = self.table.get(&this)?.watch();
        let watch = self.table.push(watch)?;
        subscribe(&mut self.table, watch)
    }

    fn take(
        &mut self,
        this: Resource<CommittingHandle>,
    ) -> wasmtime::Result<Option<Result<Receipt, Refusal>>> {
        let outcome = self.table.get(&this)?.take();
        Ok(outcome.map(|outcome| outcome.map(convert::to_receipt).map_err(convert::to_refusal)))
    }

    fn drop(&mut self, this: Resource<CommittingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
