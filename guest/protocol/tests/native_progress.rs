//! Receivers that a native sender gives up, although they are alive: they bring nothing further.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::driven::{Driven, all, digest, receipt, welcome};
use sandport_protocol::sender::{EndReason, FRUITLESS_MESSAGES_MAX, PROGRESS_TIMEOUT_MS, Sender};
use sandport_protocol::wire::{PREFACE, Progress, ReceiverMessage, Stored, Welcome};
use sandport_protocol::{BYTES_AHEAD_MAX, KEEP_ALIVE_MS_MIN, UPLOADS_AHEAD_MAX};

/// The receiver does the same so often. Milliseconds.
const STEP_MS: u64 = 10_000;

/// Lets the receiver do something every ten seconds, until the sender gives up; when that was. `None`: it
/// does not for three times as long as it may take.
fn gives_up(driven: &mut Driven, mut receiver: impl FnMut(&mut Driven, u64)) -> Option<u64> {
    for now in (0..3 * PROGRESS_TIMEOUT_MS).step_by(STEP_MS as usize) {
        receiver(driven, now);
        driven.sender.handle_timeout(now);
        driven.drain();
        if let Some(ended) = driven.ended() {
            assert_eq!(ended, &Err(EndReason::NoProgress(PROGRESS_TIMEOUT_MS)));
            return Some(now);
        }
    }
    None
}

fn keep_alive(driven: &mut Driven, now: u64) {
    driven.receive_at(now, &ReceiverMessage::KeepAlive.encode_frame().unwrap());
}

fn progress(driven: &mut Driven, now: u64, durable: u64) {
    let progress = ReceiverMessage::Progress(Progress { id: 0, durable });
    driven.receive_at(now, &progress.encode_frame().unwrap());
}

/// A sender of one file that is accepted, sent and finished.
fn finished(size: u64) -> Driven {
    let mut driven = Driven::welcomed();
    driven.offer(size);
    driven.accept(0, all(size));
    driven.sender.data(0, 0, size).unwrap();
    driven.sender.handle_sent(0, size);
    driven.sender.finish(0, size, digest()).unwrap();
    driven.drain();
    driven
}

#[test]
fn keep_alives_in_the_place_of_a_verdict_are_no_progress() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    assert_eq!(gives_up(&mut driven, keep_alive), Some(PROGRESS_TIMEOUT_MS));
}

#[test]
fn keep_alives_in_the_place_of_a_receipt_are_no_progress() {
    assert_eq!(gives_up(&mut finished(5), keep_alive), Some(PROGRESS_TIMEOUT_MS));
}

#[test]
fn who_is_more_patient_with_silence_is_so_with_keep_alives() {
    let patience = 2 * PROGRESS_TIMEOUT_MS;
    let sender = Sender::new("sender/1".into(), patience, 0);
    let mut driven = Driven { sender, ..Driven::new() };
    driven.receive(&PREFACE);
    driven.answer(&ReceiverMessage::Welcome(welcome()));
    driven.offer(5);
    keep_alive(&mut driven, patience - 1);
    driven.sender.handle_timeout(patience - 1);
    driven.drain();
    assert_eq!(driven.ended(), None);
    driven.sender.handle_timeout(patience);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::NoProgress(patience))));
}

#[test]
fn a_welcome_that_comes_byte_by_byte_is_no_progress() {
    let mut driven = Driven::new();
    driven.receive(&PREFACE);
    // The first byte says that the message is as long as it may be.
    let frame = [vec![0x80, 0x80, 0x04], vec![0; 60_000]].concat();
    let mut bytes = frame.chunks(1);
    let given_up = gives_up(&mut driven, |driven, now| {
        driven.receive_at(now, bytes.next().unwrap());
    });
    assert_eq!(given_up, Some(PROGRESS_TIMEOUT_MS));
}

#[test]
fn what_is_durable_a_second_time_or_byte_by_byte_is_no_progress() {
    let size = 1 << 30;
    for step in [0, 1] {
        let mut durable = 1_000;
        let given_up = gives_up(&mut finished(size), |driven, now| {
            durable += step;
            progress(driven, now, durable);
        });
        assert_eq!(given_up, Some(PROGRESS_TIMEOUT_MS), "steps of {step}");
    }
}

#[test]
fn what_becomes_durable_at_last_is_progress() {
    let given_up = gives_up(&mut finished(1 << 30), |driven, now| progress(driven, now, now * 10));
    assert_eq!(given_up, None);
}

#[test]
fn payload_that_is_taken_byte_by_byte_is_no_progress() {
    let size = 1 << 30;
    let started = || {
        let mut driven = Driven::welcomed();
        driven.offer(size);
        driven.accept(0, all(size));
        driven.sender.data(0, 0, size).unwrap();
        driven.drain();
        driven
    };
    let one = |driven: &mut Driven, now| driven.sender.handle_sent(now, 1);
    assert_eq!(gives_up(&mut started(), one), Some(PROGRESS_TIMEOUT_MS));
    // 100 bytes a second.
    let some = |driven: &mut Driven, now| driven.sender.handle_sent(now, 1_000);
    assert_eq!(gives_up(&mut started(), some), None);
}

