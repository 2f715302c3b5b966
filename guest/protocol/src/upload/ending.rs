//! How an upload is taken from those who have it, and how it goes.

use super::bodies::Left;
use super::ids::{BodyId, SessionId};
use super::machine::Upload;
use super::mutation::{Mutant, is};
use super::phase::{Next, Phase};
use super::work::Effect;
use crate::{Refusal, RefusalCode};

impl Upload {
    /// Removes it as soon as it has settled. `why`: what is said to who asks for it later; `None`: there is none.
    pub(super) fn remove(&mut self, why: Option<Refusal>) {
        if !matches!(self.phase, Phase::Leaving | Phase::Gone | Phase::Settling(Next::Remove)) {
            self.phase = Phase::Settling(Next::Remove);
            self.why_removed = why;
        }
    }

    /// The disk has failed: whoever has it is told, and the next one begins at the last watermark.
    pub(super) fn give_up(&mut self, refusal: &Refusal) {
        if let Phase::Settling(Next::Remove) = self.phase {
            return;
        }
        if let Phase::Committing { .. } = self.phase {
            self.effects.push_back(Effect::Refuse(refusal.clone()));
        }
        let was_held = self.owners.is_held();
        self.evict(refusal);
        self.refuse_kept(refusal, true);
        // For a stream nobody comes any more who has heard of that. And entries that were never synced are not to
        // be relied on.
        let removes = (self.is_stream() && was_held) || self.options.boot.is_some();
        if removes {
            self.remove(Some(refusal.clone()));
        } else {
            self.phase = Phase::Settling(Next::Abandon);
        }
    }

    /// Whether a stream that has met such a fault has ended by it: its sender cannot read it again. A disk that was
    /// full would stay so.
    pub(super) fn is_hopeless(&self, code: RefusalCode) -> bool {
        let is_over = !matches!(code, RefusalCode::Locked | RefusalCode::Cancelled);
        self.is_stream() && is_over
    }

    /// Whether its sender cannot read again what it has sent once.
    pub(super) fn is_stream(&self) -> bool {
        self.ledger.size().is_none() && !self.options.keeps_empty
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
        if let Some(Left { group, credit, checked }) = self.bodies.seal(id) {
            if let Some(group) = group {
                self.ledger.give_back(group);
            }
            if let Some(checked) = checked {
                self.ledger.forget_checked(&checked);
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
