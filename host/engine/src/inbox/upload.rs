//! One file on its way in, as receivers see it: an upload, its bodies, and what is heard of it.
//!
//! Most uploads end with their connection ([`Transient`]); those with a resume key outlive it
//! ([`partial`](super::partial)).

use std::fmt;
use std::sync::Arc;

use sandport_protocol::{Digest, EntryName, Extent, Refusal};

use super::Inbox;
use super::commit::{Committer, Job, Pending, Work};
use super::latch::Latch;
use super::partial::{Lane, Session, Signals};
use super::storage::{StorageBody, StorageUpload};
use super::transient::{Transient, TransientBody};
use crate::Identity;

/// What was accepted, as far as it matters after the verdict.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) identity: Identity,
    pub(super) name: EntryName,
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    pub(super) modified_ns: Option<i64>,
    pub(super) executable: bool,
    /// What a copy of it takes of the disk beside it, where one is due on the same disk. Bytes.
    pub(super) copy: u64,
}

impl Plan {
    /// What the disk needs of room for so many bytes that are to come, where it is known how many.
    pub(super) fn with_copy(&self, bytes: Option<u64>) -> Option<u64> {
        bytes.map(|bytes| bytes.saturating_add(self.copy))
    }
}

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
