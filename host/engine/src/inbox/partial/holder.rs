//! What a connection has of a resumable upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Digest, Extent, Refusal, RefusalCode};
use tokio::sync::Notify;

use super::lane::{Lane, LaneState};
use super::partial::Partial;
use crate::inbox::Inbox;
use crate::inbox::commit::Pending;
use crate::inbox::latch::Latch;
use crate::inbox::space::Claim;
use crate::inbox::upload::Plan;

/// What a connection hears of its upload.
#[derive(Debug)]
pub(in crate::inbox) struct Signals {
    fault: Latch<Refusal>,
    durable: AtomicU64,
    /// What was last said.
    told: AtomicU64,
    advanced: Notify,
}

impl Signals {
    pub(super) fn new(durable: u64) -> Self {
        Self {
            fault: Latch::new(),
            durable: AtomicU64::new(durable),
            told: AtomicU64::new(0),
            advanced: Notify::new(),
        }
    }

    pub(in crate::inbox) fn fail(&self, fault: Refusal) {
        self.fault.set(fault);
        self.advanced.notify_waiters();
    }

    pub(super) fn advance(&self, durable: u64) {
        if self.durable.fetch_max(durable, Ordering::Relaxed) < durable {
            self.advanced.notify_waiters();
        }
    }

    pub(in crate::inbox) fn fault(&self) -> Option<&Refusal> {
        self.fault.get()
    }

    /// Returns once there is a fault, or more is durable than was last asked for.
    pub(in crate::inbox) async fn news(&self) {
        // Made before the check: `notify_waiters` reaches every `Notified` that exists by then.
        let advanced = self.advanced.notified();
        let told = self.told.load(Ordering::Relaxed);
        if self.fault.get().is_none() && self.durable.load(Ordering::Relaxed) == told {
            advanced.await;
        }
    }
}

/// One connection's hold of an upload. Dropping it leaves the upload as it is, for the next one.
pub(in crate::inbox) struct Holder {
    partial: Arc<Partial>,
    number: u64,
    signals: Arc<Signals>,
    /// That of the upload, as long as somebody holds it.
    claim: Arc<Claim>,
    /// The digest in the offer.
    offered: Option<Digest>,
    modified_ns: Option<i64>,
    executable: bool,
    ended: AtomicBool,
}

/// What a holder wants to be published.
pub(super) struct Commit {
    pub(super) partial: Arc<Partial>,
    pub(super) inbox: Inbox,
    pub(super) size: u64,
    pub(super) digest: Option<Digest>,
    pub(super) offered: Option<Digest>,
    pub(super) modified_ns: Option<i64>,
    pub(super) executable: bool,
}

impl Holder {
    pub(super) fn new(
        partial: Arc<Partial>,
        number: u64,
        signals: Arc<Signals>,
        claim: Arc<Claim>,
        plan: &Plan,
    ) -> Self {
        Self {
            partial,
            number,
            signals,
            claim,
            offered: plan.digest,
            modified_ns: plan.modified_ns,
            executable: plan.executable,
            ended: AtomicBool::new(false),
        }
    }

    pub(in crate::inbox) fn missing(&self) -> Vec<Extent> {
        self.partial.missing()
    }

    /// How many bytes are here.
    pub(in crate::inbox) fn bytes(&self) -> u64 {
        self.partial.bytes()
    }

    pub(in crate::inbox) fn name(&self) -> &str {
        self.partial.name().as_str()
    }

    pub(in crate::inbox) fn claim(&self) -> &Claim {
        &self.claim
    }

    pub(in crate::inbox) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// How many bytes from the start are kept.
    pub(in crate::inbox) fn durable(&self) -> u64 {
        let durable = self.signals.durable.load(Ordering::Relaxed);
        self.signals.told.store(durable, Ordering::Relaxed);
        durable
    }

    /// # Errors
    /// As of [`Upload::body`](crate::inbox::Upload::body).
    pub(in crate::inbox) fn body(&self, extent: Extent) -> Result<Lane, Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        let mismatch = |words| Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        let size = self.partial.size();
        let end = match extent.length {
            None => size,
            Some(length) => match extent.offset.checked_add(length) {
                None => return mismatch("the extent goes beyond the announced size"),
                end => end,
            },
        };
        // Beyond any file, and beyond what a group can be numbered in.
        let most = size.unwrap_or(u64::MAX - GROUP_BYTES);
        if extent.offset > most || end.is_some_and(|end| end > most) {
            return mismatch("the extent goes beyond the announced size");
        }
        if size == Some(extent.offset) && extent.length.is_none() {
            return mismatch("all of the file is here");
        }
        let lane = LaneState::new(extent.offset, end);
        let Some((number, state)) = self.partial.enter(self.number, lane) else {
            return Err(self.lost());
        };
        let signals = Arc::clone(&self.signals);
        let claim = Arc::clone(&self.claim);
        let lane = Lane::new(Arc::clone(&self.partial), signals, claim, number, state);
        lane.begin()?;
        Ok(lane)
    }

    /// Why it is not held any more, where that may be about to be said.
    fn lost(&self) -> Refusal {
        let taken = || Refusal::new(RefusalCode::Locked, "the upload was taken over");
        self.signals.fault().cloned().unwrap_or_else(taken)
    }

    pub(in crate::inbox) fn commit(
        self,
        inbox: &Inbox,
        size: u64,
        digest: Option<Digest>,
    ) -> Result<Pending, Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        self.ended.store(true, Ordering::Relaxed);
        let commit = Commit {
            partial: Arc::clone(&self.partial),
            inbox: inbox.clone(),
            size,
            digest,
            offered: self.offered,
            modified_ns: self.modified_ns,
            executable: self.executable,
        };
        self.partial.commit(self.number, commit).ok_or_else(|| self.lost())
    }

    /// Ends the upload, for everyone who has it together with this one.
    pub(in crate::inbox) fn discard(self) {
        self.partial.discard_by(self.number, "the sender gave the upload up");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let failed =
            |fault: &Refusal| !matches!(fault.code, RefusalCode::Locked | RefusalCode::Cancelled);
        // Without a size it is a stream. Its sender cannot read it again, and nobody will come for what
        // is here: a disk that was full would stay so.
        if self.partial.size().is_none() && self.signals.fault().is_some_and(failed) {
            self.partial.discard_by(self.number, "its stream failed");
            // Where it had lost it by that.
            self.partial.discard_after(self.number);
        }
        self.partial.release(self.number);
        let full = |fault: &Refusal| fault.code == RefusalCode::InsufficientSpace;
        if self.signals.fault().is_some_and(full) && self.partial.is_left_by(self.number) {
            self.partial.core().refused_for_space(self.partial.id());
        }
    }
}
