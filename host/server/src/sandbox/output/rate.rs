//! How often something may happen.

use std::time::{Duration, Instant};

/// How often something may happen.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Rate {
    pub(in crate::sandbox) burst: u32,
    pub(in crate::sandbox) per_second: u32,
}

/// Lets things through as long as they do not come too fast.
pub(in crate::sandbox) struct Bucket {
    rate: Rate,
    left: f64,
    since: Instant,
    dropped: u64,
}

impl Bucket {
    pub(in crate::sandbox) fn new(rate: Rate) -> Self {
        Self { rate, left: rate.burst.into(), since: Instant::now(), dropped: 0 }
    }

    /// Whether one may pass, and how many were dropped before it.
    pub(in crate::sandbox) fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed: Duration = now.saturating_duration_since(self.since);
        self.since = now;
        let earned = passed.as_secs_f64() * f64::from(self.rate.per_second);
        self.left = (self.left + earned).min(self.rate.burst.into());
        if self.left < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_again_up_to_its_burst() {
        let mut bucket = Bucket::new(Rate { burst: 32, per_second: 1 });
        let now = Instant::now();
        let passed =
            |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.admit(now).is_some()).count();
        assert_eq!(passed(&mut bucket, now), 32);
        let later = now + Duration::from_millis(1_500);
        assert_eq!(bucket.admit(later), Some(68), "one more, and it says what is missing");
        assert_eq!(bucket.admit(later), None);
        let much_later = now + Duration::from_secs(1_000_000);
        assert_eq!(passed(&mut bucket, much_later), 32, "silence is not saved up");
    }
}
