//! An upload that ends with its connection: counting, hashing and staging what arrives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::inbox::{Body, InOrder};
use sandport_protocol::{Digest, Extent, Refusal, RefusalCode};
use tokio::sync::SetOnce;

use super::accepted_offer::AcceptedOffer;
use super::claim::Claim;
use super::completion::CommitHandle;
use super::publish::{FileWork, Job, Work};
use super::reading::Reading;
use super::receipts;
use super::space::{FLOOR_STEP_BYTES, Room};
use super::stage::StagedFile;
use super::usage::Reservation;
use super::{Core, Inbox};

/// One file on its way in. Dropping it discards what was staged.
pub(super) struct Transient {
    inbox: Inbox,
    shared: Arc<Shared>,
}

struct Shared {
    core: Arc<Core>,
    accepted: AcceptedOffer,
    fault: Arc<SetOnce<Refusal>>,
    /// `None` once the upload has ended.
    receiving: Mutex<Option<Receiving>>,
}

/// What has arrived.
struct Receiving {
    upload: InOrder,
    stage: Stage,
}

/// Where it lies, and the room that it takes there.
#[derive(Default)]
struct Stage {
    /// Made with the first byte.
    staged: Option<StagedFile>,
    /// Its part of the quota, where there is one.
    reservation: Option<Reservation>,
    /// What it is still to bring of the free space, where that matters.
    claim: Option<Claim>,
    /// How many bytes there are when the free space is looked at again, where a floor is kept.
    floor_checked_at: u64,
    /// It has found no room in the quota, and what is stored is being counted.
    waits_for_count: bool,
}

impl Transient {
    pub(super) fn new(
        inbox: &Inbox,
        core: &Arc<Core>,
        accepted: AcceptedOffer,
        reservation: Option<Reservation>,
        claim: Option<Claim>,
    ) -> Self {
        let receiving = Receiving {
            upload: InOrder::new(accepted.size, accepted.digest, core.options.max_file_size),
            stage: Stage { reservation, claim, ..Stage::default() },
        };
        let shared = Shared {
            core: Arc::clone(core),
            accepted,
            fault: Arc::new(SetOnce::new()),
            receiving: Mutex::new(Some(receiving)),
        };
        Self { inbox: inbox.clone(), shared: Arc::new(shared) }
    }

    pub(super) fn missing(&self) -> Vec<Extent> {
        // `commit` and `discard` take the upload itself.
        self.shared
            .receiving()
            .as_ref()
            .map_or_else(Vec::new, |receiving| receiving.upload.missing())
    }

    /// # Errors
    /// As of [`Upload::body`](super::Upload::body).
    pub(super) fn body(&self, extent: Extent) -> Result<TransientBody, Refusal> {
        if let Some(fault) = self.shared.fault.get() {
            return Err(fault.clone());
        }
        let mut guard = self.shared.receiving();
        let receiving = guard.as_mut().ok_or(RefusalCode::InvalidState)?;
        let body = receiving.upload.begin(extent)?;
        Ok(TransientBody { shared: Arc::clone(&self.shared), body })
    }

    /// What becomes of it.
    pub(super) fn fault(&self) -> &Arc<SetOnce<Refusal>> {
        &self.shared.fault
    }

    pub(super) fn name(&self) -> &str {
        self.shared.accepted.name.as_str()
    }

    /// Checks what arrived and publishes it, once `reading` has found out what it is to. Bodies that are still alive
    /// swallow what they get from now on.
    pub(super) fn commit(
        self,
        size: u64,
        digest: Option<Digest>,
        reading: Option<Reading>,
    ) -> CommitHandle {
        let receiving = self.shared.receiving().take();
        let work = match (self.shared.finish(receiving, size, digest), reading) {
            (Ok(work), Some(reading)) => return self.inbox.submit_read(work, reading),
            (Ok(work), None) => Work::File(work),
            // Queued too: outcomes come in the order of the commits.
            (Err(refusal), _) => Work::Refused(refusal),
        };
        self.submit(work)
    }

    /// Discards it, and says why in turn.
    pub(super) fn refuse(self, refusal: Refusal) -> CommitHandle {
        self.submit(Work::Refused(refusal))
    }

    fn submit(&self, work: Work) -> CommitHandle {
        let (job, pending) = Job::new(work);
        self.inbox.submit_ahead(job);
        pending
    }
}

impl Drop for Transient {
    fn drop(&mut self) {
        // A body may outlive the upload; what is staged does not.
        drop(self.shared.receiving().take());
    }
}

/// A sink for the bytes of one extent.
pub(super) struct TransientBody {
    shared: Arc<Shared>,
    body: Body,
}

