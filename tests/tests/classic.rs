//! The classic dialect, as its segments may fall: the right file, or none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::files::{Entry, file};
use sandport_tests::{Connection, Random, Server};

/// Longer than any test waits: silence settles nothing.
const NEVER_SETTLES: [&str; 2] = ["--settle-ms", "600000"];

/// Silence settles the size at once.
const SETTLES_AT_ONCE: [&str; 2] = ["--settle-ms", "1"];

/// The one published file.
fn only_file(server: &Server) -> Vec<u8> {
    let published = server.published();
    let contents: Vec<&Entry> = published.values().collect();
    match contents.as_slice() {
        [Entry::File(content)] => content.clone(),
        _ => panic!("one file is expected: {published:?}"),
    }
}

#[test]
fn digits_and_silence_are_a_size() {
    let mut server = Server::start([]);
    let mut client = Connection::open(&server);
    client.say("5");
    assert_eq!(client.hear(3), b"ack");
    client.say("hello");
    drop(client);
    server.wait_stored();
    assert_eq!(only_file(&server), b"hello");
}

#[test]
fn a_client_that_stays_connected_has_its_file_published() {
    let mut server = Server::start([]);
    let mut client = Connection::open(&server);
    client.say("5");
    assert_eq!(client.hear(3), b"ack");
    client.say("hello");
    server.wait_stored();
    assert_eq!(only_file(&server), b"hello");
    assert_eq!(client.hear_all(), b"", "the classic dialect says nothing but the ack");
}

#[test]
fn a_line_end_makes_the_size_certain_at_once() {
    for line_end in ["\n", "\r\n"] {
        let mut server = Server::start(NEVER_SETTLES);
        let mut client = Connection::open(&server);
        client.say(format!("5{line_end}"));
        assert_eq!(client.hear(3), b"ack");
        client.say("hello");
        server.wait_stored();
        assert_eq!(only_file(&server), b"hello");
    }
}

#[test]
fn a_part_of_the_size_after_the_settle_time_stores_nothing() {
    let mut server = Server::start(SETTLES_AT_ONCE);
    let content = Random::seeded().bytes(1234);
    let mut client = Connection::open(&server);
    client.say("12");
    // The settle time is over: the rest of the size is late.
    assert_eq!(client.hear(3), b"ack");
    client.say("34");
    client.try_say(&content);
    server.wait_refused("malformed");
    server.stop_and_expect_nothing();
}

#[test]
fn a_late_part_of_the_size_that_fills_it_stores_nothing() {
    // The client means 10 bytes, and 1 was settled: the late zero fills it exactly.
    let mut server = Server::start(SETTLES_AT_ONCE);
    let mut client = Connection::open(&server);
    client.say("1");
    assert_eq!(client.hear(3), b"ack");
    // In one segment, or the silence behind the zero could be long enough to make a file of it.
    client.say("00123456789");
    server.wait_refused("malformed");
    server.stop_and_expect_nothing();
}

#[test]
fn one_byte_in_each_segment_is_the_same_session() {
    let mut server = Server::start(NEVER_SETTLES);
    let content = Random::seeded().bytes(300);
    let mut client = Connection::open(&server);
    for byte in b"300\n" {
        client.say([*byte]);
    }
    assert_eq!(client.hear(3), b"ack");
    for byte in &content {
        client.say([*byte]);
    }
    drop(client);
    server.wait_stored();
    assert_eq!(only_file(&server), content);
}

#[test]
fn content_glued_to_a_size_without_a_line_end_is_refused() {
    let mut server = Server::start(NEVER_SETTLES);
    let mut client = Connection::open(&server);
    client.say("5hello");
    assert_eq!(client.hear_all(), b"", "a refusal is a close without a byte");
    server.wait_refused("malformed");
    server.stop_and_expect_nothing();
}

