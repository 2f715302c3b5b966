//! A runtime whose threads are one, and whose clock is stepped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sandport_protocol::Millis;

use super::chance::Chance;
use crate::runtime::{Runtime, Task};

/// How many tasks may be under way at a time: so many of the next ones may come first.
const THREADS: u64 = 4;

/// Tasks and timers of one run of a server.
#[derive(Default)]
pub(super) struct Tasks {
    now: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Task>,
    timers: Vec<(Millis, Task)>,
    has_ended: bool,
}

impl Tasks {
    pub(super) fn new(now: Millis) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(now), ..Self::default() })
    }

    /// The next task, or one that another thread may begin before it.
    pub(super) fn take_ready(&self, chance: &Chance) -> Option<Task> {
        let mut waiting = self.waiting.lock().unwrap();
        let choice = THREADS.min(waiting.ready.len() as u64);
        if choice == 0 { None } else { waiting.ready.remove(chance.below(choice) as usize) }
    }

    /// The timer that is due first.
    pub(super) fn take_due(&self) -> Option<Task> {
        let now = self.now();
        let mut waiting = self.waiting.lock().unwrap();
        let (first, &(at, _)) = waiting.timers.iter().enumerate().min_by_key(|(_, (at, _))| *at)?;
        (at <= now).then(|| waiting.timers.remove(first).1)
    }

    /// When the next timer is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.waiting.lock().unwrap().timers.iter().map(|(at, _)| *at).min()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.waiting.lock().unwrap().ready.is_empty()
    }

    pub(super) fn advance(&self, by: Millis) {
        self.now.fetch_add(by, Ordering::Relaxed);
    }

    /// The server is gone: nothing is done any more.
    pub(super) fn end(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.has_ended = true;
        let left = (std::mem::take(&mut waiting.ready), std::mem::take(&mut waiting.timers));
        // What is dropped may bring other tasks.
        drop(waiting);
        drop(left);
    }
}

impl Runtime for Tasks {
    fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    fn spawn(&self, task: Task) {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.has_ended {
            drop(waiting);
            return drop(task);
        }
        waiting.ready.push_back(task);
    }

    fn read(&self, task: Task) {
        self.spawn(task);
    }

    fn remove(&self, task: Task) {
        self.spawn(task);
    }

    fn removals(&self) -> usize {
        0
    }

    fn wake(&self, at: Millis, task: Task) {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.has_ended {
            drop(waiting);
            return drop(task);
        }
        waiting.timers.push((at, task));
    }
}
