//! What a sender makes of answers, good and bad, and of calls that do not fit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use bytes::Bytes;
use pair::inbox::digest_of;
use pair::script::file_offer;
use sandport_protocol::sender::{EndReason, Event, Misuse, Output, Sender};
use sandport_protocol::wire::{
    Accepted, FrameDecoder, PREFACE, Progress, ReceiverMessage, Refused, SenderMessage, Stored,
    Welcome,
};
use sandport_protocol::{
    Credential, Digest, EntryKind, Extent, FRAME_BYTES_MAX, KEEP_ALIVE_MS_MAX, Offer, Receipt,
    Refusal, RefusalCode,
};

const STALL_MS: u64 = 60_000;

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        agent: "script/1".into(),
        size_max: None,
        uploads_ahead_max: 2,
        bytes_ahead_max: 10,
        idle_timeout_ms: 60_000,
        challenge: vec![1; 32],
    }
}

/// A sender with its outputs and events taken.
struct Driven {
    sender: Sender,
    sent: Vec<u8>,
    payloads: Vec<(u64, u64, u64)>,
    shut_down: bool,
    events: Vec<Event>,
}

impl Driven {
    fn new() -> Self {
        let sender = Sender::new("sender/1".into(), STALL_MS, 0);
        let mut driven =
            Self { sender, sent: vec![], payloads: vec![], shut_down: false, events: vec![] };
        driven.drain();
        driven
    }

    fn welcomed() -> Self {
        let mut driven = Self::new();
        driven.receive(&PREFACE);
        driven.answer(&ReceiverMessage::Welcome(welcome()));
        assert!(matches!(driven.events.remove(0), Event::Welcomed(_)));
        driven
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive_at(0, bytes);
    }

    fn receive_at(&mut self, now: u64, bytes: &[u8]) {
        self.sender.handle_input(now, Bytes::copy_from_slice(bytes));
        self.drain();
    }

    fn answer(&mut self, message: &ReceiverMessage) {
        self.receive(&message.encode_frame().unwrap());
    }

    fn offer(&mut self, size: impl Into<Option<u64>>) -> u64 {
        let id = self.sender.offer(file_offer("a", size.into())).unwrap();
        self.drain();
        id
    }

    fn accept(&mut self, id: u64, missing: Vec<Extent>) {
        self.answer(&ReceiverMessage::Accepted(Accepted { id, missing }));
    }

    fn drain(&mut self) {
        while let Some(output) = self.sender.poll_output() {
            match output {
                Output::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Output::Payload { id, offset, length } => self.payloads.push((id, offset, length)),
                Output::Shutdown => self.shut_down = true,
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.sender.poll_event() {
            self.events.push(event);
        }
    }

    fn last_message(&self) -> SenderMessage {
        let mut rest = Bytes::copy_from_slice(&self.sent[PREFACE.len()..]);
        let mut frames = FrameDecoder::default();
        let mut last = None;
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            last = Some(SenderMessage::decode(&frame).unwrap());
        }
        last.unwrap()
    }

    fn ended(&self) -> Option<&Result<(), EndReason>> {
        match self.events.last() {
            Some(Event::Ended(result)) => Some(result),
            _ => None,
        }
    }

    fn assert_malformed(&self, what: &str) {
        assert!(matches!(self.ended(), Some(Err(EndReason::Malformed(_)))), "{what}");
        assert!(!self.sender.can_offer(), "{what}");
        assert_eq!(self.sender.poll_timeout(), None, "{what}");
    }
}

fn all(length: impl Into<Option<u64>>) -> Vec<Extent> {
    vec![Extent { offset: 0, length: length.into() }]
}

fn receipt(content: &[u8]) -> Receipt {
    Receipt {
        name: "a".into(),
        size: content.len() as u64,
        digest: digest_of(content),
        proof: None,
    }
}

fn digest() -> Digest {
    digest_of(b"hello")
}

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
        ReceiverMessage::Authenticated(sandport_protocol::Identity { name: None }),
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
            Output::Send(_) => "send",
            Output::Payload { .. } => "payload",
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
    let identity = sandport_protocol::Identity { name: Some("ann".into()) };
    driven.answer(&ReceiverMessage::Authenticated(identity));
    assert!(matches!(driven.events.last(), Some(Event::Authenticated(_))));
    driven.offer(5);
    assert_eq!(driven.sender.authenticate(credential), Err(Misuse::WrongState));
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

#[test]
fn silence_while_an_answer_is_owed_is_a_stall() {
    let mut driven = Driven::new();
    assert_eq!(driven.sender.poll_timeout(), Some(STALL_MS));
    driven.sender.handle_timeout(STALL_MS - 1);
    driven.drain();
    assert_eq!(driven.ended(), None);
    driven.sender.handle_timeout(STALL_MS);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::Stalled(STALL_MS))));
}

#[test]
fn payload_that_moves_and_answers_that_come_are_no_stall() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.sender.handle_sent(50_000);
    let alive = ReceiverMessage::KeepAlive.encode_frame().unwrap();
    driven.receive_at(100_000, &alive);
    driven.sender.handle_timeout(159_999);
    driven.drain();
    assert_eq!(driven.ended(), None);
    driven.sender.handle_timeout(160_000);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::Stalled(STALL_MS))));
}

#[test]
fn silence_while_nothing_is_owed_is_none_and_does_not_count_later() {
    let mut driven = Driven::welcomed();
    let mut now = 0;
    while now < 10 * STALL_MS {
        now = driven.sender.poll_timeout().unwrap();
        driven.sender.handle_timeout(now);
        driven.drain();
    }
    assert_eq!(driven.ended(), None);
    driven.offer(5);
    let noticed = now + 7_000;
    driven.sender.handle_timeout(noticed);
    driven.sender.handle_timeout(noticed + STALL_MS - 1);
    driven.drain();
    assert_eq!(driven.ended(), None);
    driven.sender.handle_timeout(noticed + STALL_MS);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::Stalled(STALL_MS))));
}

#[test]
fn a_quiet_sender_says_that_it_is_alive() {
    let mut driven = Driven::welcomed();
    assert_eq!(driven.sender.poll_timeout(), Some(KEEP_ALIVE_MS_MAX));
    driven.sender.handle_timeout(KEEP_ALIVE_MS_MAX);
    driven.drain();
    assert_eq!(driven.last_message(), SenderMessage::KeepAlive);
    assert_eq!(driven.sender.poll_timeout(), Some(2 * KEEP_ALIVE_MS_MAX));
    driven.sender.handle_sent(15_000);
    assert_eq!(driven.sender.poll_timeout(), Some(15_000 + KEEP_ALIVE_MS_MAX));
}

#[test]
fn a_short_idle_timeout_makes_keep_alives_frequent() {
    for (idle_timeout_ms, interval) in [(900, 300), (0, 1)] {
        let mut driven = Driven::new();
        driven.receive(&PREFACE);
        driven.answer(&ReceiverMessage::Welcome(Welcome { idle_timeout_ms, ..welcome() }));
        assert_eq!(driven.sender.poll_timeout(), Some(interval));
    }
}

#[test]
fn keep_alives_do_not_pile_up_behind_payload() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.sender.data(0, 0, 5).unwrap();
    driven.sender.finish(0, 5, digest()).unwrap();
    driven.sender.handle_timeout(KEEP_ALIVE_MS_MAX);
    driven.sender.handle_timeout(2 * KEEP_ALIVE_MS_MAX);
    driven.drain();
    assert!(matches!(driven.last_message(), SenderMessage::Finish(_)));
}
