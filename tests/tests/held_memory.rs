//! What becomes of senders whose uploads hold as much memory as they may, and of those beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr};

use sandport_protocol::wire::ReceiverMessage;
use sandport_protocol::{Offer, RefusalCode, Resume, ResumeMode};
use sandport_tests::deadline::until;
use sandport_tests::{Connection, Native, Server, native};

/// Where the attackers are, and the honest sender.
const CROWD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

const MIB: u64 = 1024 * 1024;

/// Nearly as many as a connection may have open.
const UPLOADS: u64 = 1_000;

/// Sends a file from an address; it has to be stored.
#[track_caller]
fn expect_served(server: &Server, from: IpAddr, name: &str) {
    let mut sender = Native::over(Connection::from(from, server));
    sender.send(0, name, b"content");
    assert_eq!(sender.outcome(0).unwrap().name, name);
}

/// Opens uploads of which nothing comes, until one is refused for want of memory or there are as many; how many.
#[track_caller]
fn open_empty(sender: &mut Native, name: &str) -> u64 {
    for id in 0..UPLOADS {
        sender.offer(id, &format!("{name}-{id}"), MIB);
        match sender.hear() {
            Some(ReceiverMessage::Accepted(_)) => {}
            Some(ReceiverMessage::Refused(refused)) => {
                assert_eq!(refused.refusal.code, RefusalCode::TooMany, "{refused:?}");
                return id;
            }
            heard => panic!("{heard:?}"),
        }
    }
    UPLOADS
}

fn resumable(id: u64) -> Offer {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&id.to_le_bytes());
    let resume = Some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver });
    let offer = native::resumable(&format!("large-{id}"), 128 * MIB, ResumeMode::TakeOver);
    Offer { resume, ..offer }
}

/// How often the limit was met, as the server tells at its end.
fn refusals(server: &mut Server) -> u64 {
    server.interrupt();
    let stopped = server.events.wait("the end", |event| event["type"] == "stopped");
    stopped["limits"]["memory"].as_u64().unwrap_or(0)
}

#[test]
fn an_address_whose_uploads_hold_its_memory_is_refused_alone() {
    let mut server = Server::start(["--max-address-memory", "4MiB"]);
    let mut crowd: Vec<_> =
        (0..4).map(|_| Native::over(Connection::from(CROWD, &server))).collect();
    let open: Vec<_> =
        (0..).zip(&mut crowd).map(|(at, it)| open_empty(it, &format!("{at}"))).collect();
    let all: u64 = open.iter().sum();
    println!("{open:?} uploads");
    assert!(all > 500 && all * 2_048 <= 4 * MIB, "{open:?}");
    assert_eq!(open.last(), Some(&0), "whoever comes from there too");
    expect_served(&server, HONEST, "honest");
    // What is open goes on, and makes room.
    let first = &mut crowd[0];
    first.data(0, 0, &vec![7; 1 << 20]);
    first.end(0, &vec![7; 1 << 20]);
    assert_eq!(first.outcome(0).unwrap().name, "0-0");
    let gone = crowd.remove(0);
    drop(gone);
    until("the memory of who has gone", || {
        let mut sender = Native::over(Connection::from(CROWD, &server));
        sender.send(0, "later", b"content");
        sender.outcome(0).is_ok()
    });
    assert!(refusals(&mut server) >= 2);
}

#[test]
fn a_connection_begins_no_more_pieces_than_its_memory_is_for() {
    let mut server = Server::start(["--max-connection-memory", "2MiB"]);
    let before = server.resident_bytes();
    let mut sender = Native::over(Connection::from(CROWD, &server));
    let piece = [7; 2_000];
    let mut refused = 0;
    for id in 0..100 {
        sender.say(&native::offer(id, resumable(id)));
        let is_accepted = loop {
            match sender.hear() {
                Some(ReceiverMessage::Accepted(_)) => break true,
                // This one, or one before it when its pieces came.
                Some(ReceiverMessage::Refused(it)) => {
                    assert_eq!(it.refusal.code, RefusalCode::TooMany, "{it:?}");
                    refused += 1;
                    if it.id == id {
                        break false;
                    }
                }
                heard => panic!("{heard:?}"),
            }
        };
        // All begun and none brought to its end, as nobody does who sends a file.
        for group in (0..100).filter(|_| is_accepted) {
            sender.data(id, group * MIB, &piece);
        }
    }
    assert!(refused > 20, "{refused}");
    // What was sent is 20 MB.
    let grown = server.resident_bytes().saturating_sub(before);
    println!("{grown} bytes of memory");
    assert!(grown < 8 * MIB, "{grown}");
    expect_served(&server, HONEST, "honest");
    expect_served(&server, CROWD, "the same address by another connection");
    drop(sender);
    assert!(refusals(&mut server) > 20);
}

#[test]
fn a_large_file_is_stored_from_an_address_that_holds_its_memory() {
    let server = Server::start(["--max-address-memory", "2MiB", "--max-connection-memory", "1MiB"]);
    let mut honest = Native::over(Connection::from(CROWD, &server));
    let content = vec![5; 4 << 20];
    let large = Offer { size: Some(content.len() as u64), ..resumable(0) };
    honest.say(&native::offer(0, large));
    assert!(matches!(honest.hear(), Some(ReceiverMessage::Accepted(_))));
    let mut crowd: Vec<_> =
        (0..4).map(|_| Native::over(Connection::from(CROWD, &server))).collect();
    for (at, sender) in crowd.iter_mut().enumerate() {
        open_empty(sender, &at.to_string());
    }
    for (at, piece) in (0..).zip(content.chunks(100_000)) {
        honest.data(0, at * 100_000, piece);
    }
    honest.end(0, &content);
    assert_eq!(honest.outcome(0).unwrap().name, "large-0");
}

#[test]
fn limits_of_memory_that_make_no_sense_are_told_at_the_start() {
    for (flags, told) in [
        (vec!["--max-upload-memory", "0B"], "at least 262144"),
        (vec!["--max-address-memory", "1kB"], "at least 262144"),
        (vec!["--max-address-memory", "1GiB"], "limit would limit nothing"),
        (vec!["--max-connection-memory", "100MiB"], "limit would limit nothing"),
        (vec!["--max-upload-memory", "much"], "--max-upload-memory"),
        (vec!["--max-address-staged", "0B"], "it has to be a byte at least"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox");
        let ended = sandport_tests::Setup::new(&flags).inbox(&inbox).start_and_fail();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(told), "{flags:?}: {}", ended.stderr);
        assert!(!inbox.exists());
    }
}

#[test]
fn memory_may_have_hardly_a_limit() {
    let most = "15EiB";
    let flags = ["--max-upload-memory", most, "--max-address-memory", most];
    let server = Server::start(flags);
    let mut sender = Native::open(&server);
    assert_eq!(open_empty(&mut sender, "x"), UPLOADS);
    expect_served(&server, HONEST, "honest");
}
