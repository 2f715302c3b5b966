//! The compute budget of one instance.
//!
//! A guest is charged for the time between host calls, and a little for each host call, so that a
//! loop of calls that do nothing runs out too. Bytes that arrive fill the budget again, up to its
//! size: an honest connection may last for days. A deadline over the whole call would kill a slow
//! sender and let a fast attacker compute. For a resident instance time fills it as well, slowly: who
//! computes for longer without traffic is stuck.

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
    per_second: Duration,
    left: Duration,
    /// When the guest was entered last, while it runs.
    entered: Option<Instant>,
    /// Bytes that arrived on the connection so far.
    arrived: Arc<AtomicU64>,
    credited_bytes: u64,
    credited_until: Instant,
}

impl Budget {
    pub(super) fn new(limits: &SandboxLimits, arrived: Arc<AtomicU64>) -> Self {
        Self {
            burst: limits.compute_burst,
            per_mib: limits.compute_per_mib,
            per_second: limits.compute_per_second,
            left: limits.compute_burst,
            entered: None,
            arrived,
            credited_bytes: 0,
            credited_until: Instant::now(),
        }
    }

    /// The guest is entered or left.
    pub(super) fn handle_hook(&mut self, hook: CallHook) -> Result<(), BudgetExhausted> {
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => {
                self.entered = Some(Instant::now());
                Ok(())
            }
            CallHook::ReturningFromWasm => {
                self.entered = None;
                Ok(())
            }
            CallHook::CallingHost => {
                let used = self.entered.take().map_or(Duration::ZERO, |since| since.elapsed());
                self.charge(used + HOST_CALL_COST)
            }
        }
    }

    /// The guest is still computing.
    pub(super) fn handle_tick(&mut self) -> Result<(), BudgetExhausted> {
        let now = Instant::now();
        let used = self.entered.replace(now).map_or(Duration::ZERO, |since| now - since);
        // A guest that computes is here once a tick. What is above two was spent waiting for a
        // processor after the last yield, and is not its fault.
        self.charge(used.min(2 * EPOCH_TICK))
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
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut self.credited_until, now);
        let earned = self.per_mib.as_secs_f64() * (fresh as f64 / MIB as f64)
            + self.per_second.as_secs_f64() * passed.as_secs_f64();
        // Above the burst the rest is of no use, and a float that large does not convert.
        let earned = Duration::from_secs_f64(earned.min(self.burst.as_secs_f64()));
        self.left = (self.left + earned).min(self.burst);
    }
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
    fn a_loop_of_host_calls_runs_out() {
        let mut budget = budget(0);
        let calls = 100_000;
        let refused = (0..=calls).any(|_| budget.handle_hook(CallHook::CallingHost).is_err());
        assert!(refused, "{calls} calls at a microsecond each are more than 100 ms");
    }
}
