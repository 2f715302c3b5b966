//! Receivers that trap at one host call after the other, and such as mix up what they hold. Each costs its own
//! connection, and nothing of what they do reaches another upload.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;

use sandport_server::{ReceiverSource, SandboxLimits, ServerEvent};
use sandport_tests::deadline::until;
use sandport_tests::{Connection, Embedded, artifacts};

/// More calls than it takes to store a file: each is trapped after once.
const CALLS_MAX: u8 = 60;

/// Fewest calls that it takes. Fewer, and the traps are not where they should be.
const CALLS_MIN: u8 = 12;

fn server() -> Embedded {
    let receiver = ReceiverSource::File(artifacts::hostile().to_owned());
    Embedded::start(receiver, SandboxLimits::default())
}

fn begin(server: &Embedded, first: impl AsRef<[u8]>) -> Connection {
    let mut connection = Connection::to(server.address());
    connection.say(first);
    connection
}

/// A neighbour who has begun before finishes.
#[track_caller]
fn complete(mut neighbour: Connection) {
    neighbour.say("second half");
    neighbour.finish();
    let answer = String::from_utf8(neighbour.hear_all()).unwrap();
    assert!(answer.starts_with("stored honest") && answer.ends_with(" 23\n"), "{answer}");
}

const HALF: &str = "PUT honest.txt\nfirst half, ";

/// The files of the inbox with their content.
fn published(server: &Embedded) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(server.inbox()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let content = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    files.map(content).collect()
}

#[test]
fn a_trap_after_any_host_call_costs_its_connection_alone() {
    let server = server();
    let mut calls = 0;
    loop {
        assert!(calls < CALLS_MAX, "it traps after more calls than it makes");
        let neighbour = begin(&server, HALF);
        let mut hostile = begin(&server, [b'%', calls]);
        let answer = hostile.hear_all();
        if answer == b"whole\n" {
            complete(neighbour);
            break;
        }
        assert_eq!(answer, b"", "after {calls} calls");
        let reason = server.wait_trapped("a receiver after some calls");
        assert!(reason.contains("unreachable"), "{reason}");
        complete(neighbour);
        calls += 1;
    }
    assert!(calls >= CALLS_MIN, "{calls} calls");
    let staging = server.inbox().join(".sandport/staging");
    until("nothing to be left in staging", || fs::read_dir(&staging).unwrap().next().is_none());
    let files = published(&server);
    server.stop();
    for (name, content) in &files {
        let expected: &[u8] =
            if name.starts_with("turn-") { b"hello" } else { b"first half, second half" };
        assert_eq!(content, expected, "{name}");
    }
    // The neighbours have all sent the same file.
    assert!(files.contains_key("honest.txt"));
    assert!(files.contains_key(&format!("turn-{calls}")));
}

#[test]
fn streams_of_two_uploads_reach_their_own_alone() {
    let server = server();
    let neighbour = begin(&server, HALF);
    let mut hostile = begin(&server, "&abcdefghijklmnopqrstuvwxyz");
    hostile.finish();
    let told = String::from_utf8(hostile.hear_all()).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[..3], ["second sink: none", "one: 6 bytes", "other: 7 bytes"], "{told}");
    complete(neighbour);
    let files = published(&server);
    assert_eq!(files["one"], b"first!");
    assert_eq!(files["other"], b"otother");
    assert!(!files.contains_key("third"));
    let fourth = &files["fourth"];
    assert_eq!(lines[3], format!("fourth: {} bytes", fourth.len()));
    assert!(fourth.iter().all(u8::is_ascii_lowercase) && fourth.is_sorted(), "{fourth:?}");
    server.stop();
}

#[test]
fn a_size_set_below_what_was_to_come_is_a_fault() {
    let server = server();
    let neighbour = begin(&server, HALF);
    let mut hostile = begin(&server, "=");
    let mismatch = "Some(RefusalCode::OffsetMismatch)\n";
    // Of the last, the first bytes fit.
    let expected = format!("{mismatch}{mismatch}None\n");
    assert_eq!(String::from_utf8(hostile.hear_all()).unwrap(), expected);
    complete(neighbour);
    let stored = server.wait("the honest upload", |event| match event {
        ServerEvent::Stored { receipt, .. } => Some(receipt.name.clone()),
        _ => None,
    });
    assert_eq!(stored, "honest.txt");
    assert!(!published(&server).contains_key("shrunk"));
    server.stop();
}
