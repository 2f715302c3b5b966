//! Commits on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sandport_protocol as protocol;
use sandport_protocol::{EntryKind, RefusalCode};
use tracing::Span;
use wasmtime_wasi_io::poll::Pollable;

use crate::budget::Charge;
use crate::event::ServerEvent;
use crate::net::Peer;
use crate::sandbox::connection::Connection;
use crate::sandbox::spans;
use crate::sandbox::streams::WritesUnderWay;

/// The digest of BLAKE3 that is claimed, where one is, and the others.
type Claimed = (Option<protocol::Digest>, Vec<protocol::ContentDigest>);

/// What became of a file or directory, and how it was offered.
pub(in crate::sandbox) struct Told {
    pub(in crate::sandbox) receipt: protocol::Receipt,
    /// Those besides BLAKE3 that were asked for.
    pub(in crate::sandbox) digests: Vec<protocol::ContentDigest>,
    pub(in crate::sandbox) kind: EntryKind,
    /// The name in the offer.
    pub(in crate::sandbox) offered: Option<String>,
}

/// A commit on its way.
pub struct CommittingHandle {
    commit: Arc<Commit>,
    taken: AtomicBool,
}

/// The commit, and the duty to report it once: to the operator, whatever the guest does.
struct Commit {
    /// `Err`: the arguments of the commit made no sense.
    pending: Result<sandport_inbox::CommitHandle, protocol::Refusal>,
    name: Option<String>,
    kind: EntryKind,
    connection: Arc<Connection>,
    /// Who has sent it. The connection may serve somebody else by the time that it is over.
    peer: Peer,
    /// Its place among the commits of the connection, which are over in this order. `None`: an answer to an offer
    /// waits for no commit.
    number: Option<u64>,
    reported: std::sync::Once,
    /// Of the upload; of none where it answers an offer.
    span: Span,
    /// What the upload took of memory, and the rest of it takes until this is over.
    _charge: Option<Charge>,
}

/// What is left of an upload in memory while it is committed: its name, its record and its place in the queue. Bytes.
const COMMIT_BYTES: u64 = 1_024;

/// An upload that is to be committed, with its name, its span, and what it takes of memory.
type Ended = (sandport_inbox::Upload, Option<String>, Span, Charge);

impl CommittingHandle {
    /// Commits what was staged of an upload, when these writes are over.
    pub(in crate::sandbox) fn commit(
        (upload, name, span, charge): Ended,
        writes: WritesUnderWay,
        size: u64,
        claimed: Result<Claimed, protocol::Refusal>,
        connection: &Arc<Connection>,
    ) -> Self {
        let inside = span.enter();
        let pending = claimed.map(|(digest, claimed)| match writes.any() {
            false => upload.commit_with(size, digest, &claimed),
            true => commit_after(writes, upload, size, digest, claimed),
        });
        drop(inside);
        Self::new(pending, name, (span, charge), connection)
    }

    /// Stages the content of a file, and commits it.
    pub(in crate::sandbox) fn store(
        (upload, name, span, charge): Ended,
        content: &[u8],
        claimed: Result<Claimed, protocol::Refusal>,
        connection: &Arc<Connection>,
    ) -> Self {
        let size = content.len() as u64;
        let inside = span.enter();
        let stored = match claimed {
            Ok((digest, claimed)) if size == 0 => Ok(upload.commit_with(0, digest, &claimed)),
            Ok((digest, claimed)) => {
                upload.body(protocol::Extent { offset: 0, length: Some(size) }).map(|mut body| {
                    body.write(content);
                    upload.commit_with(size, digest, &claimed)
                })
            }
            Err(refusal) => Err(refusal),
        };
        drop(inside);
        Self::new(stored, name, (span, charge), connection)
    }

    /// What makes the answer to an offer: a directory on its way, or the commit of another connection.
    pub(in crate::sandbox) fn of_offer(
        pending: sandport_inbox::CommitHandle,
        name: Option<String>,
        kind: EntryKind,
        connection: &Arc<Connection>,
    ) -> Self {
        connection.commit_started(Some(&pending));
        Self::of(Commit {
            pending: Ok(pending),
            name,
            kind,
            connection: Arc::clone(connection),
            peer: connection.peer(),
            number: None,
            reported: std::sync::Once::new(),
            span: Span::none(),
            _charge: None,
        })
    }

