//! Threads for writes that may have to wait for the disk.
//!
//! The runtime's own blocking threads will not do: where the system starts no further thread, asking for one
//! panics. Here, whoever asks does the work by itself then.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Most threads. A disk that makes so many wait at once gets no faster by more; what finds none waits for one.
const THREADS_MAX: usize = 64;

/// How long a thread without work stays: a disk that is slow is so for a while.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// Starts a thread.
type Start = Box<dyn Fn(Work) -> io::Result<()> + Send + Sync>;

/// The threads. They end when this is dropped and their work is done.
pub(super) struct Writers {
    shared: Arc<Shared>,
    start: Start,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    works: VecDeque<Work>,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl Default for Writers {
    fn default() -> Self {
        Self::with(Box::new(|work| {
            std::thread::Builder::new().name("sandport-writer".into()).spawn(work).map(drop)
        }))
    }
}

impl Writers {
    fn with(start: Start) -> Self {
        Self { shared: Arc::default(), start }
    }

    /// Does `work` on one of the threads, or here where there is none to be had. What it returns comes to the
    /// receiver; nothing comes if it panics.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        // Nobody may wait for it any more.
        let work: Work = Box::new(move || drop(sender.send(work())));
        let mut queue = self.shared.lock();
        if queue.idle <= queue.works.len() && queue.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            queue.threads += 1;
            if let Err(error) = (self.start)(Box::new(move || shared.work())) {
                queue.threads -= 1;
                if queue.threads == 0 {
                    drop(queue);
                    tracing::debug!(%error, "no thread for a write: it is done on the one that read");
                    run_guarded(work);
                    return receiver;
                }
            }
        }
        queue.works.push_back(work);
        drop(queue);
        self.shared.changed.notify_one();
        receiver
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// What each thread does.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.works.pop_front() {
                drop(queue);
                run_guarded(work);
                queue = self.lock();
                continue;
            }
            if queue.ended {
                break;
            }
            queue.idle += 1;
            let waited = self.changed.wait_timeout(queue, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if timeout.timed_out() && queue.works.is_empty() {
                break;
            }
        }
        queue.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic is the matter of whoever waits for the work, and finds that nothing comes.
fn run_guarded(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{ThreadId, current};

    use super::*;
    use sandport_testkit::patience::block_on;

    fn outcome<T>(receiver: oneshot::Receiver<T>) -> Option<T> {
        block_on("the outcome of a write", receiver).ok()
    }

    fn here() -> ThreadId {
        current().id()
    }

    #[test]
    fn a_write_is_done_on_another_thread() {
        assert_ne!(outcome(Writers::default().run(here)), Some(here()));
    }

    #[test]
    fn a_write_for_which_no_thread_can_be_started_is_done_here() {
        let writers = Writers::with(Box::new(|_| Err(io::ErrorKind::WouldBlock.into())));
        for _ in 0..3 {
            assert_eq!(outcome(writers.run(here)), Some(here()));
        }
    }

    #[test]
    fn writes_beyond_the_last_possible_thread_wait_for_one() {
        let started = AtomicUsize::new(0);
        let writers =
            Writers::with(Box::new(move |work| match started.fetch_add(1, Ordering::Relaxed) {
                0 => std::thread::Builder::new().spawn(work).map(drop),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }));
        let all: Vec<_> = (0..20).map(|number| writers.run(move || (number, here()))).collect();
        let all: Vec<_> = all.into_iter().map(|it| outcome(it).unwrap()).collect();
        assert_eq!(all.iter().map(|it| it.0).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        assert!(all.iter().all(|it| it.1 == all[0].1 && it.1 != here()));
    }

    #[test]
    fn a_write_that_panics_costs_no_other() {
        let writers = Writers::default();
        assert_eq!(outcome(writers.run(|| -> () { panic!("on purpose") })), None);
        assert_eq!(outcome(writers.run(|| 7)), Some(7));
    }
}
