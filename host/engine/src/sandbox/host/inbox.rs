//! `sandport:upload/inbox`: uploads and commits.

#![allow(unreachable_pub, reason = "`bindgen!` re-exports the types behind its resources")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sandport_protocol as protocol;
use sandport_protocol::{EntryKind, RefusalCode};
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::DynOutputStream;

use crate::inbox;
use crate::sandbox::bindings::sandport::upload::inbox::{
    Commitment, Host, HostPending, HostUpload, Verdict,
};
use crate::sandbox::bindings::sandport::upload::types::{Digest, Extent, Offer, Receipt, Refusal};
use crate::sandbox::connection::Connection;
use crate::sandbox::convert;
use crate::sandbox::state::State;
use crate::sandbox::streams::{BodyStream, WritesUnderWay};
use crate::server::ServerEvent;

/// How long an offer may wait until a stored file was read. The guest is not running meanwhile, so the sender hears
/// nothing: a third of its usual patience. Reading goes on, and the next try finds the answer.
const COMPARING_MAX: Duration = Duration::from_secs(20);

/// An open upload.
pub struct UploadHandle {
    upload: inbox::Upload,
    name: Option<String>,
    writes: WritesUnderWay,
}

/// A commit under way.
pub struct PendingHandle(Arc<PendingCommit>);

/// The commit, and the duty to report it once: to the operator, whatever the guest does.
struct PendingCommit {
    /// `Err`: the arguments of the commit made no sense.
    pending: Result<inbox::Pending, protocol::Refusal>,
    name: Option<String>,
    kind: EntryKind,
    connection: Arc<Connection>,
    /// Its place among the commits of the connection, which are over in this order.
    number: u64,
    reported: std::sync::Once,
}

impl Host for State {
    async fn open(&mut self, offer: Offer) -> wasmtime::Result<Result<Verdict, Refusal>> {
        let offer = match convert::offer(offer) {
            Ok(offer) => offer,
            Err(refusal) => return Ok(Err(convert::to_refusal(refusal))),
        };
        match self.offer_and_compare(&offer).await {
            Ok(inbox::Verdict::Stored(receipt)) => {
                Ok(Ok(Verdict::Stored(convert::to_receipt(receipt))))
            }
            Ok(inbox::Verdict::Making(pending)) => {
                // A directory on its way to the disk, or a file that another connection commits.
                let mut commit =
                    PendingCommit::new(Ok(pending), offer.name, offer.kind, &self.connection);
                // An answer to an offer waits for no commit.
                commit.number = 0;
                commit.ready().await;
                Ok(match commit.outcome() {
                    Some(outcome) => outcome
                        .map(|receipt| Verdict::Stored(convert::to_receipt(receipt)))
                        .map_err(convert::to_refusal),
                    None => Err(convert::to_refusal(RefusalCode::Io.into())),
                })
            }
            Ok(inbox::Verdict::DigestFirst | inbox::Verdict::Comparing(_)) => {
                Ok(Ok(Verdict::DigestFirst))
            }
            Ok(inbox::Verdict::Accepted(upload)) => {
                let handle =
                    UploadHandle { upload, name: offer.name, writes: WritesUnderWay::default() };
                let handle = self.table.push(handle)?;
                self.uploads += 1;
                Ok(Ok(Verdict::Accepted(handle)))
            }
            Err(refusal) => {
                self.connection.emit(ServerEvent::UploadRefused {
                    peer: self.connection.peer.clone(),
                    name: offer.name,
                    refusal: refusal.clone(),
                });
                Ok(Err(convert::to_refusal(refusal)))
            }
        }
    }
}

