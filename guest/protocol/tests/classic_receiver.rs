//! The rules of the classic dialect, one by one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use bytes::Bytes;
use pair::play;
use pair::receiver_end::ReceiverEnd;
use sandport_protocol::receiver::{LogLevel, Opened, Output, Receiver, Want};
use sandport_protocol::{CLASSIC_QUIET_MS, Limits, Millis, Refusal, RefusalCode};

const START: Millis = 77;

/// Longer and shorter than the settle time, and within the same moment.
const PAUSE: Millis = 51;
const SHORT: Millis = 49;

/// Plays pieces of a session, each so many milliseconds after the one before, and then the end of the
/// connection after `eof` milliseconds, if it comes.
fn session(limits: Limits, pieces: &[(Millis, &str)], eof: Option<Millis>) -> ReceiverEnd {
    session_with(ReceiverEnd::new(limits, START), pieces, eof)
}

fn session_with(
    receiver: ReceiverEnd,
    pieces: &[(Millis, &str)],
    eof: Option<Millis>,
) -> ReceiverEnd {
    let mut at = START;
    let pieces: Vec<_> = pieces
        .iter()
        .map(|(pause, piece)| {
            at += pause;
            (at, piece.as_bytes().to_vec())
        })
        .collect();
    play(receiver, START, &pieces, eof.map(|pause| at + pause))
}

fn classic(pieces: &[(Millis, &str)], eof: Option<Millis>) -> ReceiverEnd {
    session(Limits::default(), pieces, eof)
}

fn published(receiver: &ReceiverEnd) -> Vec<&str> {
    receiver.inbox.published.values().map(|content| str::from_utf8(content).unwrap()).collect()
}

/// The file is there, acknowledged, and nothing else was said.
fn assert_stored(receiver: &ReceiverEnd, content: &str) {
    assert_eq!(published(receiver), [content]);
    assert_eq!(receiver.sent, b"ack");
    assert_eq!(receiver.closed, Some(Ok(())));
}

/// Nothing is there.
fn assert_nothing(receiver: &ReceiverEnd, code: RefusalCode, sent: &str) {
    assert_eq!(published(receiver), [""; 0]);
    assert_eq!(str::from_utf8(&receiver.sent).unwrap(), sent);
    assert_eq!(receiver.code(), Some(code));
}

#[test]
fn a_size_with_a_line_end_is_answered_at_once() {
    for line_end in ["\n", "\r\n"] {
        let mut receiver = ReceiverEnd::new(Limits::default(), START);
        receiver.feed(START, format!("5{line_end}").as_bytes(), usize::MAX);
        assert_eq!(receiver.sent, b"ack");
        assert_eq!(receiver.machine.want(), Want::Splice { id: 0, max: 5 });
        receiver.feed(START, b"hello", usize::MAX);
        assert_stored(&receiver, "hello");
    }
}

#[test]
fn a_line_end_may_come_in_two_segments_and_late() {
    assert_stored(&classic(&[(0, "5"), (0, "\r"), (0, "\n"), (0, "hello")], None), "hello");
    assert_stored(&classic(&[(0, "5"), (SHORT, "\r"), (SHORT, "\nhello")], None), "hello");
    // After a carriage return only a line feed can follow, whenever it comes.
    assert_stored(&classic(&[(0, "5\r"), (500, "\nhello")], None), "hello");
}

#[test]
fn payload_glued_to_a_line_end_is_payload() {
    for whole in ["5\nhello", "5\r\nhello"] {
        let receiver = classic(&[(0, whole)], None);
        assert_stored(&receiver, "hello");
        assert_eq!((receiver.written, receiver.spliced), (5, 0));
    }
    // Digits and line ends in the payload are payload.
    assert_stored(&classic(&[(0, "5\n123\n\n")], None), "123\n\n");
}

#[test]
fn digits_and_silence_are_a_size() {
    let receiver = classic(&[(0, "5"), (PAUSE, "hello")], Some(0));
    assert_stored(&receiver, "hello");
}

#[test]
fn the_acknowledgement_of_a_bare_size_waits_for_the_settle_time() {
    let mut receiver = ReceiverEnd::new(Limits::default(), START);
    receiver.feed(START, b"1", usize::MAX);
    receiver.tick(START + 49);
    assert_eq!(receiver.sent, b"");
    receiver.feed(START + 49, b"2", usize::MAX);
    receiver.tick(START + 98);
    assert_eq!(receiver.sent, b"");
    receiver.tick(START + 99);
    assert_eq!(receiver.sent, b"ack");
    assert_eq!(receiver.machine.want(), Want::Splice { id: 0, max: 12 });
}

