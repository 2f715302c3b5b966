//! What comes to its end by itself.

use sandport_protocol::Refusal as ProtocolRefusal;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::sandbox::bindings::sandport::upload::inbox::HostFinishing;
use crate::sandbox::bindings::sandport::upload::types::Refusal;
use crate::sandbox::convert;
use crate::sandbox::host::later::Later;
use crate::sandbox::state::State;

/// Something on its way to its end.
pub struct FinishingHandle(Later<Result<(), Refusal>>);

impl FinishingHandle {
    pub(super) fn coming(
        end: impl Future<Output = Result<(), ProtocolRefusal>> + Send + 'static,
    ) -> Self {
        Self(Later::coming(async { end.await.map_err(convert::to_refusal) }))
    }
}

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
        Ok(self.table.get(&this)?.0.take())
    }

    fn drop(&mut self, this: Resource<FinishingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
