#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;

/// Addresses by their last part: `4` is of IPv4, `-4` of IPv6.
fn address(number: i16) -> SocketAddr {
    let last = number.unsigned_abs();
    let text =
        if number > 0 { format!("192.0.2.{last}:1") } else { format!("[2001:db8::{last}]:1") };
    text.parse().unwrap()
}

fn addresses(numbers: &[i16]) -> Vec<SocketAddr> {
    numbers.iter().copied().map(address).collect()
}

/// What becomes of an attempt, so long after it began.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answers(Millis),
    Fails(Millis),
    Silent,
}

/// What a run of attempts came to: when each began, and which answered first, and when.
#[derive(Debug, Default)]
struct Run {
    began: Vec<(Millis, SocketAddr)>,
    answered: Option<(Millis, SocketAddr)>,
}

/// Drives the attempts as a connection does, in simulated time, until `deadline`.
fn drive(mut attempts: Attempts, fates: &BTreeMap<SocketAddr, Fate>, deadline: Millis) -> Run {
    let mut run = Run::default();
    let mut running: Vec<(Millis, SocketAddr, bool)> = Vec::new();
    let mut now = 0;
    loop {
        while let Some(address) = attempts.poll_start(now) {
            run.began.push((now, address));
            match fates[&address] {
                Fate::Answers(after) => running.push((now + after, address, true)),
                Fate::Fails(after) => running.push((now + after, address, false)),
                Fate::Silent => {}
            }
        }
        let ends = running.iter().map(|it| it.0).min();
        let Some(next) = ends.into_iter().chain(attempts.poll_timeout()).min() else { return run };
        assert!(next >= now, "time does not go back");
        if next > deadline {
            return run;
        }
        now = next;
        while let Some(index) = running.iter().position(|it| it.0 == now) {
            let (_, address, answers) = running.remove(index);
            if answers {
                run.answered = Some((now, address));
                return run;
            }
            attempts.handle_failure(now);
        }
    }
}

#[test]
fn families_take_turns_in_the_order_of_the_resolver() {
    let order = |numbers: &[i16]| Vec::from(interleaved(addresses(numbers)));
    assert_eq!(order(&[-1, -2, -3, 1, 2]), addresses(&[-1, 1, -2, 2, -3]));
    assert_eq!(order(&[1, -1, -2, -3]), addresses(&[1, -1, -2, -3]));
    assert_eq!(order(&[1, 2, 1]), addresses(&[1, 2]), "each is tried once");
    assert_eq!(order(&[]), []);
}

#[test]
fn a_silent_address_costs_the_next_one_250_ms() {
    let fates = BTreeMap::from([(address(1), Fate::Silent), (address(2), Fate::Answers(10))]);
    let run = drive(Attempts::new(addresses(&[1, 2]), None, 0), &fates, 15_000);
    assert_eq!(run.began, [(0, address(1)), (250, address(2))]);
    assert_eq!(run.answered, Some((260, address(2))));
}

#[test]
fn an_attempt_that_fails_starts_the_next_one_at_once() {
    let fates = BTreeMap::from([
        (address(1), Fate::Fails(3)),
        (address(2), Fate::Fails(4)),
        (address(3), Fate::Silent),
    ]);
    let run = drive(Attempts::new(addresses(&[1, 2, 3]), None, 0), &fates, 15_000);
    assert_eq!(run.began, [(0, address(1)), (3, address(2)), (7, address(3))]);
    assert_eq!(run.answered, None);
}

#[test]
fn an_address_that_is_slow_is_still_taken_when_it_answers_first() {
    let fates =
        BTreeMap::from([(address(1), Fate::Answers(400)), (address(2), Fate::Answers(300))]);
    let run = drive(Attempts::new(addresses(&[1, 2]), None, 0), &fates, 15_000);
    assert_eq!(run.answered, Some((400, address(1))));
}

#[test]
fn who_has_answered_before_is_asked_first_and_given_time() {
    let silent = BTreeMap::from([(address(1), Fate::Silent), (address(-2), Fate::Silent)]);
    let attempts = || Attempts::new(addresses(&[1, -2]), Some(address(-2)), 0);
    let run = drive(attempts(), &silent, 15_000);
    assert_eq!(run.began, [(0, address(-2)), (2_000, address(1))]);
    let dead = BTreeMap::from([(address(1), Fate::Silent), (address(-2), Fate::Fails(1))]);
    let run = drive(attempts(), &dead, 15_000);
    assert_eq!(run.began, [(0, address(-2)), (1, address(1))], "it may be gone");
}

/// A generator of random numbers, for simulations that print their seed: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn whoever_answers_in_time_is_reached_in_any_network() {
    const DEADLINE: Millis = 15_000;
    for seed in 1..=2_000 {
        let mut random = Random(seed);
        let numbers: Vec<i16> = (1..=1 + i16::try_from(random.below(12)).unwrap())
            .map(|number| if random.below(2) == 0 { number } else { -number })
            .collect();
        let fates: BTreeMap<SocketAddr, Fate> = addresses(&numbers)
            .into_iter()
            .map(|address| {
                let after = random.below(1_000);
                let fate = match random.below(3) {
                    0 => Fate::Answers(after),
                    1 => Fate::Fails(after),
                    _ => Fate::Silent,
                };
                (address, fate)
            })
            .collect();
        let run = drive(Attempts::new(addresses(&numbers), None, 0), &fates, DEADLINE);
        let someone_answers = fates.values().any(|fate| matches!(fate, Fate::Answers(_)));
        assert_eq!(run.answered.is_some(), someone_answers, "seed {seed}: {fates:?} {run:?}");
        // Nobody is tried twice, and nobody sooner than 250 ms after the one before, unless one failed.
        for pair in run.began.windows(2) {
            let ((before, _), (after, second)) = (pair[0], pair[1]);
            let one_failed = run.began.iter().any(|(began, address)| {
                matches!(fates[address], Fate::Fails(took) if began + took == after)
            });
            assert!(after - before == 250 || one_failed, "seed {seed}: {second} in {run:?}");
        }
        let mut once: Vec<SocketAddr> = run.began.iter().map(|it| it.1).collect();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), run.began.len(), "seed {seed}: {run:?}");
    }
}
