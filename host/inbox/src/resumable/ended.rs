//! What is remembered of uploads that have ended, for senders that did not hear how.

use std::collections::{HashMap, VecDeque};

use sandport_protocol::upload::Ending;
use sandport_protocol::{Metadata, Millis, Refusal};

use super::Id;
use super::status::UploadStatus;
use crate::completion::CommitHandle;

/// Most that are remembered. Each takes the room of a receipt with its name, two kilobytes at most, and its metadata.
const ENDED_MAX: usize = 1_024;

/// How long. Milliseconds. A sender that lost its connection at the end comes back sooner.
const ENDED_MS: Millis = 10 * 60 * 1_000;

/// How an upload has ended.
#[derive(Clone)]
pub(super) struct Ended {
    outcome: Outcome,
    metadata: Metadata,
    size: Option<u64>,
}

#[derive(Clone)]
enum Outcome {
    /// As its commit does, which may be about to be told.
    Commit(CommitHandle),
    Refused(Refusal),
}

impl Ended {
    /// What is to be remembered; `None`: nothing, for it goes on, or nobody is to hear of it.
    pub(super) fn of(
        ending: Ending,
        commit: Option<&CommitHandle>,
        metadata: &Metadata,
        size: Option<u64>,
    ) -> Option<Self> {
        let outcome = match ending {
            Ending::Published => Outcome::Commit(commit?.clone()),
            Ending::Removed(why) => Outcome::Refused(why?),
            Ending::Parked => return None,
        };
        Some(Self { outcome, metadata: metadata.clone(), size })
    }

    /// What is said to who asks.
    pub(super) async fn status(self) -> UploadStatus {
        let outcome = match self.outcome {
            Outcome::Commit(pending) => {
                pending.ready().await;
                pending.try_get()
            }
            Outcome::Refused(refusal) => Some(Err(refusal)),
        };
        UploadStatus::ended(outcome, self.size, self.metadata)
    }
}

/// Those of an inbox that have ended a short while ago.
#[derive(Default)]
pub(super) struct Endings {
    ended: HashMap<Id, (Millis, Ended)>,
    /// When which one has ended, the first one first. One that came back may be in it twice.
    order: VecDeque<(Millis, Id)>,
}

impl Endings {
    pub(super) fn remember(&mut self, now: Millis, id: Id, ended: Ended) {
        self.ended.insert(id, (now, ended));
        self.order.push_back((now, id));
        while self.order.len() > ENDED_MAX
            || self.order.front().is_some_and(|&(at, _)| is_over(at, now))
        {
            let Some((at, id)) = self.order.pop_front() else { return };
            if self.ended.get(&id).is_some_and(|&(known, _)| known == at) {
                self.ended.remove(&id);
            }
        }
    }

    pub(super) fn find(&self, now: Millis, id: Id) -> Option<Ended> {
        let (at, ended) = self.ended.get(&id)?;
        (!is_over(*at, now)).then(|| ended.clone())
    }

    /// Whether there was something to be forgotten.
    pub(super) fn forget(&mut self, id: Id) -> bool {
        self.ended.remove(&id).is_some()
    }
}

fn is_over(at: Millis, now: Millis) -> bool {
    now.saturating_sub(at) > ENDED_MS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sandport_protocol::RefusalCode;

    use super::*;

    fn id(number: usize) -> Id {
        Id::of(None, &number.to_le_bytes())
    }

    fn ended() -> Ended {
        let ending = Ending::Removed(Some(RefusalCode::Cancelled.into()));
        Ended::of(ending, None, &Metadata::default(), None).unwrap()
    }

    #[test]
    fn only_the_last_are_remembered_and_for_a_while() {
        let mut endings = Endings::default();
        for number in 0..3 * ENDED_MAX {
            endings.remember(0, id(number), ended());
        }
        assert!(endings.find(0, id(2 * ENDED_MAX - 1)).is_none());
        assert!(endings.find(ENDED_MS, id(2 * ENDED_MAX)).is_some());
        assert!(endings.find(ENDED_MS + 1, id(2 * ENDED_MAX)).is_none());
        assert!(endings.ended.len() <= ENDED_MAX && endings.order.len() <= ENDED_MAX);
    }

    #[test]
    fn one_that_ends_again_is_remembered_from_then_on() {
        let mut endings = Endings::default();
        endings.remember(0, id(1), ended());
        endings.remember(ENDED_MS, id(1), ended());
        endings.remember(ENDED_MS + 1, id(2), ended());
        assert!(endings.find(2 * ENDED_MS, id(1)).is_some());
        assert!(endings.forget(id(1)) && !endings.forget(id(1)));
    }
}
