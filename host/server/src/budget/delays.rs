//! How long an address waits that has the server do what comes to nothing.
//!
//! A connection that ends without a hello, a credential that is not accepted and an offer of which nothing is stored
//! count against their source. A number of them is free, and comes back with time; each one beyond it makes the next
//! wait longer. Whatever is stored pays for what came to nothing, so an address behind which many are that send files
//! waits for nothing.
//!
//! It holds nobody up itself: it says how long somebody is to wait. What waits has no place, or keeps one that others
//! may be given.

use std::collections::HashMap;
use std::time::Duration;

use super::source::Source;

/// What counts against a source, in steps: an offer is told in microseconds, and a sender may have a thousand that are
/// refused for an honest reason.
const OFFER_STEPS: f64 = 1.0 / 16.0;
const HANDSHAKE_STEPS: f64 = 1.0;
/// Whoever tries credentials has no honest reason to do so a hundred times.
const CREDENTIAL_STEPS: f64 = 8.0;

/// How many steps come back in a second: who looks whether the server is there may do so several times a second.
const FORGOTTEN_PER_SECOND: f64 = 4.0;

/// What something stored pays for, in steps.
const PAID_PER_ANSWER: f64 = 1.0;

/// How many steps beyond those that are free lead to the longest wait. Each makes it longer by as much.
const STEPS_TO_LONGEST: f64 = 256.0;

/// The longest wait within a connection, as a part of the longest one before it has a place: what was sent together
/// is answered together, so it holds up some hundred offers at once.
const WITHIN_PART: u32 = 5;

/// Longer waits are this one. Whoever waits has a descriptor.
const DELAY_MAX: Duration = Duration::from_secs(3_600);

/// Sources that are known at once. Of those that come then, nothing is known.
const SOURCES_MAX: usize = 4_096;

/// Time between two looks for sources that need not be known any more.
const SWEEP_AFTER: Duration = Duration::from_secs(5);

/// What came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Futile {
    /// A connection that ended before a hello or a request was complete.
    Handshake,
    /// A credential that was not accepted.
    Credential,
    /// An offer that was refused, or of which nothing was stored.
    Offer,
}

#[derive(Clone, Copy, Debug)]
struct Steps {
    taken: f64,
    at: Duration,
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Delays {
    /// Steps that are free.
    free: f64,
    longest: Duration,
    sources: HashMap<Source, Steps>,
    swept: Duration,
}

impl Futile {
    fn steps(self) -> f64 {
        match self {
            Self::Handshake => HANDSHAKE_STEPS,
            Self::Credential => CREDENTIAL_STEPS,
            Self::Offer => OFFER_STEPS,
        }
    }
}

impl Steps {
    fn forget(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.taken = (self.taken - passed * FORGOTTEN_PER_SECOND).max(0.0);
    }
}

impl Delays {
    /// `free`: handshakes that may come to nothing before anybody waits. `longest`: the longest wait; zero: nobody
    /// waits.
    pub(crate) fn new(free: u32, longest: Duration) -> Self {
        let (sources, swept) = (HashMap::new(), Duration::ZERO);
        Self { free: f64::from(free), longest: longest.min(DELAY_MAX), sources, swept }
    }

    /// Whether nothing counts against anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Something came to nothing.
    pub(crate) fn fail(&mut self, source: Source, futile: Futile, now: Duration) {
        if self.longest.is_zero() || !source.is_somebody() || !self.has_room_for(source, now) {
            return;
        }
        // No more than leads to the longest wait: it is forgotten in a minute or two.
        let most = self.free + STEPS_TO_LONGEST;
        let steps = self.sources.entry(source).or_insert(Steps { taken: 0.0, at: now });
        steps.forget(now);
        steps.taken = (steps.taken + futile.steps()).min(most);
    }

    /// Something was stored.
    pub(crate) fn pay(&mut self, source: Source) {
        if let Some(steps) = self.sources.get_mut(&source) {
            steps.taken -= PAID_PER_ANSWER;
            if steps.taken <= 0.0 {
                self.sources.remove(&source);
            }
        }
    }

    /// How long the next connection of a source waits before it may have a place.
    pub(crate) fn before_place(&self, source: Source, now: Duration) -> Duration {
        let Some(mut steps) = self.sources.get(&source).copied() else { return Duration::ZERO };
        steps.forget(now);
        let beyond = (steps.taken - self.free).clamp(0.0, STEPS_TO_LONGEST);
        // No more than the longest.
        self.longest.mul_f64(beyond / STEPS_TO_LONGEST)
    }

    /// How long a connection of a source is held up of which an offer came to nothing.
    pub(crate) fn within(&self, source: Source, now: Duration) -> Duration {
        self.before_place(source, now) / WITHIN_PART
    }

    /// Whether this source may be known, beside the others.
    fn has_room_for(&mut self, source: Source, now: Duration) -> bool {
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&source) {
            return true;
        }
        if now >= self.swept.saturating_add(SWEEP_AFTER) {
            self.swept = now;
            self.sources.retain(|_, steps| {
                steps.forget(now);
                steps.taken > 0.0
            });
        }
        self.sources.len() < SOURCES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::budget::chance::Chance;

