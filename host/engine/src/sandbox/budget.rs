//! The compute budget of one instance.
//!
//! A guest is charged for the time between host calls, and a little for each host call, so that a
//! loop of calls that do nothing runs out too. Bytes that arrive fill the budget again, up to its
//! size: an honest connection may last for days. A deadline over the whole call would kill a slow
//! sender and let a fast attacker compute.
//!
//! A resident instance has a thread of its own, so it is charged for the processor time of that thread:
//! what the host does for it counts like what it does itself. Waiting fills its budget as well, slowly:
//! who computes without traffic and without a pause is stuck. Time alone would not tell: on a busy machine
//! a loop without end gets less of the processor than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::CallHook;

use super::engine::{EPOCH_TICK, SandboxLimits};

/// What a host call costs a guest. About what a short one takes; waiting is free.
const HOST_CALL_COST: Duration = Duration::from_micros(1);

const MIB: u64 = 1024 * 1024;

/// The guest used up its compute time.
#[derive(Debug, thiserror::Error)]
#[error("the receiver went over its compute budget of {burst_ms} ms without payload arriving")]
pub(super) struct BudgetExhausted {
    burst_ms: u128,
}

pub(super) struct Budget {
    burst: Duration,
    per_mib: Duration,
    per_second_waited: Duration,
    left: Duration,
    meter: Meter,
    /// Bytes that arrived on the connection so far.
    arrived: Arc<AtomicU64>,
    credited_bytes: u64,
    /// Microseconds that the guest has waited so far.
    waited_us: Arc<AtomicU64>,
    credited_us: u64,
}

/// What is charged for.
enum Meter {
    /// The time between host calls. The guest was entered last at this time, while it runs.
    BetweenCalls { entered: Option<Instant> },
    /// The processor time of this thread, which was so much when it was charged last.
    Thread { charged: Duration },
}

impl Budget {
    /// For a guest that shares threads with others.
    pub(super) fn new(limits: &SandboxLimits, arrived: Arc<AtomicU64>) -> Self {
        Self::with_meter(limits, arrived, Arc::default(), Meter::BetweenCalls { entered: None })
    }

    /// For a guest that has this thread to itself. `waited_us` counts the microseconds that it waits.
    pub(super) fn of_thread(
        limits: &SandboxLimits,
        arrived: Arc<AtomicU64>,
        waited_us: Arc<AtomicU64>,
    ) -> Self {
        Self::with_meter(limits, arrived, waited_us, Meter::Thread { charged: thread_time() })
    }

    fn with_meter(
        limits: &SandboxLimits,
        arrived: Arc<AtomicU64>,
        waited_us: Arc<AtomicU64>,
        meter: Meter,
    ) -> Self {
        Self {
            burst: limits.compute_burst,
            per_mib: limits.compute_per_mib,
            per_second_waited: limits.compute_per_second_waited,
            left: limits.compute_burst,
            meter,
            arrived,
            credited_bytes: 0,
            waited_us,
            credited_us: 0,
        }
    }

    /// The guest is entered or left.
    pub(super) fn handle_hook(&mut self, hook: CallHook) -> Result<(), BudgetExhausted> {
        // A thread's time goes on by itself, and is looked at once a tick.
        let Meter::BetweenCalls { entered } = &mut self.meter else { return Ok(()) };
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => {
                *entered = Some(Instant::now());
                Ok(())
            }
            // Also in the midst of a host call, which asks the guest for memory.
            CallHook::ReturningFromWasm => {
                let used = entered.take().map_or(Duration::ZERO, |since| since.elapsed());
                self.charge(used)
            }
            CallHook::CallingHost => {
                let used = entered.take().map_or(Duration::ZERO, |since| since.elapsed());
                self.charge(used + HOST_CALL_COST)
            }
        }
    }

    /// The guest is still computing.
    pub(super) fn handle_tick(&mut self) -> Result<(), BudgetExhausted> {
        let used = match &mut self.meter {
            Meter::BetweenCalls { entered } => {
                let now = Instant::now();
                let used = entered.replace(now).map_or(Duration::ZERO, |since| now - since);
                // A guest that computes is here once a tick. What is above two was spent waiting for
                // a processor after the last yield, and is not its fault.
                used.min(2 * EPOCH_TICK)
            }
            Meter::Thread { charged } => {
                let now = thread_time();
                now.saturating_sub(std::mem::replace(charged, now))
            }
        };
        self.charge(used)
    }

    fn charge(&mut self, used: Duration) -> Result<(), BudgetExhausted> {
        if let Some(left) = self.left.checked_sub(used) {
            self.left = left;
            return Ok(());
        }
        // Crediting is left until it is needed: the common case above costs one subtraction.
        self.credit();
        self.left = self
            .left
            .checked_sub(used)
            .ok_or(BudgetExhausted { burst_ms: self.burst.as_millis() })?;
        Ok(())
    }

    fn credit(&mut self) {
        let arrived = self.arrived.load(Ordering::Relaxed);
        let fresh = arrived - self.credited_bytes;
        self.credited_bytes = arrived;
        let waited_us = self.waited_us.load(Ordering::Relaxed);
        let waited = Duration::from_micros(waited_us - self.credited_us);
        self.credited_us = waited_us;
        let earned = self.per_mib.as_secs_f64() * (fresh as f64 / MIB as f64)
            + self.per_second_waited.as_secs_f64() * waited.as_secs_f64();
        // Above the burst the rest is of no use, and a float that large does not convert.
        let earned = Duration::from_secs_f64(earned.min(self.burst.as_secs_f64()));
        self.left = (self.left + earned).min(self.burst);
    }
}

