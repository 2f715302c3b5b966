//! How much of something each source holds, where there is only so much for all.
//!
//! A source may hold as much as one may, and no more than a [part](PART) of what is left then. So the more is held, the
//! less each newcomer may hold, and it takes many sources to leave nothing.
//!
//! It knows no connection and no clock, and whoever runs it calls it under a lock.

use std::collections::HashMap;

use super::source::Source;

/// A source may hold one in so many of what is left. With 8, thirty sources that take all they can leave a thirtieth, and
/// of that a newcomer may hold an eighth.
const PART: u64 = 8;

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// By all together.
    pub(crate) all: u64,
    /// By one source, but for a proxy, behind which are many.
    pub(crate) per_source: u64,
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Holdings {
    most: Most,
    all: u64,
    /// Of those that hold anything.
    sources: HashMap<Source, u64>,
}

impl Holdings {
    /// Nobody holds anything.
    pub(crate) fn new(most: Most) -> Self {
        Self { most, all: 0, sources: HashMap::new() }
    }

    /// What a source holds.
    pub(crate) fn held(&self, source: Source) -> u64 {
        self.sources.get(&source).copied().unwrap_or_default()
    }

    /// What all hold.
    #[cfg(test)]
    fn all(&self) -> u64 {
        self.all
    }

    /// How much more a source may take.
    pub(crate) fn room(&self, source: Source) -> u64 {
        let held = self.held(source);
        let left = self.most.all.saturating_sub(self.all);
        // What it takes is not left any more.
        let as_others_have = left.saturating_sub(held.saturating_mul(PART)) / (PART + 1);
        let own = match source.has_a_most() {
            true => self.most.per_source.saturating_sub(held),
            false => u64::MAX,
        };
        own.min(as_others_have)
    }

    /// A source takes more, if it may; whether it did.
    pub(crate) fn take(&mut self, source: Source, amount: u64) -> bool {
        let may = amount <= self.room(source);
        if may {
            self.force(source, amount);
        }
        may
    }

    /// A source has taken more, whether or not it may.
    pub(crate) fn force(&mut self, source: Source, amount: u64) {
        if amount > 0 {
            let held = self.sources.entry(source).or_default();
            *held = held.saturating_add(amount);
            self.all = self.all.saturating_add(amount);
        }
    }

    /// A source gives something back.
    pub(crate) fn give_back(&mut self, source: Source, amount: u64) {
        if let Some(held) = self.sources.get_mut(&source) {
            let amount = amount.min(*held);
            *held -= amount;
            self.all = self.all.saturating_sub(amount);
            if *held == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// What one source held, another one does now.
    pub(crate) fn hand_over(&mut self, from: Source, to: Source, amount: u64) {
        self.give_back(from, amount);
        self.force(to, amount);
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::*;

    const ALL: u64 = 9_000;
    const OWN: u64 = 400;

    fn holdings() -> Holdings {
        Holdings::new(Most { all: ALL, per_source: OWN })
    }

    /// Takes one after the other until there is no more; how many.
    fn take_all(holdings: &mut Holdings, source: Source) -> u64 {
        std::iter::from_fn(|| holdings.take(source, 1).then_some(1)).sum()
    }

    #[test]
    fn a_source_takes_what_one_may_and_no_more() {
        let mut holdings = holdings();
        assert!(!holdings.take(Source::User(1), OWN + 1));
        assert_eq!(take_all(&mut holdings, Source::User(1)), OWN);
        assert_eq!(holdings.room(Source::User(1)), 0);
        holdings.give_back(Source::User(1), 10);
        assert!(holdings.take(Source::User(1), 10) && !holdings.take(Source::User(1), 1));
    }

    #[test]
    fn thirty_sources_that_take_all_they_can_leave_a_share() {
        let mut holdings = holdings();
        for user in 0..30 {
            take_all(&mut holdings, Source::User(user));
        }
        assert!(holdings.all() < ALL);
        assert!(take_all(&mut holdings, Source::User(30)) >= ALL / 30 / (PART + 1));
    }

    #[test]
    fn one_behind_which_are_many_takes_a_part_of_all() {
        let mut holdings = holdings();
        assert_eq!(take_all(&mut holdings, Source::Proxy(None)), ALL / (PART + 1));
        assert_eq!(take_all(&mut holdings, Source::User(1)), OWN);
    }

    #[test]
    fn what_is_forced_leaves_others_less_and_breaks_nothing() {
        let mut holdings = holdings();
        holdings.force(Source::Local, u64::MAX);
        holdings.force(Source::Local, u64::MAX);
        assert!(!holdings.take(Source::User(1), 1) && holdings.take(Source::User(1), 0));
        holdings.give_back(Source::Local, u64::MAX);
        assert_eq!((holdings.all(), holdings.sources.len()), (0, 0));
        holdings.give_back(Source::Local, 1);
        assert!(holdings.take(Source::User(1), 1));
    }

    #[test]
    fn what_is_handed_over_counts_where_it_goes() {
        let mut holdings = holdings();
        let (proxy, user) = (Source::Proxy(None), Source::User(1));
        assert!(holdings.take(proxy, 300));
        holdings.hand_over(proxy, user, 300);
        assert_eq!((holdings.held(proxy), holdings.held(user), holdings.all()), (0, 300, 300));
    }

    #[test]
    fn addresses_of_one_network_hold_together() {
        let at = |address: &str| {
            Source::at(address.parse().unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()))
        };
        for (first, second) in
            [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.7", "::ffff:192.0.2.7")]
        {
            let mut holdings = holdings();
            assert_eq!(take_all(&mut holdings, at(first)), OWN);
            assert!(!holdings.take(at(second), 1), "{second}");
        }
    }

    #[test]
    fn the_sum_is_that_of_all_in_any_order() {
        let mut chance = Chance::seeded();
        let mut holdings = holdings();
        for _ in 0..20_000 {
            let (source, amount) = (Source::User(chance.number() % 8), chance.number() % 200);
            match chance.below(4) {
                0 => drop(holdings.take(source, amount)),
                1 => holdings.force(source, amount / 8),
                2 => holdings.hand_over(source, Source::User(chance.number() % 8), 0),
                _ => holdings.give_back(source, amount),
            }
            assert_eq!(holdings.all(), holdings.sources.values().sum::<u64>());
            assert!(holdings.sources.values().all(|held| *held > 0));
        }
    }
}
