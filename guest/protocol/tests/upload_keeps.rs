//! Who waits until what has come is kept, and how that ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{Done, Ending, KEEPS_MAX, Options, Work};
use sandport_protocol::{RefusalCode, ResumeMode};
use upload_bench::{Bench, io};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;

#[test]
fn all_that_was_here_is_kept_however_little_it_is() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 10);
    let keep = bench.upload.keep(session, 0).unwrap();
    let (held, entries) = bench.keep();
    assert_eq!(held.map(|held| held.bytes.len()), Some(10));
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(10));
    assert_eq!(bench.kept(), []);
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(keep, Ok(()))]);
}

#[test]
fn what_is_kept_already_is_told_at_once() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let keep = bench.upload.keep(session, 0).unwrap();
    assert_eq!(bench.kept(), [(keep, Ok(()))]);
    assert!(bench.is_idle());
}

#[test]
fn what_came_while_the_journal_is_written_waits_for_an_entry() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    let first = bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.bring(body, 9_000);
    let second = bench.upload.keep(session, 0).unwrap();
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(first, Ok(()))]);
    let (_, entries) = bench.keep();
    assert_eq!(entries[0].tail.map(|tail| tail.length), Some(18_000));
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(second, Ok(()))]);
}

#[test]
fn a_keep_that_fails_says_why_and_the_upload_goes_on() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    let keep = bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.done(Done::Unwritten(RefusalCode::InsufficientSpace.into()));
    assert_eq!(bench.kept(), [(keep, Err(RefusalCode::InsufficientSpace))]);
    assert!(bench.upload.holds(session));
    let again = bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(again, Ok(()))]);
}

#[test]
fn bytes_that_are_lost_are_not_told_to_be_kept() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    let first = bench.upload.keep(session, 0).unwrap();
    let second = bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.done(Done::Unsynced(io()));
    let code = Err(RefusalCode::Io);
    assert_eq!(bench.kept(), [(first, code), (second, code)]);
}

#[test]
fn who_leaves_hears_all_the_same() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    let keep = bench.upload.keep(session, 0).unwrap();
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(keep, Ok(()))]);
}

#[test]
fn who_commits_hears_when_the_file_has_its_name() {
    let size = 3 * GROUP_BYTES + 1;
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 2 * GROUP_BYTES);
    bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.bring(body, GROUP_BYTES + 1);
    let late = bench.upload.keep(session, 0).unwrap();
    bench.commit(session, size);
    bench.told();
    bench.done(Done::Kept);
    assert!(bench.kept().iter().all(|(keep, _)| *keep != late));
    assert!(matches!(bench.work(), Work::Publish { .. }));
    bench.done(Done::Published);
    let told = bench.told();
    let is_late = |it: &_| matches!(it, sandport_protocol::upload::Effect::Kept { keep, outcome: Ok(()) } if *keep == late);
    assert!(told.iter().any(is_late), "{told:?}");
}

#[test]
fn who_gives_up_hears_that() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.upload.keep(session, 0).unwrap();
    bench.upload.discard(session, 0);
    bench.done(Done::Unwritten(io()));
    assert!(matches!(bench.work(), Work::Remove));
    bench.done(Done::Removed);
    let ends: Vec<_> = bench.kept().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(ends, [Err(RefusalCode::Io), Err(RefusalCode::Cancelled)]);
}

#[test]
fn of_several_begun_groups_one_can_be_kept() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let (one, other) = (bench.body(session, 0), bench.body(session, GROUP_BYTES));
    bench.bring(one, 9_000);
    bench.bring(other, 9_000);
    assert_eq!(bench.upload.keep(session, 0).unwrap_err().code, RefusalCode::InvalidState);
    bench.bring(one, GROUP_BYTES - 9_000);
    let keep = bench.upload.keep(session, 0).unwrap();
    bench.keep();
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(keep, Ok(()))]);
}

