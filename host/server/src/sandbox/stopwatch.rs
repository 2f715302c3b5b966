//! How long one task has been running, by the clock on the wall and by the processor.
//!
//! A task runs while it is polled. It may go on on another thread after each poll, and other tasks run in
//! between: neither counts. While it is polled, the wall clock may go on without it, because other
//! threads and processes have the processor; only the clock of the thread tells. Reading that one is a system
//! call, and reading the wall clock is none: so the wall clock serves as a bound that is cheap.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// The clocks of a thread, in nanoseconds since any moment.
pub(super) trait Clock {
    /// The wall clock, which is never set back.
    fn wall_ns(&self) -> u64;

    /// The processor time of this thread.
    fn thread_ns(&self) -> u64;
}

/// Those of the system.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn wall_ns(&self) -> u64 {
        nanoseconds(ClockId::Monotonic)
    }

    fn thread_ns(&self) -> u64 {
        nanoseconds(ClockId::ThreadCPUTime)
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Neither is ever negative, and 2^64 nanoseconds are 584 years.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Measures one task. It runs from the start of the stopwatch on; [`Self::measure`] leaves pauses out.
pub(super) struct Stopwatch<C = SystemClock> {
    clock: C,
    /// The readings at which the task would have begun to run, had it never paused and never moved.
    wall_origin_ns: AtomicU64,
    thread_origin_ns: AtomicU64,
    waited_ns: AtomicU64,
}

/// What the stopwatch showed when the task paused.
struct Pause {
    running_ns: u64,
    processor_ns: u64,
    since_ns: u64,
}

impl Stopwatch {
    /// Starts to measure the task that is running on this thread.
    pub(super) fn start() -> Self {
        Self::with_clock(SystemClock)
    }
}

impl<C: Clock> Stopwatch<C> {
    pub(super) fn with_clock(clock: C) -> Self {
        Self {
            wall_origin_ns: AtomicU64::new(clock.wall_ns()),
            thread_origin_ns: AtomicU64::new(clock.thread_ns()),
            waited_ns: AtomicU64::new(0),
            clock,
        }
    }

    /// Nanoseconds that the task has been polled for. At least [`Self::processor_ns`].
    pub(super) fn running_ns(&self) -> u64 {
        self.clock.wall_ns().wrapping_sub(self.wall_origin_ns.load(Ordering::Relaxed))
    }

    /// Nanoseconds of processor time that the task has had. A system call.
    pub(super) fn processor_ns(&self) -> u64 {
        self.clock.thread_ns().wrapping_sub(self.thread_origin_ns.load(Ordering::Relaxed))
    }

    /// Nanoseconds that the task has waited between polls.
    pub(super) fn waited_ns(&self) -> u64 {
        self.waited_ns.load(Ordering::Relaxed)
    }

    /// Runs the task to its end.
    pub(super) async fn measure<F: Future>(&self, task: F) -> F::Output {
        let mut task = pin!(task);
        let mut pause = self.pause();
        std::future::poll_fn(move |context| {
            self.resume(&pause);
            let polled = task.as_mut().poll(context);
            pause = self.pause();
            polled
        })
        .await
    }

    fn pause(&self) -> Pause {
        Pause {
            running_ns: self.running_ns(),
            processor_ns: self.processor_ns(),
            since_ns: self.clock.wall_ns(),
        }
    }

    fn resume(&self, pause: &Pause) {
        let now_ns = self.clock.wall_ns();
        // One task uses it, so nobody reads between the two. The other thread's clock may be behind.
        self.wall_origin_ns.store(now_ns.wrapping_sub(pause.running_ns), Ordering::Relaxed);
        let thread_origin_ns = self.clock.thread_ns().wrapping_sub(pause.processor_ns);
        self.thread_origin_ns.store(thread_origin_ns, Ordering::Relaxed);
        self.waited_ns.fetch_add(now_ns.saturating_sub(pause.since_ns), Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod fake {
    //! Clocks that a test moves.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Clock;

    /// Clocks that begin at a moment of no meaning.
    #[derive(Clone)]
    pub(crate) struct FakeClock(Arc<(AtomicU64, AtomicU64)>);

    impl FakeClock {
        pub(crate) fn new() -> Self {
            Self(Arc::new((AtomicU64::new(1 << 50), AtomicU64::new(1 << 40))))
        }

        /// The thread has the processor for so long.
        pub(crate) fn compute_us(&self, us: u64) {
            self.pass_us(us);
            self.0.1.fetch_add(us * 1_000, Ordering::Relaxed);
        }

        /// Somebody else has the processor, or nobody wants it, for so long.
        pub(crate) fn pass_us(&self, us: u64) {
            self.0.0.fetch_add(us * 1_000, Ordering::Relaxed);
        }

        /// Everything that follows is on another thread, which has had the processor for so long.
        pub(crate) fn move_to_thread(&self, used_us: u64) {
            self.0.1.store(used_us * 1_000, Ordering::Relaxed);
        }
    }

    impl Clock for FakeClock {
        fn wall_ns(&self) -> u64 {
            self.0.0.load(Ordering::Relaxed)
        }

        fn thread_ns(&self) -> u64 {
            self.0.1.load(Ordering::Relaxed)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::fake::FakeClock;
    use super::*;

    #[test]
    fn a_task_is_measured_over_threads_and_without_its_pauses() {
        let clock = FakeClock::new();
        let stopwatch = Stopwatch::with_clock(clock.clone());
        let mut polls = 0;
        let task = std::future::poll_fn(|_| {
            polls += 1;
            clock.compute_us(100);
            clock.pass_us(7);
            if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        let mut measured = pin!(stopwatch.measure(task));
        let mut context = Context::from_waker(Waker::noop());
        // Busier and less busy than the thread before.
        for used_us in [9_000_000_000, 5] {
            assert!(measured.as_mut().poll(&mut context).is_pending());
            clock.pass_us(50_000);
            clock.move_to_thread(used_us);
        }
        assert!(measured.as_mut().poll(&mut context).is_ready());
        assert_eq!(stopwatch.processor_ns(), 300_000);
        assert_eq!(stopwatch.running_ns(), 321_000);
        assert_eq!(stopwatch.waited_ns(), 100_000_000);
    }

    #[test]
    fn the_clocks_of_the_system_go_on() {
        let stopwatch = Stopwatch::start();
        // It ends where the clock of the thread goes on.
        while stopwatch.processor_ns() == 0 {}
        assert!(stopwatch.running_ns() > 0);
        assert_eq!(stopwatch.waited_ns(), 0);
    }
}
