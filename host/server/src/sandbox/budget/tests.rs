#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::sandbox::stopwatch::fake::FakeClock;

const MS: u64 = 1_000;

/// A guest with 100 ms to compute, 10 ms for each MiB, and a host with 50 ms and 100 ms for each MiB.
struct Guest {
    clock: FakeClock,
    arrived: Arc<AtomicU64>,
    stopwatch: Arc<Stopwatch<FakeClock>>,
    budget: Budget<FakeClock>,
}

type Make = fn(&SandboxLimits, Arc<Stopwatch<FakeClock>>, Arc<AtomicU64>) -> Budget<FakeClock>;

/// For which nobody else works so far.
const WITH_A_HOST: Make =
    |limits, stopwatch, arrived| Budget::new(limits, stopwatch, arrived, Meter::default());

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
        Self::with(WITH_A_HOST, limits())
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
    let mut guest = Guest::with(WITH_A_HOST, SandboxLimits::default());
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
fn what_other_threads_do_for_the_guest_is_the_hosts_time() {
    let mut guest = Guest::new();
    guest.budget.elsewhere.add(Duration::from_millis(50));
    guest.budget.handle_hook(CallHook::CallingHost).unwrap();
    guest.budget.elsewhere.add(Duration::from_millis(11));
    expect_host(guest.budget.handle_hook(CallHook::ReturningFromHost));
}

#[test]
fn a_guest_with_a_thread_pays_for_the_host_too() {
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
