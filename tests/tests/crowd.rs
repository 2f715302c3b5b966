//! Many senders at once, in all dialects.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::thread;

use sandport_tests::deadline::joined;
use sandport_tests::files::Entry;
use sandport_tests::{Connection, Native, Random, Server};

/// Senders at once.
const SENDERS: usize = 50;

/// Largest file of one. Bytes.
const SIZE_MAX: usize = 200_000;

#[test]
fn fifty_senders_at_once_each_have_their_files_stored() {
    let mut random = Random::seeded();
    let mut server = Server::start([]);
    // How often each content is expected.
    let mut expected: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let size = random.below(SIZE_MAX);
        let content = random.bytes(size);
        *expected.entry(content.clone()).or_default() += 1;
        let address = server.address().to_owned();
        let mut random = random.clone();
        senders.push(thread::spawn(move || match number % 4 {
            0 => {
                // Each of these takes the same name.
                let mut sender = Native::to(&address);
                sender.send(0, "same.bin", &content);
                sender.outcome(0).unwrap();
            }
            1 => {
                let mut sender = Native::to(&address);
                sender.offer(0, &format!("directory/{number}/a b"), content.len() as u64);
                let mut sent = 0;
                while sent < content.len() {
                    let length = (1 + random.below(20_000)).min(content.len() - sent);
                    sender.data(0, sent as u64, &content[sent..sent + length]);
                    sent += length;
                }
                sender.end(0, &content);
                sender.outcome(0).unwrap();
            }
            2 => {
                let mut client = Connection::to(&address);
                client.say(format!("{}\n", content.len()));
                assert_eq!(client.hear(3), b"ack");
                client.say(&content);
                assert_eq!(client.hear_all(), b"");
            }
            _ => {
                let mut client = Connection::to(&address);
                client.say(content.len().to_string());
                assert_eq!(client.hear(3), b"ack");
                client.say(&content);
                client.finish();
                assert_eq!(client.hear_all(), b"");
            }
        }));
    }
    for sender in senders {
        joined("the end of a sender", sender);
    }
    for _ in 0..SENDERS {
        server.wait_stored();
    }
    assert_eq!(server.stop(), Some(0));
    let mut found: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for entry in server.published().into_values() {
        match entry {
            Entry::File(content) => *found.entry(content).or_default() += 1,
            Entry::Directory => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(found == expected, "{} files and not {}", found.len(), expected.len());
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn connections_over_the_limit_wait_and_are_served() {
    let mut server = Server::start(["--max-connections", "2", "--conflict", "rename"]);
    let mut senders = Vec::new();
    for number in 0..12 {
        let address = server.address().to_owned();
        senders.push(thread::spawn(move || {
            let mut sender = Native::to(&address);
            sender.send(0, &format!("file-{number}"), b"hello");
            sender.outcome(0).unwrap();
        }));
    }
    for sender in senders {
        joined("the end of a sender", sender);
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().len(), 12);
}

#[test]
fn short_connections_leave_nothing_behind_and_keep_nobody_out() {
    let mut server = Server::start(["--max-connections", "10"]);
    let mut upload = Native::open(&server);
    upload.offer(0, "meanwhile", 5);
    for number in 0..500 {
        let mut short = Connection::open(&server);
        match number % 4 {
            0 => drop(short),
            1 => short.reset(),
            2 => short.say("5"),
            _ => {
                short.say([0x89]);
                short.reset();
            }
        }
    }
    upload.data(0, 0, b"hello");
    upload.end(0, b"hello");
    assert_eq!(upload.outcome(0).unwrap().name, "meanwhile");
    let mut after = Native::open(&server);
    after.send(0, "after", b"hello");
    assert_eq!(after.outcome(0).unwrap().name, "after");
    drop((upload, after));
    assert_eq!(server.stop(), Some(0));
    let names: Vec<String> = server.published().into_keys().collect();
    assert_eq!(names, ["after", "meanwhile"]);
    assert_eq!(server.staged(), [""; 0]);
}
