//! Who comes to an upload and who leaves it: offers, commits, and those who end it.

use alloc::vec::Vec;

use super::claimant::{Admission, Claimant};
use super::ids::SessionId;
use super::machine::{Upload, lost};
use super::mutation::{Mutant, is};
use super::owners;
use super::phase::{Next, Phase};
use crate::{Digest, Extent, Millis, Refusal, RefusalCode, ResumeMode};

impl Upload {
    /// A connection wants the upload.
    pub fn offer(&mut self, claimant: &Claimant, now: Millis) -> Admission {
        let admission = match self.admit(claimant) {
            Ok(admission) => admission,
            Err(refusal) => Admission::Refused(refusal),
        };
        if matches!(admission, Admission::Refused(_)) && is(Mutant::LeavesRefusedOpen) {
            return admission;
        }
        self.advance(now);
        admission
    }

    fn admit(&mut self, claimant: &Claimant) -> Result<Admission, Refusal> {
        let restarts = claimant.mode == ResumeMode::Restart;
        match &self.phase {
            // It goes, or is left as it was: what this one wants to have discarded is that.
            Phase::Settling(Next::Remove) if restarts => return Ok(anew()),
            Phase::Leaving if restarts => {
                self.is_unwanted = true;
                return Ok(anew());
            }
            Phase::Leaving | Phase::Gone | Phase::Settling(Next::Remove | Next::Abandon) => {
                return Ok(Admission::Later);
            }
            Phase::Settling(Next::Commit) | Phase::Committing { .. } => {
                if !claimant.is_same && !restarts {
                    return Err(other_upload());
                }
                let expected = match &self.phase {
                    Phase::Committing { digest, .. } => *digest,
                    _ => None,
                };
                let differs = matches!((claimant.digest, expected), (Some(a), Some(b)) if a != b);
                let is_unknown = claimant.digest.is_some() && expected.is_none();
                let waits = !claimant.is_same || differs || is_unknown;
                let waits = waits && !is(Mutant::AnswersOtherOffers);
                return Ok(if waits { Admission::Later } else { Admission::Commits });
            }
            Phase::Open | Phase::Closing { .. } | Phase::Settling(Next::Open) => {}
        }
        if !claimant.is_same && !restarts {
            return Err(other_upload());
        }
        let is_fresh = !self.is_begun && !self.owners.is_held() && claimant.is_same;
        let way = self.owners.make_way(claimant)?;
        let is_beside = matches!(way, owners::Way::Beside);
        if let owners::Way::Evict(why) = way {
            self.evict(&why);
        }
        if restarts && !is_fresh && !is(Mutant::RestartsOnOldBytes) {
            self.remove(None);
            return Ok(anew());
        }
        let session = self.owners.admit(claimant.mode);
        self.is_starved = false;
        if !matches!(self.phase, Phase::Settling(_)) {
            // Also where one that would join is of a later run.
            let settles = self.bodies.lent() > 0 && !is_beside;
            let settles = settles && !is(Mutant::AdmitsUnsettled);
            self.phase = if settles { Phase::Settling(Next::Open) } else { Phase::Open };
        }
        Ok(Admission::Holds(session))
    }

    /// Whether it is certain what those have brought who have lost the upload.
    pub fn is_settled(&self) -> bool {
        !matches!(self.phase, Phase::Settling(_))
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// Whether a session has it still.
    pub fn holds(&self, session: SessionId) -> bool {
        self.owners.has(session)
    }

    /// What nobody has brought and nobody is bringing, in ascending order.
    pub fn missing(&self) -> Vec<Extent> {
        self.ledger.missing()
    }

    /// How many bytes are in chunk groups that are whole.
    pub fn whole_bytes(&self) -> u64 {
        self.ledger.whole_bytes()
    }

    /// How many bytes from the start are kept.
    pub fn durable(&self) -> u64 {
        self.ledger.durable()
    }

    /// How long the file will be; `None`: not known.
    pub fn size(&self) -> Option<u64> {
        self.ledger.size()
    }

    /// A session is through: the file has `size` bytes and these digests. It is published when all sessions are
    /// through.
    ///
    /// # Errors
    /// `locked`: it has lost the upload.
    pub fn commit(
        &mut self,
        session: SessionId,
        size: u64,
        digests: impl IntoIterator<Item = Digest>,
        now: Millis,
    ) -> Result<(), Refusal> {
        self.seal(Some(session));
        let finished = self.owners.finish(session, size, digests);
        self.advance(now);
        if finished { Ok(()) } else { Err(lost()) }
    }

    /// A session is gone. What it has brought stays; but that of a stream which has met a fault does not, because
    /// nobody can send it again.
    pub fn release(&mut self, session: SessionId, now: Millis) {
        self.seal(Some(session));
        if let Some(fault) = self.owners.leave(session) {
            let is_last = !self.owners.is_held();
            self.is_starved = is_last && fault == Some(RefusalCode::InsufficientSpace);
            let is_hopeless = fault.is_some_and(|code| self.is_hopeless(code));
            if is_last && is_hopeless && !is(Mutant::LeavesFaultyStreams) {
                self.remove(fault.map(Refusal::from));
            }
        }
        self.advance(now);
    }

    /// A session gives the upload up, for everyone who has it together with this one. One that has lost it
    /// changes nothing.
    pub fn discard(&mut self, session: SessionId, now: Millis) {
        if self.owners.has(session) {
            let why = given_up();
            self.evict(&why);
            self.remove(Some(why));
        }
        self.advance(now);
    }

    /// Ends it, whoever has it, and removes what is here. What is being published gets its name, or goes where it
    /// gets none.
    pub fn abandon(&mut self, now: Millis) {
        self.is_unwanted = !is(Mutant::AbandonsHalf);
        match self.phase {
            Phase::Committing { .. } | Phase::Leaving | Phase::Gone => {}
            Phase::Open | Phase::Closing { .. } | Phase::Settling(_) => {
                self.evict(&given_up());
                self.remove(None);
            }
        }
        self.advance(now);
    }

    /// Nobody needs it any more. Where a session has it, it goes on.
    pub fn discard_parked(&mut self, now: Millis) {
        match self.phase {
            Phase::Leaving => self.is_unwanted = true,
            Phase::Open | Phase::Closing { .. } if !self.owners.is_held() => self.remove(None),
            _ => {}
        }
        self.advance(now);
    }

    /// A session has met a fault of its own.
    pub fn fail(&mut self, session: SessionId, refusal: &Refusal, now: Millis) {
        self.fault(session, refusal);
        self.advance(now);
    }

    /// Takes it from all who hold it. What they have brought stays.
    pub fn fail_all(&mut self, refusal: &Refusal, now: Millis) {
        self.evict(refusal);
        self.refuse_kept(refusal, true);
        // Those are told who were through, so nothing is published when it has settled.
        if let Phase::Settling(Next::Commit) = self.phase {
            self.phase = Phase::Settling(Next::Open);
        }
        self.advance(now);
    }
}

fn anew() -> Admission {
    if is(Mutant::RestartsAgain) { Admission::Later } else { Admission::Anew }
}

fn given_up() -> Refusal {
    Refusal::new(RefusalCode::Cancelled, "the sender gave the upload up")
}

fn other_upload() -> Refusal {
    let words = "the resume key belongs to an upload of another name or size";
    Refusal::new(RefusalCode::InvalidState, words)
}
