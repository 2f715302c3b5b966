//! What computing a digest has cost the processor, and who is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sandport_protocol::{Receipt, Refusal, RefusalCode};

/// Counts processor time that was used for somebody on other threads than their own. Cloning gives another handle to
/// the same count.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Counts it.
    pub fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(ns, Ordering::Relaxed);
    }

    /// Does `work`, and counts the time that it takes.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = thread_time();
        let done = work();
        self.add(thread_time().saturating_sub(before));
        done
    }

    /// Nanoseconds since the last [`take`](Self::take).
    pub fn running_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The same, and begins anew.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Whose time it is that a file takes when it is read once more.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    pub(super) meter: Option<Meter>,
    /// How many bytes were here when the connection came. Others have paid for bringing them.
    pub(super) here_before: u64,
}

impl Cost {
    /// Does `work` on a file of `size` bytes, and what is to be said of the time.
    pub(super) fn of<T>(&self, size: u64, work: impl FnOnce() -> T) -> (T, Bill) {
        let before = thread_time();
        let done = work();
        let time = thread_time().saturating_sub(before);
        let own = 1.0 - self.here_before as f64 / size.max(1) as f64;
        (done, Bill { meter: self.meter.clone(), time, own: own.clamp(0.0, 1.0) })
    }
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The time that it took to read a file once more.
#[must_use]
#[derive(Debug)]
pub(super) struct Bill {
    meter: Option<Meter>,
    time: Duration,
    /// The part of the file that the connection itself has brought.
    own: f64,
}

impl Bill {
    /// All of the time counts.
    pub(super) fn count(self) {
        if let Some(meter) = self.meter {
            meter.add(self.time);
        }
    }

    /// The commit has ended. Where it was the end of the upload, nobody can have the same bytes read again, and who
    /// brings the last of a file does not pay for all that others brought. Where it was not, all of it counts: else
    /// somebody could have a file read for ever.
    pub(super) fn settle(self, outcome: &Result<Receipt, Refusal>) {
        let is_over = match outcome {
            Ok(_) => true,
            Err(refusal) => refusal.code == RefusalCode::DigestMismatch,
        };
        let time = if is_over { self.time.mul_f64(self.own) } else { self.time };
        Self { time, ..self }.count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandport_protocol::{BLAKE3_BYTES, Digest};

    fn seconds_counted(own: f64, outcome: &Result<Receipt, Refusal>) -> u64 {
        let meter = Meter::default();
        Bill { meter: Some(meter.clone()), time: Duration::from_secs(8), own }.settle(outcome);
        let seconds = meter.take() / 1_000_000_000;
        assert_eq!(meter.running_ns(), 0);
        seconds
    }

    #[test]
    fn who_brings_the_last_of_a_file_pays_for_that_alone() {
        let digest = Digest::Blake3([0; BLAKE3_BYTES]);
        let stored = Ok(Receipt { name: String::new(), size: 0, digest, proof: None });
        let refused = |code: RefusalCode| Err(Refusal::from(code));
        assert_eq!(seconds_counted(0.25, &stored), 2);
        assert_eq!(seconds_counted(1.0, &stored), 8);
        assert_eq!(seconds_counted(0.25, &refused(RefusalCode::DigestMismatch)), 2);
        assert_eq!(seconds_counted(0.25, &refused(RefusalCode::Exists)), 8);
    }

    #[test]
    fn computing_takes_time_and_its_part_follows_from_what_was_here() {
        let cost = Cost { meter: Some(Meter::default()), here_before: 75 };
        let (sum, bill) =
            cost.of(100, || (0..3_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert!(sum > 0 && bill.time > Duration::ZERO);
        assert!((bill.own - 0.25).abs() < 1e-9, "{}", bill.own);
        let (_, nothing) = Cost::default().of(0, || ());
        assert!(nothing.meter.is_none() && nothing.own >= 1.0);
    }
}
