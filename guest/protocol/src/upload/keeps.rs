//! Who waits until what has come is kept.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ledger::several_begun;
use super::life::Phase;
use super::mutation::{Mutant, is};
use super::work::Ending;
use super::{Effect, KeepId, SessionId, Upload, lost};
use crate::{Millis, Refusal, RefusalCode};

/// Most who wait at a time for what came of one upload to be kept. Twice as many as one sender's connections.
pub const KEEPS_MAX: usize = 128;

#[derive(Clone, Debug)]
struct Wait {
    /// What was here of a begun group: its number, and how many bytes.
    begun: Option<(u64, u64)>,
    /// The journal is being written with all that it waits for.
    is_asked: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    waits: BTreeMap<KeepId, Wait>,
    made: u64,
}

impl Waits {
    fn insert(&mut self, begun: Option<(u64, u64)>) -> Result<KeepId, Refusal> {
        if self.waits.len() >= KEEPS_MAX {
            let words = "too many wait for the upload to be kept";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        self.made += 1;
        let id = KeepId(self.made);
        self.waits.insert(id, Wait { begun, is_asked: false });
        Ok(id)
    }

    /// Whether somebody waits for whom the journal is not being written.
    pub(super) fn are_new(&self) -> bool {
        self.waits.values().any(|wait| !wait.is_asked)
    }

    /// The journal is being written with all that is here.
    pub(super) fn ask(&mut self) {
        self.waits.values_mut().for_each(|wait| wait.is_asked = true);
    }

    /// Those for whom it was written, or all.
    fn take(&mut self, all: bool) -> Vec<(KeepId, Wait)> {
        let is_due = |wait: &Wait| all || wait.is_asked;
        let due = self.waits.iter().filter(|(_, wait)| is_due(wait));
        let due: Vec<_> = due.map(|(&id, wait)| (id, wait.clone())).collect();
        for (id, _) in &due {
            self.waits.remove(id);
        }
        due
    }
}

impl Upload {
    /// Has all kept that is here: [`Effect::Kept`] tells, once, how that has ended. It does so also when the session
    /// has left, and when the upload is gone.
    ///
    /// Few bytes are kept at once a limited number of times, and then ever seldomer, as all that drips: an entry of
    /// the journal takes more room than they do.
    ///
    /// # Errors
    /// `locked`: the session has lost the upload, or met a fault. `invalid-state`: several chunk groups are begun, and
    /// the journal knows one of them. `too-many`.
    pub fn keep(&mut self, session: SessionId, now: Millis) -> Result<KeepId, Refusal> {
        if !self.owners.is_sound(session) || !self.is_settled() {
            return Err(lost());
        }
        let begun = self.ledger.only_begun()?;
        let id = self.waits.insert(begun)?;
        self.advance(now);
        Ok(id)
    }

    /// Whether there is something that the journal could be told.
    pub(super) fn has_to_tell(&self) -> bool {
        self.ledger.has_unkept_groups() || self.ledger.tail_growth() > 0 || self.owes()
    }

    /// Whether the journal is to be written however few bytes are here.
    pub(super) fn owes(&self) -> bool {
        let is_unsized = self.size_to_tell().is_some();
        is_unsized || (self.options.keeps_empty && !self.is_recorded)
    }

    /// The size, where it was set and the journal does not say it.
    pub(super) fn size_to_tell(&self) -> Option<u64> {
        self.ledger.size().filter(|_| !self.is_size_told)
    }

    /// Tells those who wait that the journal knows all that they wait for.
    pub(super) fn answer_kept(&mut self) {
        for (keep, wait) in self.waits.take(false) {
            let is_known = wait.begun.is_none_or(|begun| self.ledger.knows(begun));
            let outcome = if is_known { Ok(()) } else { Err(several_begun()) };
            self.effects.push_back(Effect::Kept { keep, outcome });
        }
    }

    /// Tells those who wait that it could not be written.
    pub(super) fn refuse_kept(&mut self, refusal: &Refusal, all: bool) {
        for (keep, _) in self.waits.take(all) {
            let outcome = Err(refusal.clone());
            if !is(Mutant::ForgetsKeeps) {
                self.effects.push_back(Effect::Kept { keep, outcome });
            }
        }
    }

    /// It has ended.
    pub(super) fn end_as(&mut self, ending: Ending) {
        self.phase = Phase::Gone;
        match &ending {
            // All of it is in the file.
            Ending::Published => {
                self.waits.ask();
                for (keep, _) in self.waits.take(true) {
                    self.effects.push_back(Effect::Kept { keep, outcome: Ok(()) });
                }
            }
            Ending::Removed(Some(refusal)) => self.refuse_kept(&refusal.clone(), true),
            Ending::Removed(None) | Ending::Parked => {
                let words = "the upload ended before that was kept";
                self.refuse_kept(&Refusal::new(RefusalCode::Cancelled, words), true);
            }
        }
        self.effects.push_back(Effect::Gone(ending));
    }
}