/// The processor time that this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // Neither is ever negative, and nanoseconds are less than a second.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(arrived: u64) -> Budget {
        let limits = SandboxLimits {
            compute_burst: Duration::from_millis(100),
            compute_per_mib: Duration::from_millis(10),
            ..SandboxLimits::default()
        };
        Budget::new(&limits, Arc::new(AtomicU64::new(arrived)))
    }

    #[test]
    fn runs_out_without_payload() {
        let mut budget = budget(0);
        assert!(budget.charge(Duration::from_millis(100)).is_ok());
        assert!(budget.charge(Duration::from_nanos(1)).is_err());
    }

    #[test]
    fn payload_pays_for_compute_time_once() {
        let mut budget = budget(5 * MIB);
        assert!(budget.charge(Duration::from_millis(100)).is_ok());
        assert!(budget.charge(Duration::from_millis(50)).is_ok());
        assert!(budget.charge(Duration::from_millis(1)).is_err());
    }

    #[test]
    fn payload_adds_no_more_than_the_burst() {
        let mut budget = budget(1_000_000 * MIB);
        assert!(budget.charge(Duration::from_millis(100)).is_ok());
        assert!(budget.charge(Duration::from_millis(101)).is_err());
    }

    #[test]
    fn waiting_adds_its_share_and_no_more_than_the_burst() {
        let mut budget = budget(0);
        budget.per_second_waited = Duration::from_millis(250);
        assert!(budget.charge(Duration::from_millis(100)).is_ok());
        budget.waited_us.fetch_add(200_000, Ordering::Relaxed);
        assert!(budget.charge(Duration::from_millis(50)).is_ok());
        assert!(budget.charge(Duration::from_millis(1)).is_err());
        budget.waited_us.fetch_add(3_600_000_000, Ordering::Relaxed);
        assert!(budget.charge(Duration::from_millis(101)).is_err());
    }

    #[test]
    fn what_the_host_does_on_the_thread_is_charged_too() {
        let limits =
            SandboxLimits { compute_burst: Duration::from_millis(20), ..SandboxLimits::default() };
        let mut budget = Budget::of_thread(&limits, Arc::default(), Arc::default());
        assert!(budget.handle_tick().is_ok());
        // No hook says that the guest runs, and the time is used all the same.
        let until = thread_time() + Duration::from_millis(25);
        while thread_time() < until {}
        assert!(budget.handle_tick().is_err());
    }

    #[test]
    fn what_is_computed_while_a_host_call_asks_for_memory_is_charged() {
        let mut budget = budget(0);
        let refused = (0..1_000).any(|_| {
            assert!(budget.handle_hook(CallHook::CallingWasm).is_ok());
            let until = Instant::now() + Duration::from_millis(1);
            while Instant::now() < until {}
            budget.handle_hook(CallHook::ReturningFromWasm).is_err()
        });
        assert!(refused, "a second is more than 100 ms");
    }

    #[test]
    fn a_loop_of_host_calls_runs_out() {
        let mut budget = budget(0);
        let calls = 100_000;
        let refused = (0..=calls).any(|_| budget.handle_hook(CallHook::CallingHost).is_err());
        assert!(refused, "{calls} calls at a microsecond each are more than 100 ms");
    }
}
