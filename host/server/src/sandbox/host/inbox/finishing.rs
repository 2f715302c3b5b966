//! What comes to its end by itself.

use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::sandbox::bindings::sandport::upload::inbox::HostFinishing;
use crate::sandbox::bindings::sandport::upload::types::Refusal;
use crate::sandbox::convert;
use crate::sandbox::handles::FinishingHandle;
use crate::sandbox::state::State;

impl HostFinishing for State {
    fn subscribe(
        &mut self,
        this: Resource<FinishingHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let end = self.table.get(&this)?.0.clone();
        end.subscribe(&mut self.table)
    }

    fn take(
        &mut self,
        this: Resource<FinishingHandle>,
    ) -> wasmtime::Result<Option<Result<(), Refusal>>> {
        let end = self.table.get(&this)?.0.take();
        Ok(end.map(|end| end.map_err(convert::to_refusal)))
    }

    fn drop(&mut self, this: Resource<FinishingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
