//! A clock to judge ages by, which a jump of the system's clock does not make believe that a week has
//! passed.
//!
//! The system's clock is compared with one that nobody sets, as that of the time since boot. It is believed once the
//! two have run evenly for a while; after a jump it has to run evenly for a day, and until then the
//! earlier of the two times counts.

/// How far the two clocks may drift apart between two looks and still run evenly. Seconds. More than
/// the slewing of a clock by an hour of NTP (2 seconds), less than any age that matters.
const TOLERANCE_S: i64 = 600;

/// How long the clock has to have run evenly before it is believed at first. Seconds. A machine
/// without a battery for its clock has found the time from the network by then.
const BELIEVED_AFTER_S: i64 = 3_600;

/// And after a jump, when another time was believed before. Seconds. Long enough for somebody to
/// notice and mend it.
const BELIEVED_AGAIN_AFTER_S: i64 = 24 * 3_600;

/// What the two clocks show. Seconds.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Since 1970-01-01T00:00:00Z, as the system is set.
    pub wall_s: i64,
    /// Since the system was booted, or any fixed moment. One that leaves suspension out makes things younger than
    /// they are for a day, and never older.
    pub boot_s: i64,
}

/// Tells the time that ages are judged by.
#[derive(Debug, Default)]
pub struct JumpResistantClock {
    /// Wall time less boot time, as it is believed.
    believed: Option<i64>,
    /// And as it was last seen, since when (in boot time).
    seen: Option<(i64, i64)>,
}

impl JumpResistantClock {
    /// Takes a look at the clocks. The time to judge ages by, in seconds since 1970; `None`: none is
    /// believed yet. To be called every hour or so.
    pub fn look(&mut self, reading: Reading) -> Option<i64> {
        let offset = reading.wall_s.saturating_sub(reading.boot_s);
        let evenly = |other: i64| offset.abs_diff(other) <= TOLERANCE_S.unsigned_abs();
        let since = match self.seen {
            Some((last, since)) if evenly(last) => since,
            _ => reading.boot_s,
        };
        self.seen = Some((offset, since));
        let lasted = reading.boot_s.saturating_sub(since);
        let needed =
            if self.believed.is_none() { BELIEVED_AFTER_S } else { BELIEVED_AGAIN_AFTER_S };
        if lasted >= needed || self.believed.is_some_and(evenly) {
            self.believed = Some(offset);
        }
        let believed = self.believed?;
        Some(reading.boot_s.saturating_add(believed.min(offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 24 * 3_600;
    const START_S: i64 = 1_800_000_000;

    /// A machine whose two clocks can be set, looked at each hour.
    struct Machine {
        clock: JumpResistantClock,
        wall_s: i64,
        boot_s: i64,
    }

    impl Machine {
        fn new() -> Self {
            Self { clock: JumpResistantClock::default(), wall_s: START_S, boot_s: 100 }
        }

        /// Lets hours pass; the last time that was told.
        fn run(&mut self, hours: i64) -> Option<i64> {
            let mut told = None;
            for _ in 0..hours {
                self.wall_s += 3_600;
                self.boot_s += 3_600;
                told = self.look();
            }
            told
        }

        fn look(&mut self) -> Option<i64> {
            let (wall_s, boot_s) = (self.wall_s, self.boot_s);
            self.clock.look(Reading { wall_s, boot_s })
        }
    }

    #[test]
    fn a_clock_is_believed_after_an_hour() {
        let mut machine = Machine::new();
        assert_eq!(machine.look(), None);
        assert_eq!(machine.run(1), Some(machine.wall_s));
        assert_eq!(machine.run(1_000), Some(machine.wall_s));
    }

    #[test]
    fn a_jump_ahead_does_not_age_anything_until_it_has_lasted_a_day() {
        let mut machine = Machine::new();
        machine.run(10);
        let real_s = machine.wall_s;
        machine.wall_s += 3_650 * DAY_S;
        assert_eq!(machine.look(), Some(real_s));
        assert_eq!(machine.run(23), Some(real_s + 23 * 3_600));
        assert_eq!(machine.run(1), Some(machine.wall_s));
    }

    #[test]
    fn a_jump_ahead_that_is_mended_leaves_no_trace() {
        let mut machine = Machine::new();
        machine.run(10);
        machine.wall_s += 3_650 * DAY_S;
        machine.run(20);
        machine.wall_s -= 3_650 * DAY_S;
        assert_eq!(machine.run(10), Some(machine.wall_s));
    }

    #[test]
    fn a_clock_jump_back_counts_at_once_and_makes_things_younger() {
        let mut machine = Machine::new();
        machine.run(10);
        machine.wall_s -= 30 * DAY_S;
        assert_eq!(machine.look(), Some(machine.wall_s));
    }

    #[test]
    fn a_machine_that_starts_with_a_wrong_clock_believes_the_right() {
        let mut machine = Machine::new();
        let right_s = machine.wall_s;
        machine.wall_s = 4_000_000_000;
        assert_eq!(machine.look(), None);
        machine.wall_s = right_s;
        assert_eq!(machine.look(), None);
        assert_eq!(machine.run(1), Some(machine.wall_s));
        // From the past, without a battery: mended after it was believed, it takes a day.
        let mut machine = Machine::new();
        machine.wall_s = 0;
        machine.look();
        machine.run(2);
        machine.wall_s = START_S;
        machine.look();
        assert!(machine.run(23) < Some(DAY_S * 3));
        assert_eq!(machine.run(1), Some(machine.wall_s));
    }

    #[test]
    fn slow_slewing_is_followed() {
        let mut machine = Machine::new();
        for _ in 0..1_000 {
            machine.wall_s += 60;
            machine.run(1);
        }
        assert_eq!(machine.look(), Some(machine.wall_s));
    }
}
