//! Where the work of uploads is done, and their clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandport_protocol::Millis;

use crate::inbox::Core;
use crate::inbox::health::Loss;
use crate::inbox::threads::{is_of_inbox, start_thread};

/// How many threads there are. A disk that syncs a large file keeps one of them busy for seconds, and each
/// upload asks for one thing at a time.
const THREADS: usize = 4;

/// Something to be done.
pub(in crate::inbox) type Task = Box<dyn FnOnce() + Send>;

/// Threads that may wait for a disk, and a clock. Tests have one that is simulated.
pub(in crate::inbox) trait Runtime: Send + Sync {
    /// Milliseconds since any fixed moment, never going back.
    fn now(&self) -> Millis;

    /// Has it done soon, after all that were given before.
    fn spawn(&self, task: Task);

    /// Has it done at that time. What is not due when the inbox ends is left out.
    fn wake(&self, at: Millis, task: Task);
}

/// The threads of an inbox. Dropping it waits until all has been done that was spawned.
pub(in crate::inbox) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

struct Queue {
    since: Instant,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Told when nothing is ready or under way.
    idle: Condvar,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Task>,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_made: u64,
    /// How many tasks are under way, each of which may bring others.
    running: usize,
    /// How many threads there are still.
    threads: usize,
    ends: bool,
    /// All threads have ended: what comes now is not done.
    has_ended: bool,
}

/// By its time, and then by its number.
struct Timer(Millis, u64, Task);

impl Pool {
    /// Starts the threads of an inbox. `after`: what is told when one of them has panicked.
    ///
    /// # Errors
    /// The system starts no further thread.
    pub(in crate::inbox) fn start(
        core: &Arc<Core>,
        after: impl Fn(Loss) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let (since, waiting) = (Instant::now(), Mutex::default());
        let (changed, idle) = (Condvar::new(), Condvar::new());
        let queue = Arc::new(Queue { since, waiting, changed, idle });
        let mut pool = Self { queue: Arc::clone(&queue), threads: Vec::with_capacity(THREADS) };
        for _ in 0..THREADS {
            queue.waiting().threads += 1;
            let (of_thread, after) = (Arc::clone(&queue), after.clone());
            let work = move || of_thread.run();
            pool.threads.push(start_thread(core, "sandport-upload", work, after)?);
        }
        Ok(pool)
    }

    /// Waits until nothing is ready or under way.
    pub(in crate::inbox) fn wait_idle(&self) {
        let mut waiting = self.queue.waiting();
        while waiting.threads > 0 && (!waiting.ready.is_empty() || waiting.running > 0) {
            // Whoever is last tells.
            #[expect(clippy::disallowed_methods, reason = "each task ends")]
            let woken = self.queue.idle.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(in crate::inbox) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.queue) as Arc<dyn Runtime>
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.waiting().ends = true;
        self.queue.changed.notify_all();
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
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn spawn(&self, task: Task) {
        let mut waiting = self.waiting();
        if !waiting.has_ended {
            waiting.ready.push_back(task);
            drop(waiting);
            self.changed.notify_one();
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
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let _alive = Alive(self);
        while let Some(task) = self.next() {
            let _running = Running(self);
            task();
        }
    }

    /// The next thing to be done; `None`: the inbox ends, and nothing is left.
    fn next(&self) -> Option<Task> {
        let mut waiting = self.waiting();
        loop {
            let now = self.now();
            let due = waiting.timers.peek().map(|Reverse(Timer(at, ..))| *at);
            // Timers that are due first: what is ready may never run dry.
            if due.is_some_and(|at| at <= now)
                && let Some(Reverse(Timer(_, _, task))) = waiting.timers.pop()
            {
                waiting.running += 1;
                return Some(task);
            }
            if let Some(task) = waiting.ready.pop_front() {
                waiting.running += 1;
                return Some(task);
            }
            if waiting.ends && waiting.running == 0 {
                self.changed.notify_all();
                return None;
            }
            let woken = match due.filter(|_| !waiting.ends) {
                #[expect(clippy::disallowed_methods, reason = "the end of the inbox ends it")]
                None => self.changed.wait(waiting),
                Some(at) => {
                    let wait = Duration::from_millis(at - now);
                    match self.changed.wait_timeout(waiting, wait) {
                        Ok((waiting, _)) => Ok(waiting),
                        Err(poisoned) => Ok(poisoned.into_inner().0),
                    }
                }
            };
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread, until it ends or panics.
struct Alive<'a>(&'a Queue);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.waiting().threads -= 1;
        self.0.idle.notify_all();
    }
}

/// A task under way, also where it panics: then the others are to end all the same.
struct Running<'a>(&'a Queue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.running -= 1;
        let is_idle = waiting.running == 0 && waiting.ready.is_empty();
        let ends = waiting.ends;
        drop(waiting);
        if is_idle {
            self.0.idle.notify_all();
            if ends {
                self.0.changed.notify_all();
            }
        }
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
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::patience::{Watchdog, until};

    fn queue() -> Arc<Queue> {
        let (since, waiting) =
            (Instant::now(), Mutex::new(Waiting { threads: 1, ..Waiting::default() }));
        Arc::new(Queue { since, waiting, changed: Condvar::new(), idle: Condvar::new() })
    }

    /// Comes again as soon as it has run, until it is to stop.
    fn again(queue: &Arc<Queue>, stops: &Arc<AtomicBool>) {
        let (next, until) = (Arc::clone(queue), Arc::clone(stops));
        queue.spawn(Box::new(move || {
            if !until.load(Ordering::Relaxed) {
                again(&next, &until);
            }
        }));
    }

    #[test]
    fn what_is_due_is_done_though_something_is_always_ready() {
        let _watchdog = Watchdog::start();
        let (queue, stops) = (queue(), Arc::new(AtomicBool::new(false)));
        again(&queue, &stops);
        let (is_done, done) = (Arc::clone(&stops), Arc::clone(&stops));
        queue.wake(queue.now() + 20, Box::new(move || is_done.store(true, Ordering::Relaxed)));
        queue.waiting().ends = true;
        // It ends when nothing is ready any more.
        std::thread::scope(|scope| {
            scope.spawn(|| queue.run());
            until("what was due", || done.load(Ordering::Relaxed));
        });
    }

    #[test]
    fn what_is_due_first_is_done_first() {
        let _watchdog = Watchdog::start();
        let (queue, order) = (queue(), Arc::<Mutex<Vec<u64>>>::default());
        for at in [3, 1, 2] {
            let order = Arc::clone(&order);
            let done = move || order.lock().unwrap_or_else(PoisonError::into_inner).push(at);
            queue.wake(at, Box::new(done));
        }
        std::thread::scope(|scope| {
            scope.spawn(|| queue.run());
            until("all that was due", || {
                order.lock().unwrap_or_else(PoisonError::into_inner).len() == 3
            });
            queue.waiting().ends = true;
            queue.changed.notify_all();
        });
        assert_eq!(*order.lock().unwrap_or_else(PoisonError::into_inner), [1, 2, 3]);
    }
}
