//! From phase to phase: the only place where the life of an upload goes on.

use alloc::vec::Vec;

use super::mutation::{self, Mutant, is};
use super::owners::Barrier;
use super::step::TAIL_BYTES_MIN;
use super::{BodyId, Done, Effect, Left, SessionId, Upload, Work};
use crate::{Digest, Millis, Refusal, RefusalCode};

/// How often the last watermark of an upload is tried that everybody has left. What it does not keep was never
/// told to be kept; and who comes back is better served by what is on the disk than by one that cannot be closed.
const LAST_TRIES_MAX: u32 = 3;

/// How long it waits before each. Milliseconds.
const LAST_TRY_PAUSE_MS: Millis = 1_000;

/// Where an upload is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Sessions come, bring bytes, and go.
    Open,
    /// No grants are given until all have come back.
    Settling(Next),
    /// All sessions are through and all is here.
    Committing {
        barrier: Barrier,
        /// `None`: it is being computed.
        digest: Option<Digest>,
        /// The journal says the name, or need not.
        is_marked: bool,
    },
    /// Nobody has it: what came is kept.
    Closing {
        tries: u32,
        /// When to try again.
        again_at: Option<Millis>,
    },
    /// Nobody gets it any more: it is being closed or removed.
    Leaving,
    /// It has ended.
    Gone,
}

