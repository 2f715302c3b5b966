//! How processor time is shared out, and how it is earned.
//!
//! A connection has an account: what it makes the server compute is taken out, and what counts is put in: payload by
//! the byte, and each file that is stored. Whoever sends files, however small, earns more than it costs. Whoever has
//! the server compute for little, by frames of a byte or offers that come to nothing, is in *debt*.
//!
//! - Those in debt share a small part of one processor in two, as long as others want to compute.
//! - The others share evenly, by source: a source has what is its part, or what the others leave if that is more.
//!
//! What others leave is what they do not use, with room for as much again: who is held up by somebody uses less than it
//! would, and gets more as that one has to give way. Use is counted by the time on a thread, so that it does not matter
//! how much of the processors other programs leave.
//!
//! Whoever has used more than it may is told when it may go on. Nothing is counted for each frame: what was used is
//! charged when some milliseconds have come together.

use std::collections::HashMap;
use std::time::Duration;

use super::source::Source;

/// What a byte of payload earns, in nanoseconds. Receiving, hashing and writing one takes two or three, on a slow
/// machine ten; a frame of 256 bytes costs as much as it earns.
pub(crate) const EARNED_PER_BYTE_NS: u64 = 20;

/// What a file that is stored earns, in nanoseconds: its offer, its answers, and the work of the disk's threads take
/// some hundred microseconds.
pub(crate) const EARNED_PER_FILE_NS: u64 = 500_000;

/// What another answer earns that a sender wants, in nanoseconds: that a file is there already, or a directory.
pub(crate) const EARNED_PER_ANSWER_NS: u64 = 100_000;

/// What all new connections of a source may use before they have earned anything, in nanoseconds; and what one of them
/// may. A hello takes a tenth of a millisecond.
const START_NS: i64 = 100_000_000;
const START_OF_ONE_NS: i64 = 5_000_000;

/// How much of [`START_NS`] comes back in a second, in nanoseconds.
const START_PER_SECOND_NS: f64 = 50e6;

/// Most that an account holds, and most that it owes. Nanoseconds. Honest traffic has its pauses; and who owes more
/// than that could not pay it back.
const ACCOUNT_MAX_NS: i64 = 1_000_000_000;

/// The part of all processors for those in debt where nobody else wants to compute: whoever comes finds one free.
const LEFT_TO_DEBT: f64 = 0.75;

/// What is left to a source beside others: this part of all processors, less twice what the others use.
const LEFT_TO_OTHERS: f64 = 0.95;

/// Over which time use is averaged.
const AVERAGE_OVER: Duration = Duration::from_millis(250);

/// How long who has computed something counts as one who wants to: beside a thousand others it may take as long until
/// it gets its next turn.
const PRESENT_FOR: Duration = Duration::from_secs(5);

/// Time between two counts of the sources that are present.
const COUNT_AGAIN: Duration = Duration::from_millis(100);

/// A source that uses less than this part of a processor is forgotten.
const NOTHING: f64 = 0.005;

/// How much a source may be ahead of what it may use: a few turns.
const AHEAD: Duration = Duration::from_millis(20);

/// Sources that are known at once. Those that come then count together.
const SOURCES_MAX: usize = 4_096;

/// What one connection has earned and used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// `None`: nothing was charged yet.
    balance_ns: Option<i64>,
    /// Tells it from others; 0: nothing was charged yet.
    number: u64,
    /// The [`Computing::debt_turn`] in which it was told to wait.
    turn: u32,
}

impl Account {
    /// Of a new connection.
    pub(crate) const fn new() -> Self {
        Self { balance_ns: None, number: 0, turn: 0 }
    }

    /// Whether it has used more than it has earned.
    pub(crate) fn is_in_debt(&self) -> bool {
        self.balance_ns.is_some_and(|balance| balance < 0)
    }
}

