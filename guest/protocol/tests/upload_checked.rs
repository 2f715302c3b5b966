//! Bodies that count when they are found to be what they should be, and not before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{
    BodyId, CHECKED_BYTES_MAX, CHECKED_MAX, Done, Options, SessionId, Work,
};
use sandport_protocol::{Digest, Extent, Refusal, RefusalCode, ResumeMode};
use upload_bench::{Bench, digest_of_zeros, from};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;
const RIGHT: Digest = Digest::Blake3([1; 32]);
const WRONG: Digest = Digest::Blake3([2; 32]);

fn checked(bench: &mut Bench, session: SessionId, offset: u64, length: u64) -> BodyId {
    let extent = Extent { offset, length: Some(length) };
    bench.upload.body_checked(session, extent).unwrap()
}

fn code(result: Result<impl std::fmt::Debug, Refusal>) -> RefusalCode {
    result.unwrap_err().code
}

#[test]
fn bytes_count_when_they_are_what_they_should_be() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let plain = bench.body(session, 0);
    bench.bring(plain, 700);
    bench.upload.end_body(plain, 0);
    let body = checked(&mut bench, session, 700, 2 * GROUP_BYTES);
    bench.bring(body, 2 * GROUP_BYTES);
    let before = bench.upload.progress();
    assert_eq!((before.received, before.missing[0].offset), (700, 700));
    bench.upload.keep(session, 0).unwrap();
    let (_, entries) = bench.keep();
    let tail = entries[0].tail.unwrap();
    assert!(entries[0].groups.is_empty() && tail.length == 700, "it says nothing unchecked");
    bench.done(Done::Kept);
    bench.upload.end_checked(body, RIGHT, RIGHT, 0).unwrap();
    assert_eq!(bench.upload.progress().received, 700 + 2 * GROUP_BYTES);
    let rest = bench.body(session, 700 + 2 * GROUP_BYTES);
    bench.bring(rest, GROUP_BYTES - 699);
    let size = 3 * GROUP_BYTES + 1;
    bench.upload.commit(session, size, [digest_of_zeros(size)], 0).unwrap();
    let work = match bench.work() {
        Work::Keep { .. } => {
            bench.done(Done::Kept);
            bench.work()
        }
        work => work,
    };
    assert!(matches!(work, Work::Publish { .. }), "{work:?}");
}

#[test]
fn a_mismatch_is_the_fault_of_the_body_and_not_of_the_upload() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let plain = bench.body(session, 0);
    bench.bring(plain, 9_000);
    bench.upload.end_body(plain, 0);
    let before = bench.upload.missing();
    let body = checked(&mut bench, session, 9_000, GROUP_BYTES + 9);
    bench.bring(body, GROUP_BYTES + 9);
    assert_ne!(bench.upload.missing(), before, "somebody is bringing it");
    let refused = bench.upload.end_checked(body, WRONG, RIGHT, 0);
    assert_eq!(code(refused), RefusalCode::DigestMismatch);
    assert_eq!(bench.faults(), []);
    assert_eq!(bench.upload.missing(), before);
    let again = checked(&mut bench, session, 9_000, 10);
    bench.bring(again, 10);
    bench.upload.end_checked(again, RIGHT, RIGHT, 0).unwrap();
    assert_eq!(bench.upload.progress().received, 9_010);
}

#[test]
fn one_that_is_cut_was_never_here() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = checked(&mut bench, session, 0, 2 * GROUP_BYTES);
    bench.bring(body, GROUP_BYTES + 9_000);
    bench.upload.end_body(body, 0);
    assert_eq!(bench.upload.progress().received, 0);
    assert_eq!(code(bench.upload.end_checked(body, RIGHT, RIGHT, 0)), RefusalCode::Locked);
    assert_eq!(bench.upload.missing()[0].offset, 0);
}

