//! The threads of an inbox.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandport_protocol::Millis;

use super::Core;
use super::loss::Loss;
use super::runtime::{Runtime, Task};
use super::threads::{is_of_inbox, start_thread};

/// How many threads there are. A disk that syncs a large file keeps one of them busy for seconds, and each
/// upload asks for one thing at a time.
const THREADS: usize = 4;

/// How many threads read whole files. Each reading takes as long as its file is large, and is for one sender alone; so
/// no number of them keeps others from the disk.
const READERS: usize = 2;

/// How many threads remove files. A file system that frees a large one keeps a thread busy for seconds, and a directory
/// that hangs for as long as it does. Whoever waits for them waits for these files alone.
const REMOVERS: usize = 2;

/// The name of each of these threads.
pub(super) const REMOVER: &str = "sandport-remove";

/// The threads of an inbox. Dropping it waits until all has been done that was spawned.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    since: Since,
    waiting: Mutex<Waiting>,
    /// Told of what is ready, and of timers.
    changed: Condvar,
    /// Told of what is to be read.
    reading: Condvar,
    /// Told of what is to be removed.
    removing: Condvar,
    /// Told when nothing is ready or under way.
    idle: Condvar,
    /// How much waits to be removed, or is being removed.
    removals: AtomicUsize,
}

/// When the clock was started.
struct Since(Instant);

#[derive(Default)]
struct Waiting {
    ready: Line,
    readings: Line,
    removals: Line,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_made: u64,
    /// How many tasks are under way, each of which may bring others.
    running: usize,
    ends: bool,
    /// All threads have ended: what comes now is not done, but for removals.
    has_ended: bool,
}

/// What waits for threads of one kind.
#[derive(Default)]
struct Line {
    tasks: VecDeque<Task>,
    /// How many of them there are still.
    threads: usize,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Works,
    Reads,
    Removes,
}

/// By its time, and then by its number.
struct Timer(Millis, u64, Task);

impl Pool {
    /// Starts the threads of an inbox. `after`: what is told when one of them has panicked.
    ///
    /// # Errors
    /// The system starts no further thread.
    pub(super) fn start(
        core: &Arc<Core>,
        after: impl Fn(Loss) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let threads = Vec::with_capacity(THREADS + READERS + REMOVERS);
        let mut pool = Self { queue: Arc::clone(&queue), threads };
        let works = [(Kind::Works, "sandport-upload"); THREADS];
        let reads = [(Kind::Reads, "sandport-read"); READERS];
        let removes = [(Kind::Removes, REMOVER); REMOVERS];
        for (kind, name) in works.into_iter().chain(reads).chain(removes) {
            queue.waiting().line(kind).threads += 1;
            let (of_thread, after) = (Arc::clone(&queue), after.clone());
            let work = move || of_thread.run(kind);
            pool.threads.push(start_thread(core, name, work, after)?);
        }
        Ok(pool)
    }

    /// Waits until nothing is ready or under way.
    pub(super) fn wait_idle(&self) {
        let mut waiting = self.queue.waiting();
        while !waiting.is_idle() {
            // Whoever is last tells.
            #[expect(clippy::disallowed_methods, reason = "each task ends")]
            let woken = self.queue.idle.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.queue) as Arc<dyn Runtime>
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.waiting().ends = true;
        self.queue.notify_all();
        for thread in self.threads.drain(..) {
            if !is_of_inbox() {
                // Its panics are told by the inbox.
                #[expect(clippy::disallowed_methods, reason = "it was told to stop")]
                let _ = thread.join();
            }
        }
        // What is left where all have panicked has the inbox, and the inbox has this.
        let ended = Waiting { has_ended: true, ..Waiting::default() };
        let left = std::mem::replace(&mut *self.queue.waiting(), ended);
        drop(left);
    }
}

