//! The places of connections, and who has to give way where they are scarce.
//!
//! A connection that arrives enters where a place is free. Where none is, it waits, and somebody gives way to it:
//!
//! 1. who is idle, or brings less than the least rate: whoever waits needs the place more. The one of the fullest
//!    source goes first, and of that source the one that has been of no use for longest;
//! 2. otherwise somebody of the fullest source, as long as that has more places than the source of the newcomer would
//!    have with one more. So places come to be shared evenly among sources, and nobody loses one to a source that has
//!    as many.
//!
//! A place that becomes free goes to the source that has the fewest, and there to who has waited longest. Where too
//! many wait, the newest of the source that has the most is turned away. Who has to wait for a [time](super::delays)
//! gets no place before it is over, and nobody gives way to it.
//!
//! Whoever runs this machine calls it under a lock that is held for no longer than the call, and after each call
//! carries out what [`Places::poll_effect`] gives. It knows no socket and no clock: `now` is a reading of a clock that
//! is never set back, and [`Activity`] is what is known of a connection at that moment.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::source::Source;

/// Least time between two looks at all connections for one that is idle: a look costs microseconds for a thousand, and
/// connections may arrive at any rate.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Connections at once, at least 1.
    pub(crate) places: usize,
    /// Of one source, at least 1.
    pub(crate) per_source: usize,
    /// Connections that wait at once for one, at least 1: else nobody could be given the place of another.
    pub(crate) waiting: usize,
}

/// Names a connection here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// A number that no other has.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// What is known of a connection that has a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activity {
    /// When it was of use last: something was stored, or enough arrived. Where neither was, when it began.
    pub(crate) useful: Duration,
    /// Nothing is under way.
    pub(crate) is_idle: bool,
    /// It brings less than the least rate.
    pub(crate) is_slow: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// This connection has a place, and is served.
    Admit(Ticket),
    /// This connection does not get a place: more wait than may.
    TurnAway(Ticket),
    /// This connection has to end. It has its place until [`Places::leave`].
    End(Ticket, Cause),
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It is idle while others wait.
    Idle,
    /// It brings less than the least rate while others wait.
    Slow,
    /// Its source has more places than others that wait.
    Share,
    /// Its source has as many as one may have.
    Most,
}

#[derive(Debug)]
struct Held {
    source: Source,
    is_leaving: bool,
}

/// A connection that waits.
#[derive(Clone, Copy, Debug)]
struct Waits {
    ticket: Ticket,
    source: Source,
    /// When it may have a place.
    from: Duration,
}

/// What a source has. Those that have nothing are forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Places, without those that are to become free.
    staying: usize,
    leaving: usize,
    waiting: usize,
}

impl Count {
    fn held(self) -> usize {
        self.staying + self.leaving
    }

    /// What it would have if all that wait got a place.
    fn wanted(self) -> usize {
        self.staying + self.waiting
    }
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Places {
    capacity: Capacity,
    tickets: u64,
    held: HashMap<Ticket, Held>,
    waiting: VecDeque<Waits>,
    counts: HashMap<Source, Count>,
    /// The sources by the places that stay theirs.
    by_places: BTreeSet<(usize, Source)>,
    leaving: usize,
    /// The last reading of the clock.
    now: Duration,
    looked: Option<Duration>,
    effects: VecDeque<Effect>,
}

impl Places {
    /// With all places free.
    pub(crate) fn new(capacity: Capacity) -> Self {
        let Capacity { places, per_source, waiting } = capacity;
        let capacity = Capacity {
            places: places.max(1),
            per_source: per_source.max(1),
            waiting: waiting.max(1),
        };
        Self {
            capacity,
            tickets: 0,
            held: HashMap::new(),
            waiting: VecDeque::new(),
            counts: HashMap::new(),
            by_places: BTreeSet::new(),
            leaving: 0,
            now: Duration::ZERO,
            looked: None,
            effects: VecDeque::new(),
        }
    }

