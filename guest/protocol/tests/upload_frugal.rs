//! What an upload does without where memory is scarce.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod upload_bench;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{RefusalCode, ResumeMode};
use upload_bench::{Bench, from};

#[test]
fn no_group_is_begun_beside_one_that_was_left() {
    let mut bench = Bench::sized();
    let session = bench.session(ResumeMode::TakeOver);
    let first = bench.body(session, GROUP_BYTES);
    bench.bring(first, 5);
    bench.upload.end_body(first, 0);
    bench.upload.set_frugal(true);
    let refused = bench.upload.body(session, from(2 * GROUP_BYTES)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::TooMany);
    // What was left may go on.
    let rest = bench.body(session, GROUP_BYTES + 5);
    bench.bring(rest, GROUP_BYTES - 5);
    bench.upload.end_body(rest, 0);
    assert_eq!(bench.upload.begun_memory(), 0);
    let next = bench.body(session, 2 * GROUP_BYTES);
    bench.bring(next, 5);
    bench.upload.end_body(next, 0);
    bench.upload.set_frugal(false);
    bench.body(session, 0);
}

#[test]
fn what_is_begun_takes_memory_until_it_is_whole() {
    let mut bench = Bench::sized();
    let session = bench.session(ResumeMode::TakeOver);
    assert_eq!(bench.upload.begun_memory(), 0);
    let body = bench.body(session, 0);
    let mut last = 0;
    for piece in [1, 100, 1_000] {
        bench.bring(body, piece);
        assert!(bench.upload.begun_memory() > last);
        last = bench.upload.begun_memory();
    }
    bench.bring(body, GROUP_BYTES - 1_101);
    assert_eq!(bench.upload.begun_memory(), 0);
}
