//! One file on its way in, as receivers see it: an upload, and what is heard of it.
//!
//! Most uploads end with their connection ([`Transient`]); those with a resume key outlive it
//! ([`resumable`](super::resumable)).

use std::fmt;
use std::sync::Arc;

use sandport_protocol::inbox::Claims;
use sandport_protocol::{Algorithm, ContentDigest, Digest, Extent, Refusal, RefusalCode};
use tokio::sync::SetOnce;

use super::Inbox;
use super::body::{Body, BodyKind};
use super::commit::Committer;
use super::completion::CommitHandle;
use super::finishing::Finishing;
use super::memory::MemoryAccount;
use super::meter::{Cost, Meter};
use super::publish::{Job, Work};
use super::reading::Reading;
use super::resumable::{Concatenation, Session, Signals};
use super::storage::StorageUpload;
use super::sums::{Due, Sums};
use super::transient::Transient;

/// One file on its way in. Dropping it discards what was staged, unless its offer had a resume key:
/// then it is kept for the next offer with that key.
pub struct Upload {
    kind: Kind,
    /// Digests besides BLAKE3 that the offer has asked for.
    sums: Option<Arc<Sums>>,
    cost: Cost,
}

enum Kind {
    Transient(Transient),
    /// The session first: what it leaves is kept while the inbox is open.
    Resumable(Session, Inbox),
    /// Into a [`Storage`](super::Storage).
    Stored(StorageUpload),
}

impl Upload {
    pub(super) fn transient(upload: Transient) -> Self {
        Self::of(Kind::Transient(upload), 0)
    }

    pub(super) fn resumable(inbox: &Inbox, session: Session) -> Self {
        let here = session.bytes();
        Self::of(Kind::Resumable(session, inbox.clone()), here)
    }

    pub(super) fn stored(upload: StorageUpload) -> Self {
        Self::of(Kind::Stored(upload), 0)
    }

    fn of(kind: Kind, here_before: u64) -> Self {
        Self { kind, sums: None, cost: Cost { meter: None, here_before } }
    }

    /// The same, of which these digests are claimed and wanted. No byte has come so far.
    ///
    /// # Errors
    /// `unsupported-version`: one of them is not computed here.
    pub(super) fn expecting(mut self, claims: Claims) -> Result<Self, Refusal> {
        if !claims.is_empty() {
            self.sums = Some(Sums::new(claims)?);
        }
        Ok(self)
    }

    /// Who pays where the file has to be read once more.
    pub fn charge(&mut self, meter: &Meter) {
        self.cost.meter = Some(meter.clone());
    }

    /// On whose account the memory is that pieces of it take which are begun, from now on and until nobody is at the upload
    /// any more, which may be after this connection. Where too much is held, the upload begins no further piece beside
    /// one that was left begun: whoever wants that gets `too-many`. What an upload takes
    /// [besides](super::memory_of), whoever opens it counts.
    pub fn hold_memory(&self, account: Arc<dyn MemoryAccount>) {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => {}
            Kind::Resumable(session, _) => session.handle().hold_memory(account),
        }
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub fn missing(&self) -> Vec<Extent> {
        match &self.kind {
            Kind::Transient(upload) => upload.missing(),
            Kind::Resumable(session, _) => session.handle().missing(),
            Kind::Stored(upload) => upload.missing(),
        }
    }

    /// A sink for the bytes of `extent`.
    ///
    /// # Errors
    ///
    /// `offset-mismatch`: the extent goes beyond the announced size, or nothing is missing there;
    /// without a resume key also where it does not begin where the last one ended, and with one where
    /// it begins neither where something is missing nor at a chunk group within. `invalid-state`: an
    /// earlier body still has room, without a resume key. The fault that an earlier body latched.
    pub fn body(&self, extent: Extent) -> Result<Body, Refusal> {
        let kind = match &self.kind {
            Kind::Transient(upload) => BodyKind::Transient(upload.body(extent)?),
            Kind::Resumable(session, _) => BodyKind::Resumable(session.handle().body(extent)?),
            Kind::Stored(upload) => BodyKind::Stored(upload.body(extent)?),
        };
        Ok(self.feeding(kind, extent, false))
    }

    fn feeding(&self, kind: BodyKind, extent: Extent, is_checked: bool) -> Body {
        let feed = self.sums.as_ref().map(|sums| sums.feed(extent.offset, is_checked));
        Body::new(kind, feed.map(|feed| (extent.offset, feed)))
    }