#[test]
fn a_drip_that_asks_after_each_drop_makes_few_entries() {
    let mut bench = Bench::new(Options { size: Some(4 * GROUP_BYTES), ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    let mut entries = 0;
    for _ in 0..600 {
        bench.bring(body, 1);
        // Beyond some that wait, it is refused.
        let _ = bench.upload.keep(session, bench.now);
        if !bench.is_idle() {
            entries += 1;
            bench.done(Done::Kept);
        }
        bench.pass(100);
        if !bench.is_idle() {
            entries += 1;
            bench.done(Done::Kept);
        }
        bench.told();
    }
    // At once, and then within a minute ever seldomer.
    assert!((32..40).contains(&entries), "{entries} entries for 600 bytes");
}

#[test]
fn so_many_may_wait_and_no_more() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    for _ in 0..KEEPS_MAX {
        bench.upload.keep(session, 0).unwrap();
    }
    assert_eq!(bench.upload.keep(session, 0).unwrap_err().code, RefusalCode::TooMany);
}

#[test]
fn who_has_lost_the_upload_keeps_nothing() {
    let mut bench = Bench::sized();
    let loser = bench.session(TAKE_OVER);
    bench.session(TAKE_OVER);
    assert_eq!(bench.upload.keep(loser, 0).unwrap_err().code, RefusalCode::Locked);
}

#[test]
fn one_whose_key_was_told_is_kept_from_its_beginning() {
    let mut bench = Bench::new(Options { keeps_empty: true, ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let keep = bench.upload.keep(session, 0).unwrap();
    let (held, entries) = bench.keep();
    assert!(held.is_none() && entries.is_empty());
    bench.done(Done::Kept);
    assert_eq!(bench.kept(), [(keep, Ok(()))]);
    bench.release(session);
    assert!(matches!(bench.work(), Work::Park { kept_bytes: 0, .. }));
    bench.done(Done::Parked);
    assert_eq!(bench.ending(), Some(Ending::Parked));
}

#[test]
fn an_upload_whose_key_was_told_outlives_a_fault_without_a_size() {
    let mut bench = Bench::new(Options { keeps_empty: true, ..Options::default() });
    let session = bench.session(TAKE_OVER);
    bench.upload.fail(session, &io(), 0);
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    assert!(matches!(bench.work(), Work::Park { .. }));
}

#[test]
fn a_size_that_is_set_late_is_written_down() {
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    let code = |result: Result<(), sandport_protocol::Refusal>| result.unwrap_err().code;
    assert_eq!(code(bench.upload.set_size(session, 8_999, 0)), RefusalCode::OffsetMismatch);
    bench.upload.set_size(session, 9_700, 0).unwrap();
    bench.upload.set_size(session, 9_700, 0).unwrap();
    assert_eq!(code(bench.upload.set_size(session, 9_701, 0)), RefusalCode::InvalidState);
    bench.pass(2_000);
    let Work::Keep { size, .. } = bench.work() else { panic!("it has nothing to keep") };
    assert_eq!(size, Some(9_700));
    bench.done(Done::Unwritten(io()));
    bench.pass(2_000);
    let Work::Keep { size, .. } = bench.work() else { panic!("it has nothing to keep") };
    assert_eq!(size, Some(9_700), "it was not written down");
    bench.done(Done::Kept);
    bench.bring(body, 700);
    bench.upload.end_body(body, 0);
    assert_eq!(bench.upload.missing(), []);
    bench.commit(session, 9_700);
    assert!(matches!(bench.work(), Work::Hash { size: 9_700 }));
}

#[test]
fn no_more_comes_than_the_size_that_was_set_late() {
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    let grant = bench.grant(body, 10_000);
    let refused = bench.upload.set_size(session, 9_000, 0).unwrap_err();
    assert_eq!(refused.code, RefusalCode::OffsetMismatch, "ten thousand are on their way");
    bench.upload.failed(grant, &io(), 0);
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.upload.set_size(session, 9_000, 0).unwrap();
    assert!(bench.upload.claim(body, 9_001, 0).is_none());
    assert_eq!(bench.faults(), [(session, RefusalCode::OffsetMismatch)]);
}