    const LONGEST: Duration = Duration::from_secs(5);

    fn source(number: u32) -> Source {
        Source::V4(Ipv4Addr::from_bits(number))
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_is_free_and_each_further_one_waits_longer() {
        let mut delays = Delays::new(100, LONGEST);
        for _ in 0..100 {
            delays.fail(source(1), Futile::Handshake, at(9));
            assert_eq!(delays.before_place(source(1), at(9)), Duration::ZERO);
        }
        let mut last = Duration::ZERO;
        for _ in 0..256 {
            delays.fail(source(1), Futile::Handshake, at(9));
            let wait = delays.before_place(source(1), at(9));
            assert!(wait > last, "{wait:?} after {last:?}");
            last = wait;
        }
        delays.fail(source(1), Futile::Handshake, at(9));
        assert_eq!(delays.before_place(source(1), at(9)), LONGEST);
        assert_eq!(delays.within(source(1), at(9)), LONGEST / 5);
        assert_eq!(delays.before_place(source(2), at(9)), Duration::ZERO, "it is somebody else");
    }

    #[test]
    fn what_came_to_nothing_is_forgotten_with_time_alone() {
        let mut delays = Delays::new(0, LONGEST);
        for _ in 0..1_000 {
            delays.fail(source(1), Futile::Handshake, at(100));
        }
        assert_eq!(delays.before_place(source(1), at(50)), LONGEST);
        let waits = [100, 110, 130, 170].map(|now| delays.before_place(source(1), at(now)));
        assert!(waits.windows(2).all(|pair| pair[0] > pair[1]), "{waits:?}");
        assert_eq!(waits[3], Duration::ZERO, "a minute later");
    }

    #[test]
    fn credentials_count_more_than_handshakes_than_offers() {
        let waits = [Futile::Credential, Futile::Handshake, Futile::Offer].map(|futile| {
            let mut delays = Delays::new(0, LONGEST);
            (0..16).for_each(|_| delays.fail(source(1), futile, at(1)));
            delays.before_place(source(1), at(1))
        });
        assert!(waits.windows(2).all(|pair| pair[0] > pair[1]), "{waits:?}");
    }

    #[test]
    fn what_is_stored_pays_for_what_came_to_nothing() {
        let mut delays = Delays::new(0, LONGEST);
        for _ in 0..64 {
            delays.fail(source(1), Futile::Handshake, at(1));
        }
        let before = delays.before_place(source(1), at(1));
        (0..32).for_each(|_| delays.pay(source(1)));
        assert!(delays.before_place(source(1), at(1)) < before);
        (0..32).for_each(|_| delays.pay(source(1)));
        assert!(delays.is_empty());
        delays.pay(source(2));
        assert!(delays.is_empty(), "nobody has a credit");
    }

    #[test]
    fn nobody_waits_where_no_wait_is_allowed_and_no_proxy_does() {
        let mut off = Delays::new(0, Duration::ZERO);
        let mut on = Delays::new(0, LONGEST);
        for _ in 0..1_000 {
            off.fail(source(1), Futile::Credential, at(1));
            on.fail(Source::Proxy(None), Futile::Credential, at(1));
            on.fail(Source::Single(7), Futile::Credential, at(1));
        }
        assert!(off.is_empty() && on.is_empty());
    }

    /// Many senders behind one address that store files, of which some connections come to nothing: a thousand of
    /// them, and curl in a loop.
    #[test]
    fn an_address_whose_senders_store_files_never_waits() {
        let mut chance = Chance::seeded();
        let mut delays = Delays::new(256, LONGEST);
        let mut now = at(1);
        for _ in 0..100_000 {
            now += Duration::from_micros(chance.below(1_000) as u64);
            match chance.below(10) {
                0 => delays.fail(source(1), Futile::Handshake, now),
                1..3 => delays.fail(source(1), Futile::Offer, now),
                _ => delays.pay(source(1)),
            }
            assert_eq!(delays.before_place(source(1), now), Duration::ZERO);
        }
    }

    /// Whatever is done by however many sources: waits are bounded, and so is what is known.
    #[test]
    fn waits_and_what_is_known_of_sources_are_bounded() {
        let mut chance = Chance::seeded();
        let mut delays = Delays::new(3, Duration::MAX);
        let mut now = at(1);
        for _ in 0..200_000 {
            now += Duration::from_micros(chance.below(500) as u64);
            let source = source(u32::try_from(chance.below(20_000)).unwrap_or(0));
            let futile = [Futile::Handshake, Futile::Credential, Futile::Offer][chance.below(3)];
            delays.fail(source, futile, now);
            assert!(delays.before_place(source, now) <= DELAY_MAX);
            assert!(delays.sources.len() <= SOURCES_MAX);
        }
    }
}
