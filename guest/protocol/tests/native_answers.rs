//! What a native sender makes of answers, good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::driven::{Driven, STALL_MS, all, digest, receipt, welcome};
use pair::script::file_offer;
use sandport_protocol::sender::{EndReason, Event, Sender};
use sandport_protocol::wire::{
    Accepted, PREFACE, Progress, ReceiverMessage, Refused, SenderMessage, Stored, Welcome,
};
use sandport_protocol::{EntryKind, Extent, FRAME_BYTES_MAX, Offer, Refusal, RefusalCode};

#[test]
fn it_begins_with_preface_and_hello() {
    let driven = Driven::new();
    assert!(driven.sent.starts_with(&PREFACE));
    assert!(matches!(
        driven.last_message(),
        SenderMessage::Hello(hello)
            if (hello.version_min, hello.version_max, hello.agent.as_str()) == (1, 1, "sender/1")
    ));
}

#[test]
fn a_long_agent_is_cut_between_characters() {
    let sender = Sender::new("é".repeat(FRAME_BYTES_MAX), STALL_MS, 0);
    let mut driven = Driven { sender, ..Driven::new() };
    driven.sent.clear();
    driven.drain();
    let SenderMessage::Hello(hello) = driven.last_message() else { panic!() };
    assert_eq!(hello.agent, "é".repeat(128));
}

#[test]
fn an_answer_in_another_protocol_is_malformed() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n", "ack", "\u{89}"] {
        let mut driven = Driven::new();
        let before = driven.sent.len();
        driven.receive(answer.as_bytes());
        driven.assert_malformed(answer);
        assert_eq!(driven.sent.len(), before, "nothing more is said to a stranger");
    }
}

#[test]
fn a_version_that_was_not_offered_is_malformed() {
    let mut driven = Driven::new();
    driven.receive(&PREFACE);
    driven.answer(&ReceiverMessage::Welcome(Welcome { version: 2, ..welcome() }));
    driven.assert_malformed("version 2");
}

#[test]
fn answers_that_make_no_sense_are_malformed_and_told_so() {
    let refused = |id| Refused { id, refusal: RefusalCode::Other.into() };
    let stored = |id| Stored { id, receipt: receipt(b"hello") };
    let beyond = Extent { offset: 3, length: Some(3) };
    let descending =
        vec![Extent { offset: 3, length: Some(1) }, Extent { offset: 0, length: Some(1) }];
    let endless = Extent { offset: 1, length: Some(u64::MAX) };
    let accepted = |missing| ReceiverMessage::Accepted(Accepted { id: 0, missing });
    let rows = [
        ReceiverMessage::Welcome(welcome()),
        ReceiverMessage::Authenticated(sandport_protocol::Authenticated { name: None }),
        ReceiverMessage::Accepted(Accepted { id: 1, missing: vec![] }),
        ReceiverMessage::Refused(refused(1)),
        ReceiverMessage::Stored(stored(1)),
        ReceiverMessage::AlreadyStored(stored(1)),
        ReceiverMessage::DigestFirst(1),
        ReceiverMessage::Progress(Progress { id: 1, durable: 1 }),
        // A receipt for what was not sent, and for what no digest is known of.
        ReceiverMessage::Stored(stored(0)),
        ReceiverMessage::AlreadyStored(stored(0)),
        accepted(vec![beyond]),
        accepted(descending),
        accepted(vec![endless]),
    ];
    for message in rows {
        let mut driven = Driven::welcomed();
        driven.offer(5);
        driven.answer(&message);
        driven.assert_malformed(&format!("{message:?}"));
        assert!(matches!(
            driven.last_message(),
            SenderMessage::Goodbye(refusal) if refusal.code == RefusalCode::Malformed
        ));
        assert!(driven.shut_down);
    }
}

#[test]
fn a_second_verdict_is_malformed() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.accept(0, all(5));
    driven.accept(0, all(5));
    driven.assert_malformed("accepted twice");
}

#[test]
fn bytes_that_do_not_decode_are_malformed() {
    for bytes in [&[0_u8][..], &[1, 10], &[0x81, 0x00], &[2, 9, 0], &[0xff, 0xff, 0xff]] {
        let mut driven = Driven::welcomed();
        driven.receive(bytes);
        driven.assert_malformed(&format!("{bytes:?}"));
    }
}

#[test]
fn a_receipt_for_other_content_is_a_mismatch() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.sender.data(0, 0, 5).unwrap();
    driven.sender.finish(0, 5, digest()).unwrap();
    driven.accept(0, all(5));
    driven.answer(&ReceiverMessage::Stored(Stored { id: 0, receipt: receipt(b"HELLO") }));
    assert!(matches!(
        driven.events.last(),
        Some(Event::Refused { id: 0, refusal }) if refusal.code == RefusalCode::DigestMismatch
    ));
    let offer = Offer { digest: Some(digest()), ..file_offer("a", Some(5)) };
    let id = driven.sender.offer(offer).unwrap();
    driven.answer(&ReceiverMessage::AlreadyStored(Stored { id, receipt: receipt(b"HELLO") }));
    assert!(matches!(
        driven.events.last(),
        Some(Event::Refused { id: 1, refusal }) if refusal.code == RefusalCode::DigestMismatch
    ));
}

#[test]
fn a_directory_needs_no_digest() {
    let mut driven = Driven::welcomed();
    let offer = Offer { kind: EntryKind::Directory, ..file_offer("d", None) };
    driven.sender.offer(offer).unwrap();
    driven.answer(&ReceiverMessage::AlreadyStored(Stored { id: 0, receipt: receipt(b"") }));
    assert!(matches!(driven.events.last(), Some(Event::AlreadyStored { id: 0, .. })));
}

#[test]
fn after_close_it_shuts_down_when_all_is_answered() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.sender.close();
    driven.drain();
    assert!(!driven.shut_down && !driven.sender.can_offer());
    driven.answer(&ReceiverMessage::Refused(Refused { id: 0, refusal: RefusalCode::Io.into() }));
    assert!(driven.shut_down);
    driven.sender.handle_eof(0);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Ok(())));
}

#[test]
fn an_early_end_is_told_from_a_good_one() {
    let mut before_welcome = Driven::new();
    before_welcome.sender.handle_eof(0);
    before_welcome.drain();
    assert_eq!(before_welcome.ended(), Some(&Err(EndReason::Closed)));
    let mut with_open_upload = Driven::welcomed();
    with_open_upload.offer(5);
    with_open_upload.sender.close();
    with_open_upload.sender.handle_eof(0);
    with_open_upload.drain();
    assert_eq!(with_open_upload.ended(), Some(&Err(EndReason::Closed)));
    let mut within_a_message = Driven::welcomed();
    within_a_message.sender.close();
    within_a_message.drain();
    within_a_message.receive(&[3]);
    within_a_message.sender.handle_eof(0);
    within_a_message.drain();
    assert_eq!(within_a_message.ended(), Some(&Err(EndReason::Closed)));
}

#[test]
fn a_goodbye_ends_with_its_reason() {
    let reason = Refusal::new(RefusalCode::TooMany, "slow down");
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.answer(&ReceiverMessage::Goodbye(reason.clone()));
    assert_eq!(driven.ended(), Some(&Err(EndReason::Goodbye(reason.clone()))));
    // Also instead of a welcome.
    let mut driven = Driven::new();
    driven.receive(&PREFACE);
    driven.answer(&ReceiverMessage::Goodbye(reason.clone()));
    assert_eq!(driven.ended(), Some(&Err(EndReason::Goodbye(reason))));
}