#[test]
fn content_glued_to_a_line_end_is_a_file() {
    for session in ["5\nhello", "5\r\nhello"] {
        let mut server = Server::start(NEVER_SETTLES);
        let mut client = Connection::open(&server);
        client.say(session);
        assert_eq!(client.hear_all(), b"ack");
        server.wait_stored();
        assert_eq!(only_file(&server), b"hello");
    }
}

#[test]
fn digits_at_the_start_of_the_content_are_content() {
    let mut server = Server::start(NEVER_SETTLES);
    let mut client = Connection::open(&server);
    client.say("5\n12345");
    assert_eq!(client.hear_all(), b"ack");
    server.wait_stored();
    assert_eq!(only_file(&server), b"12345");
}

#[test]
fn a_size_of_zero_is_an_empty_file() {
    let mut server = Server::start(SETTLES_AT_ONCE);
    for size in ["0\n", "0", "000"] {
        let mut client = Connection::open(&server);
        client.say(size);
        assert_eq!(client.hear(3), b"ack");
        drop(client);
        server.wait_stored();
    }
    let published = server.published();
    assert_eq!(published.len(), 3, "{published:?}");
    assert!(published.values().all(|entry| *entry == file("")), "{published:?}");
}

#[test]
fn bytes_after_a_certain_size_are_an_error_and_the_file_stays() {
    let mut server = Server::start([]);
    let mut client = Connection::open(&server);
    client.say("5\nhello, and more");
    assert_eq!(client.hear_all(), b"ack");
    server.wait_stored();
    assert_eq!(only_file(&server), b"hello");
    assert_eq!(server.stop(), Some(0));
    let log = server.events.stderr();
    assert!(log.contains("more bytes arrived than the announced 5"), "{log}");
}

#[test]
fn more_bytes_than_a_settled_size_publish_nothing() {
    let mut server = Server::start(SETTLES_AT_ONCE);
    let mut client = Connection::open(&server);
    client.say("5");
    assert_eq!(client.hear(3), b"ack");
    client.say("hello!");
    server.wait_refused("malformed");
    server.stop_and_expect_nothing();
}

#[test]
fn files_without_a_name_get_unique_ones_or_the_one_that_was_set() {
    let mut server = Server::start([]);
    let mut named = Server::start(["--classic-name", "scans/scan.bin"]);
    for content in ["one", "two"] {
        for server in [&mut server, &mut named] {
            let mut client = Connection::open(server);
            client.say(format!("3\n{content}"));
            assert_eq!(client.hear_all(), b"ack");
            server.wait_stored();
        }
    }
    assert_eq!(server.published().len(), 2);
    let published = named.published();
    let names: Vec<&str> = published.keys().map(String::as_str).collect();
    assert_eq!(names, ["scans", "scans/scan-1.bin", "scans/scan.bin"]);
}

#[test]
fn where_it_is_not_served_it_is_refused_without_a_byte() {
    let mut server = Server::start(["--no-classic"]);
    let mut client = Connection::open(&server);
    client.say("5\nhello");
    assert_eq!(client.hear_all(), b"");
    server.wait_refused("not-permitted");
    server.stop_and_expect_nothing();
}

#[test]
fn any_segments_of_a_session_with_a_line_end_give_the_same_file() {
    let mut random = Random::seeded();
    let mut server = Server::start(["--settle-ms", "600000", "--classic-name", "file"]);
    for _ in 0..30 {
        let size = random.below(5_000);
        let content = random.bytes(size);
        let session = [format!("{size}\n").as_bytes(), &content].concat();
        let mut client = Connection::open(&server);
        let mut rest = session.as_slice();
        while !rest.is_empty() {
            let (segment, after) =
                rest.split_at(1 + random.below(rest.len().min(1 + rest.len() / 3)));
            client.say(segment);
            rest = after;
        }
        assert_eq!(client.hear_all(), b"ack");
        let name = server.wait_stored();
        assert_eq!(server.content(&name), content);
    }
}
