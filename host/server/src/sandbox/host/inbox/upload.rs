//! Uploads that the guest holds.

use std::sync::Arc;

use async_trait::async_trait;
use sandport_protocol as protocol;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use crate::event::ServerEvent;
use crate::sandbox::bindings::sandport::upload::inbox::{Commitment, HostUpload};
use crate::sandbox::bindings::sandport::upload::types::{Algorithm, Digest, Extent, Refusal};
use crate::sandbox::convert;
use crate::sandbox::handles::{BodyHandle, CommittingHandle, FinishingHandle, UploadHandle};
use crate::sandbox::spans;
use crate::sandbox::state::State;
use crate::sandbox::streams;

impl State {
    fn end(&mut self, upload: Resource<UploadHandle>) -> wasmtime::Result<UploadHandle> {
        let handle = self.table.delete(upload)?;
        self.change_uploads(-1);
        Ok(handle)
    }

    fn tell_refused(&self, name: Option<String>, refusal: protocol::Refusal) {
        let peer = self.connection.peer();
        self.connection.emit(ServerEvent::UploadRefused { peer, name, refusal });
    }

    /// Ends this connection's part in an upload.
    fn release_upload(&mut self, upload: Resource<UploadHandle>) -> wasmtime::Result<()> {
        let UploadHandle { upload, name, span, .. } = self.end(upload)?;
        if let Some(refusal) = upload.fault() {
            spans::end(&span, Err(&refusal));
            self.tell_refused(name, refusal);
        }
        Ok(())
    }
}

impl HostUpload for State {
    fn missing(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<Vec<Extent>> {
        let missing = self.table.get(&this)?.upload.missing();
        Ok(missing.into_iter().map(convert::to_extent).collect())
    }

    fn key(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.table.get(&this)?.upload.key().map(<[u8]>::to_vec))
    }

    fn body(
        &mut self,
        this: Resource<UploadHandle>,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> wasmtime::Result<Result<Resource<BodyHandle>, Refusal>> {
        let handle = self.table.get(&this)?;
        let extent = convert::extent(extent);
        let body = match check {
            None => handle.upload.body(extent),
            Some(algorithm) => handle.upload.body_checked(extent, convert::algorithm(algorithm)),
        };
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return Ok(Err(convert::to_refusal(refusal))),
        };
        let connection = Arc::clone(&self.connection);
        let (end, stream) = streams::body(body, check.is_some(), handle.writes.clone(), connection);
        let watch = handle.upload.watch();
        // No child of the upload in the table: it may be dropped after it.
        Ok(Ok(self.table.push(BodyHandle::new(end, stream, watch))?))
    }

    fn durable(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.upload.durable())
    }

    fn set_size(
        &mut self,
        this: Resource<UploadHandle>,
        size: u64,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        Ok(self.table.get(&this)?.upload.set_size(size).map_err(convert::to_refusal))
    }

    fn concatenate(
        &mut self,
        this: Resource<UploadHandle>,
        parts: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Resource<FinishingHandle>> {
        let handle = self.table.get(&this)?;
        let connection = Arc::clone(&self.connection);
        let writes = handle.writes.clone();
        let concatenated = handle.upload.concatenate(parts);
        let concatenated = FinishingHandle::coming(async move {
            let _waits = connection.wait_for_disk();
            writes.done().await;
            concatenated.await
        });
        Ok(self.table.push(concatenated)?)
    }

    fn keep(
        &mut self,
        this: Resource<UploadHandle>,
    ) -> wasmtime::Result<Resource<FinishingHandle>> {
        let handle = self.table.get(&this)?;
        let connection = Arc::clone(&self.connection);
        // What is being written was written before.
        let writes = handle.writes.clone();
        let kept = handle.upload.keep_after(async move { writes.done().await });
        let kept = FinishingHandle::coming(async move {
            let _waits = connection.wait_for_disk();
            kept.await
        });
        Ok(self.table.push(kept)?)
    }

    fn fault(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<Option<Refusal>> {
        Ok(self.table.get(&this)?.upload.fault().map(convert::to_refusal))
    }

    fn subscribe(
        &mut self,
        this: Resource<UploadHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let watch = News(self.table.get(&this)?.upload.watch());
        let watch = self.table.push(watch)?;
        subscribe(&mut self.table, watch)
    }

    fn commit(
        &mut self,
        this: Resource<UploadHandle>,
        size: u64,
        digests: Vec<Digest>,
    ) -> wasmtime::Result<Resource<CommittingHandle>> {
        let UploadHandle { upload, name, writes, span, charge } = self.end(this)?;
        let of = (upload, name, span, charge);
        let commit =
            CommittingHandle::commit(of, writes, size, convert::digests(digests), &self.connection);
        Ok(self.table.push(commit)?)
    }

    fn store(
        &mut self,
        this: Resource<UploadHandle>,
        content: Vec<u8>,
        digests: Vec<Digest>,
    ) -> wasmtime::Result<Commitment> {
        let UploadHandle { upload, name, span, charge, .. } = self.end(this)?;
        let of = (upload, name, span, charge);
        let commit =
            CommittingHandle::store(of, &content, convert::digests(digests), &self.connection);
        Ok(match commit.take() {
            Some(outcome) => {
                Commitment::Ended(outcome.map(convert::to_receipt).map_err(convert::to_refusal))
            }
            None => Commitment::Committing(self.table.push(commit)?),
        })
    }

    fn release(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<()> {
        self.release_upload(this)
    }

    fn discard(
        &mut self,
        this: Resource<UploadHandle>,
        reason: Option<Refusal>,
    ) -> wasmtime::Result<()> {
        let UploadHandle { upload, name, span, .. } = self.end(this)?;
        // What the host itself found weighs more than what the guest says.
        if let Some(refusal) = upload.fault().or(reason.map(convert::refusal)) {
            spans::end(&span, Err(&refusal));
            self.tell_refused(name, refusal);
        }
        upload.discard();
        Ok(())
    }

    fn drop(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<()> {
        self.release_upload(this)
    }
}

/// Ready when there is something to hear of the upload.
struct News(sandport_inbox::UploadWatch);

#[async_trait]
impl Pollable for News {
    async fn ready(&mut self) {
        self.0.news().await;
    }
}
