//! How much room is being made, and waiting for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long a write or an offer waits at most for room that is being made. A file system frees gigabytes in that time;
/// where it does not, the sender is refused for now.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

/// How many writes wait at a time. Each takes a thread from those who serve connections, in whose place another is
/// started.
const WAITING_MAX: usize = 16;

/// Room that is being made.
#[derive(Default)]
pub(crate) struct Freeing {
    state: Mutex<State>,
    changed: Condvar,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// What it comes to.
    bytes: u64,
    /// How many are at it.
    running: usize,
    /// How often that has ended.
    ended: u64,
}

impl Freeing {
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state().running > 0
    }

    pub(crate) fn ended(&self) -> u64 {
        self.state().ended
    }

    pub(crate) fn begin(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(bytes);
        state.running += 1;
    }

    pub(crate) fn end(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.running -= 1;
        state.ended += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until more has ended than `seen`, if anything is under way; whether it has.
    fn wait(&self, seen: u64) -> bool {
        let deadline = Instant::now() + WAIT_MAX;
        let mut state = self.state();
        while state.ended == seen && state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        state.ended != seen
    }

    /// The same without keeping connections waiting that live on the same thread: another takes its place. `false` also
    /// where there is none, or too many wait already.
    pub(crate) fn wait_aside(&self, seen: u64) -> bool {
        if !self.is_running() {
            return self.ended() != seen;
        }
        let waiting = Waiting::of(&self.waiting);
        if waiting.others >= WAITING_MAX {
            return false;
        }
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Err(_) => self.wait(seen),
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| self.wait(seen)),
            Ok(_) => self.ended() != seen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits, until this is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    others: usize,
}

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        Self { count, others: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