#[test]
fn a_sender_that_waits_for_its_own_content_gives_nobody_up() {
    let mut driven = Driven::welcomed();
    driven.offer(None);
    driven.accept(0, all(None));
    driven.sender.data(0, 0, 5).unwrap();
    driven.sender.handle_sent(0, 5);
    assert_eq!(gives_up(&mut driven, keep_alive), None);
    // From now on it is the receiver's turn.
    let at = 3 * PROGRESS_TIMEOUT_MS;
    keep_alive(&mut driven, at);
    driven.sender.finish(0, 5, digest()).unwrap();
    keep_alive(&mut driven, at + PROGRESS_TIMEOUT_MS - 1);
    driven.sender.handle_timeout(at + PROGRESS_TIMEOUT_MS - 1);
    driven.drain();
    assert_eq!(driven.ended(), None);
    driven.sender.handle_timeout(at + PROGRESS_TIMEOUT_MS);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::NoProgress(PROGRESS_TIMEOUT_MS))));
}

#[test]
fn a_sender_that_hashes_first_gives_nobody_up() {
    let mut driven = Driven::welcomed();
    driven.offer(5);
    driven.answer(&ReceiverMessage::DigestFirst(0));
    assert_eq!(gives_up(&mut driven, keep_alive), None);
}

#[test]
fn messages_without_end_that_say_nothing_new_are_malformed() {
    let known = ReceiverMessage::Progress(Progress { id: 0, durable: 0 });
    for message in [ReceiverMessage::KeepAlive, known] {
        let mut driven = Driven::welcomed();
        driven.offer(5);
        driven.accept(0, all(5));
        let many = message.encode_frame().unwrap().repeat(1_000);
        for _ in 0..FRUITLESS_MESSAGES_MAX / 1_000 {
            driven.receive(&many);
        }
        assert_eq!(driven.ended(), None, "{message:?}");
        driven.receive(&many);
        driven.assert_malformed("a flood");
    }
}

#[test]
fn a_receiver_that_answered_all_and_does_not_close_has_stalled() {
    let mut driven = finished(5);
    driven.sender.close();
    let stored = Stored { id: 0, receipt: receipt(b"hello") };
    driven.answer(&ReceiverMessage::Stored(stored));
    assert!(driven.shut_down);
    for now in (0..60_000).step_by(1_000) {
        keep_alive(&mut driven, now);
    }
    driven.sender.handle_timeout(60_000);
    driven.drain();
    assert_eq!(driven.ended(), Some(&Err(EndReason::Stalled(60_000))));
}

#[test]
fn a_welcome_that_makes_no_sense_is_malformed() {
    for (what, nonsense) in [
        ("no uploads", Welcome { max_uploads_ahead: 0, ..welcome() }),
        ("no silence", Welcome { idle_timeout_ms: 0, ..welcome() }),
        ("version 0", Welcome { version: 0, ..welcome() }),
    ] {
        let mut driven = Driven::new();
        driven.receive(&PREFACE);
        driven.answer(&ReceiverMessage::Welcome(nonsense));
        driven.assert_malformed(what);
    }
}

#[test]
fn a_welcome_that_grants_no_bytes_ahead_makes_sense() {
    for odd in [
        Welcome { max_bytes_ahead: 0, ..welcome() },
        Welcome { max_file_size: Some(0), ..welcome() },
        Welcome { challenge: vec![], ..welcome() },
    ] {
        let mut driven = Driven::new();
        driven.receive(&PREFACE);
        driven.answer(&ReceiverMessage::Welcome(odd));
        assert!(driven.sender.can_offer());
    }
}

#[test]
fn grants_are_taken_within_the_senders_own_bounds() {
    let most = Welcome {
        max_uploads_ahead: u32::MAX,
        max_bytes_ahead: u64::MAX,
        idle_timeout_ms: 1,
        ..welcome()
    };
    let mut driven = Driven::new();
    driven.receive(&PREFACE);
    driven.answer(&ReceiverMessage::Welcome(most));
    assert_eq!(driven.sender.poll_timeout(), Some(KEEP_ALIVE_MS_MIN));
    assert!(driven.sender.can_send_ahead(BYTES_AHEAD_MAX));
    assert!(!driven.sender.can_send_ahead(BYTES_AHEAD_MAX + 1));
    let mut offers = 0;
    while driven.sender.can_offer() {
        driven.offer(5);
        offers += 1;
    }
    assert_eq!(offers, UPLOADS_AHEAD_MAX);
}