    /// What is to be done, in order.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Connections that are being served.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Connections that wait for a place.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A ticket for a connection that is to arrive. Where connections count by themselves, it tells them apart.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// A connection arrives, which waits for this time whether or not there is a place.
    pub(crate) fn arrive(
        &mut self,
        ticket: Ticket,
        source: Source,
        wait: Duration,
        now: Duration,
        look: impl Fn(Ticket) -> Activity,
    ) {
        self.now = self.now.max(now);
        if self.waiting.is_empty() && wait.is_zero() && self.has_room_for(source) {
            self.admit(ticket, source);
            return;
        }
        if self.waiting.len() >= self.capacity.waiting && !self.turn_away_for(source) {
            self.effects.push_back(Effect::TurnAway(ticket));
            return;
        }
        self.waiting.push_back(Waits { ticket, source, from: now.saturating_add(wait) });
        self.change(source, |count| count.waiting += 1);
        self.fill();
        if wait.is_zero() && self.waiting.back().is_some_and(|last| last.ticket == ticket) {
            self.make_room_for(source, now, &look);
        }
    }

    /// Time has passed: somebody may have become idle, or may have a place from now on.
    pub(crate) fn reconsider(&mut self, now: Duration, look: impl Fn(Ticket) -> Activity) {
        self.now = self.now.max(now);
        self.fill();
        let sources: BTreeSet<Source> = self.due().map(|(_, waits)| waits.source).collect();
        for source in sources {
            self.make_room_for(source, now, &look);
        }
    }

