//! The compute budget of one instance.
//!
//! A guest is charged for the processor time that it uses, and the host for what it does for the guest in
//! host calls: each from an account of its own, since honest work costs the host more than the guest, and a
//! guest that is taken over may have the host work for nothing. Bytes that arrive fill both accounts again,
//! up to their size: an honest connection may last for days. A deadline over the whole call would kill a
//! slow sender and let a fast attacker compute.
//!
//! At host calls only the wall clock is read, which costs no system call and goes at least as fast as the
//! processor time. It says whose the time was; how much it was says the clock of the thread, which is asked
//! every ten milliseconds. So a busy machine costs nobody a connection.
//!
//! A resident instance has a thread of its own, and one account: what the host does for it counts like
//! what it does itself. Waiting fills its account as well, slowly: who computes without traffic and without a
//! pause is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::CallHook;

use super::engine::{EPOCH_TICK, SandboxLimits};
use super::stopwatch::{Clock, Stopwatch, SystemClock};

const MIB: u64 = 1024 * 1024;

/// How long guest and host run between two charges, at most, where no tick comes. Nanoseconds: as a tick. A
/// charge is a system call, and a host call may take less than that.
const CHARGE_INTERVAL_NS: u64 = EPOCH_TICK.as_nanos() as u64;

/// The guest used up its compute time, or the host's.
#[derive(Debug, thiserror::Error)]
pub(super) enum BudgetExhausted {
    #[error("the receiver went over its compute budget of {burst_ms} ms without payload arriving")]
    Guest { burst_ms: u128 },
    #[error("the receiver kept the host busy for more than {burst_ms} ms without payload arriving")]
    Host { burst_ms: u128 },
}

pub(super) struct Budget<C = SystemClock> {
    stopwatch: Arc<Stopwatch<C>>,
    /// Bytes that arrived on the connection so far.
    arrived: Arc<AtomicU64>,
    guest: Account,
    /// `None`: the guest pays for the host too.
    host: Option<Account>,
    /// How long the instance had been running when the guest was entered or left last.
    marked_ns: u64,
    /// How long guest and host have been running since the last charge, at most.
    guest_ns: u64,
    host_ns: u64,
    /// Processor time that was charged.
    charged_ns: u64,
}

/// Processor time that may be used.
struct Account {
    burst_ns: u64,
    left_ns: u64,
    per_mib: Duration,
    per_second_waited: Duration,
    credited_bytes: u64,
    credited_waited_ns: u64,
}

impl<C: Clock> Budget<C> {
    /// For a guest that shares threads with others.
    pub(super) fn new(
        limits: &SandboxLimits,
        stopwatch: Arc<Stopwatch<C>>,
        arrived: Arc<AtomicU64>,
    ) -> Self {
        let host = Account::new(limits.host_burst, limits.host_per_mib, Duration::ZERO);
        Self { host: Some(host), ..Self::of_thread(limits, stopwatch, arrived) }
    }

    /// For a guest that has a thread to itself.
    pub(super) fn of_thread(
        limits: &SandboxLimits,
        stopwatch: Arc<Stopwatch<C>>,
        arrived: Arc<AtomicU64>,
    ) -> Self {
        let guest = Account::new(
            limits.compute_burst,
            limits.compute_per_mib,
            limits.compute_per_second_waited,
        );
        Self {
            marked_ns: stopwatch.running_ns(),
            charged_ns: stopwatch.processor_ns(),
            stopwatch,
            arrived,
            guest,
            host: None,
            guest_ns: 0,
            host_ns: 0,
        }
    }

    /// The guest is entered or left.
    pub(super) fn handle_hook(&mut self, hook: CallHook) -> Result<(), BudgetExhausted> {
        if self.host.is_none() {
            return Ok(());
        }
        let now_ns = self.stopwatch.running_ns();
        let passed_ns = now_ns.saturating_sub(self.marked_ns);
        self.marked_ns = now_ns;
        match hook {
            // Also in the midst of a host call, which asks the guest for memory.
            CallHook::CallingHost | CallHook::ReturningFromWasm => self.guest_ns += passed_ns,
            CallHook::CallingWasm | CallHook::ReturningFromHost => self.host_ns += passed_ns,
        }
        if self.guest_ns + self.host_ns < CHARGE_INTERVAL_NS { Ok(()) } else { self.settle() }
    }

