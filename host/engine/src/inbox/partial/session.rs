//! What a connection has of an upload that can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sandport_protocol::upload::{self, BodyId, SessionId};
use sandport_protocol::{Algorithm, Digest, Extent, RESUME_KEY_BYTES, Refusal, RefusalCode};

use super::asked::Asked;
use super::cell::{Offered, Partial};
use super::commit::{Commit, Submit};
use super::lane::Lane;
use super::signals::Signals;
use crate::inbox::finishing::Finishing;
use crate::inbox::reading::Reading;
use crate::inbox::space::Room;
use crate::inbox::sums::Hasher;
use crate::inbox::ticket::{Pending, Ticket};

/// One connection's hold of an upload. Dropping it leaves the upload as it is, for the next one.
pub(in crate::inbox) struct Session {
    partial: Arc<Partial>,
    id: SessionId,
    signals: Arc<Signals>,
    /// That of the upload, as long as a session has it.
    claim: Arc<dyn Room>,
    /// The digest in the offer.
    offered: Option<Digest>,
    /// What it is found by.
    key: [u8; RESUME_KEY_BYTES],
    modified_ns: Option<i64>,
    executable: bool,
    has_ended: AtomicBool,
}

impl Session {
    /// Offers an upload to a connection.
    pub(super) fn offer(partial: &Arc<Partial>, asked: &Asked) -> Offered<Self> {
        partial.offer(asked, |id, signals, claim| {
            Self::new(Arc::clone(partial), id, signals, claim, asked)
        })
    }

    fn new(
        partial: Arc<Partial>,
        id: SessionId,
        signals: Arc<Signals>,
        claim: Arc<dyn Room>,
        asked: &Asked,
    ) -> Self {
        let plan = &asked.plan;
        Self {
            partial,
            id,
            signals,
            claim,
            offered: plan.digest,
            key: asked.resume.key,
            modified_ns: plan.modified_ns,
            executable: plan.executable,
            has_ended: AtomicBool::new(false),
        }
    }

    /// Returns when it is certain what those have brought who have lost the upload to this session.
    ///
    /// # Errors
    /// It has lost the upload itself meanwhile.
    pub(super) async fn settled(&self) -> Result<(), Refusal> {
        loop {
            let changed = self.partial.changed();
            match self
                .partial
                .act(|state, _| state.upload.holds(self.id).then(|| state.upload.is_settled()))
            {
                None => return Err(self.lost()),
                Some(true) => return Ok(()),
                Some(false) => changed.await,
            }
        }
    }

    pub(in crate::inbox) fn missing(&self) -> Vec<Extent> {
        self.partial.act(|state, _| state.upload.missing())
    }

    /// How many bytes are here, in chunk groups that are whole.
    pub(in crate::inbox) fn bytes(&self) -> u64 {
        self.partial.act(|state, _| state.upload.whole_bytes())
    }

    pub(in crate::inbox) fn name(&self) -> &str {
        self.partial.facts().name.as_str()
    }

    pub(in crate::inbox) fn claim(&self) -> &Arc<dyn Room> {
        &self.claim
    }

    pub(in crate::inbox) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// How many bytes from the start are kept.
    pub(in crate::inbox) fn durable(&self) -> u64 {
        self.signals.durable()
    }

