//! What a connection is doing, for whoever judges it. Those who serve it tell, at the cost of a store to memory each.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::deadlines::{Reading, Stage};
use super::places::Activity;

/// How long a connection has to be of no use, with nothing open, until it is idle: a hello and its answer cross the
/// slowest of networks in that time.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// The same after a hello. A sender may hash a file before it offers it, and what it keeps in reserve waits. Those of
/// its connections that find no place leave after 5 seconds: they are not to push out the ones that have one.
const IDLE_AFTER_HELLO: Duration = Duration::from_secs(10);

/// Over which time the least rate is one: short pauses are nobody's fault.
const RATE_OVER: Duration = Duration::from_secs(60);

/// What is not a time.
const NEVER: u64 = u64::MAX;

const SILENT: u8 = 0;
const SPEAKING: u8 = 1;
const GREETED: u8 = 2;

/// What a connection is doing. Times are readings of one clock, in milliseconds.
///
/// One thread at a time serves a connection, so nothing here is exchanged; others only read.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Bytes in a minute below which it is slow; 0: it never is.
    least_bytes: u64,
    stage: AtomicU8,
    stage_ms: AtomicU64,
    greeted_ms: AtomicU64,
    has_offered: AtomicBool,
    moved_ms: AtomicU64,
    /// When it was of use last, and how much had arrived by then.
    useful_ms: AtomicU64,
    useful_bytes: AtomicU64,
    /// Uploads that are open.
    uploads: AtomicUsize,
}

impl Pulse {
    /// Of a connection that begins now.
    pub(crate) fn new(least_bytes: u64, now: Duration) -> Self {
        let now = millis(now);
        Self {
            least_bytes,
            stage: AtomicU8::new(SILENT),
            stage_ms: AtomicU64::new(now),
            greeted_ms: AtomicU64::new(NEVER),
            has_offered: AtomicBool::new(false),
            moved_ms: AtomicU64::new(now),
            useful_ms: AtomicU64::new(now),
            useful_bytes: AtomicU64::new(0),
            uploads: AtomicUsize::new(0),
        }
    }

    /// It begins to be served: what it waited for that is not its fault.
    pub(crate) fn handle_begin(&self, now: Duration) {
        let now = millis(now);
        for time in [&self.stage_ms, &self.moved_ms, &self.useful_ms] {
            time.store(now, Ordering::Relaxed);
        }
    }

    /// The first byte of a request, or of the connection, is here.
    pub(crate) fn handle_first_byte(&self, now: Duration) {
        self.stage_ms.store(millis(now), Ordering::Relaxed);
        self.stage.store(SPEAKING, Ordering::Relaxed);
    }

    /// What came was understood: it was answered, or something was asked of the host.
    pub(crate) fn handle_greeting(&self, now: impl FnOnce() -> Duration) {
        if self.stage.load(Ordering::Relaxed) != SPEAKING {
            return;
        }
        let now = millis(now());
        self.stage.store(GREETED, Ordering::Relaxed);
        self.stage_ms.store(now, Ordering::Relaxed);
        if self.greeted_ms.load(Ordering::Relaxed) == NEVER {
            self.greeted_ms.store(now, Ordering::Relaxed);
        }
    }

    /// Something was offered, or asked of what was.
    pub(crate) fn handle_offer(&self, now: impl FnOnce() -> Duration) {
        self.handle_greeting(now);
        self.has_offered.store(true, Ordering::Relaxed);
    }

    /// A request is over, and the next may come.
    pub(crate) fn handle_request_over(&self, now: Duration) {
        self.stage.store(SILENT, Ordering::Relaxed);
        self.stage_ms.store(millis(now), Ordering::Relaxed);
        self.uploads.store(0, Ordering::Relaxed);
    }

    /// Bytes arrived; `total` since the connection began.
    pub(crate) fn handle_arrived(&self, total: u64, now: Duration) {
        self.handle_moved(now);
        let since = total.saturating_sub(self.useful_bytes.load(Ordering::Relaxed));
        if since >= self.least_bytes {
            self.useful_bytes.store(total, Ordering::Relaxed);
            self.handle_useful(now);
        }
    }

    /// A byte moved, in either direction.
    pub(crate) fn handle_moved(&self, now: Duration) {
        self.moved_ms.store(millis(now), Ordering::Relaxed);
    }

    /// It was of use: something was stored, say.
    pub(crate) fn handle_useful(&self, now: Duration) {
        self.useful_ms.store(millis(now), Ordering::Relaxed);
    }

    /// How many uploads are open now.
    pub(crate) fn set_uploads(&self, uploads: usize) {
        self.uploads.store(uploads, Ordering::Relaxed);
    }

    /// Whether something has come since it began, or since the last request.
    pub(crate) fn has_spoken(&self) -> bool {
        self.stage.load(Ordering::Relaxed) != SILENT
    }

    /// Whether uploads are open.
    pub(crate) fn has_uploads(&self) -> bool {
        self.uploads.load(Ordering::Relaxed) > 0
    }

