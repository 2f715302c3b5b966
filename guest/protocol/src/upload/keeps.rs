//! How somebody has what has come kept, and hears of it.

use super::ids::{KeepId, SessionId};
use super::ledger::several_begun;
use super::machine::{Upload, lost};
use super::mutation::{Mutant, is};
use super::phase::Phase;
use super::work::{Effect, Ending};
use crate::{Millis, Refusal, RefusalCode};

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
        self.ledger.has_dirty_groups() || self.ledger.tail_growth() > 0 || self.owes()
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