impl State {
    /// Asks the inbox, and again when it has compared what is stored, which it does on file systems where nothing
    /// else tells whether it is still that.
    async fn offer_and_compare(
        &mut self,
        offer: &protocol::Offer,
    ) -> Result<inbox::Verdict, protocol::Refusal> {
        self.check_uploads()?;
        let until = tokio::time::Instant::now() + COMPARING_MAX;
        let connection = Arc::clone(&self.connection);
        loop {
            let _waits = connection.wait_for_disk();
            // Who it is, the host found out: the guest has no say in it.
            let opening = connection.context.inbox.open_as(&connection.peer.identity, offer);
            let comparison = match opening.await? {
                inbox::Verdict::Comparing(comparison) => comparison,
                verdict => return Ok(verdict),
            };
            if tokio::time::timeout_at(until, comparison.ready()).await.is_err() {
                let words = "the inbox is still reading the stored file to compare it";
                return Err(protocol::Refusal::new(RefusalCode::Io, words));
            }
        }
    }

    /// Refuses where the connection holds as many uploads as it was granted.
    fn check_uploads(&self) -> Result<(), protocol::Refusal> {
        let granted = self.connection.context.limits.uploads_ahead_max as usize;
        if self.uploads + self.connection.commits() < granted {
            return Ok(());
        }
        let words = format!("{granted} uploads are open on this connection");
        Err(protocol::Refusal::new(RefusalCode::TooMany, words))
    }

    fn end(&mut self, upload: Resource<UploadHandle>) -> wasmtime::Result<UploadHandle> {
        let handle = self.table.delete(upload)?;
        self.uploads -= 1;
        Ok(handle)
    }
}

