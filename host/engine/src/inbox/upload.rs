//! One file on its way in, as receivers see it: an upload, its bodies, and what is heard of it.
//!
//! Most uploads end with their connection ([`Transient`]); those with a resume key outlive it
//! ([`partial`](super::partial)).

use std::fmt;
use std::sync::Arc;

use sandport_protocol::{Algorithm, Digest, Extent, Refusal, RefusalCode};

use super::Inbox;
use super::commit::Committer;
use super::finishing::Finishing;
use super::latch::Latch;
use super::partial::{Lane, Session, Signals, not_checked};
use super::publish::{Job, Work};
use super::storage::{StorageBody, StorageUpload};
use super::ticket::Pending;
use super::transient::{Transient, TransientBody};

/// One file on its way in. Dropping it discards what was staged, unless its offer had a resume key:
/// then it is kept for the next offer with that key.
pub struct Upload(Kind);

enum Kind {
    Transient(Transient),
    /// The session first: what it leaves is kept while the inbox is open.
    Resumable(Session, Inbox),
    /// Into a [`Storage`](super::Storage).
    Stored(StorageUpload),
}

impl Upload {
    pub(super) fn transient(upload: Transient) -> Self {
        Self(Kind::Transient(upload))
    }

    pub(super) fn resumable(inbox: &Inbox, session: Session) -> Self {
        Self(Kind::Resumable(session, inbox.clone()))
    }

