//! What senders should not send, and what comes of it: the table of bad input, row by row.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::wire::{Data, Finish, Hello, PREFACE, ReceiverMessage, SenderMessage};
use sandport_protocol::{Offer, Refusal, RefusalCode};
use sandport_tests::files::{Tree, file};
use sandport_tests::native::{self, digest, frame, greeting, session};
use sandport_tests::{Connection, Native, Server};

/// The words of the goodbye with which a native connection ended.
#[track_caller]
fn goodbye(messages: &[ReceiverMessage]) -> &Refusal {
    match messages.last() {
        Some(ReceiverMessage::Goodbye(refusal)) => refusal,
        _ => panic!("no goodbye at the end: {messages:?}"),
    }
}

#[test]
fn a_first_byte_of_no_dialect_is_refused_and_logged_once() {
    let mut server = Server::start([]);
    let mut peers = Vec::new();
    for first in [0x00_u8, b' ', b'\n', b'-', b'a', b'{', 0x7f, 0x80, 0xff] {
        let mut client = Connection::open(&server);
        client.say([first, b'5', b'\n']);
        assert_eq!(client.hear_all(), b"", "{first:#x}");
        peers.push(client.name());
    }
    for peer in &peers {
        let event = server.wait_refused("malformed");
        assert!(
            peers.iter().any(|peer| event["peer"] == peer.as_str()),
            "{event} is not of {peer}"
        );
    }
    assert_eq!(server.stop(), Some(0));
    let rest = server.events.rest();
    assert!(rest.iter().all(|event| event["type"] != "refused"), "told twice: {rest:?}");
    assert_eq!(server.published(), Tree::default());
}

#[test]
fn a_tls_hello_is_refused_in_words() {
    let mut server = Server::start([]);
    let mut client = Connection::open(&server);
    client.say([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]);
    assert_eq!(client.hear_all(), b"");
    server.wait_refused("unsupported-version");
}

#[test]
fn a_name_that_no_inbox_takes_is_told_up_to_a_length() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    sender.offer(0, &"ä".repeat(30_000), 5);
    assert_eq!(sender.outcome(0).unwrap_err().code, RefusalCode::NameInvalid);
    let event = server.wait_refused("name-invalid");
    assert_eq!(event["name"], "ä".repeat(1_024), "2,048 bytes of it");
}

#[test]
fn a_classic_upload_that_the_inbox_refuses_is_told_once() {
    let mut server = Server::start(["--quota-bytes", "5B"]);
    let mut client = Connection::open(&server);
    client.say("100\n");
    assert_eq!(client.hear_all(), b"");
    server.wait_refused("quota-exceeded");
    assert_eq!(server.stop(), Some(0));
    let rest = server.events.rest();
    assert!(rest.iter().all(|event| event["type"] != "refused"), "told twice: {rest:?}");
}

#[test]
fn a_classic_size_that_is_none_is_refused_without_a_byte() {
    let mut server = Server::start(["--max-file", "1000B", "--settle-ms", "600000"]);
    for (size, code) in [
        ("12a4\n", "malformed"),
        ("5 \n", "malformed"),
        ("5\r5", "malformed"),
        ("+5\n", "malformed"),
        ("-5\n", "malformed"),
        ("0x10\n", "malformed"),
        ("1.5\n", "malformed"),
        ("5\0", "malformed"),
        ("five\n", "malformed"),
        ("111111111111111111111", "too-large"),
        ("000000000000000000001\n", "too-large"),
        ("18446744073709551616\n", "too-large"),
        ("1001\n", "too-large"),
    ] {
        let mut client = Connection::open(&server);
        client.say(size);
        assert_eq!(client.hear_all(), b"", "{size:?}");
        server.wait_refused(code);
    }
    server.stop_and_expect_nothing();
}

#[test]
fn a_size_at_the_limit_is_taken() {
    let mut server = Server::start(["--max-file", "5B", "--classic-name", "file"]);
    let mut client = Connection::open(&server);
    client.say("5\nhello");
    assert_eq!(client.hear_all(), b"ack");
    assert_eq!(server.wait_stored(), "file");
}

#[test]
fn silence_ends_a_connection_and_leaves_nothing_behind() {
    // Long for who has all that will be said ready.
    let mut server = Server::start(["--idle-timeout", "3s"]);
    let half = &session("half", b"hello")[..60];
    let sessions = [(&b""[..], false), (b"5\nhel", true), (half, true), (b"5\r", false)];
    let clients = sessions.map(|(sent, answered)| {
        let mut client = Connection::open(&server);
        client.say(sent);
        (client, answered)
    });
    for (mut client, answered) in clients {
        let answer = client.hear_all();
        assert_eq!(!answer.is_empty(), answered, "{answer:?}");
        server.wait_refused("timeout");
    }
    server.stop_and_expect_nothing();
}

