//! Bodies of uploads that the guest holds.

use sandport_protocol::{Refusal as ProtocolRefusal, RefusalCode};
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::DynOutputStream;

use crate::sandbox::bindings::sandport::upload::inbox::HostBody;
use crate::sandbox::bindings::sandport::upload::types::Digest;
use crate::sandbox::convert;
use crate::sandbox::handles::{BodyHandle, FinishingHandle};
use crate::sandbox::state::State;

impl HostBody for State {
    fn sink(
        &mut self,
        this: Resource<BodyHandle>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let Some(stream) = self.table.get_mut(&this)?.stream.take() else { return Ok(Err(())) };
        let stream: DynOutputStream = Box::new(stream);
        Ok(Ok(self.table.push(stream)?))
    }

    fn finish(
        &mut self,
        this: Resource<BodyHandle>,
        expect: Option<Digest>,
    ) -> wasmtime::Result<Resource<FinishingHandle>> {
        let BodyHandle { end, stream, watch } = self.table.delete(this)?;
        let expect = expect.map(convert::digest).transpose();
        let finished = FinishingHandle::coming(async move {
            let body = end.end().await;
            drop(stream);
            match body {
                Some(body) => body.finish_with(expect?),
                // It has ended with its stream, so there was nothing to check.
                None if expect?.is_some() => {
                    let words = "a digest for a body that is not checked";
                    Err(ProtocolRefusal::new(RefusalCode::InvalidState, words))
                }
                None => watch.fault().map_or(Ok(()), Err),
            }
        });
        Ok(self.table.push(finished)?)
    }

    fn drop(&mut self, this: Resource<BodyHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
