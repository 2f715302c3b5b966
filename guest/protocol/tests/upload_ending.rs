//! How an upload ends: published, refused, removed, left.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{Admission, Done, Ending, Options, Work};
use sandport_protocol::{Digest, Refusal, RefusalCode, ResumeMode};
use upload_bench::{Bench, digest_of_zeros, from, io, offer};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;
const JOIN: ResumeMode = ResumeMode::Join;

/// An upload of a stream of so many zeros, all of which are here.
fn whole_stream(size: u64) -> (Bench, sandport_protocol::upload::SessionId) {
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.upload.end_body(body, 0);
    (bench, session)
}

#[test]
fn a_file_is_published_with_the_digest_of_its_bytes() {
    let size = 2 * GROUP_BYTES + 500_000;
    let (mut bench, session) = whole_stream(size);
    bench.commit(session, size);
    let digest = digest_of_zeros(size);
    assert_eq!(bench.work(), Work::Publish { size, digest });
    bench.done(Done::Published);
    assert!(bench.is_gone());
}

#[test]
fn the_held_back_bytes_of_a_short_stream_are_written_at_its_end() {
    let (mut bench, session) = whole_stream(300);
    bench.commit(session, 300);
    let Work::Write(held) = bench.work() else { panic!() };
    assert_eq!((held.at, held.bytes.len()), (0, 300));
    bench.done(Done::Written(Ok(())));
    assert_eq!(bench.work(), Work::Hash { size: 300 });
    bench.done(Done::Hashed(Ok(digest_of_zeros(300))));
    assert!(matches!(bench.work(), Work::Publish { size: 300, .. }));
}

#[test]
fn a_file_that_is_not_what_was_to_be_sent_is_removed() {
    let size = GROUP_BYTES + 9_000;
    let (mut bench, session) = whole_stream(size);
    bench.upload.commit(session, size, [Digest::Blake3([7; 32])], 0).unwrap();
    assert_eq!(bench.refusals(), [RefusalCode::DigestMismatch]);
    assert_eq!(bench.work(), Work::Remove);
}

#[test]
fn a_file_that_its_inbox_finds_to_be_another_is_removed() {
    let size = GROUP_BYTES + 9_000;
    let (mut bench, session) = whole_stream(size);
    bench.commit(session, size);
    assert!(matches!(bench.work(), Work::Publish { .. }));
    let refusal = Refusal::from(RefusalCode::DigestMismatch);
    bench.done(Done::Mismatched(refusal.clone()));
    assert_eq!(bench.work(), Work::Remove);
    bench.done(Done::Removed);
    assert_eq!(bench.ending(), Some(Ending::Removed(Some(refusal))));
}

#[test]
fn a_commit_waits_for_those_who_have_joined() {
    let mut bench = Bench::sized();
    let size = 3 * GROUP_BYTES + 1;
    let one = bench.session(TAKE_OVER);
    let other = bench.session(JOIN);
    let body = bench.body(one, 0);
    bench.bring(body, size);
    bench.upload.end_body(body, 0);
    bench.commit(one, size);
    while let Some(work) = bench.upload.poll_work() {
        assert!(matches!(work, Work::Keep { .. }));
        bench.done(Done::Kept);
    }
    bench.commit(other, size);
    assert!(matches!(bench.work(), Work::Publish { .. }));
}

#[test]
fn nobody_waits_for_a_commit_that_was_taken_from_all() {
    let mut bench = Bench::sized();
    let size = 3 * GROUP_BYTES + 1;
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 2 * GROUP_BYTES);
    // Something is still being written when all of it is taken back.
    let grant = bench.grant(body, GROUP_BYTES);
    bench.commit(session, size);
    bench.upload.fail_all(&io(), 0);
    assert_eq!(bench.refusals(), [RefusalCode::Io]);
    let later = bench.upload.offer(&offer(TAKE_OVER), 0);
    assert!(matches!(later, Admission::Holds(_)), "{later:?}");
    bench.upload.wrote(grant, 0);
    assert_eq!(bench.refusals(), []);
}

#[test]
fn who_has_joined_and_leaves_early_costs_the_others_nothing() {
    let mut bench = Bench::sized();
    let one = bench.session(TAKE_OVER);
    let other = bench.session(JOIN);
    let body = bench.body(other, 0);
    bench.bring(body, 10_000);
    bench.upload.end_body(body, 0);
    bench.commit(one, 3 * GROUP_BYTES + 1);
    bench.release(other);
    assert_eq!(bench.refusals(), [RefusalCode::Cancelled]);
    // What came is kept for the next try.
    bench.keep();
}

#[test]
fn a_stream_whose_commit_was_refused_goes_on() {
    let (mut bench, one) = whole_stream(GROUP_BYTES + 900);
    let other = bench.session(JOIN);
    let body = bench.body(other, 3 * GROUP_BYTES);
    bench.bring(body, 10);
    bench.upload.end_body(body, 0);
    bench.commit(one, GROUP_BYTES + 900);
    bench.release(other);
    assert_eq!(bench.refusals(), [RefusalCode::Cancelled]);
    let next = bench.session(TAKE_OVER);
    assert_eq!(bench.upload.missing()[0].offset, GROUP_BYTES + 900);
    assert!(bench.upload.body(next, from(GROUP_BYTES + 900)).is_ok());
}

#[test]
fn a_stream_that_gets_no_name_is_not_kept_beyond_its_bytes() {
    let size = GROUP_BYTES + 900;
    let (mut bench, session) = whole_stream(size);
    bench.commit(session, size);
    bench.work();
    bench.done(Done::NotPublished);
    bench.keep();
    bench.done(Done::Kept);
    assert_eq!(bench.upload.durable(), size);
}

#[test]
fn a_stream_that_has_met_a_fault_leaves_nothing() {
    let mut bench = Bench::stream();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    let grant = bench.grant(body, 9_000);
    bench.upload.failed(grant, &io(), 0);
    bench.release(session);
    assert_eq!(bench.work(), Work::Remove);
}

#[test]
fn a_stream_whose_connection_was_cut_is_kept() {
    let (mut bench, session) = whole_stream(GROUP_BYTES + 900);
    bench.release(session);
    bench.keep();
    bench.done(Done::Kept);
    assert!(matches!(bench.work(), Work::Park { .. }));
}

#[test]
fn an_upload_without_a_name_tells_it_before_it_is_published() {
    let size = GROUP_BYTES + 1;
    let mut bench = Bench::new(Options { size: Some(size), is_named: false, ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.upload.end_body(body, 0);
    bench.commit(session, size);
    bench.keep();
    bench.done(Done::Kept);
    assert!(matches!(bench.work(), Work::Publish { .. }));
}

#[test]
fn what_could_not_be_made_durable_is_not_published_later() {
    let size = GROUP_BYTES + 1;
    let mut bench = Bench::new(Options { size: Some(size), ..Options::default() });
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.upload.end_body(body, 0);
    bench.commit(session, size);
    bench.work();
    bench.done(Done::Lost(io()));
    assert!(matches!(bench.work(), Work::Park { kept_bytes: 0, .. }));
}

#[test]
fn nothing_comes_of_one_that_is_gone() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    bench.upload.discard(session, 0);
    assert!(bench.is_gone());
    bench.release(session);
    bench.pass(100_000);
    bench.done(Done::Kept);
    assert!(bench.is_idle());
    assert!(bench.told().is_empty());
}