#[test]
fn a_checked_body_taken_over_was_never_here() {
    let mut bench = Bench::sized();
    let loser = bench.session(TAKE_OVER);
    let body = checked(&mut bench, loser, 0, 2 * GROUP_BYTES);
    bench.bring(body, GROUP_BYTES);
    let mut grant = bench.grant(body, GROUP_BYTES);
    let winner = bench.session(TAKE_OVER);
    assert!(!bench.upload.is_settled());
    let _ = grant.bring(&vec![0; GROUP_BYTES as usize]);
    bench.upload.wrote(grant, 0);
    assert!(bench.upload.is_settled());
    assert_eq!(code(bench.upload.end_checked(body, RIGHT, RIGHT, 0)), RefusalCode::Locked);
    assert_eq!(bench.upload.progress().received, 0);
    assert!(bench.upload.body(winner, from(0)).is_ok());
}

#[test]
fn what_is_worth_nothing_is_freed_when_it_is_closed() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let plain = bench.body(session, 0);
    bench.bring(plain, 9_000);
    bench.upload.end_body(plain, 0);
    let body = checked(&mut bench, session, 9_000, 2 * GROUP_BYTES);
    bench.bring(body, GROUP_BYTES);
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    let Work::Park { kept_bytes, unkept, .. } = bench.work() else { panic!("it is not closed") };
    assert_eq!((kept_bytes, unkept), (9_000, vec![(9_000, 9_000 + GROUP_BYTES)]));
}

#[test]
fn nobody_else_brings_what_is_being_checked() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = checked(&mut bench, session, 0, 2 * GROUP_BYTES);
    bench.bring(body, GROUP_BYTES + 1);
    for offset in [0, GROUP_BYTES] {
        assert_eq!(code(bench.upload.body(session, from(offset))), RefusalCode::OffsetMismatch);
    }
    assert_eq!(bench.upload.missing()[0].offset, 2 * GROUP_BYTES);
}

#[test]
fn there_is_room_for_all_of_it_whatever_the_step() {
    let options =
        Options { size: Some(8 * GROUP_BYTES), step_bytes: GROUP_BYTES, ..Options::default() };
    let mut bench = Bench::new(options);
    let session = bench.session(TAKE_OVER);
    let plain = bench.body(session, 4 * GROUP_BYTES);
    bench.bring(plain, GROUP_BYTES);
    assert_eq!(bench.upload.room(plain, 0), 0);
    let body = checked(&mut bench, session, 0, 4 * GROUP_BYTES);
    assert_eq!(bench.upload.reserve(body, 4 * GROUP_BYTES, 0), 4 * GROUP_BYTES);
    bench.bring(body, 4 * GROUP_BYTES);
    bench.upload.end_checked(body, RIGHT, RIGHT, 0).unwrap();
    bench.keep();
    bench.done(Done::Kept);
    let (_, entries) = bench.keep();
    assert_eq!((entries[0].first, entries[0].groups.len()), (0, 4));
    bench.done(Done::Kept);
    assert!(bench.upload.room(plain, 0) > 0);
}

#[test]
fn it_is_bounded_in_length_and_in_number() {
    let mut bench = Bench::new(Options::default());
    let session = bench.session(TAKE_OVER);
    let too_long = Extent { offset: 0, length: Some(CHECKED_BYTES_MAX + 1) };
    assert_eq!(code(bench.upload.body_checked(session, too_long)), RefusalCode::TooLarge);
    let body = bench.upload.body_checked(session, from(0)).unwrap();
    assert!(bench.upload.claim(body, CHECKED_BYTES_MAX + 1, 0).is_none());
    assert_eq!(bench.faults(), [], "it is the body's own");
    assert_eq!(code(bench.upload.end_checked(body, RIGHT, RIGHT, 0)), RefusalCode::TooLarge);
    for at in 0..CHECKED_MAX as u64 {
        checked(&mut bench, session, at * GROUP_BYTES, 1);
    }
    let one_more = Extent { offset: 50 * GROUP_BYTES, length: Some(1) };
    assert_eq!(code(bench.upload.body_checked(session, one_more)), RefusalCode::TooMany);
}

#[test]
fn a_commit_does_not_count_what_was_not_checked() {
    let size = GROUP_BYTES + 9_000;
    let mut bench = Bench::new(Options { size: Some(size), ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let body = checked(&mut bench, session, 0, size);
    bench.bring(body, size);
    bench.commit(session, size);
    assert_eq!(bench.refusals(), [RefusalCode::DigestMismatch]);
}