/// What a connection has used since it was charged last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Processor time, in nanoseconds: it is taken out of the account.
    pub(crate) processor_ns: u64,
    /// How long it had a thread, in nanoseconds: others could not have it. Where other programs have the processors,
    /// that is longer.
    pub(crate) ran_ns: u64,
    /// What it has earned meanwhile, in nanoseconds.
    pub(crate) earned_ns: u64,
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Computing {
    processors: f64,
    /// What those in debt may use beside others: processors.
    debt_part: f64,
    sources: HashMap<Source, Usage>,
    /// All connections that are in debt.
    debt: Usage,
    /// Whether they were last told to wait beside others. Where these are gone, nobody waits for as long: another turn
    /// begins.
    debt_is_beside: bool,
    debt_turn: u32,
    /// All others.
    all: Average,
    /// The two connections that were charged last of those that are not in debt, the last one first, and when.
    charged: [Option<(u64, Duration)>; 2],
    /// Accounts that were charged.
    accounts: u64,
    /// How many sources are present, and when they were counted.
    present: usize,
    counted: Option<Duration>,
    /// When those that are over were forgotten.
    swept: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Usage {
    average: Average,
    /// When it may go on, if it is to use no more than it may.
    free_at: Duration,
    /// What new connections may use still.
    start_ns: f64,
    seen: Duration,
    /// When it was charged last, without those in debt.
    charged: Option<Duration>,
}

impl Usage {
    fn new(now: Duration) -> Self {
        let average = Average { processors: 0.0, at: now };
        Self {
            average,
            free_at: Duration::ZERO,
            start_ns: START_NS as f64,
            seen: now,
            charged: None,
        }
    }

    /// Uses time, where it may use so many processors. When it may go on.
    fn pace(&mut self, used: Duration, processors: f64, now: Duration) -> Duration {
        let from = self.free_at.max(now.saturating_sub(AHEAD));
        self.free_at = from.saturating_add(used.div_f64(processors));
        self.free_at
    }

    /// What new connections may use: it comes back with time.
    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(std::mem::replace(&mut self.seen, now));
        let refilled = self.start_ns + passed.as_secs_f64() * START_PER_SECOND_NS;
        self.start_ns = refilled.min(START_NS as f64);
    }

    fn is_over(&self, now: Duration) -> bool {
        let mut refilled = *self;
        refilled.refill(now);
        self.average.at(now) < NOTHING
            && self.free_at <= now
            && refilled.start_ns >= START_NS as f64
    }
}

/// Processors in use, lately.
#[derive(Clone, Copy, Debug)]
struct Average {
    processors: f64,
    at: Duration,
}

impl Average {
    fn at(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at);
        self.processors * (-passed.as_secs_f64() / AVERAGE_OVER.as_secs_f64()).exp()
    }

    fn add(&mut self, used: Duration, now: Duration) {
        self.processors = self.at(now) + used.as_secs_f64() / AVERAGE_OVER.as_secs_f64();
        self.at = self.at.max(now);
    }
}

impl Computing {
    /// With so many processors, at least 1. Those in debt may use so many percent of one beside others, at least 1.
    pub(crate) fn new(processors: usize, debt_percent: u8) -> Self {
        Self {
            processors: processors.max(1) as f64,
            debt_part: f64::from(debt_percent.max(1)) / 100.0,
            sources: HashMap::new(),
            debt: Usage::new(Duration::ZERO),
            debt_is_beside: false,
            debt_turn: 0,
            all: Average { processors: 0.0, at: Duration::ZERO },
            charged: [None; 2],
            accounts: 0,
            present: 0,
            counted: None,
            swept: Duration::ZERO,
        }
    }