#[test]
fn a_classic_session_cut_at_any_byte_publishes_nothing() {
    let mut server = Server::start(["--settle-ms", "600000", "--classic-name", "file"]);
    let session = b"5\nhello";
    for reset in [false, true] {
        for length in 1..session.len() {
            let mut client = Connection::open(&server);
            client.say(&session[..length]);
            if length >= 2 {
                assert_eq!(client.hear(3), b"ack");
            }
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            server.wait_refused("cancelled");
        }
    }
    assert_eq!(server.published(), Tree::default());
    server.wait_nothing_staged();
    // And a cut before the first byte is nothing at all.
    drop(Connection::open(&server));

    let mut client = Connection::open(&server);
    client.say(session);
    assert_eq!(client.hear_all(), b"ack");
    assert_eq!(server.wait_stored(), "file");
    assert_eq!(server.published(), Tree::from([("file".into(), file("hello"))]));
}

#[test]
fn a_classic_session_settled_by_silence_and_cut_stores_nothing() {
    let mut server = Server::start(["--settle-ms", "1"]);
    for length in 0..5 {
        let mut client = Connection::open(&server);
        client.say("5");
        assert_eq!(client.hear(3), b"ack");
        client.say(&b"hello"[..length]);
        drop(client);
        server.wait_refused("cancelled");
    }
    server.stop_and_expect_nothing();
}

#[test]
fn a_native_session_cut_at_any_byte_publishes_nothing() {
    let mut server = Server::start([]);
    let whole = session("cut.txt", b"hello");
    for length in 0..whole.len() {
        let mut client = Connection::open(&server);
        client.say(&whole[..length]);
        client.finish();
        // The server closes when it is done with the connection.
        client.hear_all();
    }
    assert_eq!(server.published(), Tree::default());
    server.wait_nothing_staged();
    for length in 0..whole.len() {
        let mut client = Connection::open(&server);
        client.say(&whole[..length]);
        client.reset();
    }

    let mut client = Connection::open(&server);
    client.say(&whole);
    client.finish();
    client.hear_all();
    assert_eq!(server.wait_stored(), "cut.txt");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published(), Tree::from([("cut.txt".into(), file("hello"))]));
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn native_bytes_after_the_announced_ones_cost_the_connection() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    sender.send(0, "announced.txt", b"hello");
    // 0x00 would be an empty frame.
    sender.connection.say([0; 16]);
    let messages = sender.hear_all();
    let stored = messages.iter().any(|message| matches!(message, ReceiverMessage::Stored(_)));
    assert!(stored, "the file counts: {messages:?}");
    assert_eq!(goodbye(&messages).code, RefusalCode::Malformed);
    server.wait_refused("malformed");
    assert_eq!(server.published(), Tree::from([("announced.txt".into(), file("hello"))]));
}

#[test]
fn a_digest_that_does_not_match_publishes_nothing() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    sender.offer(0, "damaged", 5);
    sender.data(0, 0, b"hello");
    sender.end(0, b"jello");
    assert_eq!(sender.outcome(0).unwrap_err().code, RefusalCode::DigestMismatch);
    server.wait_refused("digest-mismatch");
    // The connection goes on.
    sender.send(1, "whole", b"hello");
    assert_eq!(sender.outcome(1).unwrap().name, "whole");
    assert_eq!(server.published(), Tree::from([("whole".into(), file("hello"))]));
    server.wait_nothing_staged();
}

#[test]
fn a_size_that_does_not_match_publishes_nothing() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    // Less than was offered, and a finish that says so.
    sender.offer(0, "short", 5);
    sender.data(0, 0, b"hell");
    sender.end(0, b"hell");
    assert_eq!(sender.outcome(0).unwrap_err().code, RefusalCode::DigestMismatch);
    assert_eq!(server.wait_refused("digest-mismatch")["name"], "short");
    // The bytes of the offer, and another size at the end.
    sender.offer(1, "other", 5);
    sender.data(1, 0, b"hello");
    sender.say(&SenderMessage::Finish(Finish { id: 1, size: 6, digest: digest(b"hello") }));
    assert_eq!(sender.outcome(1).unwrap_err().code, RefusalCode::DigestMismatch);
    assert_eq!(server.published(), Tree::default());
    server.wait_nothing_staged();
}