    /// Whether something was ever offered, or asked of what was.
    pub(crate) fn has_offered(&self) -> bool {
        self.has_offered.load(Ordering::Relaxed)
    }

    /// Whether a hello or a request was ever complete.
    pub(crate) fn has_greeted(&self) -> bool {
        self.greeted_ms.load(Ordering::Relaxed) != NEVER
    }

    /// For [`Deadlines`](super::Deadlines).
    pub(crate) fn reading(&self, is_busy: bool) -> Reading {
        let greeted_ms = self.greeted_ms.load(Ordering::Relaxed);
        Reading {
            stage: match self.stage.load(Ordering::Relaxed) {
                SILENT => Stage::Silent,
                SPEAKING => Stage::Speaking,
                _ => Stage::Greeted,
            },
            since: time(&self.stage_ms),
            greeted: (greeted_ms != NEVER).then(|| Duration::from_millis(greeted_ms)),
            has_offered: self.has_offered.load(Ordering::Relaxed),
            moved: time(&self.moved_ms),
            is_busy,
        }
    }

    /// For [`Places`](super::places::Places). Who waits for the server is neither idle nor slow.
    pub(crate) fn activity(&self, now: Duration, is_busy: bool) -> Activity {
        let useful = time(&self.useful_ms);
        let unused = now.saturating_sub(useful);
        let has_nothing_open = self.uploads.load(Ordering::Relaxed) == 0;
        let idle_after = match self.stage.load(Ordering::Relaxed) {
            GREETED => IDLE_AFTER_HELLO,
            _ => IDLE_AFTER,
        };
        Activity {
            useful,
            is_idle: !is_busy && has_nothing_open && unused >= idle_after,
            is_slow: !is_busy && self.least_bytes > 0 && unused >= RATE_OVER,
        }
    }
}

fn time(ms: &AtomicU64) -> Duration {
    Duration::from_millis(ms.load(Ordering::Relaxed))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_without_an_upload_is_idle_after_a_few_seconds() {
        let pulse = Pulse::new(1_000, at(0));
        assert!(!pulse.activity(at(2), false).is_idle);
        assert!(pulse.activity(at(3), false).is_idle);
        assert!(!pulse.activity(at(3), true).is_idle, "the server works for it");
        pulse.set_uploads(1);
        assert!(!pulse.activity(at(30), false).is_idle);
        pulse.handle_request_over(at(31));
        assert!(pulse.activity(at(31), false).is_idle);
        pulse.handle_useful(at(31));
        assert!(!pulse.activity(at(33), false).is_idle);
    }

    #[test]
    fn a_connection_that_has_said_hello_is_idle_later() {
        let pulse = Pulse::new(1_000, at(0));
        pulse.handle_first_byte(at(0));
        pulse.handle_greeting(|| at(0));
        assert!(!pulse.activity(at(9), false).is_idle);
        assert!(pulse.activity(at(10), false).is_idle);
        pulse.handle_request_over(at(10));
        assert!(
            pulse.activity(at(10), false).is_idle,
            "a kept connection of HTTP waits for nothing"
        );
    }

    #[test]
    fn bytes_that_trickle_are_of_no_use() {
        let pulse = Pulse::new(1_000, at(0));
        for second in 1..=60 {
            pulse.handle_arrived(second * 16, at(second));
        }
        assert!(pulse.activity(at(60), false).is_slow);
        pulse.handle_arrived(1_000, at(61));
        assert!(!pulse.activity(at(120), false).is_slow);
        assert!(pulse.activity(at(121), false).is_slow);
        assert!(!Pulse::new(0, at(0)).activity(at(1_000), false).is_slow, "no rate is asked for");
    }

    #[test]
    fn time_before_a_place_was_free_is_held_against_nobody() {
        let pulse = Pulse::new(1_000, at(0));
        pulse.handle_begin(at(50));
        assert!(!pulse.activity(at(52), false).is_idle);
        assert_eq!(pulse.reading(false).since, at(50));
    }

    #[test]
    fn stages_of_a_connection_follow_what_comes_and_is_answered() {
        let pulse = Pulse::new(0, at(0));
        pulse.handle_greeting(|| at(1));
        assert_eq!(pulse.reading(false).stage, Stage::Silent);
        pulse.handle_first_byte(at(2));
        assert_eq!(pulse.reading(false).stage, Stage::Speaking);
        pulse.handle_greeting(|| at(3));
        let reading = pulse.reading(false);
        assert_eq!((reading.stage, reading.greeted), (Stage::Greeted, Some(at(3))));
        assert!(!reading.has_offered);
        pulse.handle_request_over(at(4));
        pulse.handle_first_byte(at(5));
        pulse.handle_offer(|| at(6));
        let reading = pulse.reading(false);
        assert_eq!((reading.greeted, reading.since), (Some(at(3)), at(6)));
        assert!(reading.has_offered);
    }
}