#[test]
fn one_byte_per_segment_gives_the_same_file() {
    let bare: Vec<(Millis, &str)> = vec![(0, "1"), (SHORT, "1")];
    let mut pieces = bare;
    pieces.push((PAUSE, "h"));
    pieces.extend(["e", "l", "l", "o", " ", "w", "o", "r", "l", "d"].map(|byte| (900, byte)));
    assert_stored(&classic(&pieces, Some(900)), "hello world");
    let lined = ["1", "1", "\r", "\n", "h", "e", "l", "l", "o", " ", "w", "o", "r", "l", "d"];
    assert_stored(&classic(&lined.map(|byte| (SHORT, byte)), None), "hello world");
}

#[test]
fn a_settled_file_is_published_when_the_connection_stays_quiet() {
    let mut receiver = ReceiverEnd::new(Limits::default(), START);
    receiver.feed(START, b"5", usize::MAX);
    receiver.tick(START + 50);
    receiver.feed(START + 60, b"hello", usize::MAX);
    receiver.tick(START + 60 + CLASSIC_QUIET_MS - 1);
    assert_eq!(published(&receiver), [""; 0]);
    assert_eq!(receiver.closed, None);
    receiver.tick(START + 60 + CLASSIC_QUIET_MS);
    assert_stored(&receiver, "hello");
}

#[test]
fn digits_glued_to_other_bytes_are_malformed() {
    for glued in ["5hello", "5 ", "5 5\n", "5x", "1.5\n", "5\0", "5\rx", "5\r5\n", "5\r\r\n"] {
        let receiver = classic(&[(0, glued)], None);
        assert_nothing(&receiver, RefusalCode::Malformed, "");
    }
    assert_nothing(&classic(&[(0, "5"), (SHORT, "hello")], None), RefusalCode::Malformed, "");
}

#[test]
fn a_size_split_by_a_pause_never_gives_a_wrong_file() {
    // The size is 12; its second digit is late and counts as payload.
    let payload = "hello, world";
    let pieces = [(0, "1"), (PAUSE, "2"), (0, payload)];
    assert_nothing(&classic(&pieces, Some(0)), RefusalCode::Malformed, "ack");
    let pieces = [(0, "1"), (PAUSE, "2"), (CLASSIC_QUIET_MS - 1, payload)];
    assert_nothing(&classic(&pieces, Some(0)), RefusalCode::Malformed, "ack");
    // As late, but with a line end: the digits before the pause were settled already.
    let pieces = [(0, "1"), (PAUSE, "2\n"), (0, payload)];
    assert_nothing(&classic(&pieces, Some(0)), RefusalCode::Malformed, "ack");
    let pieces = [(0, "12"), (PAUSE, "\n"), (0, payload)];
    assert_nothing(&classic(&pieces, Some(0)), RefusalCode::Malformed, "ack");
    // A size of 105 whose first digit settled, and 0 likewise.
    let rest = format!("05{}", "x".repeat(105));
    assert_nothing(&classic(&[(0, "1"), (PAUSE, &rest)], Some(0)), RefusalCode::Malformed, "ack");
    assert_nothing(
        &classic(&[(0, "0"), (PAUSE, "5hello")], Some(0)),
        RefusalCode::Malformed,
        "ack",
    );
}

#[test]
fn one_byte_more_than_a_settled_size_is_malformed() {
    for last in [0, 1, CLASSIC_QUIET_MS - 1] {
        let receiver = classic(&[(0, "5"), (PAUSE, "hello"), (last, "!")], Some(0));
        assert_nothing(&receiver, RefusalCode::Malformed, "ack");
    }
    let receiver = classic(&[(0, "5"), (PAUSE, "hello!")], Some(0));
    assert_nothing(&receiver, RefusalCode::Malformed, "ack");
}

#[test]
fn bytes_after_a_certain_size_are_logged_and_the_file_stays() {
    for pieces in [vec![(0, "5\nhello, world")], vec![(0, "5\nhello"), (3, ", "), (3, "world")]] {
        let mut receiver = ReceiverEnd::new(Limits::default(), START);
        receiver.inbox.commit_ms = 50;
        let receiver = session_with(receiver, &pieces, None);
        assert_stored(&receiver, "hello");
        let [(LogLevel::Error, message)] = receiver.logs.as_slice() else {
            panic!("{:?}", receiver.logs);
        };
        assert!(message.contains("more bytes"), "{message}");
    }
}

#[test]
fn zero_is_an_empty_file() {
    assert_stored(&classic(&[(0, "0\n")], None), "");
    assert_stored(&classic(&[(0, "000\r\n")], Some(0)), "");
    // Settled by silence: when the connection ends, or stays quiet.
    assert_stored(&classic(&[(0, "0")], Some(PAUSE)), "");
    assert_stored(&classic(&[(0, "0")], None), "");
}

#[test]
fn twenty_digits_are_a_size_and_more_are_not() {
    let limits = Limits { max_file_size: None, ..Limits::default() };
    let mut receiver = ReceiverEnd::new(limits, START);
    receiver.feed(START, b"18446744073709551615\n", usize::MAX);
    assert_eq!(receiver.machine.want(), Want::Splice { id: 0, max: u64::MAX });
    for digits in ["18446744073709551616\n", "99999999999999999999\n", "000000000000000000005\n"] {
        assert_nothing(&classic(&[(0, digits)], None), RefusalCode::TooLarge, "");
    }
    // The twenty-first digit decides, whatever comes after it.
    assert_nothing(&classic(&[(0, &"1".repeat(21))], None), RefusalCode::TooLarge, "");
    assert_nothing(&classic(&[(0, "18446744073709551616")], None), RefusalCode::TooLarge, "");
}