    pub(super) fn stored(upload: StorageUpload) -> Self {
        Self(Kind::Stored(upload))
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub fn missing(&self) -> Vec<Extent> {
        match &self.0 {
            Kind::Transient(upload) => upload.missing(),
            Kind::Resumable(session, _) => session.missing(),
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
        Ok(Body(match &self.0 {
            Kind::Transient(upload) => BodyKind::Transient(upload.body(extent)?),
            Kind::Resumable(session, _) => BodyKind::Resumable(session.body(extent)?),
            Kind::Stored(upload) => BodyKind::Stored(upload.body(extent)?),
        }))
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
    /// checked as may be. `invalid-state`: the upload cannot be resumed. `other`: nothing here computes the
    /// `algorithm`.
    pub fn body_checked(&self, extent: Extent, algorithm: Algorithm) -> Result<Body, Refusal> {
        match &self.0 {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => {
                Ok(Body(BodyKind::Resumable(session.body_checked(extent, algorithm)?)))
            }
        }
    }

    /// What the upload is found by, and whoever has it can do all with it that its sender can: opaque, and at most
    /// [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX) long. `None`: it ends with its connection.
    pub fn key(&self) -> Option<&[u8]> {
        match &self.0 {
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
        match &self.0 {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => session.set_size(size),
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
        match &self.0 {
            Kind::Transient(_) | Kind::Stored(_) => Finishing::ended(Err(without_key())),
            Kind::Resumable(session, _) => session.keep(),
        }
    }

    /// The same once `written` has ended, which may be after the upload.
    pub(crate) fn keep_after<W: Future<Output = ()> + Send + 'static>(
        &self,
        written: W,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<W> {
        let keeper = match &self.0 {
            Kind::Transient(_) | Kind::Stored(_) => Err(without_key()),
            Kind::Resumable(session, _) => Ok(session.keeper()),
        };
        async move {
            written.await;
            keeper?.keep().ready().await
        }
    }

    /// How many bytes from the start of the file are kept whatever happens: the end of the connection
    /// and of the server, and with [`Durability::Full`](super::Durability::Full) a power cut. An
    /// upload that cannot be resumed keeps nothing.
    pub fn durable(&self) -> u64 {
        match &self.0 {
            Kind::Transient(_) | Kind::Stored(_) => 0,
            Kind::Resumable(session, _) => session.durable(),
        }
    }

    /// The fault that a body latched, if one did, or that another connection caused.
    pub fn fault(&self) -> Option<Refusal> {
        match &self.0 {
            Kind::Transient(upload) => upload.fault().get().cloned(),
            Kind::Resumable(session, _) => session.signals().fault().cloned(),
            Kind::Stored(upload) => upload.fault().get().cloned(),
        }
    }

    /// A handle that waits for news, wherever the upload and its bodies are.
    pub fn watch(&self) -> UploadWatch {
        UploadWatch(match &self.0 {
            Kind::Transient(upload) => WatchKind::Fault(Arc::clone(upload.fault())),
            Kind::Resumable(session, _) => WatchKind::Signals(Arc::clone(session.signals())),
            Kind::Stored(upload) => WatchKind::Fault(Arc::clone(upload.fault())),
        })
    }

    /// Ends the upload: checks `size` and `digest` (and what the offer said of them) against what
    /// arrived, and publishes the file. Bodies that are still alive swallow what they get from now on.
    ///
    /// With [`Durability::None`](super::Durability::None) a file whose offer had no resume key is published when
    /// this returns, unless it has to be copied to its folder.
    pub fn commit(self, size: u64, digest: Option<Digest>) -> Pending {
        match self.0 {
            Kind::Transient(upload) => upload.commit(size, digest),
            Kind::Stored(upload) => upload.commit(size, digest),
            Kind::Resumable(session, inbox) => {
                session.commit(inbox.submitter(), size, digest).unwrap_or_else(|refusal| {
                    let (job, pending) = Job::new(Work::Refused(refusal));
                    inbox.submit(job);
                    pending
                })
            }
        }
    }

    /// Ends the upload and removes what was staged, also where there is a resume key.
    pub fn discard(self) {
        match self.0 {
            Kind::Transient(upload) => drop(upload),
            Kind::Stored(upload) => drop(upload),
            Kind::Resumable(session, _) => session.discard(),
        }
    }
}

fn without_key() -> Refusal {
    Refusal::new(RefusalCode::InvalidState, "the upload has no key, and ends with its connection")
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
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
    Fault(Arc<Latch<Refusal>>),
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
            WatchKind::Fault(fault) => fault.wait().await,
            WatchKind::Signals(signals) => signals.news().await,
        }
    }
}

/// A sink for the bytes of one extent.
///
/// It never fails: what goes wrong is latched in the upload as its fault, and from then on the bytes
/// are swallowed.
///
/// An upload that can be resumed takes as much as [`InboxOptions`](super::InboxOptions) allows to be lost
/// by a crash, and no more before that is kept. One whose size is not known waits while it finds no room in the quota and
/// what is stored is being counted. [`room`](Self::room) says how much there is, [`has_room`](Self::has_room) waits, and
/// [`reserve`](Self::reserve) takes it.
pub struct Body(BodyKind);

enum BodyKind {
    Transient(TransientBody),
    Resumable(Lane),
    Stored(StorageBody),
}

impl Body {
    /// Hashes and stages `bytes`. Writes synchronously, and does not wait for room.
    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            BodyKind::Transient(body) => body.write(bytes),
            BodyKind::Resumable(lane) => lane.write(bytes),
            BodyKind::Stored(body) => body.write(bytes),
        }
    }

    /// Ends it. `expected`: what the bytes of one that [is to be checked](Upload::body_checked) should hash to; if they
    /// do, they are here. Dropping a body ends it too, and nothing of one that is to be checked is here then.
    ///
    /// # Errors
    ///
    /// `digest-mismatch`: they do not. Nothing of them is here, and the upload goes on. `too-large`: more came than may
    /// be checked at once. `invalid-state`: there is no digest and there should be one, or the other way round. The
    /// fault of the upload.
    pub fn finish(self, expected: Option<Digest>) -> Result<(), Refusal> {
        match self.0 {
            BodyKind::Resumable(lane) => lane.finish(expected),
            BodyKind::Transient(_) | BodyKind::Stored(_) => match expected {
                None => Ok(()),
                Some(_) => Err(not_checked()),
            },
        }
    }

    /// How many bytes there is room for. Other bodies of the upload may take it first.
    pub fn room(&self) -> usize {
        match &self.0 {
            BodyKind::Resumable(lane) => lane.room(),
            BodyKind::Transient(body) if !body.has_room() => 0,
            BodyKind::Transient(_) | BodyKind::Stored(_) => usize::MAX,
        }
    }

    /// Returns once there is room.
    pub async fn has_room(&self) {
        match &self.0 {
            BodyKind::Resumable(lane) => lane.has_room().await,
            BodyKind::Transient(body) => body.room().await,
            BodyKind::Stored(_) => {}
        }
    }

    /// Takes room for the next write, up to `most` bytes; how many. What that write does not need, others
    /// get.
    pub fn reserve(&mut self, most: usize) -> usize {
        match &mut self.0 {
            BodyKind::Resumable(lane) => lane.reserve(most),
            BodyKind::Transient(body) => body.reserve(most),
            BodyKind::Stored(_) => most,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// Both move to where the connection's work is done.
const fn _uploads_move_between_threads<T: Send + 'static>() {}
const _: () = _uploads_move_between_threads::<Upload>();
const _: () = _uploads_move_between_threads::<Body>();
const _: () = _uploads_move_between_threads::<Committer>();
