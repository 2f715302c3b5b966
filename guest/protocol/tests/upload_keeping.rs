//! When the journal of an upload is written, with what, and what becomes of it where that fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{Done, Effect, Options, Work};
use sandport_protocol::{RefusalCode, ResumeMode};
use upload_bench::{Bench, io};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;

#[test]
fn bytes_are_durable_when_their_entry_is_in_the_journal() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES + 9_000);
    bench.pass(2_000);
    let (_, entries) = bench.keep();
    assert_eq!((entries[0].first, entries[0].groups.len()), (0, 1));
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(9_000));
    assert_eq!(bench.upload.durable(), 0);
    bench.done(Done::Kept);
    assert!(bench.told().contains(&Effect::Durable(GROUP_BYTES + 9_000)));
}

#[test]
fn a_drip_makes_no_entries() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    for _ in 0..20 {
        bench.bring(body, 1);
        bench.pass(2_500);
        assert!(bench.is_idle());
    }
    // Less than an entry of the journal takes, however long it lies there.
    bench.pass(24 * 3_600_000);
    assert!(bench.is_idle());
    bench.bring(body, 8_192 - 20);
    let (_, entries) = bench.keep();
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(8_192));
    bench.done(Done::Kept);
    // What comes behind more than that waits for a minute at most.
    bench.bring(body, 1);
    bench.pass(60_000);
    let (_, entries) = bench.keep();
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(8_193));
}

#[test]
fn a_group_that_a_drip_makes_whole_is_kept_in_time() {
    let mut bench = Bench::new(Options { size: Some(GROUP_BYTES + 20), ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, GROUP_BYTES);
    bench.bring(body, 10);
    bench.pass(2_000);
    assert!(bench.is_idle(), "ten bytes are not worth an entry");
    bench.bring(body, 10);
    bench.pass(2_000);
    let (_, entries) = bench.keep();
    assert_eq!((entries[0].first, entries[0].groups.len()), (1, 1));
}

#[test]
fn a_group_of_which_nothing_came_is_not_kept() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let (first, second) = (bench.body(session, 0), bench.body(session, GROUP_BYTES));
    // A body that was let in, and brings nothing after all.
    let grant = bench.grant(first, GROUP_BYTES);
    bench.upload.wrote(grant, 0);
    bench.bring(second, GROUP_BYTES);
    bench.pass(2_000);
    let (_, entries) = bench.keep();
    assert_eq!((entries[0].first, entries[0].groups.len(), entries[0].tail), (1, 1, None));
    bench.done(Done::Kept);
    assert_eq!(bench.bring(first, GROUP_BYTES), GROUP_BYTES);
}

#[test]
fn first_bytes_are_held_back_and_written_with_the_entry() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    assert_eq!(bench.bring(body, 700), 0);
    bench.upload.keep(session, 0).unwrap();
    let (held, entries) = bench.keep();
    let held = held.expect("the journal is about to say them");
    assert_eq!((held.at, held.bytes.len()), (0, 700));
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(700));
}

#[test]
fn more_than_a_step_waits_for_the_journal() {
    let options =
        Options { size: Some(8 * GROUP_BYTES), step_bytes: 2 * GROUP_BYTES, ..Options::default() };
    let mut bench = Bench::new(options);
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    bench.keep();
    bench.bring(body, GROUP_BYTES);
    assert_eq!(bench.upload.room(body, 0), 0);
    bench.done(Done::Kept);
    assert!(bench.told().contains(&Effect::Room));
    assert!(bench.upload.room(body, 0) > 0);
}

#[test]
fn who_waits_for_a_watermark_that_fails_is_told() {
    let options =
        Options { size: Some(8 * GROUP_BYTES), step_bytes: GROUP_BYTES, ..Options::default() };
    let mut bench = Bench::new(options);
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    assert_eq!(bench.upload.room(body, 0), 0);
    bench.keep();
    bench.done(Done::Unwritten(RefusalCode::InsufficientSpace.into()));
    assert_eq!(bench.faults(), [(session, RefusalCode::InsufficientSpace)]);
    assert_eq!(bench.upload.room(body, 0), u64::MAX, "it swallows what comes");
}

#[test]
fn the_last_watermark_is_tried_a_few_times() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    bench.upload.end_body(body, 0);
    bench.release(session);
    for _ in 0..2 {
        bench.keep();
        bench.done(Done::Unwritten(io()));
        assert!(bench.told().iter().any(|it| matches!(it, Effect::Wake(_))));
        bench.pass(1_000);
    }
    bench.keep();
    bench.done(Done::Unwritten(io()));
    assert!(matches!(bench.work(), Work::Park { kept_bytes: 0, .. }));
    bench.done(Done::Parked);
    assert!(bench.is_gone());
}

#[test]
fn who_comes_back_goes_on_with_what_could_not_be_kept() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    bench.upload.end_body(body, 0);
    bench.release(session);
    bench.keep();
    bench.done(Done::Unwritten(io()));
    let next = bench.session(TAKE_OVER);
    assert_eq!(bench.upload.missing()[0].offset, 9_000);
    assert!(bench.upload.holds(next));
}

#[test]
fn bytes_that_were_lost_are_told_to_nobody_as_kept() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    bench.pass(2_000);
    bench.keep();
    bench.done(Done::Unsynced(io()));
    let told = bench.told();
    assert!(!told.iter().any(|it| matches!(it, Effect::Durable(_))));
    assert!(told.iter().any(|it| matches!(it, Effect::Fault { .. })));
    assert!(matches!(bench.work(), Work::Park { kept_bytes: 0, .. }));
}

#[test]
fn closing_frees_nothing_that_the_journal_says() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    bench.pass(2_000);
    bench.keep();
    bench.done(Done::Kept);
    bench.bring(body, 9_000);
    bench.pass(2_000);
    bench.keep();
    // Meanwhile the group is made whole.
    bench.bring(body, GROUP_BYTES - 10_000);
    bench.done(Done::Unsynced(io()));
    let Work::Park { kept_bytes, unkept, .. } = bench.work() else { panic!() };
    assert_eq!(kept_bytes, 9_000);
    assert!(unkept.iter().all(|&(start, _)| start >= 9_000), "{unkept:?}");
}

#[test]
fn one_that_was_refused_for_want_of_space_is_closed_as_such() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    bench.upload.end_body(body, 0);
    bench.upload.fail(session, &RefusalCode::InsufficientSpace.into(), 0);
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    assert!(matches!(bench.work(), Work::Park { is_starved: true, .. }));
}

#[test]
fn what_is_not_synced_counts_for_this_boot_alone() {
    let options = Options { size: Some(4 * GROUP_BYTES), boot: Some(7), ..Options::default() };
    let mut bench = Bench::new(options);
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    bench.pass(2_000);
    let (_, entries) = bench.keep();
    assert_eq!(entries[0].boot, Some(7));
}