    /// Charges a connection of this source for what it has used. When it may go on: that may be past.
    pub(crate) fn charge(
        &mut self,
        account: &mut Account,
        source: Source,
        used: Used,
        now: Duration,
    ) -> Duration {
        let time = Duration::from_nanos(used.ran_ns);
        if account.number == 0 {
            self.accounts += 1;
            account.number = self.accounts;
        }
        let usage = self.usage(source, now);
        let balance = account.balance_ns.unwrap_or_else(|| usage.take_start());
        let change = clamped(used.earned_ns) - clamped(used.processor_ns);
        account.balance_ns = Some((balance + change).clamp(-ACCOUNT_MAX_NS, ACCOUNT_MAX_NS));
        if account.is_in_debt() {
            self.check_debt(now);
            self.debt_is_beside = self.others_are_present(account.number, now);
            account.turn = self.debt_turn;
            let may = if self.debt_is_beside {
                self.debt_part * (self.processors / 2.0).max(1.0)
            } else {
                // Whoever comes is to find a processor free.
                self.processors * LEFT_TO_DEBT
            };
            return self.debt.pace(time, may, now);
        }
        usage.average.add(time, now);
        usage.charged = Some(now);
        let own = usage.average.at(now);
        self.all.add(time, now);
        self.mark(account.number, now);
        let present = self.present(now);
        if present < 2 {
            return now;
        }
        let others = (self.all.at(now) - own).max(0.0);
        let left = self.processors * LEFT_TO_OTHERS - 2.0 * others;
        let part = self.processors / present as f64;
        self.usage(source, now).pace(time, part.max(left), now)
    }

    /// A connection of this source begins, or a request on it: those in debt make room at once.
    pub(crate) fn begin(&mut self, account: &mut Account, source: Source, now: Duration) {
        self.charge(account, source, Used::default(), now);
    }

    /// Whether a connection that was told to wait has to wait still: those for whom it waits may be gone.
    pub(crate) fn has_to_wait(&mut self, account: &Account, now: Duration) -> bool {
        if account.is_in_debt() {
            self.check_debt(now);
            account.turn == self.debt_turn
        } else {
            self.present(now) >= 2
        }
    }

    /// Those in debt do not wait for who is gone.
    fn check_debt(&mut self, now: Duration) {
        if self.debt_is_beside && !self.others_are_present(0, now) {
            self.debt_is_beside = false;
            self.debt.free_at = now;
            self.debt_turn = self.debt_turn.wrapping_add(1);
        }
    }

    /// A connection that is not in debt was charged.
    fn mark(&mut self, number: u64, now: Duration) {
        let [last, before] = &mut self.charged;
        if last.is_none_or(|(other, _)| other != number) {
            *before = *last;
        }
        *last = Some((number, now));
    }

    /// Whether others than this connection want to compute, and are not in debt.
    fn others_are_present(&self, number: u64, now: Duration) -> bool {
        let mut others = self.charged.iter().flatten().filter(|(other, _)| *other != number);
        others.any(|(_, charged)| is_present(Some(*charged), now))
    }

    /// Sources that want to compute, without those of which all are in debt.
    fn present(&mut self, now: Duration) -> usize {
        if self.counted.is_none_or(|counted| now >= counted + COUNT_AGAIN) {
            let present = self.sources.values().filter(|usage| is_present(usage.charged, now));
            self.present = present.count();
            self.counted = Some(now);
        }
        self.present
    }

    fn usage(&mut self, source: Source, now: Duration) -> &mut Usage {
        let mut source = source;
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            if now >= self.swept.saturating_add(PRESENT_FOR) {
                self.sources.retain(|_, usage| !usage.is_over(now));
                self.swept = now;
            }
            if self.sources.len() >= SOURCES_MAX {
                source = Source::Unknown;
            }
        }
        let usage = self.sources.entry(source).or_insert_with(|| Usage::new(now));
        usage.refill(now);
        usage
    }
}

impl Usage {
    /// What a new connection may use before it has earned anything.
    fn take_start(&mut self) -> i64 {
        let start = (self.start_ns as i64).min(START_OF_ONE_NS);
        self.start_ns -= start as f64;
        start
    }
}

fn is_present(charged: Option<Duration>, now: Duration) -> bool {
    charged.is_some_and(|charged| now < charged.saturating_add(PRESENT_FOR))
}

fn clamped(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
