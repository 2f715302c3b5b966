//! How long tests wait, and what they say when nothing comes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// No wait of a test that ends well takes so long, on a machine that is twenty times slower and has
/// other things to do.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How long a test may take that waits where no deadline can be set: in a lock, or for a thread. Above it, the whole
pub const TEST_MAX: Duration = Duration::from_secs(900);

/// Waits for `future` in a test that is async.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for this: {what}"),
    }
}

/// Waits for `future` in a test that is not.
pub fn block_on<T>(what: &str, future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(within(what, future))
}

/// Waits for what another thread sends.
pub fn receive<T>(what: &str, receiver: &Receiver<T>) -> T {
    match receiver.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("waited {PATIENCE:?} for this: {what}"),
        Err(RecvTimeoutError::Disconnected) => panic!("nobody is left to send {what}"),
    }
}

/// Waits until `is_so`, which other threads bring about and nobody tells.
#[expect(clippy::disallowed_methods, reason = "it has a deadline")]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for this: {what}");
        std::thread::yield_now();
    }
}

/// Waits for the end of a thread, and says what it gave. If it panicked, so does this.
#[expect(clippy::disallowed_methods, reason = "the thread has ended")]
pub fn joined<T>(what: &str, thread: ScopedJoinHandle<'_, T>) -> T {
    until(what, || thread.is_finished());
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Lets a moment pass, the longer the more `turns`: for tests that try many interleavings of threads, each of which
/// has to end well.
#[expect(clippy::disallowed_methods, reason = "nothing is waited for")]
pub fn linger(turns: usize) {
    (0..turns).for_each(|_| std::hint::spin_loop());
}

/// Where threads wait for each other, so that they go on at the same moment.
pub struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
}

impl Barrier {
    /// One for so many threads.
    pub fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0) }
    }

    /// Waits until as many have come here as others, this one included.
    pub fn wait(&self) {
        let arrived = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let all = arrived.next_multiple_of(self.threads);
        until("other threads at a barrier", || self.arrived.load(Ordering::Acquire) >= all);
    }
}

/// Ends the run if the test that holds this is not through after [`TEST_MAX`].
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// One for the test that calls this.
    pub fn start() -> Self {
        let (alive, watched) = channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if watched.recv_timeout(TEST_MAX) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test}: it waits for a lock or a thread since {TEST_MAX:?}");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}
