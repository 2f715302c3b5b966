//! A machine that is simulated: connections that are ready take turns on its processors, as tasks of a runtime do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::Ipv4Addr;

use super::*;
use crate::budget::chance::Chance;

const PROCESSORS: usize = 2;
const DEBT_PERCENT: u8 = 12;

/// How long a connection runs before it is charged.
const TURN: Duration = Duration::from_millis(2);

fn source(number: u32) -> Source {
    Source::V4(Ipv4Addr::from_bits(number))
}

/// A connection that has always something to compute.
struct Connection {
    source: Source,
    account: Account,
    earned_per_turn_ns: u64,
    /// It may not run before.
    from: Duration,
    /// After each turn its peer takes so long to send more.
    pause: Duration,
    used: Duration,
}

impl Connection {
    fn new(source: Source, earned_per_turn_ns: u64) -> Self {
        let (from, pause, used) = Default::default();
        Self { source, account: Account::new(), earned_per_turn_ns, from, pause, used }
    }

    /// An upload in large frames: four hundred thousand bytes a millisecond.
    fn upload(number: u32) -> Self {
        Self::new(source(number), 2 * 400_000 * EARNED_PER_BYTE_NS)
    }

    /// Frames of one byte, each of which takes four microseconds.
    fn junk(number: u32) -> Self {
        Self::new(source(number), 2_000 / 4 * EARNED_PER_BYTE_NS)
    }

    /// Files of some bytes, each of which takes a hundred microseconds.
    fn small_files(number: u32) -> Self {
        Self::new(source(number), 20 * EARNED_PER_FILE_NS)
    }
}

/// Has them compute for so long, in turns.
fn run(computing: &mut Computing, all: &mut [Connection], from: Duration, time: Duration) {
    all.iter_mut().for_each(|it| it.used = Duration::ZERO);
    let (mut now, mut next) = (from, 0);
    while now < from + time {
        // As many as there are processors run at once, each for a turn.
        let mut running = Vec::new();
        for at in (0..all.len()).map(|step| (next + step) % all.len()) {
            let connection = &all[at];
            let waits = connection.from > now && computing.has_to_wait(&connection.account, now);
            if !waits {
                running.push(at);
                if running.len() == PROCESSORS {
                    break;
                }
            }
        }
        next = running.last().map_or(next, |last| last + 1);
        now += TURN;
        for at in running {
            let connection = &mut all[at];
            let processor_ns = TURN.as_nanos() as u64;
            let earned_ns = connection.earned_per_turn_ns;
            let used = Used { processor_ns, ran_ns: processor_ns, earned_ns };
            connection.from = computing
                .charge(&mut connection.account, connection.source, used, now)
                .max(now + connection.pause);
            connection.used += TURN;
        }
    }
}

fn alone(mut connection: Connection, time: Duration) -> Duration {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all = [Connection { used: Duration::ZERO, ..connection }];
    run(&mut computing, &mut all, Duration::from_secs(1), time);
    connection = all.into_iter().next().expect("one");
    connection.used
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn an_upload_keeps_half_of_its_speed_beside_frames_of_one_byte() {
    let honest = alone(Connection::upload(1), LONG);
    assert!(honest >= LONG.mul_f64(0.9), "nobody holds it up: {honest:?}");
    // From one address, from the same as the upload, and from fifty.
    for (count, addresses, first) in [(32, 1, 2), (900, 1, 2), (900, 1, 1), (900, 50, 2)] {
        let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
        let mut all = vec![Connection::upload(1)];
        all.extend((0..count).map(|number| Connection::junk(first + number % addresses)));
        run(&mut computing, &mut all, Duration::from_secs(1), LONG);
        let kept = all[0].used.div_duration_f64(honest);
        assert!(kept >= 0.5, "{count} from {addresses}: {kept}");
    }
}

#[test]
fn small_files_keep_half_their_speed_beside_many_uploads() {
    let honest = alone(Connection::small_files(1), LONG);
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all = vec![Connection::small_files(1)];
    all.extend((0..32).map(|_| Connection::upload(2)));
    run(&mut computing, &mut all, Duration::from_secs(1), LONG);
    let kept = all[0].used.div_duration_f64(honest);
    assert!(kept >= 0.5, "{kept}");
    let others: Duration = all[1..].iter().map(|it| it.used).sum();
    assert!(others >= LONG.mul_f64(0.5), "they get the rest: {others:?}");
}

#[test]
fn who_computes_for_nothing_is_not_held_up_if_nobody_waits() {
    let used = alone(Connection::junk(1), LONG);
    assert!(used >= LONG.mul_f64(0.99), "{used:?}");
}

#[test]
fn newcomers_find_a_processor_free_beside_unearned_computing() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all: Vec<_> = (0..900).map(|number| Connection::junk(2 + number % 50)).collect();
    run(&mut computing, &mut all, Duration::from_secs(1), LONG);
    run(&mut computing, &mut all, Duration::from_secs(1) + LONG, LONG);
    let used: Duration = all.iter().map(|it| it.used).sum();
    let part = used.div_duration_f64(LONG * PROCESSORS as u32);
    assert!((0.6..=0.8).contains(&part), "{part}");
    // It has said hello, and computed nothing to speak of.
    let start = Duration::from_secs(1) + LONG * 2;
    computing.begin(&mut Account::new(), source(1), start);
    run(&mut computing, &mut all, start, Duration::from_secs(4));
    let used: Duration = all.iter().map(|it| it.used).sum();
    let part = used.div_duration_f64(Duration::from_secs(4) * PROCESSORS as u32);
    assert!(part <= 0.85, "{part}");
}

