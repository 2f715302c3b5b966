//! An upload: what is known of it, and what it asks for next.

use alloc::collections::VecDeque;

use super::bodies::Bodies;
use super::checkpoint::Checkpoint;
use super::ledger::{Found, Ledger};
use super::options::Options;
use super::owners::Owners;
use super::phase::Phase;
use super::step::Step;
use super::waits::Waits;
use super::work::{Effect, Work};
use crate::{Millis, Refusal, RefusalCode};

/// One upload.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Upload {
    pub(super) options: Options,
    pub(super) phase: Phase,
    pub(super) owners: Owners,
    pub(super) ledger: Ledger,
    pub(super) bodies: Bodies,
    pub(super) step: Step,
    /// What is being written into the journal.
    pub(super) checkpoint: Option<Checkpoint>,
    /// A work is under way, or about to be taken.
    pub(super) is_working: bool,
    /// Something may be on the disk.
    pub(super) is_begun: bool,
    /// The last session that had it was refused for want of space.
    pub(super) is_starved: bool,
    /// What the journal says was not synced.
    pub(super) is_unsynced: bool,
    /// It is to be removed though it is being closed, or published in vain.
    pub(super) is_unwanted: bool,
    /// It has a journal.
    pub(super) is_recorded: bool,
    /// The journal says the size, or is going to with its first entry.
    pub(super) is_size_told: bool,
    /// The journal is being told the size.
    pub(super) is_telling_size: bool,
    /// Those who wait for it to be kept.
    pub(super) waits: Waits,
    /// Why it is being removed, where somebody may ask.
    pub(super) why_removed: Option<Refusal>,
    pub(super) work: Option<Work>,
    pub(super) effects: VecDeque<Effect>,
    /// When somebody was asked to call [`Self::due`].
    pub(super) wake: Option<Millis>,
}

impl Upload {
    /// One of which nothing is here.
    pub fn begin(options: Options) -> Self {
        let ledger = Ledger::new(options.size);
        Self::new(options, ledger, false)
    }

    /// One that was found.
    pub fn resume(options: Options, found: Found) -> Self {
        let ledger = Ledger::found(options.size, found);
        Self::new(options, ledger, true)
    }

    fn new(options: Options, ledger: Ledger, is_begun: bool) -> Self {
        Self {
            phase: Phase::Open,
            owners: Owners::default(),
            ledger,
            bodies: Bodies::default(),
            step: Step::new(options.step_bytes, options.interval_ms),
            checkpoint: None,
            is_working: false,
            is_begun,
            is_starved: false,
            is_unsynced: false,
            is_unwanted: false,
            is_recorded: is_begun,
            is_size_told: true,
            is_telling_size: false,
            waits: Waits::default(),
            why_removed: None,
            work: None,
            effects: VecDeque::new(),
            wake: None,
            options,
        }
    }

    /// The next thing that others are to hear.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if effect.is_none() && self.effects.capacity() > 0 {
            // Thousands of uploads may be open to which nothing happens.
            self.effects = VecDeque::new();
        }
        effect
    }

    /// What is to be done where the bytes lie.
    pub fn poll_work(&mut self) -> Option<Work> {
        self.work.take()
    }
}

pub(super) fn lost() -> Refusal {
    Refusal::new(RefusalCode::Locked, "the upload was taken over")
}
