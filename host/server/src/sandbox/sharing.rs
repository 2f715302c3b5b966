//! Carries out how processor time is shared out: holds a connection up that has used more than its part.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Time;
use crate::budget::{Account, Computing, Limit, Met, Source, Used};

/// Shorter waits are not worth a timer.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// How often whoever is held up looks whether it is still to be.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a connection reads at once that is in debt, in bytes: what it makes of it is a few milliseconds at most.
const DEBT_READ_BYTES_MAX: usize = 16 * 1024;

/// How the connections of a server share its processors.
pub(crate) struct Sharing {
    since: Instant,
    computing: Mutex<Computing>,
    met: Arc<Met>,
}

/// One connection's part.
pub(super) struct Share {
    account: Mutex<Account>,
    /// What it has earned since it was charged last. Nanoseconds.
    earned_ns: AtomicU64,
    /// When it may go on: nanoseconds since the server began; 0: now.
    until_ns: AtomicU64,
    is_in_debt: AtomicBool,
    /// Until when nothing is read of it, whatever it has used: nanoseconds since the server began; 0: it may be.
    held_ns: AtomicU64,
}

impl Default for Sharing {
    fn default() -> Self {
        Self::new(100, &Arc::default())
    }
}

impl Sharing {
    /// Over all processors of this process.
    pub(crate) fn new(unearned_percent: u8, met: &Arc<Met>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let computing = Mutex::new(Computing::new(processors, unearned_percent));
        Self { since: Instant::now(), computing, met: Arc::clone(met) }
    }

    /// A connection has used time.
    pub(super) fn charge(&self, share: &Share, source: impl FnOnce() -> Source, time: Time) {
        let earned_ns = share.earned_ns.swap(0, Ordering::Relaxed);
        let now = self.since.elapsed();
        let Time { processor_ns, ran_ns } = time;
        let used = Used { processor_ns, ran_ns, earned_ns };
        let mut account = share.account.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.computing().charge(&mut account, source(), used, now);
        share.is_in_debt.store(account.is_in_debt(), Ordering::Relaxed);
        drop(account);
        if until > now + PAUSE_MIN {
            self.met.count(Limit::Computing);
            share.until_ns.store(nanoseconds(until), Ordering::Relaxed);
        }
    }

    /// A connection begins, or a request on it.
    pub(super) fn begin(&self, share: &Share, source: Source) {
        let mut account = share.account.lock().unwrap_or_else(PoisonError::into_inner);
        self.computing().begin(&mut account, source, self.since.elapsed());
    }

    /// Holds a connection up for a time, from now on: nothing more is read of it.
    pub(super) fn hold_up(&self, share: &Share, time: Duration) {
        if time > PAUSE_MIN {
            let until = self.since.elapsed().saturating_add(time);
            share.held_ns.store(nanoseconds(until), Ordering::Relaxed);
        }
    }

    /// Waits until a connection may go on.
    pub(super) async fn pause(&self, share: &Share) {
        while let Some(left) = self.left(share) {
            #[expect(clippy::disallowed_methods, reason = "it is held up for a time")]
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }

    /// How long a connection has to wait still; `None`: it may go on.
    fn left(&self, share: &Share) -> Option<Duration> {
        if !share.is_held_up() {
            return None;
        }
        let now = self.since.elapsed();
        let left_of = |until_ns: &AtomicU64| {
            Duration::from_nanos(until_ns.load(Ordering::Relaxed)).saturating_sub(now)
        };
        let (held, mut paused) = (left_of(&share.held_ns), left_of(&share.until_ns));
        if held.is_zero() {
            share.held_ns.store(0, Ordering::Relaxed);
        }
        if share.is_paused() {
            let account = *share.account.lock().unwrap_or_else(PoisonError::into_inner);
            if paused.is_zero() || !self.computing().has_to_wait(&account, now) {
                share.until_ns.store(0, Ordering::Relaxed);
                paused = Duration::ZERO;
            }
        }
        let left = held.max(paused);
        (!left.is_zero()).then_some(left)
    }

    fn computing(&self) -> MutexGuard<'_, Computing> {
        self.computing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            account: Mutex::new(Account::new()),
            earned_ns: AtomicU64::new(0),
            until_ns: AtomicU64::new(0),
            is_in_debt: AtomicBool::new(false),
            held_ns: AtomicU64::new(0),
        }
    }
}

impl Share {
    pub(super) fn earn(&self, ns: u64) {
        self.earned_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Whether it has used more than its part.
    pub(super) fn is_paused(&self) -> bool {
        self.until_ns.load(Ordering::Relaxed) > 0
    }

    /// Whether nothing is to be read of it, for that or for another reason.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_paused() || self.held_ns.load(Ordering::Relaxed) > 0
    }

    /// How much of `most` bytes is to be read at once.
    pub(super) fn read_bytes_max(&self, most: usize) -> usize {
        if self.is_in_debt.load(Ordering::Relaxed) { most.min(DEBT_READ_BYTES_MAX) } else { most }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