#[test]
fn who_computes_for_nothing_waits_for_nobody_who_is_gone() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all: Vec<_> = (0..100).map(|_| Connection::junk(2)).collect();
    all.push(Connection::upload(1));
    run(&mut computing, &mut all, Duration::from_secs(1), LONG);
    all.pop();
    let start = Duration::from_secs(1) + LONG + PRESENT_FOR;
    run(&mut computing, &mut all, start, LONG);
    let used: Duration = all.iter().map(|it| it.used).sum();
    assert!(used >= LONG.mul_f64(0.6 * PROCESSORS as f64), "{used:?}");
}

#[test]
fn who_computes_for_nothing_gets_on_beside_others() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all: Vec<_> = (1..=4).map(Connection::upload).collect();
    all.push(Connection::junk(9));
    run(&mut computing, &mut all, Duration::from_secs(1), LONG);
    let used = all[4].used.div_duration_f64(LONG);
    assert!((0.09..=0.25).contains(&used), "{used}");
}

#[test]
fn who_was_in_debt_gets_out_by_what_it_sends() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut all = vec![Connection::junk(1), Connection::upload(2)];
    run(&mut computing, &mut all, Duration::from_secs(1), Duration::from_secs(2));
    assert!(all[0].account.is_in_debt() && !all[1].account.is_in_debt());
    all[0].earned_per_turn_ns = Connection::upload(1).earned_per_turn_ns;
    run(&mut computing, &mut all, Duration::from_secs(3), LONG);
    assert!(!all[0].account.is_in_debt());
    assert!(all[0].used >= LONG.mul_f64(0.5), "{:?}", all[0].used);
}

#[test]
fn new_connections_of_one_source_share_what_they_begin_with() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let (mut used, now) = (0, Duration::from_secs(1));
    for _ in 0..1_000 {
        let mut account = Account::new();
        let turn = Used { processor_ns: 100_000, ran_ns: 100_000, earned_ns: 0 };
        computing.charge(&mut account, source(1), turn, now);
        used += usize::from(!account.is_in_debt());
    }
    assert!((20..=21).contains(&used), "{used} of them began with something");
}

/// Whoever comes, in whatever order: what is known stays bounded, and no account is beyond what one may hold.
#[test]
fn what_is_known_of_sources_is_bounded() {
    let mut chance = Chance::seeded();
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let mut now = Duration::from_secs(1);
    let mut accounts = vec![Account::new(); 64];
    for _ in 0..100_000 {
        now += Duration::from_micros(chance.below(500) as u64);
        let at = chance.below(accounts.len());
        let source = source(u32::try_from(chance.number() % (1 << 20)).unwrap_or(0));
        let mut ns = || if chance.below(10) == 0 { u64::MAX } else { chance.number() % 10_000_000 };
        let used = Used { processor_ns: ns(), ran_ns: ns(), earned_ns: ns() };
        computing.charge(&mut accounts[at], source, used, now);
        assert!(computing.sources.len() <= SOURCES_MAX + 1);
        let balance = accounts[at].balance_ns.unwrap_or_default();
        assert!((-ACCOUNT_MAX_NS..=ACCOUNT_MAX_NS).contains(&balance));
    }
    now += Duration::from_secs(3_600);
    computing.sources.retain(|_, usage| !usage.is_over(now) && usage.free_at < now);
    assert!(computing.sources.is_empty(), "after a while nothing is known");
}

#[test]
fn a_clock_that_is_set_back_neither_gives_time_nor_holds_up() {
    let mut computing = Computing::new(PROCESSORS, DEBT_PERCENT);
    let [mut junk, mut honest] = [Account::new(), Account::new()];
    let used = Used { processor_ns: 20_000_000, ran_ns: 20_000_000, earned_ns: 0 };
    let now = Duration::from_secs(1_000);
    let earned = Used { earned_ns: 40_000_000, ..used };
    computing.charge(&mut honest, source(2), earned, now);
    let until = computing.charge(&mut junk, source(1), used, now);
    assert!(junk.is_in_debt() && until > now);
    let before = Duration::from_secs(1);
    assert!(computing.charge(&mut junk, source(1), used, before) >= until);
    assert!(computing.charge(&mut honest, source(2), earned, before) <= until);
    // What was used since is all that it waits for.
    let later = now + Duration::from_secs(1);
    let until = computing.charge(&mut junk, source(1), Used { ran_ns: 1_000_000, ..used }, later);
    assert!(until < later + Duration::from_secs(1), "{until:?}");
}
