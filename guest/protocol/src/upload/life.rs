//! From phase to phase: the only place where the life of an upload goes on.

use alloc::vec::Vec;

use super::checkpoint::Checkpoint;
use super::machine::Upload;
use super::mutation::{self, Mutant, is};
use super::phase::{Next, Phase};
use super::step::{Need, TAIL_BYTES_MIN};
use super::work::{Done, Effect, Ending, Work};
use crate::Millis;

/// How often the last watermark of an upload is tried that everybody has left. What it does not keep was never
/// told to be kept; and who comes back is better served by what is on the disk than by one that cannot be closed.
const LAST_TRIES_MAX: u32 = 3;

/// How long it waits before each. Milliseconds.
const LAST_TRY_PAUSE_MS: Millis = 1_000;

impl Upload {
    /// Time has passed.
    pub fn due(&mut self, now: Millis) {
        self.wake = None;
        self.advance(now);
    }

    /// The work that was taken has ended.
    pub fn done(&mut self, done: Done, now: Millis) {
        if !core::mem::take(&mut self.is_working) {
            // An answer that nobody has asked for.
            return;
        }
        match mutation::heard(done) {
            Done::Checkpointed => {
                self.is_recorded = true;
                self.is_size_told |= core::mem::take(&mut self.is_telling_size);
                let moved = self.checkpoint.take().map(|checkpoint| self.ledger.kept(checkpoint));
                self.step.end_move(moved.unwrap_or_default());
                if moved.is_some() {
                    self.effects.push_back(Effect::Durable(self.ledger.durable()));
                }
                self.answer_kept();
                self.mark();
                self.feed();
            }
            Done::Unwritten(refusal) => {
                if let Some(checkpoint) = self.checkpoint.take() {
                    self.ledger.not_kept(checkpoint);
                }
                self.is_telling_size = false;
                self.refuse_kept(&refusal, false);
                // A body that waits for it would wait for as long as that fails.
                if self.step.fail_move(now)
                    && matches!(self.phase, Phase::Open)
                    && !is(Mutant::StarvesWaiters)
                {
                    self.evict(&refusal);
                    if self.is_stream() {
                        self.remove(Some(refusal));
                    }
                }
                if let Phase::Closing { tries, again_at } = &mut self.phase {
                    *tries += u32::from(!is(Mutant::NeverGivesUp));
                    *again_at = Some(now.saturating_add(LAST_TRY_PAUSE_MS));
                }
                self.mark();
                self.feed();
            }
            Done::Unsynced(refusal) | Done::Lost(refusal) => {
                (self.checkpoint, self.is_telling_size) = (None, false);
                self.give_up(&refusal);
            }
            Done::Written(Ok(())) => self.written(),
            Done::Written(Err(refusal)) => self.refuse(refusal),
            Done::Hashed(hashed) => self.hashed(hashed),
            Done::NotPublished => self.phase = Phase::Open,
            // Its committers hear it from whoever has found out.
            Done::Mismatched(refusal) => self.remove(Some(refusal)),
            // Somebody said so while it was being closed.
            Done::Parked if self.is_unwanted => self.start(Work::Remove),
            Done::Published => self.end_as(Ending::Published),
            Done::Removed => {
                let why = self.why_removed.take();
                self.end_as(Ending::Removed(why));
            }
            Done::Parked => self.end_as(Ending::Parked),
        }
        if !matches!(self.phase, Phase::Gone) {
            self.effects.push_back(Effect::Changed);
        }
        self.advance(now);
    }

