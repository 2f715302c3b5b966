//! Either end stopped by the system for a while, as a laptop that sleeps or a debugger does: what the other
//! end makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rustix::process::Signal;
use sandport_tests::deadline::until;
use sandport_tests::files::kept;
use sandport_tests::process::Running;
use sandport_tests::{Native, Random, Server, send};

const MIB: usize = 1024 * 1024;

#[test]
fn an_upload_survives_a_server_that_is_suspended_for_a_while() {
    let mut server = Server::start([]);
    let content = Random::seeded().bytes(3 * MIB);
    let mut sender = Native::open(&server);
    sender.offer(0, "big", content.len() as u64);
    assert!(sender.hear().is_some(), "it is accepted");
    server.signal(Signal::STOP);
    // What fits into the buffers of the sockets.
    sender.data(0, 0, &content[..MIB / 16]);
    let (directory, path) = (tempfile::tempdir().unwrap(), "small");
    std::fs::write(directory.path().join(path), "hello").unwrap();
    let mut other = send::command();
    other.current_dir(directory.path()).args(["send", path, server.address()]);
    // It connects to a server that does not answer yet.
    let other = Running::start(&mut other, b"");
    server.signal(Signal::CONT);

    sender.data(0, MIB as u64 / 16, &content[MIB / 16..]);
    sender.end(0, &content);
    assert_eq!(sender.outcome(0).unwrap().name, "big");
    let other = other.finish();
    assert_eq!(other.code, Some(0), "{other:?}");
    drop(sender);
    assert_eq!(server.stop(), Some(0));
    assert_eq!((server.content("big"), server.content("small")), (content, b"hello".to_vec()));
}

#[test]
fn a_suspended_sender_is_cut_and_goes_on_when_it_wakes_up() {
    let flags = ["--watermark-size", "1MiB", "--watermark-time", "1ms", "--idle-timeout", "3s"];
    let mut server = Server::start(flags);
    let content = Random::seeded().bytes(4 * MIB);
    let mut command = send::command();
    command.args(["--json", "send", "--retries", "20", "--name", "s", "-", server.address()]);
    let (sender, input) = Running::open(&mut command);
    input.write(&content[..2 * MIB]);
    until("something that is kept of the stream", || kept(server.inbox()) > 0);
    sender.signal(Signal::STOP);
    server.wait_refused("timeout");
    // Nobody else is held up by it.
    let mut honest = Native::open(&server);
    honest.send(0, "other", b"hello");
    assert_eq!(honest.outcome(0).unwrap().name, "other");

    sender.signal(Signal::CONT);
    input.write(&content[2 * MIB..]);
    drop(input);
    let ended = sender.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\"resumed\""), "{ended:?}");
    assert!(server.content("s") == content);
    assert_eq!(server.published().len(), 2, "no second copy");
}