    fn new(
        pending: Result<sandport_inbox::CommitHandle, protocol::Refusal>,
        name: Option<String>,
        (span, mut charge): (Span, Charge),
        connection: &Arc<Connection>,
    ) -> Self {
        charge.keep(COMMIT_BYTES);
        let number = Some(connection.commit_started(pending.as_ref().ok()));
        let (peer, connection) = (connection.peer(), Arc::clone(connection));
        let (kind, reported) = (EntryKind::File, std::sync::Once::new());
        Self::of(Commit {
            pending,
            name,
            kind,
            connection,
            peer,
            number,
            reported,
            span,
            _charge: Some(charge),
        })
    }

    fn of(commit: Commit) -> Self {
        Self { commit: Arc::new(commit), taken: AtomicBool::new(false) }
    }

    /// The outcome, when it is known.
    pub(in crate::sandbox) async fn outcome(&self) -> Result<Told, protocol::Refusal> {
        self.commit.ready().await;
        self.take().unwrap_or_else(|| Err(RefusalCode::Io.into()))
    }

    /// The outcome, once.
    pub(in crate::sandbox) fn take(&self) -> Option<Result<Told, protocol::Refusal>> {
        if self.taken.load(Ordering::Relaxed) {
            return None;
        }
        let outcome = self.commit.outcome()?;
        self.taken.store(true, Ordering::Relaxed);
        let Commit { kind, name, .. } = &*self.commit;
        let told = |receipt| Told {
            receipt,
            digests: self.commit.digests(),
            kind: *kind,
            offered: name.clone(),
        };
        Some(outcome.map(told))
    }

    /// Ready when it has an outcome.
    pub(in crate::sandbox) fn watch(&self) -> Committed {
        Committed(Arc::clone(&self.commit))
    }
}

/// Commits once the last write is over, which another thread is at.
fn commit_after(
    writes: WritesUnderWay,
    upload: sandport_inbox::Upload,
    size: u64,
    digest: Option<protocol::Digest>,
    claimed: Vec<protocol::ContentDigest>,
) -> sandport_inbox::CommitHandle {
    let (pending, end) = sandport_inbox::CommitHandle::begun();
    let outer = pending.clone();
    tokio::spawn(async move {
        writes.done().await;
        let mut commit = upload.commit_with(size, digest, &claimed);
        let outcome = (&mut commit).await;
        outer.add_digests(commit.digests());
        // Of several connections that carry the file, another one tells of it.
        if !commit.take_report() {
            outer.take_report();
        }
        end(outcome);
    });
    pending
}

impl Commit {
    /// The digests besides BLAKE3 that were asked for.
    fn digests(&self) -> Vec<protocol::ContentDigest> {
        self.pending.as_ref().map(sandport_inbox::CommitHandle::digests).unwrap_or_default()
    }

    /// The commit of this connection that has to be over before this one is.
    fn before(&self) -> Option<sandport_inbox::CommitHandle> {
        self.connection.commit_before(self.number?)
    }

    async fn ready(&self) {
        while let Some(before) = self.before() {
            before.ready().await;
        }
        if let Ok(pending) = &self.pending {
            pending.ready().await;
        }
    }

    fn outcome(&self) -> Option<Result<protocol::Receipt, protocol::Refusal>> {
        if self.before().is_some() {
            return None;
        }
        let outcome = match &self.pending {
            Ok(pending) => pending.try_get()?,
            Err(refusal) => Err(refusal.clone()),
        };
        self.reported.call_once(|| {
            self.connection.commit_ended();
            spans::end(&self.span, outcome.as_ref());
            if self.pending.as_ref().is_ok_and(|pending| !pending.take_report()) {
                return;
            }
            let peer = self.peer.clone();
            self.connection.emit(match outcome.clone() {
                Ok(receipt) if self.kind == EntryKind::Directory => {
                    ServerEvent::Directory { peer, name: receipt.name }
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

impl Drop for CommittingHandle {
    /// The guest does not want to know, or is gone. The operator still does.
    fn drop(&mut self) {
        let commit = Arc::clone(&self.commit);
        if !commit.reported.is_completed() {
            tokio::spawn(async move {
                commit.ready().await;
                commit.outcome();
            });
        }
    }
}

/// Ready when the commit has an outcome.
pub(in crate::sandbox) struct Committed(Arc<Commit>);

#[async_trait]
impl Pollable for Committed {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}