    /// Goes as far as it can without waiting.
    pub(super) fn advance(&mut self, now: Millis) {
        loop {
            match &self.phase {
                Phase::Settling(next) => {
                    let next = *next;
                    let is_lent = self.bodies.lent() > 0 && !is(Mutant::SettlesWithoutWaiting);
                    if is_lent || (self.is_working && next != Next::Open) {
                        return;
                    }
                    match next {
                        Next::Open => {
                            self.phase = Phase::Open;
                            self.effects.push_back(Effect::Changed);
                        }
                        Next::Commit => {
                            self.begin_commit();
                            self.effects.push_back(Effect::Changed);
                        }
                        Next::Remove if self.is_begun => self.leave(Work::Remove),
                        Next::Remove => {
                            let why = self.why_removed.take();
                            self.end_as(Ending::Removed(why));
                        }
                        Next::Abandon => self.park(),
                    }
                }
                // Somebody said so while it was being published, in vain.
                Phase::Open if self.is_unwanted => self.remove(None),
                Phase::Open if self.owners.is_through() => {
                    self.phase = Phase::Settling(Next::Commit);
                }
                Phase::Open if !self.owners.is_held() => {
                    self.phase = Phase::Closing { tries: 0, again_at: None };
                }
                Phase::Open => {
                    if !self.is_working && self.waits.are_new() && !self.has_to_tell() {
                        self.waits.ask();
                        self.answer_kept();
                    }
                    let need = Need {
                        groups_wait: self.ledger.has_dirty_groups() || self.owes(),
                        tail_growth: self.ledger.tail_growth(),
                        is_first: self.ledger.kept_bytes() == 0,
                        is_waited_for: self.waits.are_new(),
                    };
                    if !self.is_working && self.step.is_due(need, now) {
                        self.write_down(self.options.boot.is_none(), now);
                    }
                    self.wake_at(self.step.due(), now);
                    return;
                }
                Phase::Closing { tries, again_at } => {
                    let (tries, again_at) = (*tries, *again_at);
                    if self.bodies.lent() > 0 || self.is_working {
                        return;
                    }
                    if self.is_little() {
                        self.remove(None);
                        continue;
                    }
                    let waits = tries < LAST_TRIES_MAX && !self.is_starved;
                    if waits && again_at.is_some_and(|at| at > now) {
                        self.wake_at(again_at.filter(|_| !is(Mutant::NeverTriesAgain)), now);
                        return;
                    }
                    let syncs = self.options.boot.is_none() || self.options.syncs_at_last;
                    // One that the disk has no room for is not in the way of who makes room.
                    let is_last = tries >= LAST_TRIES_MAX || (tries > 0 && self.is_starved);
                    if is_last || !(self.write_down(syncs, now) || self.sync_at_last()) {
                        self.park();
                    }
                }
                Phase::Committing { .. } => {
                    self.go_on_committing(now);
                    return;
                }
                Phase::Gone if is(Mutant::WorksWhenGone) && !self.is_working => {
                    return self.start(Work::Remove);
                }
                Phase::Leaving | Phase::Gone => return,
            }
        }
    }

    // --------------------------------------------------------------------------- keeping

    /// Whether so little is here that it is sooner sent again than kept.
    fn is_little(&self) -> bool {
        (!self.options.keeps_empty || is(Mutant::ForgetsEmpty))
            && self.ledger.kept_bytes() == 0
            && !self.ledger.has_dirty_groups()
            && self.ledger.tail_growth() < TAIL_BYTES_MIN
    }

    /// Has written down what is here; `false`: there is nothing to write down.
    pub(super) fn write_down(&mut self, is_synced: bool, now: Millis) -> bool {
        let mut checkpoint = self.ledger.keep();
        if checkpoint.is_none() && !self.owes() {
            self.step.nothing_to_move();
            return false;
        }
        // What is synced holds after any boot.
        let boot = self.options.boot.filter(|_| !is_synced && !is(Mutant::TrustsOtherBoots));
        let held = checkpoint.as_mut().and_then(Checkpoint::take_held);
        let held = held.filter(|_| !is(Mutant::LosesHeldBytes));
        let entries =
            checkpoint.as_ref().map_or_else(Vec::new, |checkpoint| checkpoint.entries(boot));
        if is(Mutant::TellsBeforeKept) {
            self.effects.push_back(Effect::Durable(self.ledger.whole_bytes()));
        }
        self.checkpoint = checkpoint;
        self.is_unsynced = !is_synced;
        self.step.begin_move(now);
        self.waits.ask();
        if is(Mutant::AnswersKeepsEarly) {
            self.answer_kept();
        }
        let size = self.size_to_tell();
        self.is_telling_size = size.is_some();
        self.start(Work::Checkpoint { held, size, entries, is_synced });
        true
    }

    /// Has synced what the journal says, where that is due at the last; `false`: it need not be.
    fn sync_at_last(&mut self) -> bool {
        if !core::mem::take(&mut self.is_unsynced) || !self.options.syncs_at_last {
            return false;
        }
        self.start(Work::Checkpoint {
            held: None,
            size: None,
            entries: Vec::new(),
            is_synced: true,
        });
        true
    }

    pub(super) fn start(&mut self, work: Work) {
        // Whatever it is, it may make a file, also for a stream without a byte.
        self.is_begun = true;
        self.is_working = true;
        self.work = Some(work);
    }

    fn leave(&mut self, work: Work) {
        self.phase = Phase::Leaving;
        self.start(work);
    }

    fn park(&mut self) {
        let (kept_bytes, dirty) = (self.ledger.kept_bytes(), self.ledger.dirty());
        self.leave(Work::Park { kept_bytes, dirty, is_starved: self.is_starved });
    }

    fn wake_at(&mut self, at: Option<Millis>, now: Millis) {
        let Some(at) = at.map(|at| at.max(now)) else { return };
        if self.wake.is_none_or(|known| at < known) {
            self.wake = Some(at);
            self.effects.push_back(Effect::Wake(at));
        }
    }
}