    /// # Errors
    /// As of [`Upload::body`](crate::inbox::Upload::body).
    pub(in crate::inbox) fn body(&self, extent: Extent) -> Result<Lane, Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        let begun = self.partial.act(|state, _| state.upload.body(self.id, extent));
        self.lane(begun, extent.offset, None)
    }

    /// The same for bytes that do not count before they are found to be what they should be.
    ///
    /// # Errors
    /// As of [`Upload::body_checked`](crate::inbox::Upload::body_checked).
    pub(in crate::inbox) fn body_checked(
        &self,
        extent: Extent,
        algorithm: Algorithm,
    ) -> Result<Lane, Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        let hasher = Hasher::new(algorithm)?;
        let begun = self.partial.act(|state, _| state.upload.body_checked(self.id, extent));
        self.lane(begun, extent.offset, Some(hasher))
    }

    fn lane(
        &self,
        begun: Result<BodyId, Refusal>,
        position: u64,
        check: Option<Hasher>,
    ) -> Result<Lane, Refusal> {
        let body = begun.map_err(|refusal| self.signals.fault().cloned().unwrap_or(refusal))?;
        let (signals, claim) = (Arc::clone(&self.signals), Arc::clone(&self.claim));
        Ok(Lane::new(Arc::clone(&self.partial), body, position, signals, claim, check))
    }

    /// What the upload is found by.
    pub(in crate::inbox) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether it is kept however little of it is here.
    pub(in crate::inbox) fn keeps_empty(&self) -> bool {
        self.partial.facts().notes.keeps_empty
    }

    /// Tells when all is kept that is here now.
    pub(in crate::inbox) fn keep(&self) -> Finishing {
        self.keeper().keep()
    }

    /// What asks for that wherever the session is.
    pub(in crate::inbox) fn keeper(&self) -> Keeper {
        let (partial, signals) = (Arc::clone(&self.partial), Arc::clone(&self.signals));
        Keeper { partial, session: self.id, signals }
    }

    /// How far the upload is.
    pub(in crate::inbox) fn progress(&self) -> upload::Progress {
        self.partial.act(|state, _| state.upload.progress())
    }

    /// Says how long the file will be, where that was not known.
    ///
    /// # Errors
    /// As of [`Upload::set_size`](crate::inbox::Upload::set_size).
    pub(in crate::inbox) fn set_size(&self, size: u64) -> Result<(), Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        let known = self.progress();
        if known.size.is_none() {
            self.claim.check(Some(size.saturating_sub(known.received)))?;
            self.partial.grow(size)?;
        }
        let set = self.partial.act(|state, now| state.upload.set_size(self.id, size, now));
        set.map_err(|refusal| self.signals.fault().cloned().unwrap_or(refusal))
    }

    /// Why it is not held any more, where that may be about to be said.
    fn lost(&self) -> Refusal {
        let taken = || Refusal::new(RefusalCode::Locked, "the upload was taken over");
        self.signals.fault().cloned().unwrap_or_else(taken)
    }

    /// It is through. `submit`: where a refusal waits for its turn. `reading`: what is to be found out of the file
    /// before it is published.
    ///
    /// # Errors
    /// It has lost the upload, or met a fault.
    pub(in crate::inbox) fn commit(
        self,
        submit: Submit,
        size: u64,
        digest: Option<Digest>,
        reading: Option<Reading>,
    ) -> Result<Pending, Refusal> {
        if let Some(fault) = self.signals.fault() {
            return Err(fault.clone());
        }
        self.has_ended.store(true, Ordering::Relaxed);
        let (ticket, pending) = Ticket::new();
        let (modified_ns, executable) = (self.modified_ns, self.executable);
        let commit = Commit { ticket, submit, modified_ns, executable, reading };
        let digests = [digest, self.offered].into_iter().flatten();
        self.partial.commit(self.id, size, digests, commit, pending).ok_or_else(|| self.lost())
    }

    /// It has met a fault of its own.
    pub(in crate::inbox) fn fail(&self, fault: &Refusal) {
        self.partial.act(|state, now| state.upload.fail(self.id, fault, now));
    }

    /// Ends the upload, for everyone who has it together with this one.
    pub(in crate::inbox) fn discard(self) {
        self.partial.act(|state, now| state.upload.discard(self.id, now));
    }
}

/// Asks that what is here of an upload is kept.
pub(in crate::inbox) struct Keeper {
    partial: Arc<Partial>,
    session: SessionId,
    signals: Arc<Signals>,
}

impl Keeper {
    /// Tells when all is kept that is here now.
    pub(in crate::inbox) fn keep(&self) -> Finishing {
        let kept = match self.signals.fault() {
            Some(fault) => Err(fault.clone()),
            None => self.partial.keep(self.session),
        };
        kept.unwrap_or_else(|refusal| {
            Finishing::ended(Err(self.signals.fault().cloned().unwrap_or(refusal)))
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.has_ended.load(Ordering::Relaxed) {
            self.partial.release(self.id);
        }
    }
}
