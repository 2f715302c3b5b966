//! What a native sender makes of its caller's calls: windows, order, misuse.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::driven::{Driven, all, digest};
use pair::script::file_offer;
use sandport_protocol::sender::{Event, Misuse, SenderOutput};
use sandport_protocol::wire::{Accepted, ReceiverMessage, Refused};
use sandport_protocol::{Credential, Extent, FRAME_BYTES_MAX, Refusal, RefusalCode};

#[test]
fn the_window_of_offers_is_kept() {
    let mut driven = Driven::new();
    assert!(!driven.sender.can_offer());
    assert_eq!(driven.sender.offer(file_offer("a", None)), Err(Misuse::NoOffer));
    driven = Driven::welcomed();
    driven.offer(5);
    driven.offer(5);
    assert!(!driven.sender.can_offer());
    assert_eq!(driven.sender.offer(file_offer("a", None)), Err(Misuse::NoOffer));
    driven.accept(0, all(5));
    assert!(!driven.sender.can_offer(), "an accepted upload is still open");
    let refusal = Refusal::from(RefusalCode::Exists);
    driven.answer(&ReceiverMessage::Refused(Refused { id: 1, refusal: refusal.clone() }));
    assert_eq!(driven.events.last(), Some(&Event::Refused { id: 1, refusal }));
    assert!(driven.sender.can_offer());
    assert_eq!(driven.offer(5), 2);
}

#[test]
fn the_window_of_bytes_is_kept() {
    let mut driven = Driven::welcomed();
    driven.offer(20);
    driven.offer(8);
    assert!(driven.sender.can_send_ahead(10));
    assert!(!driven.sender.can_send_ahead(11));
    assert_eq!(driven.sender.data(0, 0, 11), Err(Misuse::Ahead));
    assert_eq!(driven.sender.data(0, 0, 6), Ok(true));
    assert_eq!(driven.sender.data(1, 0, 5), Err(Misuse::Ahead));
    assert_eq!(driven.sender.data(1, 0, 4), Ok(true));
    assert!(!driven.sender.can_send_ahead(1));
    driven.accept(0, all(20));
    assert!(driven.sender.can_send_ahead(6));
    assert_eq!(driven.sender.data(0, 6, 14), Ok(true), "accepted ones need no window");
    driven.answer(&ReceiverMessage::DigestFirst(1));
    assert!(driven.sender.can_send_ahead(10));
    driven.drain();
    assert_eq!(driven.payloads, [(0, 0, 6), (1, 0, 4), (0, 6, 14)]);
}

#[test]
fn a_header_comes_out_before_its_payload() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.sender.data(0, 0, 3).unwrap();
    driven.sender.data(0, 3, 2).unwrap();
    driven.sender.finish(0, 5, digest()).unwrap();
    let mut kinds = vec![];
    while let Some(output) = driven.sender.poll_output() {
        kinds.push(match output {
            SenderOutput::Send(_) => "send",
            SenderOutput::Payload { .. } => "payload",
            _ => "other",
        });
    }
    assert_eq!(kinds, ["send", "payload", "send", "payload", "send"]);
}

#[test]
fn payload_goes_in_order_and_within_the_size() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    assert_eq!(driven.sender.data(0, 1, 1), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.data(0, 0, 6), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.finish(0, 5, digest()), Err(Misuse::OutOfOrder));
    driven.sender.data(0, 0, 5).unwrap();
    assert_eq!(driven.sender.finish(0, 4, digest()), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.finish(0, 5, digest()), Ok(true));
    assert_eq!(driven.sender.finish(0, 5, digest()), Err(Misuse::WrongState));
    assert_eq!(driven.sender.data(0, 5, 1), Err(Misuse::WrongState));
    let reason = Refusal::from(RefusalCode::Cancelled);
    assert_eq!(driven.sender.cancel(0, reason), Err(Misuse::WrongState));
    assert_eq!(driven.sender.data(1, 0, 1), Err(Misuse::WrongState));
    assert_eq!(driven.sender.offer_digest(0, digest()), Err(Misuse::WrongState));
}

