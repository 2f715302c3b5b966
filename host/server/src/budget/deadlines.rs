//! How long a connection may take for each step.

use std::time::Duration;

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// From the beginning to the first byte.
    pub(crate) first_byte: Duration,
    /// From the first byte, of each request too, to a complete hello or request.
    pub(crate) hello: Duration,
    /// From the first complete hello or request to the first offer.
    pub(crate) offer: Duration,
    /// Without a byte in either direction.
    pub(crate) silence: Duration,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing came, or nothing since the last request.
    Silent,
    /// Something came, and nobody knows yet what it is to be.
    Speaking,
    /// What came was understood, and answered or passed on.
    Greeted,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) stage: Stage,
    /// Since when it is there.
    pub(crate) since: Duration,
    /// When the first hello or request was complete.
    pub(crate) greeted: Option<Duration>,
    /// Whether something was ever offered.
    pub(crate) has_offered: bool,
    /// When a byte moved last.
    pub(crate) moved: Duration,
    /// The server works for it: silence is not the peer's.
    pub(crate) is_busy: bool,
}

/// Which time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    FirstByte,
    Hello,
    Offer,
    Silence,
}

impl Deadlines {
    /// When it has to be looked at again: before that no time is over.
    ///
    /// # Errors
    /// Which time is over.
    pub(crate) fn check(&self, reading: &Reading, now: Duration) -> Result<Duration, Overdue> {
        if reading.is_busy {
            return Ok(now.saturating_add(self.shortest()));
        }
        let first_byte = || match reading.greeted {
            // Who was served may be silent for as long as anybody.
            Some(_) => None,
            None => Some((reading.since.saturating_add(self.first_byte), Overdue::FirstByte)),
        };
        let step = match reading.stage {
            Stage::Silent => first_byte(),
            Stage::Speaking => Some((reading.since.saturating_add(self.hello), Overdue::Hello)),
            Stage::Greeted => None,
        };
        let offer = match reading.greeted {
            Some(greeted) if !reading.has_offered => {
                Some((greeted.saturating_add(self.offer), Overdue::Offer))
            }
            _ => None,
        };
        let silence = Some((reading.moved.saturating_add(self.silence), Overdue::Silence));
        let times = [step, offer, silence].into_iter().flatten();
        match times.min_by_key(|(at, _)| *at) {
            Some((at, overdue)) if at <= now => Err(overdue),
            Some((at, _)) => Ok(at),
            None => Ok(now.saturating_add(self.silence)),
        }
    }

    fn shortest(&self) -> Duration {
        self.hello.min(self.offer).min(self.silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        first_byte: Duration::from_secs(20),
        hello: Duration::from_secs(30),
        offer: Duration::from_secs(40),
        silence: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn silent() -> Reading {
        Reading {
            stage: Stage::Silent,
            since: at(100),
            greeted: None,
            has_offered: false,
            moved: at(100),
            is_busy: false,
        }
    }

    #[test]
    fn who_says_nothing_is_ended_after_the_time_for_the_first_byte() {
        assert_eq!(DEADLINES.check(&silent(), at(100)), Ok(at(120)));
        assert_eq!(DEADLINES.check(&silent(), at(120)), Err(Overdue::FirstByte));
    }

    #[test]
    fn bytes_one_by_one_do_not_prolong_the_time_for_a_hello() {
        let trickling = Reading { stage: Stage::Speaking, moved: at(129), ..silent() };
        assert_eq!(DEADLINES.check(&trickling, at(129)), Ok(at(130)));
        assert_eq!(DEADLINES.check(&trickling, at(130)), Err(Overdue::Hello));
    }

    #[test]
    fn who_never_offers_anything_is_ended_whatever_else_it_sends() {
        let greeted = Reading { stage: Stage::Greeted, greeted: Some(at(105)), ..silent() };
        let chatting = Reading { moved: at(144), ..greeted };
        assert_eq!(DEADLINES.check(&chatting, at(144)), Ok(at(145)));
        assert_eq!(DEADLINES.check(&chatting, at(145)), Err(Overdue::Offer));
        let offered = Reading { has_offered: true, ..chatting };
        assert_eq!(DEADLINES.check(&offered, at(145)), Ok(at(204)));
        assert_eq!(DEADLINES.check(&offered, at(204)), Err(Overdue::Silence));
    }

    #[test]
    fn who_was_served_may_be_silent_before_the_next_request() {
        let waiting = Reading {
            since: at(200),
            moved: at(200),
            greeted: Some(at(105)),
            has_offered: true,
            ..silent()
        };
        assert_eq!(DEADLINES.check(&waiting, at(240)), Ok(at(260)));
    }

    #[test]
    fn nobody_is_ended_while_the_server_works_for_it() {
        let busy = Reading { is_busy: true, ..silent() };
        assert_eq!(DEADLINES.check(&busy, at(10_000)), Ok(at(10_030)));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_nobody() {
        assert_eq!(DEADLINES.check(&silent(), at(1)), Ok(at(120)));
        let greeted = Reading { stage: Stage::Greeted, greeted: Some(at(105)), ..silent() };
        assert_eq!(DEADLINES.check(&greeted, at(0)), Ok(at(145)));
    }

    #[test]
    fn the_longest_times_that_can_be_set_are_no_error() {
        let longest = Duration::MAX;
        let deadlines =
            Deadlines { first_byte: longest, hello: longest, offer: longest, silence: longest };
        assert_eq!(deadlines.check(&silent(), at(1_000_000)), Ok(longest));
    }
}