    /// The same for bytes that do not count before they are found to be what they should be: [`Body::finish`] says what
    /// that is. Until then they are not among those that are here, durable or missing, and nobody else brings them.
    /// Of a body that is dropped, or whose upload is taken over, nothing was ever here.
    ///
    /// There is room for all of it, up to
    /// [`CHECKED_BYTES_MAX`](sandport_protocol::upload::CHECKED_BYTES_MAX).
    ///
    /// # Errors
    ///
    /// As of [`Self::body`]. `too-large`: the extent is longer than that. `too-many`: as many of the upload are being
    /// checked as may be. `invalid-state`: the upload cannot be resumed. `unsupported-version`: nothing here computes
    /// the `algorithm`.
    pub fn body_checked(&self, extent: Extent, algorithm: Algorithm) -> Result<Body, Refusal> {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => {
                let writer = session.handle().body_checked(extent, algorithm)?;
                Ok(self.feeding(BodyKind::Resumable(writer), extent, true))
            }
        }
    }

    /// What the upload is found by, and whoever has it can do all with it that its sender can: opaque, and at most
    /// [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX) long. `None`: it ends with its connection.
    pub fn key(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => None,
            Kind::Resumable(session, _) => Some(session.key()),
        }
    }

    /// Says how long the file will be, where its offer did not. Once; the same again is taken.
    ///
    /// # Errors
    ///
    /// `invalid-state`: another size is known; or the upload cannot be resumed. `offset-mismatch`: more is here than
    /// that. `too-large`, `quota-exceeded`, `insufficient-space`. The fault that a body latched.
    pub fn set_size(&self, size: u64) -> Result<(), Refusal> {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => session.handle().set_size(size),
        }
    }

    /// Tells when all is kept that was written before the call, as [`Self::durable`] promises it: with
    /// [`Durability::Full`](super::Durability::Full) also through a power cut, and else through the end of the server.
    /// It tells that also when the upload has been dropped meanwhile, or committed.
    ///
    /// Less than four kilobytes more are kept at once a few dozen times, and then ever seldomer: each time costs more
    /// room than they do, and two syncs.
    ///
    /// It ends with `invalid-state` where the upload cannot be resumed, or several chunk groups are begun, of which
    /// only one can be kept; with `too-many` where very many wait; with why it cannot be kept; or with the fault of the
    /// upload.
    pub fn keep(&self) -> Finishing {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => Finishing::ended(Err(without_key())),
            Kind::Resumable(session, _) => session.handle().keep(),
        }
    }

    /// Makes the content of this upload out of those of others of the same sender, one behind the other: `parts` are
    /// their keys, and one may come twice. They are whole and were not published, and stay as they are. What is here of
    /// this upload stays too, and only the rest is copied; so what was interrupted goes on when it is called again.
    /// The size is set where it is not known. Nothing is copied unless what is returned is polled, or when it is
    /// dropped; it ends when the upload does.
    ///
    /// It ends with `invalid-state`: the upload cannot be resumed, or is a part of its own; a part is not there, is
    /// somebody else's, not whole, or published. `too-many`: more than
    /// [`CONCATENATED_MAX`](sandport_protocol::CONCATENATED_MAX) parts. `offset-mismatch`: this upload is not as long
    /// as they are together, or another body brings some of it. `locked`: a connection that has the later word holds a
    /// part, or has taken this upload. `malformed`: a key is too long. As of [`Self::set_size`]; `io` and the like; the
    /// fault of the upload.
    pub fn concatenate(
        &self,
        parts: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        let concatenation = match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, inbox) => inbox.check_health().map(|()| Concatenation {
                registry: Arc::clone(&inbox.handle.registry),
                handle: session.handle().clone(),
                key: session.key().to_vec(),
                parts,
                meter: self.cost.meter.clone(),
            }),
        };
        async move { concatenation?.run().await }
    }

    /// As [`Self::keep`], once `written` has ended, which may be after the upload.
    pub fn keep_after<W: Future<Output = ()> + Send + 'static>(
        &self,
        written: W,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<W> {
        let handle = match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => Ok(session.handle().clone()),
        };
        async move {
            written.await;
            handle?.keep().ready().await
        }
    }

    /// How many bytes from the start of the file are kept whatever happens: the end of the connection
    /// and of the server, and with [`Durability::Full`](super::Durability::Full) a power cut. An
    /// upload that cannot be resumed keeps nothing.
    pub fn durable(&self) -> u64 {
        match &self.kind {
            Kind::Transient(_) | Kind::Stored(_) => 0,
            Kind::Resumable(session, _) => session.durable(),
        }
    }

    /// The fault that a body latched, if one did, or that another connection caused.
    pub fn fault(&self) -> Option<Refusal> {
        match &self.kind {
            Kind::Transient(upload) => upload.fault().get().cloned(),
            Kind::Resumable(session, _) => session.signals().fault().cloned(),
            Kind::Stored(upload) => upload.fault().get().cloned(),
        }
    }

    /// A handle that waits for news, wherever the upload and its bodies are.
    pub fn watch(&self) -> UploadWatch {
        UploadWatch(match &self.kind {
            Kind::Transient(upload) => WatchKind::Fault(Arc::clone(upload.fault())),
            Kind::Resumable(session, _) => WatchKind::Signals(Arc::clone(session.signals())),
            Kind::Stored(upload) => WatchKind::Fault(Arc::clone(upload.fault())),
        })
    }

    /// Ends the upload: checks `size` and `digest` (and what the offer said of them) against what
    /// arrived, and publishes the file. Bodies that are still alive swallow what they get from now on.
    ///
    /// With [`Durability::None`](super::Durability::None) a file whose offer had no resume key is published when
    /// this returns, unless it has to be copied to its directory.
    pub fn commit(self, size: u64, digest: Option<Digest>) -> CommitHandle {
        self.commit_with(size, digest, &[])
    }

    /// The same, where digests of other algorithms are `claimed` besides those of the offer:
    /// [`CommitHandle::digests`] has all of them then, and those that were wanted. What the offer has not named costs
    /// one more reading of the file, and so does all of a file whose bytes did not come in order over this connection.
    ///
    /// Where one of them does not hold the outcome is `digest-mismatch`, and nothing is published.
    pub fn commit_with(
        self,
        size: u64,
        digest: Option<Digest>,
        claimed: &[ContentDigest],
    ) -> CommitHandle {
        let Self { kind, sums, cost } = self;
        let due = match sums {
            Some(sums) => sums.end(size, claimed),
            None if claimed.is_empty() => return kind.commit(size, digest, None),
            None => Due::Read(Claims::new(claimed, &[])),
        };
        match due {
            Due::Known(claims, digests) => match claims.check(&digests) {
                Ok(()) => {
                    let pending = kind.commit(size, digest, None);
                    pending.add_digests(digests);
                    pending
                }
                Err(refusal) => kind.refuse(refusal),
            },
            Due::Read(claims) => kind.commit(size, digest, Some(Reading::new(claims, cost))),
        }
    }

    /// Ends the upload and removes what was staged, also where there is a resume key.
    pub fn discard(self) {
        self.kind.discard();
    }
}

