//! Who gets an upload, and what becomes of those who lose it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{Admission, Claimant, Done, Work};
use sandport_protocol::{Digest, RefusalCode, ResumeMode};
use upload_bench::{Bench, digest_of_zeros, from, io, offer};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;
const JOIN: ResumeMode = ResumeMode::Join;

#[test]
fn taking_over_waits_for_writes_of_the_loser() {
    let mut bench = Bench::sized();
    let loser = bench.session(TAKE_OVER);
    let body = bench.body(loser, 0);
    let grant = bench.grant(body, GROUP_BYTES);
    let winner = bench.session(TAKE_OVER);
    assert_eq!(bench.faults(), [(loser, RefusalCode::Locked)]);
    assert!(!bench.upload.is_settled());
    assert!(bench.upload.body(winner, from(GROUP_BYTES)).is_err());
    bench.upload.failed(grant, &io(), 0);
    assert!(bench.upload.is_settled());
    assert_eq!(bench.upload.missing()[0].offset, 0);
    assert!(bench.upload.body(winner, from(0)).is_ok());
}

#[test]
fn joining_by_a_later_run_waits_for_writes_of_the_loser() {
    let mut bench = Bench::sized();
    let loser = bench.session(TAKE_OVER);
    let body = bench.body(loser, 0);
    let grant = bench.grant(body, GROUP_BYTES);
    let later = Claimant { run: 2, ..offer(JOIN) };
    assert!(matches!(bench.upload.offer(&later, 0), Admission::Holds(_)));
    assert!(!bench.upload.is_settled());
    bench.upload.failed(grant, &io(), 0);
    assert!(bench.upload.is_settled());
}

#[test]
fn joining_waits_for_nobody() {
    let mut bench = Bench::sized();
    let first = bench.session(TAKE_OVER);
    let body = bench.body(first, 0);
    let _grant = bench.grant(body, GROUP_BYTES);
    let second = bench.session(JOIN);
    assert!(bench.upload.is_settled());
    assert_eq!(bench.upload.missing()[0].offset, GROUP_BYTES);
    assert!(bench.upload.body(second, from(GROUP_BYTES)).is_ok());
}

#[test]
fn an_earlier_run_gets_nothing_from_a_later_one() {
    let mut bench = Bench::sized();
    let later = Claimant { run: 2, ..offer(TAKE_OVER) };
    assert!(matches!(bench.upload.offer(&later, 0), Admission::Holds(_)));
    let refused = bench.upload.offer(&offer(TAKE_OVER), 0);
    assert!(matches!(refused, Admission::Refused(it) if it.code == RefusalCode::Locked));
}

#[test]
fn a_refused_offer_leaves_nothing_open() {
    let mut bench = Bench::sized();
    let other = Claimant { is_same: false, ..offer(TAKE_OVER) };
    let refused = bench.upload.offer(&other, 0);
    assert!(matches!(refused, Admission::Refused(it) if it.code == RefusalCode::InvalidState));
    assert!(bench.is_gone());
}

#[test]
fn an_offer_during_a_commit_is_compared() {
    let size = GROUP_BYTES + 9_000;
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.upload.end_body(body, 0);
    bench.commit(session, size);
    let mut offer_with = |is_same, digest| {
        let claimant = Claimant { is_same, digest, ..offer(TAKE_OVER) };
        bench.upload.offer(&claimant, 0)
    };
    let its = Some(digest_of_zeros(size));
    assert_eq!(offer_with(true, its), Admission::Commits);
    assert_eq!(offer_with(true, Some(Digest::Blake3([7; 32]))), Admission::Later);
    assert!(matches!(offer_with(false, its), Admission::Refused(_)));
}

#[test]
fn beginning_anew_removes_what_there_was() {
    let mut bench = Bench::sized();
    let first = bench.session(TAKE_OVER);
    let body = bench.body(first, 0);
    bench.bring(body, GROUP_BYTES);
    assert_eq!(bench.upload.offer(&offer(ResumeMode::Restart), 0), Admission::Anew);
    assert_eq!(bench.faults(), [(first, RefusalCode::Locked)]);
    assert_eq!(bench.work(), Work::Remove);
    bench.done(Done::Removed);
    assert!(bench.is_gone());
}

#[test]
fn beginning_anew_discards_what_is_being_closed_alone() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES);
    bench.upload.end_body(body, 0);
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    assert!(matches!(bench.work(), Work::Park { .. }));
    assert_eq!(bench.upload.offer(&offer(ResumeMode::Restart), 0), Admission::Anew);
    bench.done(Done::Parked);
    assert_eq!(bench.work(), Work::Remove);
    bench.done(Done::Removed);
    assert!(bench.is_gone());
}

#[test]
fn giving_up_counts_for_all_who_hold_it() {
    let mut bench = Bench::sized();
    let one = bench.session(TAKE_OVER);
    let other = bench.session(JOIN);
    let body = bench.body(other, 0);
    let grant = bench.grant(body, 9_000);
    bench.upload.discard(one, 0);
    assert!(bench.faults().contains(&(other, RefusalCode::Cancelled)));
    assert!(bench.is_idle(), "it waits for the write");
    bench.upload.wrote(grant, 0);
    assert_eq!(bench.work(), Work::Remove);
}

#[test]
fn giving_up_what_was_lost_changes_nothing() {
    let mut bench = Bench::sized();
    let loser = bench.session(TAKE_OVER);
    let winner = bench.session(TAKE_OVER);
    bench.upload.discard(loser, 0);
    assert!(bench.upload.holds(winner));
    assert!(bench.is_idle());
}
