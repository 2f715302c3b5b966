//! Chance that can be repeated, for simulations.

#![allow(clippy::unwrap_used)]

/// Repeats a run.
const SEED: &str = "SANDPORT_TEST_SEED";

/// A generator of numbers: SplitMix64, by Steele, Lea and Flood (OOPSLA 2014).
pub(super) struct Chance(u64);

impl Chance {
    /// A new one, whose seed is printed: the runner shows it when the test fails.
    #[allow(clippy::disallowed_methods, reason = "a test is repeated by its environment")]
    pub(super) fn seeded() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => {
                let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                since.as_secs() ^ u64::from(since.subsec_nanos())
            }
        };
        println!("to repeat this run: {SEED}={seed}");
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).unwrap()
    }
}
