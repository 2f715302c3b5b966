//! When a native sender says that it is alive, and when it takes the receiver for stalled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::driven::{Driven, STALL_MS, digest, welcome};
use sandport_protocol::sender::EndReason;
use sandport_protocol::wire::{PREFACE, ReceiverMessage, SenderMessage, Welcome};
use sandport_protocol::{KEEP_ALIVE_MS_MAX, KEEP_ALIVE_MS_MIN};

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
    driven.sender.handle_sent(50_000, 1);
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
fn silence_while_nothing_is_owed_does_not_count_later() {
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
    driven.sender.handle_sent(15_000, 1);
    assert_eq!(driven.sender.poll_timeout(), Some(15_000 + KEEP_ALIVE_MS_MAX));
}

#[test]
fn a_short_idle_timeout_makes_keep_alives_frequent() {
    for (idle_timeout_ms, interval) in [(900, 300), (1, KEEP_ALIVE_MS_MIN)] {
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
