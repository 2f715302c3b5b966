//! The limits that somebody can meet, and how often that happened.

use std::sync::atomic::{AtomicU64, Ordering};

/// A limit that a connection met. Each has a word that is the same everywhere, and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// More connections wait for a place than may: this one was not served.
    Waiting,
    /// A connection without an upload had to give way to others that wait.
    Idle,
    /// A connection that brought less than the least rate had to give way to others that wait.
    Rate,
    /// A connection had to give way, since its address has more places than others that wait.
    Share,
    /// An address had as many connections as one may have, when a proxy said whose connection this one is.
    Address,
    /// Nothing came.
    FirstByte,
    /// No complete hello or request came.
    Hello,
    /// Nothing was offered.
    Offer,
    /// Nothing moved.
    Silence,
    /// A connection was held up for a moment, since it had made the server compute more than its part while others
    /// wanted to.
    Computing,
    /// A refusal, or a line of a receiver, was not told: too many were.
    Log,
    /// A connection waited, or was held up for a moment, since much that its address began came to nothing.
    Failures,
    /// An offer, or more pieces of an upload, were refused, since its connection or address holds as much memory as it may,
    /// or all together do.
    Memory,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Waiting,
        Self::Idle,
        Self::Rate,
        Self::Share,
        Self::Address,
        Self::FirstByte,
        Self::Hello,
        Self::Offer,
        Self::Silence,
        Self::Computing,
        Self::Log,
        Self::Failures,
        Self::Memory,
    ];

    /// The word for it: `waiting`, `first-byte`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Rate => "rate",
            Self::Share => "share",
            Self::Address => "address",
            Self::FirstByte => "first-byte",
            Self::Hello => "hello",
            Self::Offer => "offer",
            Self::Silence => "silence",
            Self::Computing => "computing",
            Self::Log => "log",
            Self::Failures => "failures",
            Self::Memory => "memory",
        }
    }
}

/// How often each limit was met.
#[derive(Debug, Default)]
pub(crate) struct Met([AtomicU64; Limit::ALL.len()]);

impl Met {
    /// A limit was met once more.
    pub(crate) fn count(&self, limit: Limit) {
        self.count_many(limit, 1);
    }

    /// The same, several times.
    pub(crate) fn count_many(&self, limit: Limit, times: u64) {
        self.0[limit as usize].fetch_add(times, Ordering::Relaxed);
    }

    /// Those that were met, and how often.
    pub(crate) fn counts(&self) -> Vec<(Limit, u64)> {
        let counts =
            Limit::ALL.map(|limit| (limit, self.0[limit as usize].load(Ordering::Relaxed)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_word_and_a_count_of_its_own() {
        let met = Met::default();
        for (times, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, times);
            met.count_many(limit, times as u64);
        }
        let counts = met.counts();
        assert_eq!(counts.len(), Limit::ALL.len() - 1, "what was never met is not told");
        assert!(counts.iter().all(|(limit, count)| *limit as u64 == *count));
        let mut words = Limit::ALL.map(Limit::code);
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
