//! Who holds an upload: the connections of one run of its sender.
//!
//! Of two runs, the one with the higher epoch gets it. Whoever loses it is told so and brings nothing more;
//! what it had brought is here, and the next one is told what is missing only after that is certain.

use std::mem;
use std::sync::Arc;

use sandport_protocol::{Refusal, RefusalCode, Resume, ResumeMode};

use super::{Partial, State};
use crate::inbox::commit::{Job, Ticket, Work};
use crate::inbox::partial::holder::{Commit, Holder, Signals};
use crate::inbox::space::Claim;
use crate::inbox::upload::Plan;

/// Connections that have lost an upload, and are to hear of it: see [`Partial::dismiss`].
#[must_use]
pub(in crate::inbox::partial) struct Evicted {
    holders: Vec<(u64, Arc<Signals>)>,
    /// Commits that waited for other connections.
    waiting: Option<(Ticket, Vec<Commit>)>,
    why: Refusal,
}

impl Partial {
    /// Lets a connection hold it; `None`: it has ended, or its end is under way. Those who have lost it
    /// by that are to be dismissed before anything else is asked of the holder.
    ///
    /// # Errors
    /// `locked`: a later run holds it.
    pub(in crate::inbox::partial) fn hold(
        self: &Arc<Self>,
        plan: &Plan,
        resume: &Resume,
    ) -> Result<Option<(Holder, Evicted)>, Refusal> {
        let mut state = self.state();
        if state.ended || matches!(state.commit, Some((_, None, _))) {
            return Ok(None);
        }
        let evicted = state.make_way(resume)?;
        state.holders_made += 1;
        let number = state.holders_made;
        let signals = Arc::new(Signals::new(state.kept.prefix()));
        // One that takes over is told all that is missing; one that joins is not answerable for others.
        state.joined = resume.mode == ResumeMode::Join;
        state.holders.insert(number, Arc::clone(&signals));
        let claim = state.claim.upgrade().unwrap_or_else(|| {
            let missing = self.size.map(|size| size.saturating_sub(state.whole.bytes()));
            Arc::new(Claim::new(&self.core, plan.with_copy(missing)))
        });
        state.claim = Arc::downgrade(&claim);
        self.core.space.forget_refused(self.id);
        Ok(Some((Holder::new(Arc::clone(self), number, signals, claim, plan), evicted)))
    }

    /// Whether a connection holds it, or waits for its commit.
    pub(in crate::inbox::partial) fn is_held(&self) -> bool {
        self.state().is_held()
    }

    /// Whether nobody holds it, and nobody has since this holder.
    pub(in crate::inbox::partial) fn is_left_by(&self, holder: u64) -> bool {
        let state = self.state();
        !state.is_held() && state.holders_made == holder
    }

    /// Whether nobody holds it and nothing waits to be kept.
    pub(in crate::inbox::partial) fn is_idle(&self) -> bool {
        let state = self.state();
        !state.is_held() && state.unkept.is_empty()
    }

    /// Tells those who have lost it. After that nothing more comes of them.
    pub(in crate::inbox::partial) fn dismiss(&self, evicted: Evicted) {
        let Evicted { holders, waiting, why } = evicted;
        for (_, signals) in holders {
            signals.fail(why.clone());
        }
        // Also of those who lost it to one that loses it now, before that one came to this.
        self.seal_where(|state, owner| !state.holders.contains_key(&owner));
        if let Some((ticket, mut commits)) = waiting
            && let Some(last) = commits.pop()
        {
            last.inbox.submit(Job { work: Work::Refused(why), ticket });
        }
    }

    /// Ends it for all who hold it. What came stays.
    pub(in crate::inbox::partial) fn fail(&self, why: &Refusal) {
        let evicted = self.state().evict(why.clone());
        self.dismiss(evicted);
        self.room_changed();
    }

    /// A holder is gone. Whoever waits for it to commit waits no longer.
    pub(in crate::inbox::partial) fn release(&self, number: u64) {
        self.seal(number);
        let mut state = self.state();
        let was_there = state.holders.remove(&number).is_some();
        let left = !state.is_held();
        drop(state);
        if was_there {
            self.conclude();
            if left {
                self.left();
            }
        }
    }

    /// Ends the bodies of a holder. A write that is under way is waited for.
    pub(in crate::inbox::partial) fn seal(&self, holder: u64) {
        self.seal_where(|_, owner| owner == holder);
    }

    fn seal_where(&self, ends: impl Fn(&State, u64) -> bool) {
        let lanes: Vec<_> = {
            let state = self.state();
            let lanes = state.lanes.iter().filter(|(_, (owner, _))| ends(&state, *owner));
            lanes.map(|(&number, (_, lane))| (number, Arc::clone(lane))).collect()
        };
        for (number, lane) in lanes {
            self.leave(number, &lane);
        }
    }
}

impl State {
    /// Whether a connection holds it, or waits for its commit.
    pub(super) fn is_held(&self) -> bool {
        !self.holders.is_empty() || self.commit.is_some()
    }

    /// Whether a commit waits and nobody else holds the upload.
    pub(super) fn is_committable(&self) -> bool {
        self.holders.is_empty() && matches!(self.commit, Some((_, Some(_), _)))
    }

    /// Takes the upload from whoever has to give it up to the connection of this offer.
    ///
    /// # Errors
    /// `locked`: a later run holds it.
    pub(super) fn make_way(&mut self, resume: &Resume) -> Result<Evicted, Refusal> {
        let is_held = self.is_held();
        let is_later = resume.epoch > self.epoch;
        if is_held && resume.epoch < self.epoch {
            return Err(taken_over());
        }
        self.epoch = resume.epoch;
        if is_held && !is_later && resume.mode == ResumeMode::Join {
            return Ok(Evicted { holders: Vec::new(), waiting: None, why: taken_over() });
        }
        let why = match resume.mode {
            _ if is_later => taken_over(),
            ResumeMode::Restart => {
                Refusal::new(RefusalCode::Cancelled, "the sender begins the upload anew")
            }
            _ => Refusal::new(RefusalCode::Locked, "another connection took the upload over"),
        };
        Ok(self.evict(why))
    }

    /// Takes the upload from all who have it.
    pub(in crate::inbox::partial) fn evict(&mut self, why: Refusal) -> Evicted {
        let holders = mem::take(&mut self.holders).into_iter().collect();
        let waiting = match self.commit.take() {
            Some((_, Some(ticket), commits)) => Some((ticket, commits)),
            under_way => {
                self.commit = under_way;
                None
            }
        };
        Evicted { holders, waiting, why }
    }
}

fn taken_over() -> Refusal {
    let words = "a later run that sends the same upload has taken it over";
    Refusal::new(RefusalCode::Locked, words)
}