impl Runtime for Queue {
    fn now(&self) -> Millis {
        u64::try_from(self.since.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn spawn(&self, task: Task) {
        let mut waiting = self.waiting();
        if !waiting.has_ended {
            waiting.ready.tasks.push_back(task);
            drop(waiting);
            self.changed.notify_one();
        }
    }

    fn read(&self, task: Task) {
        let mut waiting = self.waiting();
        if !waiting.has_ended {
            waiting.readings.tasks.push_back(task);
            drop(waiting);
            self.reading.notify_one();
        }
    }

    fn wake(&self, at: Millis, task: Task) {
        let mut waiting = self.waiting();
        waiting.timers_made += 1;
        let number = waiting.timers_made;
        waiting.timers.push(Reverse(Timer(at, number, task)));
        drop(waiting);
        self.changed.notify_one();
    }

    fn remove(&self, task: Task) {
        let mut waiting = self.waiting();
        if waiting.has_ended {
            drop(waiting);
            return task();
        }
        waiting.removals.tasks.push_back(task);
        self.removals.fetch_add(1, Ordering::Relaxed);
        drop(waiting);
        self.removing.notify_one();
    }

    fn removals(&self) -> usize {
        self.removals.load(Ordering::Relaxed)
    }
}

impl Waiting {
    fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::Works => &mut self.ready,
            Kind::Reads => &mut self.readings,
            Kind::Removes => &mut self.removals,
        }
    }

    /// Whether nothing is under way or about to be.
    fn is_idle(&self) -> bool {
        // Of what waits for threads that have panicked, nothing is ever done.
        let waits = |line: &Line| line.threads > 0 && !line.tasks.is_empty();
        let lines = [&self.ready, &self.readings, &self.removals];
        self.running == 0 && !lines.into_iter().any(waits)
    }
}

impl Queue {
    fn notify_all(&self) {
        self.changed.notify_all();
        self.reading.notify_all();
        self.removing.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, kind: Kind) {
        let _alive = Alive(self, kind);
        while let Some(task) = self.next(kind) {
            let _running = Running(self, kind);
            task();
        }
    }

    /// The next thing to be done; `None`: the inbox ends, and nothing is left.
    fn next(&self, kind: Kind) -> Option<Task> {
        let mut waiting = self.waiting();
        loop {
            let task = match kind {
                Kind::Works => self.ready(&mut waiting),
                Kind::Reads => waiting.readings.tasks.pop_front(),
                Kind::Removes => waiting.removals.tasks.pop_front(),
            };
            if let Some(task) = task {
                waiting.running += 1;
                return Some(task);
            }
            if waiting.ends && waiting.is_idle() {
                self.notify_all();
                return None;
            }
            let due = waiting.timers.peek().map(|Reverse(Timer(at, ..))| *at);
            let woken = match due.filter(|_| !waiting.ends && kind == Kind::Works) {
                #[expect(clippy::disallowed_methods, reason = "the end of the inbox ends it")]
                None => self.condition(kind).wait(waiting),
                Some(at) => {
                    let wait = Duration::from_millis(at.saturating_sub(self.now()));
                    match self.changed.wait_timeout(waiting, wait) {
                        Ok((waiting, _)) => Ok(waiting),
                        Err(poisoned) => Ok(poisoned.into_inner().0),
                    }
                }
            };
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn condition(&self, kind: Kind) -> &Condvar {
        match kind {
            Kind::Works => &self.changed,
            Kind::Reads => &self.reading,
            Kind::Removes => &self.removing,
        }
    }

    /// What is due, and else what is ready: that may never run dry.
    fn ready(&self, waiting: &mut Waiting) -> Option<Task> {
        let now = self.now();
        if waiting.timers.peek().is_some_and(|Reverse(Timer(at, ..))| *at <= now)
            && let Some(Reverse(Timer(_, _, task))) = waiting.timers.pop()
        {
            return Some(task);
        }
        waiting.ready.tasks.pop_front()
    }
}

/// A thread, until it ends or panics.
struct Alive<'a>(&'a Queue, Kind);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        let Self(queue, kind) = self;
        queue.waiting().line(*kind).threads -= 1;
        queue.idle.notify_all();
        // Those of the other kind may wait for what is not done any more.
        queue.notify_all();
    }
}

/// A task under way, also where it panics: then the others are to end all the same.
struct Running<'a>(&'a Queue, Kind);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.1 == Kind::Removes {
            self.0.removals.fetch_sub(1, Ordering::Relaxed);
        }
        let mut waiting = self.0.waiting();
        waiting.running -= 1;
        let (is_idle, ends) = (waiting.is_idle(), waiting.ends);
        drop(waiting);
        if is_idle {
            self.0.idle.notify_all();
            if ends {
                self.0.notify_all();
            }
        }
    }
}

impl Default for Since {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

#[cfg(test)]
mod tests;
