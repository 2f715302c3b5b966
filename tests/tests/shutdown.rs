//! Ctrl-C: what is under way may finish; a second one stops at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::wire::ReceiverMessage;
use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Native, Server};

/// Exit code of a server that was stopped before its uploads were done.
const INTERRUPTED: Option<i32> = Some(130);

/// A native upload of which half was sent, and which the server has accepted.
fn half_an_upload(server: &Server) -> Native {
    let mut sender = Native::open(server);
    sender.offer(0, "running", 10);
    assert!(matches!(sender.hear(), Some(ReceiverMessage::Accepted(_))));
    sender.data(0, 0, b"hello");
    sender
}

fn wait_draining(server: &mut Server) {
    let event = server.events.wait("draining", |event| event["type"] == "draining");
    assert_eq!(event["connections"], 1, "{event}");
}

#[test]
fn an_active_upload_finishes_and_newcomers_are_not_accepted() {
    // Of a port that is free again, anybody may get hold.
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let mut server = Server::start(["--listen", &socket]);
    let mut sender = half_an_upload(&server);
    server.interrupt();
    wait_draining(&mut server);
    assert!(Connection::try_to(&socket).is_err(), "nobody may listen any more");

    sender.data(0, 5, b"world");
    sender.end(0, b"helloworld");
    assert_eq!(sender.outcome(0).unwrap().name, "running");
    drop(sender);
    assert_eq!(server.wait_for_end(), Some(0));
    assert_eq!(server.published(), Tree::from([("running".into(), file("helloworld"))]));
    let rest = server.events.rest();
    assert_eq!(rest.last().unwrap()["type"], "stopped", "{rest:?}");
}

#[test]
fn a_running_classic_upload_finishes() {
    let mut server = Server::start(["--classic-name", "running"]);
    let mut client = Connection::open(&server);
    client.say("5\n");
    assert_eq!(client.hear(3), b"ack");
    server.interrupt();
    wait_draining(&mut server);
    client.say("hello");
    assert_eq!(server.wait_for_end(), Some(0));
    assert_eq!(server.published(), Tree::from([("running".into(), file("hello"))]));
}

#[test]
fn a_second_interrupt_stops_at_once_and_publishes_no_rest() {
    let mut server = Server::start(["--drain-timeout", "600s"]);
    let mut sender = half_an_upload(&server);
    server.interrupt();
    wait_draining(&mut server);
    server.interrupt();
    assert_eq!(server.wait_for_end(), INTERRUPTED);
    sender.hear_all();
    assert_eq!(server.published(), Tree::default());
}

#[test]
fn an_upload_that_does_not_finish_in_time_is_cut() {
    let mut server = Server::start(["--drain-timeout", "200ms"]);
    let mut sender = half_an_upload(&server);
    server.interrupt();
    server.wait_refused("cancelled");
    assert_eq!(server.wait_for_end(), Some(0));
    sender.hear_all();
    assert_eq!((server.published(), server.staged()), (Tree::default(), vec![]));
}

#[test]
fn connections_that_sent_nothing_do_not_hold_it_up() {
    let mut server = Server::start(["--drain-timeout", "600s", "--idle-timeout", "600s"]);
    let mut silent: Vec<Connection> = (0..10).map(|_| Connection::open(&server)).collect();
    // Answered, so accepted.
    let mut spoken = Connection::open(&server);
    spoken.say("0\n");
    assert_eq!(spoken.hear_all(), b"ack");
    assert_eq!(server.stop(), Some(0));
    for connection in &mut silent {
        assert_eq!(connection.hear_all(), b"");
    }
}

#[test]
fn what_a_killed_server_left_is_removed_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let setup = || sandport_tests::Setup::new([""; 0]).inbox(&inbox);
    let mut server = setup().start();
    let mut sender = half_an_upload(&server);
    sender.send(1, "whole", b"hello");
    assert_eq!(sender.outcome(1).unwrap().name, "whole");
    assert_eq!(server.staged().len(), 1);
    server.kill();

    let server = setup().start();
    assert_eq!(server.staged(), [""; 0]);
    assert_eq!(server.published(), Tree::from([("whole".into(), file("hello"))]));
}
