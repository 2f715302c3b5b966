//! When a connection that was lost is made again: how often, and after how long.

use std::time::Duration;

/// How long to wait before the first try to connect again. Doubled with each further one.
pub(super) const DELAY: Duration = Duration::from_millis(500);

/// Longest wait before a try. A person who mends a network waits no longer for it to be noticed.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// How much has to be sent, and to be safe at the server that was not before, for a connection to count as one
/// that brought something. Bytes. Connections that bring less each add up; but one that brings a byte, as a server
/// can have it for ever, is a failure like one that brings nothing. What the slowest networks carry in seconds.
const PROGRESS_BYTES_MIN: u64 = 64 * 1024;

/// What a connection brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whether an upload got an outcome.
    pub(super) has_outcome: bool,
    /// How much more than ever before is safe of uploads that are under way, by what the server says. Bytes.
    pub(super) safe: u64,
    /// Payload that it has taken. Bytes.
    pub(super) sent: u64,
}

/// How often it was tried in vain.
#[derive(Debug)]
pub(super) struct Retries {
    max: u32,
    failures: u32,
    /// What connections have brought since the failures were last forgotten.
    brought: Progress,
}

impl Retries {
    /// So many tries in a row may be in vain.
    pub(super) fn new(max: u32) -> Self {
        Self { max, failures: 0, brought: Progress::default() }
    }

    /// A connection is over that brought this.
    pub(super) fn brought(&mut self, progress: Progress) {
        self.brought.safe = self.brought.safe.saturating_add(progress.safe);
        self.brought.sent = self.brought.sent.saturating_add(progress.sent);
        // What a server only says to have costs it nothing.
        let bytes = self.brought.safe.min(self.brought.sent);
        if progress.has_outcome || bytes >= PROGRESS_BYTES_MIN {
            (self.failures, self.brought) = (0, Progress::default());
        }
    }

    /// The number of the next try, from 1, and how long to wait for it; `None`: there is none.
    pub(super) fn next(&mut self) -> Option<(u32, Duration)> {
        if self.failures >= self.max {
            return None;
        }
        let delay = delay(self.failures);
        self.failures += 1;
        Some((self.failures, delay))
    }
}

/// How long to wait after so many failures: longer each time, and not as long as all the others who lost
/// the same server.
fn delay(failures: u32) -> Duration {
    let delay = DELAY.saturating_mul(1 << failures.min(16)).min(DELAY_MAX);
    let mut random = [0; 4];
    // Without chance it is the middle.
    let share = match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    };
    delay.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many connections it comes to that bring so much each, up to a thousand.
    fn tries(progress: Progress) -> u32 {
        let mut retries = Retries::new(8);
        let mut tries = 0;
        while tries < 1_000 {
            retries.brought(progress);
            if retries.next().is_none() {
                break;
            }
            tries += 1;
        }
        tries
    }

    fn carried(bytes: u64) -> Progress {
        Progress { has_outcome: false, safe: bytes, sent: bytes }
    }

    #[test]
    fn connections_that_bring_a_byte_each_come_to_an_end() {
        assert_eq!(tries(carried(0)), 8);
        assert_eq!(tries(carried(1)), 8);
    }

    #[test]
    fn what_is_said_to_be_safe_and_was_not_sent_brings_nothing() {
        assert_eq!(tries(Progress { has_outcome: false, safe: u64::MAX, sent: 0 }), 8);
        assert_eq!(tries(Progress { has_outcome: false, safe: 0, sent: u64::MAX }), 8);
    }

    #[test]
    fn connections_that_bring_something_are_made_again_and_again() {
        assert_eq!(tries(carried(PROGRESS_BYTES_MIN)), 1_000);
        assert_eq!(tries(carried(PROGRESS_BYTES_MIN / 8)), 1_000, "they add up");
        assert_eq!(tries(Progress { has_outcome: true, ..carried(0) }), 1_000);
    }

    #[test]
    fn the_wait_grows_to_its_bound() {
        for failures in 0..40 {
            let whole = DELAY.saturating_mul(1 << failures.min(16)).min(DELAY_MAX);
            let delay = delay(failures);
            assert!(delay >= whole / 2 && delay <= whole, "{failures}: {delay:?}");
        }
    }
}
