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
//! every two milliseconds. So a busy machine costs nobody a connection.
//!
//! What the host does for the guest on other threads, such as reading a file once more for a digest, is told to a
//! meter, and charged to the host's account with the rest.
//!
//! A resident instance has a thread of its own, and one account: what the host does for it counts like
//! what it does itself. Waiting fills its account as well, slowly: who computes without traffic and without a
//! pause is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::CallHook;

use super::engine::SandboxLimits;
use super::stopwatch::{Clock, Stopwatch, SystemClock};
use sandport_inbox::Meter;

const MIB: u64 = 1024 * 1024;

/// How long guest and host run between two charges, at most, where no tick comes. Nanoseconds: short, since
/// a thousand connections may each run as long before others have their turn. A charge is a system call, which takes
/// less than a thousandth of that.
const CHARGE_INTERVAL_NS: u64 = 2_000_000;

/// The guest used up its compute time, or the host's.
#[derive(Debug, thiserror::Error)]
pub(super) enum BudgetExhausted {
    #[error("the receiver used up its compute budget of {burst_ms} ms while no payload arrived")]
    Guest { burst_ms: u128 },
    #[error("the receiver kept the host busy for more than {burst_ms} ms while no payload arrived")]
    Host { burst_ms: u128 },
}

pub(super) struct Budget<C = SystemClock> {
    stopwatch: Arc<Stopwatch<C>>,
    /// Bytes that arrived on the connection so far.
    arrived: Arc<AtomicU64>,
    /// Processor time that was used for the guest on other threads.
    elsewhere: Meter,
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
    /// What was charged since it was taken by [`Budget::take_used`]; with what others used for the guest.
    used: Time,
    /// How long the instance had been running then.
    told_ns: u64,
}

/// Time that was used for a guest, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time {
    /// Of the processor.
    pub(super) processor_ns: u64,
    /// On a thread, whether it had the processor or not.
    pub(super) ran_ns: u64,
}

/// What guest and host may use. It outlives the instance where another one of the same connection follows.
pub(super) struct Accounts {
    guest: Account,
    host: Option<Account>,
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
        elsewhere: Meter,
    ) -> Self {
        let host = Account::new(limits.host_burst, limits.host_per_mib, Duration::ZERO);
        Self { host: Some(host), elsewhere, ..Self::of_thread(limits, stopwatch, arrived) }
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
            elsewhere: Meter::default(),
            guest,
            host: None,
            guest_ns: 0,
            host_ns: 0,
            used: Time::default(),
            told_ns: 0,
        }
    }

    /// Goes on with what the instance before has left, in the place of full accounts.
    pub(super) fn go_on(&mut self, accounts: Accounts) {
        let Accounts { mut guest, mut host } = accounts;
        // This instance has waited for nothing yet.
        guest.credited_waited_ns = 0;
        if let Some(host) = &mut host {
            host.credited_waited_ns = 0;
        }
        (self.guest, self.host) = (guest, host);
    }

    /// Charges what is left to be charged, and gives the accounts for the next instance, and what
    /// [`take_used`](Self::take_used) would.
    ///
    /// # Errors
    /// They are empty.
    pub(super) fn end(mut self) -> Result<(Accounts, Option<Time>), BudgetExhausted> {
        self.settle()?;
        let used = self.take_used();
        Ok((Accounts { guest: self.guest, host: self.host }, used))
    }

    /// What was charged since this was asked last, if anything was.
    pub(super) fn take_used(&mut self) -> Option<Time> {
        if self.used.processor_ns == 0 {
            return None;
        }
        let running_ns = self.stopwatch.running_ns();
        let ran_ns = running_ns.saturating_sub(std::mem::replace(&mut self.told_ns, running_ns));
        let Time { processor_ns, ran_ns: elsewhere_ns } = std::mem::take(&mut self.used);
        Some(Time { processor_ns, ran_ns: ran_ns.saturating_add(elsewhere_ns) })
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
        let due_ns = self.guest_ns + self.host_ns + self.elsewhere.running_ns();
        if due_ns < CHARGE_INTERVAL_NS { Ok(()) } else { self.settle() }
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
        let elsewhere_ns = self.elsewhere.take();
        let Time { processor_ns, ran_ns } = &mut self.used;
        *processor_ns = processor_ns.saturating_add(used_ns).saturating_add(elsewhere_ns);
        *ran_ns = ran_ns.saturating_add(elsewhere_ns);
        let host_ns = host_ns.saturating_add(elsewhere_ns);
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
mod tests;