    /// The guest is still computing, and interrupted.
    pub(super) fn handle_tick(&mut self) -> Result<(), BudgetExhausted> {
        self.settle()
    }

    /// Charges the processor time that was used: as guest and host were running in turns.
    fn settle(&mut self) -> Result<(), BudgetExhausted> {
        let processor_ns = self.stopwatch.processor_ns();
        let used_ns = processor_ns.saturating_sub(self.charged_ns);
        self.charged_ns = processor_ns;
        let running_ns = self.guest_ns + self.host_ns;
        let host_ns = match running_ns {
            0 => 0,
            _ => u128::from(used_ns) * u128::from(self.host_ns) / u128::from(running_ns),
        };
        // No more than `used_ns`.
        let host_ns = u64::try_from(host_ns).unwrap_or(u64::MAX);
        (self.guest_ns, self.host_ns) = (0, 0);
        let arrived = self.arrived.load(Ordering::Relaxed);
        let waited_ns = self.stopwatch.waited_ns();
        if !self.guest.charge(used_ns - host_ns, arrived, waited_ns) {
            return Err(BudgetExhausted::Guest { burst_ms: self.guest.burst_ms() });
        }
        if let Some(host) = &mut self.host
            && !host.charge(host_ns, arrived, waited_ns)
        {
            return Err(BudgetExhausted::Host { burst_ms: host.burst_ms() });
        }
        Ok(())
    }
}

