//! Who holds an upload: sessions of one run of its sender.
//!
//! A session is what one connection has of the upload. Of two runs, the one with the higher number gets it.
//! Whoever loses it is told so and brings nothing more.

use alloc::vec::Vec;
use core::mem;

use super::claimant::Claimant;
use super::ids::SessionId;
use super::mutation::{Mutant, is};
use crate::sorted::SortedMap;
use crate::{Digest, Refusal, RefusalCode, ResumeMode};

#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    /// With the fault that a session has met, if it has met one.
    sessions: SortedMap<SessionId, Option<RefusalCode>>,
    made: u64,
    /// Which run they are of.
    run: u64,
    /// Other sessions may have more to bring than the last one was told.
    is_joined: bool,
    /// Sessions that are through wait for the others.
    barrier: Option<Barrier>,
}

/// What the sessions that are through say of the file.
#[derive(Clone, Debug)]
pub(super) struct Barrier {
    /// Its size; the first one's word.
    pub(super) size: u64,
    /// Another has said another size.
    pub(super) is_split: bool,
    /// What its digest has to be.
    pub(super) digests: Vec<Digest>,
}

/// What becomes of those who hold an upload when another session comes.
#[derive(Debug)]
pub(super) enum Way {
    /// They go on beside it.
    Beside,
    /// They lose it, for this reason.
    Evict(Refusal),
}

impl Owners {
    /// Whether a session holds it, or is through and waits for others.
    pub(super) fn is_held(&self) -> bool {
        !self.sessions.is_empty() || self.barrier.is_some()
    }

    /// Whether all sessions are through.
    pub(super) fn is_through(&self) -> bool {
        (self.sessions.is_empty() || is(Mutant::CommitsEarly)) && self.barrier.is_some()
    }

    pub(super) fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Whether a session has it.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains(session)
    }

    /// Whether a session has it that has met no fault.
    pub(super) fn is_sound(&self, session: SessionId) -> bool {
        self.sessions.get(session).is_some_and(Option::is_none)
    }

    /// Decides who gets the upload, where a session of `claimant` wants it.
    ///
    /// # Errors
    /// `locked`: a later run holds it.
    pub(super) fn make_way(&mut self, claimant: &Claimant) -> Result<Way, Refusal> {
        let is_held = self.is_held();
        let is_later = claimant.run > self.run;
        if is_held && claimant.run < self.run {
            return Err(taken_over());
        }
        if !is(Mutant::ForgetsRuns) {
            self.run = claimant.run;
        }
        if is_held && !is_later && claimant.mode == ResumeMode::Join {
            return Ok(Way::Beside);
        }
        Ok(Way::Evict(match claimant.mode {
            _ if is_later => taken_over(),
            ResumeMode::Restart => {
                Refusal::new(RefusalCode::Locked, "another connection begins the upload anew")
            }
            _ => Refusal::new(RefusalCode::Locked, "another connection took the upload over"),
        }))
    }

    /// A session gets it.
    pub(super) fn admit(&mut self, mode: ResumeMode) -> SessionId {
        self.made += 1;
        let session = SessionId(self.made);
        // One that takes over is told all that is missing; one that joins is not answerable for others.
        self.is_joined = mode == ResumeMode::Join;
        self.sessions.insert(session, None);
        session
    }

    /// A session has met a fault; `false`: it has lost the upload, or met one before.
    pub(super) fn fail(&mut self, session: SessionId, code: RefusalCode) -> bool {
        match self.sessions.get_mut(session) {
            Some(fault @ None) => {
                *fault = Some(code);
                true
            }
            _ => false,
        }
    }

    /// A session is gone: the fault that it had met. `None`: it had lost the upload before.
    pub(super) fn leave(&mut self, session: SessionId) -> Option<Option<RefusalCode>> {
        self.sessions.remove(session)
    }

    /// A session is through; `false`: it had lost the upload before.
    pub(super) fn finish(
        &mut self,
        session: SessionId,
        size: u64,
        digests: impl IntoIterator<Item = Digest>,
    ) -> bool {
        if self.sessions.remove(session).is_none() {
            return false;
        }
        let new = || Barrier { size, is_split: false, digests: Vec::new() };
        let barrier = self.barrier.get_or_insert_with(new);
        barrier.is_split |= barrier.size != size;
        barrier.digests.extend(digests);
        true
    }

    /// What the sessions say that are through, all of them.
    pub(super) fn take_barrier(&mut self) -> Option<Barrier> {
        self.barrier.take()
    }

    /// Takes the upload from all who have it: those who were not told of a fault before, and whether others
    /// were through.
    pub(super) fn evict(&mut self) -> (Vec<SessionId>, bool) {
        let sessions = mem::take(&mut self.sessions);
        let told = sessions.iter().filter(|(_, fault)| fault.is_none());
        (told.map(|(session, _)| session).collect(), self.barrier.take().is_some())
    }
}

fn taken_over() -> Refusal {
    let words = "a later run that sends the same upload has taken it over";
    Refusal::new(RefusalCode::Locked, words)
}