/// What follows when it has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another session goes on.
    Open,
    /// It is published.
    Commit,
    /// It is removed.
    Remove,
    /// It is left as the journal knows it: the disk has failed.
    Abandon,
}

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
            Done::Kept => {
                if let Some(keeping) = self.keeping.take() {
                    let moved = self.ledger.kept(keeping);
                    self.step.end_move(moved);
                    self.effects.push_back(Effect::Durable(self.ledger.durable()));
                }
                self.mark();
                self.feed();
            }
            Done::Unwritten(refusal) => {
                if let Some(keeping) = self.keeping.take() {
                    self.ledger.not_kept(keeping);
                }
                // A body that waits for it would wait for as long as that fails.
                if self.step.fail_move(now)
                    && matches!(self.phase, Phase::Open)
                    && !is(Mutant::StarvesWaiters)
                {
                    self.evict(&refusal);
                    if self.options.size.is_none() {
                        self.remove();
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
                self.keeping = None;
                self.abandon(&refusal);
            }
            Done::Written(Ok(())) => self.written(),
            Done::Written(Err(refusal)) => self.refuse(refusal),
            Done::Hashed(hashed) => self.hashed(hashed),
            Done::NotPublished => self.phase = Phase::Open,
            // Somebody said so while it was being closed.
            Done::Parked if self.is_unwanted => self.start(Work::Remove),
            Done::Published | Done::Removed | Done::Parked => {
                self.phase = Phase::Gone;
                self.effects.push_back(Effect::Gone);
            }
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
                            self.phase = Phase::Gone;
                            self.effects.push_back(Effect::Gone);
                        }
                        Next::Abandon => self.park(),
                    }
                }
                Phase::Open if self.owners.is_through() => {
                    self.phase = Phase::Settling(Next::Commit);
                }
                Phase::Open if !self.owners.is_held() => {
                    self.phase = Phase::Closing { tries: 0, again_at: None };
                }
                Phase::Open => {
                    let grown = self.ledger.tail_growth();
                    let groups_wait = self.ledger.has_unkept_groups();
                    let is_first = self.ledger.kept_bytes() == 0;
                    if !self.is_working && self.step.is_due(groups_wait, grown, is_first, now) {
                        self.keep(self.options.boot.is_none(), now);
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
                        self.remove();
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
                    if is_last || !(self.keep(syncs, now) || self.sync_at_last()) {
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
        self.ledger.kept_bytes() == 0
            && !self.ledger.has_unkept_groups()
            && self.ledger.tail_growth() < TAIL_BYTES_MIN
    }

    /// Has written down what is here; `false`: there is nothing to write down.
    pub(super) fn keep(&mut self, is_synced: bool, now: Millis) -> bool {
        let Some(mut keeping) = self.ledger.keep() else {
            self.step.nothing_to_move();
            return false;
        };
        // What is synced holds after any boot.
        let boot = self.options.boot.filter(|_| !is_synced && !is(Mutant::TrustsOtherBoots));
        let (held, entries) = (keeping.take_held(), keeping.entries(boot));
        let held = held.filter(|_| !is(Mutant::LosesHeldBytes));
        if is(Mutant::TellsBeforeKept) {
            self.effects.push_back(Effect::Durable(self.ledger.whole_bytes()));
        }
        self.keeping = Some(keeping);
        self.is_unsynced = !is_synced;
        self.step.begin_move(now);
        self.start(Work::Keep { held, entries, is_synced });
        true
    }

    /// Has synced what the journal says, where that is due at the last; `false`: it need not be.
    fn sync_at_last(&mut self) -> bool {
        if !core::mem::take(&mut self.is_unsynced) || !self.options.syncs_at_last {
            return false;
        }
        self.start(Work::Keep { held: None, entries: Vec::new(), is_synced: true });
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
        let (kept_bytes, unkept) = (self.ledger.kept_bytes(), self.ledger.unkept());
        self.leave(Work::Park { kept_bytes, unkept, is_starved: self.is_starved });
    }

    fn wake_at(&mut self, at: Option<Millis>, now: Millis) {
        let Some(at) = at.map(|at| at.max(now)) else { return };
        if self.wake.is_none_or(|known| at < known) {
            self.wake = Some(at);
            self.effects.push_back(Effect::Wake(at));
        }
    }

    // ---------------------------------------------------------------------------- ending

    /// Removes it as soon as it has settled.
    pub(super) fn remove(&mut self) {
        if !matches!(self.phase, Phase::Leaving | Phase::Gone) {
            self.phase = Phase::Settling(Next::Remove);
        }
    }

    /// The disk has failed: whoever has it is told, and the next one begins at the last watermark.
    fn abandon(&mut self, refusal: &Refusal) {
        if let Phase::Settling(Next::Remove) = self.phase {
            return;
        }
        if let Phase::Committing { .. } = self.phase {
            self.effects.push_back(Effect::Refuse(refusal.clone()));
        }
        let was_held = self.owners.is_held();
        self.evict(refusal);
        // For a stream nobody comes any more who has heard of that. And entries that were never synced are not to
        // be relied on.
        let removes = (self.options.size.is_none() && was_held) || self.options.boot.is_some();
        self.phase = Phase::Settling(if removes { Next::Remove } else { Next::Abandon });
    }

    /// Whether a stream that has met such a fault has ended by it: its sender cannot read it again. A disk that was
    /// full would stay so.
    pub(super) fn is_hopeless(&self, code: RefusalCode) -> bool {
        let is_over = !matches!(code, RefusalCode::Locked | RefusalCode::Cancelled);
        self.options.size.is_none() && is_over
    }

    /// Takes it from all who have it.
    pub(super) fn evict(&mut self, why: &Refusal) {
        let (sessions, others_were_through) = self.owners.evict();
        for session in sessions {
            self.effects.push_back(Effect::Fault { session, refusal: why.clone() });
        }
        if others_were_through {
            self.effects.push_back(Effect::Refuse(why.clone()));
        }
        self.is_starved = why.code == RefusalCode::InsufficientSpace;
        if !is(Mutant::LetsLosersWrite) {
            self.seal(None);
        }
    }

    /// A session has met a fault and brings nothing more.
    pub(super) fn fault(&mut self, session: SessionId, refusal: &Refusal) {
        if self.owners.fail(session, refusal.code) {
            let refusal = refusal.clone();
            self.effects.push_back(Effect::Fault { session, refusal });
        }
        self.seal(Some(session));
    }

    /// Seals the bodies of a session, or all.
    pub(super) fn seal(&mut self, session: Option<SessionId>) {
        for id in self.bodies.of(session) {
            self.end(id);
        }
    }

    /// Seals a body. What it leaves behind is given back, when its grant is.
    pub(super) fn end(&mut self, id: BodyId) {
        if let Some(Left { group, credit }) = self.bodies.seal(id) {
            if let Some(group) = group {
                self.ledger.give_back(group);
            }
            self.step.give_back(credit);
            self.feed();
        }
    }

    /// Lets those look again who wait for room. Whoever was sealed meanwhile finds that it swallows.
    pub(super) fn feed(&mut self) {
        if self.step.take_hungry() && !is(Mutant::ForgetsToWake) {
            self.effects.push_back(Effect::Room);
        }
    }
}