impl Kind {
    /// `reading`: what is to be found out of the file before it is published.
    fn commit(self, size: u64, digest: Option<Digest>, reading: Option<Reading>) -> CommitHandle {
        match self {
            Self::Transient(upload) => upload.commit(size, digest, reading),
            Self::Stored(upload) if reading.is_some() => {
                let words = "digests that the offer has not named are not computed here";
                upload.refuse(Refusal::new(RefusalCode::UnsupportedVersion, words))
            }
            Self::Stored(upload) => upload.commit(size, digest),
            Self::Resumable(session, inbox) => {
                let committed = session.commit(inbox.submitter(), size, digest, reading);
                committed.unwrap_or_else(|refusal| refused(&inbox, refusal))
            }
        }
    }

    /// Ends it as [`Upload::discard`] does, and says why in turn.
    fn refuse(self, refusal: Refusal) -> CommitHandle {
        match self {
            Self::Transient(upload) => upload.refuse(refusal),
            Self::Stored(upload) => upload.refuse(refusal),
            Self::Resumable(session, inbox) => {
                session.discard();
                refused(&inbox, refusal)
            }
        }
    }

    fn discard(self) {
        match self {
            Self::Transient(upload) => drop(upload),
            Self::Stored(upload) => drop(upload),
            Self::Resumable(session, _) => session.discard(),
        }
    }
}

fn refused(inbox: &Inbox, refusal: Refusal) -> CommitHandle {
    let (job, pending) = Job::new(Work::Refused(refusal));
    inbox.submit(job);
    pending
}

fn without_key() -> Refusal {
    Refusal::new(RefusalCode::InvalidState, "the upload has no key, and ends with its connection")
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.kind {
            Kind::Transient(upload) => upload.name(),
            Kind::Resumable(session, _) => session.name(),
            Kind::Stored(upload) => upload.name(),
        };
        f.debug_struct("Upload").field("name", &name).finish_non_exhaustive()
    }
}

/// Waits for what there is to hear of an upload. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct UploadWatch(WatchKind);

#[derive(Clone, Debug)]
enum WatchKind {
    Fault(Arc<SetOnce<Refusal>>),
    Signals(Arc<Signals>),
}

impl UploadWatch {
    /// The fault, if there is one.
    pub fn fault(&self) -> Option<Refusal> {
        match &self.0 {
            WatchKind::Fault(fault) => fault.get().cloned(),
            WatchKind::Signals(signals) => signals.fault().cloned(),
        }
    }

    /// Returns once there is a fault, or [`Upload::durable`] is something else than when it was last
    /// asked.
    pub async fn news(&self) {
        match &self.0 {
            WatchKind::Fault(fault) => drop(fault.wait().await),
            WatchKind::Signals(signals) => signals.news().await,
        }
    }
}

/// Both move to where the connection's work is done.
const fn _uploads_move_between_threads<T: Send + 'static>() {}
const _: () = _uploads_move_between_threads::<Upload>();
const _: () = _uploads_move_between_threads::<Body>();
const _: () = _uploads_move_between_threads::<Committer>();
