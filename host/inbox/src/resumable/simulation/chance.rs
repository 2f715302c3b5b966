//! Chance that a seed decides.

use std::sync::atomic::{AtomicU64, Ordering};

/// A sequence of numbers (SplitMix64).
pub(super) struct Chance(AtomicU64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the first `count` numbers.
    pub(super) fn below(&self, count: u64) -> u64 {
        self.next() % count.max(1)
    }

    /// Whether something happens that does so in so many of a thousand cases.
    pub(super) fn per_mille(&self, share: u64) -> bool {
        self.below(1_000) < share
    }

    pub(super) fn of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}
