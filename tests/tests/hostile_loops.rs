//! Receivers that do not come to an end. Each costs its own connection, and keeps nobody else waiting.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use sandport_server::ServerEvent;
use sandport_server::{ReceiverSource, SandboxLimits};
use sandport_tests::{Connection, Embedded, artifacts};

/// What a guest may compute, and have the host compute. Short, so that loops are cut soon; the honest
/// receiver needs microseconds.
const BURST: Duration = Duration::from_millis(300);

/// A server whose receiver misbehaves as the first byte of a connection says.
#[track_caller]
fn server() -> Embedded {
    let mut limits = SandboxLimits::default();
    limits.compute_burst = BURST;
    limits.host_burst = BURST;
    Embedded::start(ReceiverSource::File(artifacts::hostile().to_owned()), limits)
}

fn begin(server: &Embedded, first: &str) -> Connection {
    let mut connection = Connection::to(server.address());
    connection.say(first);
    connection
}

/// Sends the rest of an upload of which `PUT name` and the first half are sent, and checks that the file is there.
#[track_caller]
fn complete(mut upload: Connection, server: &Embedded) {
    upload.say("second half");
    upload.finish();
    let stored = server.wait("the honest upload", |event| match event {
        ServerEvent::Stored { receipt, .. } => Some(receipt.name.clone()),
        _ => None,
    });
    assert_eq!(String::from_utf8(upload.hear_all()).unwrap(), format!("stored {stored} 23\n"));
    let content = std::fs::read(server.inbox().join(stored)).unwrap();
    assert_eq!(content, b"first half, second half");
}

const HALF: &str = "PUT honest.txt\nfirst half, ";

/// What loops in the way of `first` is cut with a reason that contains one of `reasons`; an upload that was under
/// way finishes.
#[track_caller]
fn expect_cut(first: &str, reasons: &[&str]) {
    let server = server();
    let during = begin(&server, HALF);
    let mut hostile = begin(&server, first);
    let reason = server.wait_trapped("an endless loop");
    assert!(reasons.iter().any(|expected| reason.contains(expected)), "{reason}");
    assert_eq!(hostile.hear_all(), b"");
    complete(during, &server);
    complete(begin(&server, HALF), &server);
    server.stop();
}

#[test]
fn an_endless_loop_goes_over_its_budget() {
    expect_cut("l", &["compute budget of 300 ms"]);
}

#[test]
fn an_endless_loop_of_host_calls_goes_over_its_budget() {
    expect_cut("c", &["compute budget", "kept the host busy for more than 300 ms"]);
}

#[test]
fn an_endless_loop_of_waits_for_nothing_goes_over_its_budget() {
    expect_cut("y", &["compute budget", "kept the host busy"]);
}

#[test]
fn directories_without_end_are_cut_though_each_call_is_short() {
    expect_cut("v", &["compute budget", "kept the host busy"]);
}

#[test]
fn output_without_end_is_cut() {
    expect_cut("o", &["compute budget", "kept the host busy"]);
}

#[test]
fn files_that_are_read_again_for_their_digests_are_charged_for() {
    expect_cut("T", &["kept the host busy for more than 300 ms", "compute budget"]);
}

#[test]
fn digests_of_bytes_that_never_came_are_charged_for() {
    expect_cut("U", &["kept the host busy for more than 300 ms", "compute budget"]);
}

#[test]
fn parts_that_are_copied_again_and_again_are_charged_for() {
    expect_cut("V", &["kept the host busy for more than 300 ms"]);
}

#[test]
fn many_endless_loops_do_not_keep_an_upload_from_finishing() {
    let server = server();
    let loops: Vec<_> = ["l", "c", "y", "o"].iter().map(|first| begin(&server, first)).collect();
    let upload = begin(&server, HALF);
    complete(upload, &server);
    for mut hostile in loops {
        assert_eq!(hostile.hear_all(), b"", "it is cut");
    }
    server.stop();
}
