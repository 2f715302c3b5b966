//! What those hear who only look at an upload, and those who end it from outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::{Done, Ending, Work};
use sandport_protocol::{Digest, Extent, RefusalCode, ResumeMode};
use upload_bench::{Bench, io};

const TAKE_OVER: ResumeMode = ResumeMode::TakeOver;

#[test]
fn what_is_on_its_way_is_not_here() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, GROUP_BYTES + 9_000);
    let grant = bench.grant(body, 700);
    let progress = bench.upload.progress();
    assert_eq!((progress.size, progress.durable), (Some(3 * GROUP_BYTES + 1), 0));
    assert_eq!(progress.received, GROUP_BYTES + 9_000);
    assert_eq!(progress.missing[0].offset, GROUP_BYTES + 9_000);
    bench.upload.failed(grant, &io(), 0);
}

#[test]
fn who_holds_it_loses_it_to_who_settles_it() {
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, 9_000);
    let mut grant = bench.grant(body, 700);
    bench.upload.settle(0);
    assert_eq!(bench.faults(), [(session, RefusalCode::Locked)]);
    assert!(!bench.upload.is_certain());
    let _ = grant.bring(&[0; 700]);
    bench.upload.wrote(grant, 0);
    assert!(bench.upload.is_certain());
    assert_eq!(bench.upload.progress().received, 9_700);
    assert!(matches!(bench.work(), Work::Keep { .. }), "it is kept, and closed");
}

#[test]
fn what_is_being_published_is_not_settled() {
    let size = 3 * GROUP_BYTES + 1;
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.commit(session, size);
    bench.told();
    bench.upload.settle(0);
    assert_eq!(bench.refusals(), []);
    assert!(!bench.upload.is_certain());
    bench.work();
    bench.done(Done::Published);
    assert_eq!(bench.ending(), Some(Ending::Published));
}

#[test]
fn abandoning_takes_it_from_all_and_removes_it() {
    let mut bench = Bench::sized();
    let one = bench.session(TAKE_OVER);
    let other = bench.session(ResumeMode::Join);
    let body = bench.body(one, 0);
    bench.bring(body, GROUP_BYTES);
    bench.upload.abandon(0);
    let code = RefusalCode::Cancelled;
    assert_eq!(bench.faults(), [(one, code), (other, code)]);
    assert_eq!(bench.work(), Work::Remove);
    bench.done(Done::Removed);
    assert_eq!(bench.ending(), Some(Ending::Removed(None)), "nobody is to hear of it");
}

#[test]
fn abandoning_during_a_commit_removes_what_gets_no_name() {
    let size = 3 * GROUP_BYTES + 1;
    for (done, is_removed) in
        [(Done::NotPublished, true), (Done::Lost(io()), true), (Done::Published, false)]
    {
        let mut bench = Bench::sized();
        let session = bench.session(TAKE_OVER);
        let body = bench.body(session, 0);
        bench.bring(body, size);
        bench.commit(session, size);
        assert!(matches!(bench.work(), Work::Publish { .. }));
        bench.upload.abandon(0);
        bench.done(done);
        if is_removed {
            let mut work = bench.work();
            if let Work::Park { .. } = work {
                bench.done(Done::Parked);
                work = bench.work();
            }
            assert_eq!(work, Work::Remove);
            bench.done(Done::Removed);
        }
        assert!(bench.is_gone());
    }
}

#[test]
fn what_is_wrong_is_remembered_with_its_reason() {
    let size = 3 * GROUP_BYTES + 1;
    let mut bench = Bench::sized();
    let session = bench.session(TAKE_OVER);
    let body = bench.body(session, 0);
    bench.bring(body, size);
    bench.upload.commit(session, size, [Digest::Blake3([7; 32])], 0).unwrap();
    assert_eq!(bench.work(), Work::Remove);
    bench.done(Done::Removed);
    let Some(Ending::Removed(Some(refusal))) = bench.ending() else { panic!("it has no reason") };
    assert_eq!(refusal.code, RefusalCode::DigestMismatch);
}

#[test]
fn a_body_brings_nothing_beyond_a_size_that_was_set_late() {
    for (offset, length, size) in [
        (0, Some(5), 0),
        (0, Some(GROUP_BYTES + 5), GROUP_BYTES),
        (2 * GROUP_BYTES, Some(5), GROUP_BYTES),
        (2 * GROUP_BYTES, None, 5),
    ] {
        let mut bench = Bench::stream();
        let session = bench.session(TAKE_OVER);
        let body = bench.upload.body(session, Extent { offset, length }).unwrap();
        bench.upload.set_size(session, size, 0).unwrap();
        let most = length.unwrap_or(5);
        assert!(bench.upload.claim(body, most, 0).is_none(), "{offset} {length:?} of {size}");
        assert_eq!(bench.faults(), [(session, RefusalCode::OffsetMismatch)]);
    }
}
