//! Making room: uploads that were refused for want of space go when others need it, and what is staged in vain goes
//! anyhow.
//!
//! That is done by threads that may wait for the disk. What is being freed counts as free meanwhile, so nobody waits for
//! it but whoever finds the disk full.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::ledger::fits;
use super::{BESIDE_BYTES, Core, Refused, is_small};

/// How long a write or an offer waits at most for room that is being made. A file system frees gigabytes in that time;
/// where it does not, the sender is refused for now.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often a write is tried that finds the disk full each time room was made: others may be faster.
const TRIES_MAX: u32 = 4;

/// How many writes wait at a time. Each takes a thread from those who serve connections, in whose place another is
/// started.
const WAITING_MAX: usize = 16;

/// Room that is being made.
#[derive(Default)]
pub(super) struct Freeing {
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
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    fn is_running(&self) -> bool {
        self.state().running > 0
    }

    fn ended(&self) -> u64 {
        self.state().ended
    }

    fn begin(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(bytes);
        state.running += 1;
    }

    fn end(&self, bytes: u64) {
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
    fn wait_aside(&self, seen: u64) -> bool {
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

/// So much is being freed, and counts as free, until this is dropped.
pub(in crate::inbox) struct BeingFreed {
    core: Arc<Core>,
    bytes: u64,
}

impl BeingFreed {
    pub(in crate::inbox) fn new(core: &Arc<Core>, bytes: u64) -> Self {
        core.space.freeing.begin(bytes);
        Self { core: Arc::clone(core), bytes }
    }
}

impl Drop for BeingFreed {
    fn drop(&mut self) {
        self.core.space.freeing.end(self.bytes);
    }
}

/// Uploads that are being removed, for the room that they take.
struct Room {
    freed: BeingFreed,
    refused: Vec<Refused>,
    /// How much is wanted.
    wanted: u64,
}

impl Room {
    fn make(self) {
        let core = &self.freed.core;
        let Some(partials) = core.partials() else { return };
        let mut freed = 0_u64;
        let mut refused = self.refused;
        while !refused.is_empty() {
            for Refused { id, bytes } in refused {
                // Somebody may have come back for it just now, or another program has removed it.
                if partials.discard_waiting(id) {
                    tracing::info!(%id, bytes, "removed an upload that was refused for want of space: others need the room");
                    freed = freed.saturating_add(bytes);
                }
            }
            let left = self.wanted.saturating_sub(freed);
            refused = if left > 0 { core.space.take_refused(left) } else { Vec::new() };
        }
    }
}

impl Core {
    /// Has uploads removed that were refused for want of space, the oldest first, until they have freed `bytes`.
    /// Whether it will come to that; where all of them would not do, none is removed.
    pub(super) fn make_room(self: &Arc<Self>, bytes: u64) -> bool {
        let refused = self.space.take_refused(bytes);
        if refused.is_empty() {
            return false;
        }
        let freed = refused.iter().fold(0_u64, |sum, refused| sum.saturating_add(refused.bytes));
        let room = Room { freed: BeingFreed::new(self, freed), refused, wanted: bytes };
        self.remove_later(move || room.make());
        true
    }

    /// Does what writes `bytes`; where the disk is full, once more after room was made, also by what is removed for other
    /// reasons.
    pub(in crate::inbox) fn with_room<T>(
        self: &Arc<Self>,
        bytes: u64,
        mut write: impl FnMut() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        let freeing = &self.space.freeing;
        for _ in 1..TRIES_MAX {
            let seen = freeing.ended();
            match write() {
                Err(Errno::NOSPC) => {}
                written => return written,
            }
            let wanted = bytes.saturating_add(BESIDE_BYTES).saturating_sub(freeing.bytes());
            if wanted > 0 {
                self.make_room(wanted);
            }
            if !freeing.wait_aside(seen) {
                return Err(Errno::NOSPC);
            }
        }
        write()
    }

    /// Makes room for a small upload that would not fit, and waits for that: it claims nothing with its first byte, when
    /// others make room for themselves. Nothing is done for a large one.
    pub(in crate::inbox) async fn make_room_for_small(self: &Arc<Self>, size: Option<u64>) {
        let size = size.unwrap_or(0);
        if !is_small(size) || self.space.refused().is_empty() {
            return;
        }
        let others = self.space.ledger().claimed_by_others(self.space.now(), None);
        let wanted = size.saturating_add(BESIDE_BYTES);
        let Some(free) = self.free() else { return };
        if let Err(shortage) = fits(wanted, free, self.options.free_min, others)
            && self.make_room(shortage.bytes)
        {
            self.looks(WAIT_MAX, || !self.space.freeing.is_running()).await;
        }
    }
}
