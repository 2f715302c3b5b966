//! The sending end of the classic dialect.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::sender::classic::{ClassicError, ClassicOutput, ClassicSender};

fn sender(size: u64) -> ClassicSender {
    let mut sender = ClassicSender::new(size, 1_000, 5);
    assert_eq!(sender.poll_output(), Some(ClassicOutput::Send(size.to_string().into())));
    assert_eq!(sender.poll_output(), None);
    sender
}

#[test]
fn the_size_is_decimal_and_has_no_line_end() {
    let mut sender = ClassicSender::new(1024, 1_000, 5);
    assert_eq!(sender.poll_output(), Some(ClassicOutput::Send("1024".into())));
    let mut sender = ClassicSender::new(u64::MAX, 1_000, 5);
    assert_eq!(sender.poll_output(), Some(ClassicOutput::Send("18446744073709551615".into())));
}

#[test]
fn the_payload_follows_the_ack_in_any_pieces() {
    for pieces in [vec!["ack"], vec!["a", "ck"], vec!["ac", "k"], vec!["a", "c", "k"]] {
        let mut sender = sender(5);
        for piece in pieces {
            assert_eq!(sender.poll_output(), None);
            sender.handle_input(piece.as_bytes()).unwrap();
        }
        assert_eq!(sender.poll_output(), Some(ClassicOutput::Payload));
        assert_eq!(sender.poll_timeout(), None);
        sender.handle_timeout(1_000_000).unwrap();
        sender.handle_eof().unwrap();
    }
}

#[test]
fn what_follows_the_ack_means_nothing_in_one_piece_as_in_two() {
    let mut together = sender(5);
    together.handle_input(b"ack\r\n").unwrap();
    assert_eq!(together.poll_output(), Some(ClassicOutput::Payload));
    let mut apart = sender(5);
    apart.handle_input(b"ack").unwrap();
    apart.handle_input(b"\r\n").unwrap();
    assert_eq!(apart.poll_output(), Some(ClassicOutput::Payload));
}

#[test]
fn another_answer_is_not_taken_for_the_ack() {
    for answer in ["nak", "ACK", "a\n", "acq", " ack", "\0"] {
        let mut sender = sender(5);
        assert_eq!(sender.handle_input(answer.as_bytes()), Err(ClassicError::NotAck));
        assert_eq!(sender.poll_output(), None);
        assert_eq!(sender.poll_timeout(), None);
    }
}

#[test]
fn a_close_instead_of_the_ack_is_a_refusal() {
    assert_eq!(sender(5).handle_eof(), Err(ClassicError::Refused));
    let mut half = sender(5);
    half.handle_input(b"ac").unwrap();
    assert_eq!(half.handle_eof(), Err(ClassicError::NotAck));
}

#[test]
fn no_answer_in_time_is_a_stall() {
    let mut sender = sender(5);
    assert_eq!(sender.poll_timeout(), Some(1_005));
    sender.handle_timeout(1_004).unwrap();
    assert_eq!(sender.handle_timeout(1_005), Err(ClassicError::Stalled(1_000)));
    assert_eq!(sender.poll_timeout(), None);
}
