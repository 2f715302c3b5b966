//! The clock of the protocol machines.

use std::time::{Duration, Instant};

use sandport_protocol::Millis;

/// Milliseconds since it was started.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(self) -> Millis {
        millis(self.start.elapsed())
    }

    /// The moment when the clock will read `at`, not before it really does.
    pub(super) fn instant(self, at: Millis) -> tokio::time::Instant {
        // A clock reading is rounded down: without the one more, a machine would be woken a
        // fraction of a millisecond early, over and over.
        let at = Duration::from_millis(at.saturating_add(1));
        let far = Duration::from_secs(365 * 24 * 3600);
        tokio::time::Instant::from_std(self.start + at.min(far))
    }
}

/// A duration as the machines count it.
pub(super) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