#[test]
fn only_what_is_missing_is_sent() {
    let mut driven = Driven::welcomed();
    driven.offer(100);
    let missing = vec![
        Extent { offset: 10, length: Some(5) },
        Extent { offset: 20, length: Some(0) },
        Extent { offset: 50, length: None },
    ];
    driven.accept(0, missing);
    assert_eq!(driven.sender.data(0, 0, 1), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.data(0, 10, 6), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.data(0, 10, 5), Ok(true));
    assert_eq!(driven.sender.data(0, 50, 20), Ok(true));
    assert_eq!(driven.sender.finish(0, 100, digest()), Err(Misuse::OutOfOrder));
    assert_eq!(driven.sender.data(0, 70, 30), Ok(true));
    assert_eq!(driven.sender.finish(0, 100, digest()), Ok(true));
}

#[test]
fn what_was_sent_ahead_of_another_verdict_waits_for_its_refusal() {
    let mut driven = Driven::welcomed();
    driven.offer(10);
    driven.sender.data(0, 0, 3).unwrap();
    driven.accept(0, vec![Extent { offset: 5, length: Some(5) }]);
    assert_eq!(driven.sender.data(0, 5, 5), Ok(false));
    assert_eq!(driven.sender.finish(0, 10, digest()), Ok(false));
    let refusal = Refusal::from(RefusalCode::OffsetMismatch);
    driven.answer(&ReceiverMessage::Refused(Refused { id: 0, refusal: refusal.clone() }));
    assert_eq!(driven.events.last(), Some(&Event::Refused { id: 0, refusal }));
}

#[test]
fn calls_for_an_upload_that_is_over_do_nothing() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    let refusal = Refusal::from(RefusalCode::Exists);
    driven.answer(&ReceiverMessage::Refused(Refused { id: 0, refusal: refusal.clone() }));
    let before = driven.sent.len();
    assert_eq!(driven.sender.data(0, 0, 5), Ok(false));
    assert_eq!(driven.sender.finish(0, 5, digest()), Ok(false));
    assert_eq!(driven.sender.cancel(0, refusal), Ok(false));
    driven.drain();
    assert_eq!(driven.sent.len(), before);
}

#[test]
fn an_offer_that_does_not_fit_a_frame_is_not_made() {
    let mut driven = Driven::welcomed();
    let name = "n".repeat(FRAME_BYTES_MAX);
    assert_eq!(driven.sender.offer(file_offer(&name, None)), Err(Misuse::TooLong));
    assert_eq!(driven.offer(5), 0);
    // It fits without a digest only.
    let name = "n".repeat(FRAME_BYTES_MAX - 20);
    let id = driven.sender.offer(file_offer(&name, Some(5))).unwrap();
    driven.answer(&ReceiverMessage::DigestFirst(id));
    assert_eq!(driven.sender.offer_digest(id, digest()), Err(Misuse::TooLong));
    assert_eq!(driven.sender.cancel(id, RefusalCode::Other.into()), Ok(true));
}

#[test]
fn credentials_come_before_offers_and_hold_them_up() {
    let mut driven = Driven::new();
    let credential = Credential::Bearer("secret".into());
    assert_eq!(driven.sender.authenticate(credential.clone()), Err(Misuse::WrongState));
    driven = Driven::welcomed();
    assert_eq!(driven.sender.authenticate(credential.clone()), Ok(()));
    assert!(!driven.sender.can_offer());
    assert_eq!(driven.sender.authenticate(credential.clone()), Err(Misuse::WrongState));
    let identity = sandport_protocol::Authenticated { name: Some("ann".into()) };
    driven.answer(&ReceiverMessage::Authenticated(identity));
    assert!(matches!(driven.events.last(), Some(Event::Authenticated(_))));
    driven.offer(5);
    assert_eq!(driven.sender.authenticate(credential), Err(Misuse::WrongState));
}

#[test]
fn the_verdict_on_an_upload_that_was_given_up_is_swallowed() {
    let verdicts = [
        ReceiverMessage::Accepted(Accepted { id: 0, missing: all(5) }),
        ReceiverMessage::DigestFirst(0),
        ReceiverMessage::Refused(Refused { id: 0, refusal: RefusalCode::Exists.into() }),
    ];
    for verdict in verdicts {
        let mut driven = Driven::welcomed();
        driven.offer(5);
        driven.sender.data(0, 0, 5).unwrap();
        assert_eq!(driven.sender.cancel(0, RefusalCode::Cancelled.into()), Ok(true));
        assert!(!driven.sender.can_send_ahead(6), "its bytes are still on their way");
        driven.answer(&verdict);
        assert!(driven.sender.can_send_ahead(10));
        assert!(driven.events.is_empty(), "{:?}", driven.events);
        driven.sender.close();
        driven.drain();
        assert!(driven.shut_down);
    }
}