impl HostUpload for State {
    fn missing(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<Vec<Extent>> {
        let missing = self.table.get(&this)?.upload.missing();
        Ok(missing.into_iter().map(convert::to_extent).collect())
    }

    fn body(
        &mut self,
        this: Resource<UploadHandle>,
        extent: Extent,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, Refusal>> {
        let handle = self.table.get(&this)?;
        let body = match handle.upload.body(convert::extent(extent)) {
            Ok(body) => body,
            Err(refusal) => return Ok(Err(convert::to_refusal(refusal))),
        };
        let connection = Arc::clone(&self.connection);
        let stream: DynOutputStream =
            Box::new(BodyStream::new(body, handle.writes.clone(), connection));
        // No child of the upload in the table: it may be dropped after it.
        Ok(Ok(self.table.push(stream)?))
    }

    fn durable(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.upload.durable())
    }

    fn fault(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<Option<Refusal>> {
        Ok(self.table.get(&this)?.upload.fault().map(convert::to_refusal))
    }

    fn subscribe(
        &mut self,
        this: Resource<UploadHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let watch = Faulted(self.table.get(&this)?.upload.watch());
        let watch = self.table.push(watch)?;
        subscribe(&mut self.table, watch)
    }

    async fn commit(
        &mut self,
        this: Resource<UploadHandle>,
        size: u64,
        digest: Option<Digest>,
    ) -> wasmtime::Result<Resource<PendingHandle>> {
        let handle = self.end(this)?;
        // A body may still be at its last step, on another thread.
        handle.writes.done().await;
        let pending = match digest.map(convert::digest).transpose() {
            Ok(digest) => Ok(handle.upload.commit(size, digest)),
            Err(refusal) => Err(refusal),
        };
        let commit = PendingCommit::new(pending, handle.name, EntryKind::File, &self.connection);
        Ok(self.table.push(PendingHandle(Arc::new(commit)))?)
    }

    fn store(
        &mut self,
        this: Resource<UploadHandle>,
        content: Vec<u8>,
        digest: Option<Digest>,
    ) -> wasmtime::Result<Commitment> {
        let UploadHandle { upload, name, .. } = self.end(this)?;
        let size = content.len() as u64;
        let stored = match digest.map(convert::digest).transpose() {
            Ok(digest) if size == 0 => Ok(upload.commit(0, digest)),
            Ok(digest) => {
                upload.body(protocol::Extent { offset: 0, length: Some(size) }).map(|mut body| {
                    body.write(&content);
                    upload.commit(size, digest)
                })
            }
            Err(refusal) => Err(refusal),
        };
        let commit = PendingCommit::new(stored, name, EntryKind::File, &self.connection);
        Ok(match commit.outcome() {
            Some(outcome) => Commitment::Ended(answer(outcome)),
            None => Commitment::Pending(self.table.push(PendingHandle(Arc::new(commit)))?),
        })
    }

    fn discard(
        &mut self,
        this: Resource<UploadHandle>,
        reason: Option<Refusal>,
    ) -> wasmtime::Result<()> {
        let UploadHandle { upload, name, .. } = self.end(this)?;
        // What the host itself found weighs more than what the guest says.
        if let Some(refusal) = upload.fault().or(reason.map(convert::refusal)) {
            let peer = self.connection.peer.clone();
            self.connection.emit(ServerEvent::UploadRefused { peer, name, refusal });
        }
        upload.discard();
        Ok(())
    }

    fn drop(&mut self, this: Resource<UploadHandle>) -> wasmtime::Result<()> {
        let UploadHandle { upload, name, .. } = self.end(this)?;
        if let Some(refusal) = upload.fault() {
            let peer = self.connection.peer.clone();
            self.connection.emit(ServerEvent::UploadRefused { peer, name, refusal });
        }
        Ok(())
    }
}

impl HostPending for State {
    fn subscribe(
        &mut self,
        this: Resource<PendingHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let watch = Committed(Arc::clone(&self.table.get(&this)?.0));
        let watch = self.table.push(watch)?;
        subscribe(&mut self.table, watch)
    }

    fn get(
        &mut self,
        this: Resource<PendingHandle>,
    ) -> wasmtime::Result<Option<Result<Receipt, Refusal>>> {
        let commit = &self.table.get(&this)?.0;
        Ok(commit.outcome().map(answer))
    }

    fn drop(&mut self, this: Resource<PendingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn answer(outcome: Result<protocol::Receipt, protocol::Refusal>) -> Result<Receipt, Refusal> {
    outcome.map(convert::to_receipt).map_err(convert::to_refusal)
}

impl PendingCommit {
    fn new(
        pending: Result<inbox::Pending, protocol::Refusal>,
        name: Option<String>,
        kind: EntryKind,
        connection: &Arc<Connection>,
    ) -> Self {
        let number = connection.commit_started(pending.as_ref().ok());
        let connection = Arc::clone(connection);
        Self { pending, name, kind, connection, number, reported: std::sync::Once::new() }
    }

    async fn ready(&self) {
        while let Some(before) = self.connection.commit_before(self.number) {
            before.ready().await;
        }
        if let Ok(pending) = &self.pending {
            pending.ready().await;
        }
    }

    fn outcome(&self) -> Option<Result<protocol::Receipt, protocol::Refusal>> {
        if self.connection.commit_before(self.number).is_some() {
            return None;
        }
        let outcome = match &self.pending {
            Ok(pending) => pending.try_get()?,
            Err(refusal) => Err(refusal.clone()),
        };
        self.reported.call_once(|| {
            self.connection.commit_ended();
            if self.pending.as_ref().is_ok_and(|pending| !pending.take_news()) {
                return;
            }
            let peer = self.connection.peer.clone();
            self.connection.emit(match outcome.clone() {
                Ok(receipt) if self.kind == EntryKind::Directory => {
                    ServerEvent::Folder { peer, name: receipt.name }
                }
                Ok(receipt) => ServerEvent::Stored { peer, receipt },
                Err(refusal) => {
                    ServerEvent::UploadRefused { peer, name: self.name.clone(), refusal }
                }
            });
        });
        Some(outcome)
    }
}

impl Drop for PendingHandle {
    /// The guest does not want to know, or is gone. The operator still does.
    fn drop(&mut self) {
        let commit = Arc::clone(&self.0);
        if !commit.reported.is_completed() {
            tokio::spawn(async move {
                commit.ready().await;
                commit.outcome();
            });
        }
    }
}

/// Ready when the upload has failed.
struct Faulted(inbox::UploadWatch);

#[async_trait]
impl Pollable for Faulted {
    async fn ready(&mut self) {
        self.0.news().await;
    }
}

/// Ready when the commit has an outcome.
struct Committed(Arc<PendingCommit>);

#[async_trait]
impl Pollable for Committed {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}