    /// A connection is over, whether it had a place, waited for one, or neither.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        if let Some(held) = self.held.remove(&ticket) {
            if held.is_leaving {
                self.leaving -= 1;
                self.change(held.source, |count| count.leaving -= 1);
            } else {
                self.change(held.source, |count| count.staying -= 1);
            }
        } else if let Some(at) = self.waiting.iter().position(|waits| waits.ticket == ticket) {
            self.stop_waiting(at);
        }
        self.fill();
    }

    /// It turns out that a connection is somebody else's: a proxy has said whose.
    pub(crate) fn change_source(&mut self, ticket: Ticket, source: Source) {
        if let Some(held) = self.held.get_mut(&ticket) {
            let (before, is_leaving) = (held.source, held.is_leaving);
            held.source = source;
            let part = |count: &mut Count, by: isize| {
                let part = if is_leaving { &mut count.leaving } else { &mut count.staying };
                *part = part.saturating_add_signed(by);
            };
            self.change(before, |count| part(count, -1));
            self.change(source, |count| part(count, 1));
            if self.count(source).held() > self.most_of(source) {
                self.end(ticket, Cause::Most);
            }
        } else if let Some(waits) = self.waiting.iter_mut().find(|it| it.ticket == ticket) {
            let before = std::mem::replace(&mut waits.source, source);
            self.change(before, |count| count.waiting -= 1);
            self.change(source, |count| count.waiting += 1);
        }
        // The source that it is none of any more may have room.
        self.fill();
    }

    fn count(&self, source: Source) -> Count {
        self.counts.get(&source).copied().unwrap_or_default()
    }

    fn change(&mut self, source: Source, change: impl FnOnce(&mut Count)) {
        let count = self.counts.entry(source).or_default();
        let before = count.staying;
        change(count);
        let count = *count;
        if count.held() + count.waiting == 0 {
            self.counts.remove(&source);
        }
        if count.staying != before {
            self.by_places.remove(&(before, source));
            if count.staying > 0 {
                self.by_places.insert((count.staying, source));
            }
        }
    }

    fn most_of(&self, source: Source) -> usize {
        if source.has_a_most() { self.capacity.per_source } else { self.capacity.places }
    }

    fn has_room_for(&self, source: Source) -> bool {
        self.held.len() < self.capacity.places && self.count(source).held() < self.most_of(source)
    }

    fn admit(&mut self, ticket: Ticket, source: Source) {
        self.held.insert(ticket, Held { source, is_leaving: false });
        self.change(source, |count| count.staying += 1);
        self.effects.push_back(Effect::Admit(ticket));
    }

    fn end(&mut self, ticket: Ticket, cause: Cause) {
        let Some(held) = self.held.get_mut(&ticket).filter(|held| !held.is_leaving) else { return };
        held.is_leaving = true;
        let source = held.source;
        self.leaving += 1;
        self.change(source, |count| {
            count.staying -= 1;
            count.leaving += 1;
        });
        self.effects.push_back(Effect::End(ticket, cause));
    }

    fn stop_waiting(&mut self, at: usize) -> Option<Ticket> {
        let Waits { ticket, source, .. } = self.waiting.remove(at)?;
        self.change(source, |count| count.waiting -= 1);
        Some(ticket)
    }

    /// Those that wait and may have a place, with their positions.
    fn due(&self) -> impl Iterator<Item = (usize, &Waits)> {
        self.waiting.iter().enumerate().filter(|(_, waits)| waits.from <= self.now)
    }

    /// Gives free places to those who wait.
    fn fill(&mut self) {
        while self.held.len() < self.capacity.places {
            let may = self.due().filter(|(_, waits)| self.has_room_for(waits.source));
            // Of as many, the first that is found: who has waited longest.
            let next = may.min_by_key(|(_, waits)| self.count(waits.source).staying);
            let Some((at, &Waits { ticket, source, .. })) = next else { return };
            self.stop_waiting(at);
            self.admit(ticket, source);
        }
    }

    /// Turns the newest away of the source that has the most, where that has more than this one would have. Whether
    /// somebody is.
    fn turn_away_for(&mut self, source: Source) -> bool {
        let waiting = self.waiting.iter().enumerate();
        let fullest = waiting
            .map(|(at, waits)| (self.count(waits.source).wanted(), at))
            .max()
            .filter(|(wanted, _)| self.count(source).wanted() + 1 < *wanted);
        let Some(ticket) = fullest.and_then(|(_, at)| self.stop_waiting(at)) else { return false };
        self.effects.push_back(Effect::TurnAway(ticket));
        true
    }

    /// Has somebody give way to one of this source that waits, if somebody should.
    fn make_room_for(&mut self, source: Source, now: Duration, look: &impl Fn(Ticket) -> Activity) {
        // Each that is to leave makes room for one.
        if self.leaving >= self.due().count() {
            return;
        }
        let count = self.count(source);
        let is_at_most = count.held() >= self.most_of(source);
        if is_at_most {
            // Only its own places help it.
            if count.leaving == 0
                && let Some(victim) = self.useless(now, look, |it| it == source)
            {
                self.end(victim.0, victim.1);
            }
            return;
        }
        let fullest = self.by_places.last().copied();
        let fullest = fullest.filter(|(places, _)| count.wanted() < *places);
        let victim = fullest
            .and_then(|(_, fullest)| self.useless(now, look, |it| it == fullest))
            .or_else(|| self.useless_of_all(now, look))
            .or_else(|| {
                let (_, fullest) = fullest?;
                Some((self.staying(|it| it == fullest, look).min()?.1, Cause::Share))
            });
        if let Some((victim, cause)) = victim {
            self.end(victim, cause);
        }
    }

    /// Connections of some sources that stay, with the time at which they were of use.
    fn staying(
        &self,
        of: impl Fn(Source) -> bool,
        look: &impl Fn(Ticket) -> Activity,
    ) -> impl Iterator<Item = (Duration, Ticket)> {
        let staying = self.held.iter().filter(move |(_, held)| !held.is_leaving && of(held.source));
        staying.map(|(ticket, _)| (look(*ticket).useful, *ticket))
    }

    /// The connection of some sources that has been of no use for longest, and why it may go.
    fn useless(
        &self,
        now: Duration,
        look: &impl Fn(Ticket) -> Activity,
        of: impl Fn(Source) -> bool,
    ) -> Option<(Ticket, Cause)> {
        let mut found: Option<(usize, Duration, Ticket, Cause)> = None;
        for (ticket, held) in &self.held {
            if held.is_leaving || !of(held.source) {
                continue;
            }
            let activity = look(*ticket);
            let cause = match (activity.is_idle, activity.is_slow) {
                (true, _) => Cause::Idle,
                (false, true) => Cause::Slow,
                (false, false) => continue,
            };
            let unused = now.saturating_sub(activity.useful);
            let candidate = (self.count(held.source).staying, unused, *ticket, cause);
            let is_more = |found: &(usize, Duration, Ticket, Cause)| {
                (candidate.0, candidate.1, std::cmp::Reverse(candidate.2))
                    > (found.0, found.1, std::cmp::Reverse(found.2))
            };
            if found.as_ref().is_none_or(is_more) {
                found = Some(candidate);
            }
        }
        found.map(|(_, _, ticket, cause)| (ticket, cause))
    }

    /// The same of all sources, unless that was tried in vain a moment ago.
    fn useless_of_all(
        &mut self,
        now: Duration,
        look: &impl Fn(Ticket) -> Activity,
    ) -> Option<(Ticket, Cause)> {
        if self.looked.is_some_and(|looked| now < looked + LOOK_AGAIN) {
            return None;
        }
        let found = self.useless(now, look, |_| true);
        self.looked = found.is_none().then_some(now);
        found
    }
}

#[cfg(test)]
mod tests;