impl Account {
    fn new(burst: Duration, per_mib: Duration, per_second_waited: Duration) -> Self {
        let burst_ns = u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX);
        Self {
            burst_ns,
            left_ns: burst_ns,
            per_mib,
            per_second_waited,
            credited_bytes: 0,
            credited_waited_ns: 0,
        }
    }

    /// Takes `used_ns` out, after what was earned so far was put in; whether there was enough.
    fn charge(&mut self, used_ns: u64, arrived: u64, waited_ns: u64) -> bool {
        // Crediting is left until it is needed: the common case costs one subtraction.
        if used_ns > self.left_ns {
            self.credit(arrived, waited_ns);
        }
        let left_ns = self.left_ns.checked_sub(used_ns);
        self.left_ns = left_ns.unwrap_or(0);
        left_ns.is_some()
    }

    fn credit(&mut self, arrived: u64, waited_ns: u64) {
        let fresh = arrived.saturating_sub(self.credited_bytes);
        self.credited_bytes = arrived;
        let waited_ns = waited_ns - std::mem::replace(&mut self.credited_waited_ns, waited_ns);
        let earned = self.per_mib.as_secs_f64() * (fresh as f64 / MIB as f64)
            + self.per_second_waited.as_secs_f64() * (waited_ns as f64 / 1e9);
        // A float that is too large becomes the largest integer.
        let earned_ns = (earned * 1e9) as u64;
        self.left_ns = self.left_ns.saturating_add(earned_ns).min(self.burst_ns);
    }

    fn burst_ms(&self) -> u128 {
        Duration::from_nanos(self.burst_ns).as_millis()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::stopwatch::fake::FakeClock;
    use super::*;

    const MS: u64 = 1_000;

    /// A guest with 100 ms to compute, 10 ms for each MiB, and a host with 50 ms and 100 ms for each MiB.
    struct Guest {
        clock: FakeClock,
        arrived: Arc<AtomicU64>,
        stopwatch: Arc<Stopwatch<FakeClock>>,
        budget: Budget<FakeClock>,
    }

    type Make = fn(&SandboxLimits, Arc<Stopwatch<FakeClock>>, Arc<AtomicU64>) -> Budget<FakeClock>;

    fn limits() -> SandboxLimits {
        SandboxLimits {
            compute_burst: Duration::from_millis(100),
            compute_per_mib: Duration::from_millis(10),
            host_burst: Duration::from_millis(50),
            host_per_mib: Duration::from_millis(100),
            ..SandboxLimits::default()
        }
    }

    impl Guest {
        fn new() -> Self {
            Self::with(Budget::new, limits())
        }

        fn with(make: Make, limits: SandboxLimits) -> Self {
            let (clock, arrived) = (FakeClock::new(), Arc::default());
            let stopwatch = Arc::new(Stopwatch::with_clock(clock.clone()));
            let budget = make(&limits, Arc::clone(&stopwatch), Arc::clone(&arrived));
            Self { clock, arrived, stopwatch, budget }
        }

        fn arrive(&self, bytes: u64) {
            self.arrived.fetch_add(bytes, Ordering::Relaxed);
        }

        /// Computes for so long, then calls the host, which computes for so long.
        fn step(&mut self, guest_us: u64, host_us: u64) -> Result<(), BudgetExhausted> {
            self.budget.handle_hook(CallHook::ReturningFromHost)?;
            self.clock.compute_us(guest_us);
            self.budget.handle_hook(CallHook::CallingHost)?;
            self.clock.compute_us(host_us);
            self.budget.handle_hook(CallHook::ReturningFromHost)?;
            self.budget.handle_tick()
        }
    }

    #[track_caller]
    fn expect_guest(outcome: Result<(), BudgetExhausted>) {
        assert!(matches!(outcome, Err(BudgetExhausted::Guest { burst_ms: 100 })), "{outcome:?}");
    }

    #[track_caller]
    fn expect_host(outcome: Result<(), BudgetExhausted>) {
        assert!(matches!(outcome, Err(BudgetExhausted::Host { burst_ms: 50 })), "{outcome:?}");
    }

    #[test]
    fn computing_runs_out_without_payload() {
        let mut guest = Guest::new();
        guest.step(100 * MS, 0).unwrap();
        expect_guest(guest.step(1, 0));
    }

    #[test]
    fn a_loop_without_host_calls_is_charged_at_each_tick() {
        let mut guest = Guest::new();
        for _ in 0..10 {
            guest.clock.compute_us(10 * MS);
            guest.budget.handle_tick().unwrap();
        }
        guest.clock.compute_us(10 * MS);
        expect_guest(guest.budget.handle_tick());
    }

    #[test]
    fn payload_pays_for_compute_time_once_and_up_to_the_burst() {
        let mut guest = Guest::new();
        guest.arrive(5 * MIB);
        guest.step(100 * MS, 0).unwrap();
        guest.step(50 * MS, 0).unwrap();
        expect_guest(guest.step(MS, 0));

        let mut guest = Guest::new();
        guest.step(100 * MS, 0).unwrap();
        guest.arrive(u64::MAX);
        expect_guest(guest.step(101 * MS, 0));
    }

    #[test]
    fn a_busy_machine_costs_no_guest_its_budget() {
        // Others have the processor for 99 ms of 100, in the midst of the guest and of the host.
        let mut guest = Guest::new();
        let mut step = || {
            guest.clock.compute_us(MS);
            guest.clock.pass_us(99 * MS);
            guest.budget.handle_hook(CallHook::CallingHost)?;
            guest.clock.compute_us(MS / 4);
            guest.clock.pass_us(99 * MS / 4);
            guest.budget.handle_hook(CallHook::ReturningFromHost)
        };
        // What it uses is counted all the same.
        let steps = (0..1_000).take_while(|_| step().is_ok()).count();
        assert!((99..=101).contains(&steps), "{steps} steps of a millisecond");
    }

    #[test]
    fn a_guest_that_moves_between_threads_is_charged_for_each() {
        let mut guest = Guest::new();
        let (clock, stopwatch) = (guest.clock.clone(), Arc::clone(&guest.stopwatch));
        let run = std::future::poll_fn(|_| {
            guest.clock.compute_us(30 * MS);
            match guest.budget.handle_tick() {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(error),
            }
        });
        let mut run = pin!(stopwatch.measure(run));
        let mut context = Context::from_waker(Waker::noop());
        for used_us in [0, 1 << 40, 3 * MS] {
            assert!(run.as_mut().poll(&mut context).is_pending());
            clock.pass_us(1_000 * MS);
            clock.move_to_thread(used_us);
        }
        let ended = run.as_mut().poll(&mut context);
        assert!(matches!(ended, Poll::Ready(BudgetExhausted::Guest { .. })));
    }

    #[test]
    fn what_the_host_does_in_a_call_is_charged() {
        let mut guest = Guest::new();
        guest.step(MS, 50 * MS).unwrap();
        expect_host(guest.step(MS, MS));
    }

    #[test]
    fn a_loop_of_host_calls_runs_out() {
        let mut guest = Guest::new();
        let mut call = || {
            guest.clock.compute_us(1);
            guest.budget.handle_hook(CallHook::CallingHost)?;
            guest.clock.compute_us(1);
            guest.budget.handle_hook(CallHook::ReturningFromHost)
        };
        let calls = (0..1_000_000).take_while(|_| call().is_ok()).count();
        assert!((49_000..=55_000).contains(&calls), "{calls} calls of a microsecond");
    }

    #[test]
    fn waiting_in_a_host_call_is_free() {
        let mut guest = Guest::new();
        let (clock, stopwatch) = (guest.clock.clone(), Arc::clone(&guest.stopwatch));
        guest.budget.handle_hook(CallHook::CallingHost).unwrap();
        let mut polls = 0;
        let wait = std::future::poll_fn(|_| {
            polls += 1;
            if polls < 100 { Poll::Pending } else { Poll::Ready(()) }
        });
        let mut wait = pin!(stopwatch.measure(wait));
        let mut context = Context::from_waker(Waker::noop());
        while wait.as_mut().poll(&mut context).is_pending() {
            clock.pass_us(60_000 * MS);
        }
        guest.budget.handle_hook(CallHook::ReturningFromHost).unwrap();
        guest.step(90 * MS, 40 * MS).unwrap();
    }

    #[test]
    fn honest_small_files_pay_for_themselves() {
        let mut guest = Guest::with(Budget::new, SandboxLimits::default());
        // A million files of a hundred bytes with their headers. A busy machine of two cores takes 12 µs of the
        // guest and 70 µs of the host for each; this one takes three times as much.
        for _ in 0..1_000_000 {
            guest.arrive(100);
            guest.step(36, 210).unwrap();
        }
    }

    #[test]
    fn memory_that_a_host_call_asks_for_is_the_guests_time() {
        let mut guest = Guest::new();
        guest.budget.handle_hook(CallHook::CallingHost).unwrap();
        let mut asked = || {
            guest.budget.handle_hook(CallHook::CallingWasm)?;
            guest.clock.compute_us(MS);
            guest.budget.handle_hook(CallHook::ReturningFromWasm)
        };
        (0..100).for_each(|_| asked().unwrap());
        expect_guest((0..10).try_for_each(|_| asked()));
    }

    #[test]
    fn a_guest_with_a_thread_pays_for_the_host_too_and_is_paid_for_waiting() {
        let limits =
            SandboxLimits { compute_per_second_waited: Duration::from_millis(250), ..limits() };
        let mut guest = Guest::with(Budget::of_thread, limits);
        guest.step(0, 100 * MS).unwrap();
        guest.budget.handle_tick().unwrap();
        let (clock, stopwatch) = (guest.clock.clone(), Arc::clone(&guest.stopwatch));
        let wait = |us| {
            let mut polls = 0;
            let wait = std::future::poll_fn(|_| {
                polls += 1;
                if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
            });
            let mut wait = pin!(stopwatch.measure(wait));
            let mut context = Context::from_waker(Waker::noop());
            assert!(wait.as_mut().poll(&mut context).is_pending());
            clock.pass_us(us);
            assert!(wait.as_mut().poll(&mut context).is_ready());
        };
        wait(200 * MS);
        guest.step(20 * MS, 30 * MS).unwrap();
        guest.budget.handle_tick().unwrap();
        guest.clock.compute_us(MS);
        expect_guest(guest.budget.handle_tick());
        // No more than the burst.
        wait(3_600_000 * MS);
        guest.clock.compute_us(101 * MS);
        expect_guest(guest.budget.handle_tick());
    }
}