#[test]
fn a_size_over_the_limit_is_refused_without_a_byte() {
    let limits = Limits { max_file_size: Some(4), ..Limits::default() };
    assert_nothing(&session(limits.clone(), &[(0, "5\nhello")], None), RefusalCode::TooLarge, "");
    assert_nothing(&session(limits.clone(), &[(0, "5")], None), RefusalCode::TooLarge, "");
    assert_stored(&session(limits, &[(0, "4\nfour")], None), "four");
}

#[test]
fn a_cut_publishes_nothing() {
    for pieces in [
        vec![(0, "5")],
        vec![(0, "0")],
        vec![(0, "5\r")],
        vec![(0, "5\n")],
        vec![(0, "5\nhell")],
        vec![(0, "5"), (PAUSE, "hell")],
    ] {
        let receiver = classic(&pieces, Some(0));
        let sent = str::from_utf8(&receiver.sent).unwrap().to_owned();
        assert!(sent.is_empty() || sent == "ack");
        assert_nothing(&receiver, RefusalCode::Cancelled, &sent);
    }
}

#[test]
fn silence_in_the_payload_publishes_nothing() {
    for pieces in [vec![(0, "5\nhell")], vec![(0, "5"), (PAUSE, "hell")]] {
        assert_nothing(&classic(&pieces, None), RefusalCode::Timeout, "ack");
    }
    assert_nothing(&classic(&[(0, "5\r")], None), RefusalCode::Timeout, "");
}

#[test]
fn an_inbox_that_refuses_closes_without_a_byte() {
    let mut receiver = ReceiverEnd::new(Limits::default(), START);
    let full = Refusal::new(RefusalCode::InsufficientSpace, "the disk is full");
    receiver.inbox.refused.insert(String::new(), full);
    let receiver = session_with(receiver, &[(0, "5\nhello")], None);
    assert_nothing(&receiver, RefusalCode::InsufficientSpace, "");
}

#[test]
fn a_body_that_fails_ends_the_connection() {
    for pieces in [vec![(0, "5\nhello")], vec![(0, "5"), (PAUSE, "hello")]] {
        let mut receiver = ReceiverEnd::new(Limits::default(), START);
        receiver.inbox.fault_at = Some(3);
        let receiver = session_with(receiver, &pieces, None);
        assert_nothing(&receiver, RefusalCode::InsufficientSpace, "ack");
        let mut receiver = ReceiverEnd::new(Limits::default(), START);
        receiver.inbox.no_body = true;
        let receiver = session_with(receiver, &pieces, None);
        assert_nothing(&receiver, RefusalCode::Io, "ack");
    }
}

#[test]
fn a_commit_that_fails_is_the_reason_of_the_end() {
    let mut machine = Receiver::new(Limits::default(), vec![], String::new(), 0);
    machine.handle_input(0, Bytes::from_static(b"0\n"));
    machine.handle_opened(0, 0, Ok(Opened::Accepted(vec![])));
    while machine.poll_output().is_some() {}
    machine.handle_committed(0, 0, Err(RefusalCode::Io.into()));
    assert_eq!(machine.poll_output(), Some(Output::Close(Err(RefusalCode::Io.into()))));
}

#[test]
fn a_commit_that_takes_long_is_waited_for() {
    let mut receiver = ReceiverEnd::new(Limits::default(), START);
    receiver.inbox.commit_ms = 600_000;
    assert_stored(&session_with(receiver, &[(0, "5\nhello")], Some(0)), "hello");
}

#[test]
fn the_payload_is_spliced_in_one_want_and_never_beyond_the_size() {
    let mut receiver = ReceiverEnd::new(Limits::default(), START);
    receiver.feed(START, b"1000000", usize::MAX);
    receiver.tick(START + 50);
    assert_eq!(receiver.machine.want(), Want::Splice { id: 0, max: 1_000_000 });
    receiver.feed(START + 50, &[b'x'; 999_999], usize::MAX);
    assert_eq!(receiver.machine.want(), Want::Splice { id: 0, max: 1 });
    receiver.feed(START + 50, b"xy", usize::MAX);
    assert!(matches!(receiver.machine.want(), Want::Read { .. }));
    receiver.feed(START + 50, b"y", usize::MAX);
    assert_nothing(&receiver, RefusalCode::Malformed, "ack");
}

#[test]
fn where_it_is_not_served_it_is_closed_without_a_byte() {
    let limits = Limits { classic: false, ..Limits::default() };
    assert_nothing(&session(limits, &[(0, "5\nhello")], None), RefusalCode::NotPermitted, "");
}