#[test]
fn bytes_in_the_wrong_place_are_refused_and_reported() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    sender.offer(0, "beyond", 5);
    sender.data(0, 0, b"hello!");
    assert_eq!(sender.outcome(0).unwrap_err().code, RefusalCode::OffsetMismatch);
    assert_eq!(server.wait_refused("offset-mismatch")["name"], "beyond");
    sender.offer(1, "gap", 5);
    sender.data(1, 3, b"lo");
    assert_eq!(sender.outcome(1).unwrap_err().code, RefusalCode::OffsetMismatch);
    sender.offer(2, "edge", u64::MAX);
    sender.data(2, u64::MAX, b"x");
    let code = sender.outcome(2).unwrap_err().code;
    assert!(
        [RefusalCode::OffsetMismatch, RefusalCode::InsufficientSpace].contains(&code),
        "{code}"
    );
    assert_eq!(server.published(), Tree::default());
    server.wait_nothing_staged();
}

#[test]
fn a_file_over_the_limit_is_refused_however_it_is_announced() {
    let mut server = Server::start(["--max-file", "5B"]);
    let mut sender = Native::open(&server);
    assert_eq!(sender.welcome.max_file_size, Some(5));
    sender.offer(0, "announced", 6);
    assert_eq!(sender.outcome(0).unwrap_err().code, RefusalCode::TooLarge);
    assert_eq!(server.wait_refused("too-large")["name"], "announced");
    // Without an announced size only the bytes tell.
    sender.say(&native::offer(1, Offer { size: None, ..native::file("grown", 0) }));
    sender.data(1, 0, b"hello!");
    assert_eq!(sender.outcome(1).unwrap_err().code, RefusalCode::TooLarge);
    assert_eq!(server.wait_refused("too-large")["name"], "grown");
    sender.send(2, "fits", b"hello");
    assert!(sender.outcome(2).is_ok());
    assert_eq!(server.published(), Tree::from([("fits".into(), file("hello"))]));
}

#[test]
fn what_breaks_the_grammar_ends_the_connection_in_words() {
    let mut server = Server::start([]);
    let hello = |version_min, version_max| {
        let agent = String::new();
        let hello = SenderMessage::Hello(Hello { version_min, version_max, agent });
        [&PREFACE[..], &frame(&hello)].concat()
    };
    let after_greeting = |bytes: &[u8]| [&greeting(), bytes].concat();
    let unknown = SenderMessage::Data(Data { id: 7, offset: 0, length: 5 });
    let mut damaged = PREFACE.to_vec();
    damaged[4] = b'\n';
    for (what, bytes, code) in [
        ("a preface whose line ends were translated", damaged, RefusalCode::Malformed),
        ("an empty frame", after_greeting(&[0]), RefusalCode::Malformed),
        ("an overlong length", after_greeting(&[0x81, 0]), RefusalCode::Malformed),
        ("a frame over the limit", after_greeting(&[0xff, 0xff, 0x7f]), RefusalCode::Malformed),
        ("an unknown case", after_greeting(&[1, 99]), RefusalCode::Malformed),
        ("a byte left over", after_greeting(&[2, 7, 0]), RefusalCode::Malformed),
        (
            "an upload that was not offered",
            after_greeting(&frame(&unknown)),
            RefusalCode::Malformed,
        ),
        ("a second hello", after_greeting(&greeting()[8..]), RefusalCode::InvalidState),
        ("no hello", [&PREFACE[..], &frame(&unknown)].concat(), RefusalCode::Malformed),
        ("a version of the future", hello(2, 9), RefusalCode::UnsupportedVersion),
        ("versions in the wrong order", hello(9, 1), RefusalCode::Malformed),
    ] {
        let mut client = Connection::open(&server);
        client.say(bytes);
        let heard = client.hear_all();
        assert!(heard.starts_with(&PREFACE), "{what}: {heard:?}");
        let event = server.wait_refused(code.as_str());
        assert!(event["detail"].is_string(), "{what}: {event}");
    }
    server.stop_and_expect_nothing();
}

#[test]
fn credentials_that_nobody_knows_are_not_permitted() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    let bearer = sandport_protocol::Credential::Bearer(String::from("secret"));
    sender.say(&SenderMessage::Authenticate(bearer));
    assert_eq!(goodbye(&sender.hear_all()).code, RefusalCode::NotPermitted);
    let event = server.wait_refused("not-permitted");
    assert!(!event.to_string().contains("secret"), "{event}");
}