impl TransientBody {
    /// Whether there is room. There is none while a stream waits for a count.
    pub(super) fn has_room(&self) -> bool {
        let waits = self.shared.receiving().as_ref().is_some_and(|it| it.stage.waits_for_count);
        !waits || self.shared.core.usage.as_ref().is_none_or(|usage| !usage.is_being_counted())
    }

    /// Returns once there is room.
    pub(super) async fn room(&self) {
        if let (false, Some(usage)) = (self.has_room(), &self.shared.core.usage) {
            usage.count_end().await;
        }
    }

    /// Takes room in the quota for the next `most` bytes of a stream; how many. 0: what is stored is being counted.
    /// What the quota has no room for is let in, and refused when it is written.
    pub(super) fn reserve(&mut self, most: usize) -> usize {
        if self.shared.accepted.size.is_some() || self.shared.fault.get().is_some() {
            return most;
        }
        let mut guard = self.shared.receiving();
        let Some(Receiving { upload, stage }) = guard.as_mut() else { return most };
        stage.waits_for_count = stage.finds_count(upload.bytes().saturating_add(most as u64));
        if stage.waits_for_count { 0 } else { most }
    }

    /// Hashes and stages `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let mut guard = self.shared.receiving();
        let Some(Receiving { upload, stage }) = guard.as_mut() else {
            return;
        };
        let keep = |offset, bytes: &[u8]| stage.keep(&self.shared.core, offset, bytes);
        let Err(fault) = upload.take(self.body, bytes, keep) else {
            return;
        };
        // The upload cannot be committed any more, so the disk gets its room back now.
        *stage = Stage::default();
        drop(guard);
        // The first fault stays.
        let _ = self.shared.fault.set(fault);
    }
}

impl Drop for TransientBody {
    fn drop(&mut self) {
        if let Some(receiving) = self.shared.receiving().as_mut() {
            receiving.upload.end(self.body);
        }
    }
}

impl Shared {
    fn receiving(&self) -> MutexGuard<'_, Option<Receiving>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks what arrived and makes it ready to be published.
    fn finish(
        &self,
        receiving: Option<Receiving>,
        size: u64,
        digest: Option<Digest>,
    ) -> Result<Box<FileWork>, Refusal> {
        let hashed = receiving.as_ref().map(|receiving| receiving.upload.finish(size, digest));
        let (Some(receiving), Some(computed)) = (receiving, hashed.transpose()?.flatten()) else {
            return Err(RefusalCode::InvalidState.into());
        };
        let (accepted, stage) = (&self.accepted, receiving.stage);
        let failed = |errno| self.core.refusal("finish a file", errno);
        let mut staged = match stage.staged {
            Some(staged) => staged,
            // An empty file had no first byte to be made with.
            None => StagedFile::create(&self.core).map_err(failed)?,
        };
        let executable = accepted.executable && self.core.options.allow_executable;
        let stat = staged.finish(accepted.modified_ns, executable).map_err(failed)?;
        let record = receipts::describe(*computed.as_bytes(), &stat);
        let (reservation, claim) = (stage.reservation, stage.claim);
        let (identity, name) = (accepted.identity.clone(), accepted.name.clone());
        let mut file = FileWork::new(identity, name, staged, record, reservation);
        file.claim =
            claim.filter(|_| accepted.copy > 0).map(|claim| Arc::new(claim) as Arc<dyn Room>);
        Ok(file)
    }
}

impl Stage {
    /// Takes room up to `end` ahead; whether there is none, and there may be some when what is stored is counted.
    fn finds_count(&mut self, end: u64) -> bool {
        let grown = self.reservation.as_mut().map(|reservation| reservation.grow(end));
        matches!(grown, Some(Err(refusal)) if refusal.code == RefusalCode::InsufficientSpace)
    }

    /// Writes bytes to their place, if there may be that many.
    fn keep(&mut self, core: &Arc<Core>, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let length = bytes.len() as u64;
        self.check_room(core, offset.saturating_add(length), length)?;
        let write = || {
            let staged = match &mut self.staged {
                Some(staged) => staged,
                none => none.insert(StagedFile::create(core)?),
            };
            staged.write(bytes, offset)
        };
        core.with_room(length, write).map_err(|errno| core.refusal("write a file", errno))
    }

    /// Whether there may be `length` more bytes, up to `end`, which are not too many for a file.
    fn check_room(&mut self, core: &Arc<Core>, end: u64, length: u64) -> Result<(), Refusal> {
        if let Some(reservation) = &mut self.reservation {
            reservation.grow(end)?;
        }
        if core.options.min_free > 0 && end > self.floor_checked_at {
            core.check_floor()?;
            self.floor_checked_at = end.saturating_add(FLOOR_STEP_BYTES);
        }
        self.claim.as_ref().map_or(Ok(()), |claim| claim.bring(length))
    }
}
