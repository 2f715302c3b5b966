//! What a native receiver makes of single messages, from the preface to the first offer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::receiver_end::ReceiverEnd;
use pair::script::{START, Script, about, goodbye, messages, receiver};
use sandport_protocol::wire::{Hello, PREFACE, ReceiverMessage, SenderMessage};
use sandport_protocol::{Authenticated, Credential, FRAME_BYTES_MAX, Limits, RefusalCode};

/// The session ends with a goodbye of this code, and nothing is left behind.
fn assert_goodbye(script: Script, code: RefusalCode) -> ReceiverEnd {
    let receiver = script.play_open(receiver());
    assert_eq!(receiver.code(), Some(code));
    assert_eq!(goodbye(&receiver).map(|refusal| refusal.code), Some(code));
    receiver
}

#[test]
fn the_welcome_says_version_limits_and_challenge() {
    let limits = Limits { max_file_size: Some(99), max_uploads_ahead: 5, ..Limits::default() };
    let receiver = Script::hello().play_with(ReceiverEnd::new(limits.clone(), START));
    assert_eq!(receiver.closed, Some(Ok(())));
    let messages = messages(&receiver.sent);
    let [ReceiverMessage::Welcome(welcome)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(welcome.version, 1);
    assert_eq!(welcome.agent, "receiver/1");
    assert_eq!(welcome.max_file_size, Some(99));
    assert_eq!(welcome.max_uploads_ahead, 5);
    assert_eq!(welcome.max_bytes_ahead, limits.max_bytes_ahead);
    assert_eq!(welcome.idle_timeout_ms, limits.idle_timeout_ms);
    assert_eq!(welcome.challenge, [7; 32]);
}

#[test]
fn a_damaged_preface_is_malformed() {
    let mut preface = PREFACE;
    preface[4] = b'\n';
    assert_goodbye(Script(preface.to_vec()), RefusalCode::Malformed);
}

#[test]
fn versions_that_are_not_spoken_are_told_so() {
    for (version_min, version_max) in [(2, 7), (0, 0), (u32::MAX, u32::MAX)] {
        let hello = Hello { version_min, version_max, agent: String::new() };
        let script = Script(PREFACE.to_vec()).message(&SenderMessage::Hello(hello));
        assert_goodbye(script, RefusalCode::UnsupportedVersion);
    }
}

#[test]
fn a_range_of_versions_with_ours_in_it_is_welcome() {
    let hello = Hello { version_min: 0, version_max: 9, agent: String::new() };
    let script = Script(PREFACE.to_vec()).message(&SenderMessage::Hello(hello));
    let receiver = script.play();
    assert!(matches!(
        messages(&receiver.sent).as_slice(),
        [ReceiverMessage::Welcome(welcome)] if welcome.version == 1
    ));
}

#[test]
fn the_first_message_has_to_be_a_hello() {
    let script = Script(PREFACE.to_vec()).message(&SenderMessage::KeepAlive);
    assert_goodbye(script, RefusalCode::Malformed);
    let hello = Hello { version_min: 2, version_max: 1, agent: String::new() };
    let script = Script(PREFACE.to_vec()).message(&SenderMessage::Hello(hello));
    assert_goodbye(script, RefusalCode::Malformed);
}

#[test]
fn frames_and_messages_that_break_the_encoding_are_malformed() {
    let rows: [(&str, &[u8]); 9] = [
        ("an empty frame", &[0]),
        ("an overlong length", &[0x81, 0x00, 7]),
        ("a frame that is too long", &[0x81, 0x80, 0x04]),
        ("a length without an end", &[0xff, 0xff, 0xff]),
        ("a case that is not declared", &[1, 8]),
        ("an overlong case", &[2, 0x87, 0x00]),
        ("a byte left over", &[2, 7, 0]),
        ("an overlong number", &[5, 4, 0x80, 0x00, 0, 0]),
        ("a message that is cut short", &[2, 4, 0]),
    ];
    for (what, bytes) in rows {
        let script = Script::hello().raw(bytes);
        let receiver = script.play_open(receiver());
        assert_eq!(receiver.code(), Some(RefusalCode::Malformed), "{what}");
        assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::Malformed, "{what}");
    }
}

#[test]
fn a_digest_of_another_length_is_malformed() {
    for length in [0_usize, 31, 33] {
        let mut message = vec![5, 0, 0, 0, length as u8];
        message.resize(5 + length, 9);
        let frame = [&[message.len() as u8], message.as_slice()].concat();
        let script = Script::hello().offer(0, "a", 0).raw(&frame);
        assert_goodbye(script, RefusalCode::Malformed);
    }
}

#[test]
fn a_name_that_is_not_utf8_costs_that_offer_only() {
    // offer, number 1, some, 2 bytes, file, no size, no digest, no time, not executable, not resumable
    let bad = [12, 3, 1, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0, 0];
    let receiver = Script::hello()
        .file(0, "a", b"one")
        .raw(&bad)
        .data(1, 0, b"skipped")
        .finish(1, b"skipped")
        .file(2, "b", b"two")
        .play();
    assert_eq!(about(&receiver, 1), ["name-invalid"]);
    assert_eq!(about(&receiver, 2), ["accepted", "stored b"]);
    assert_eq!(receiver.inbox.published.len(), 2);
    assert_eq!(receiver.closed, Some(Ok(())));
}

#[test]
fn other_text_that_is_not_utf8_is_malformed() {
    // goodbye, code other, some, 1 byte
    assert_goodbye(Script::hello().raw(&[5, 1, 16, 1, 1, 0xff]), RefusalCode::Malformed);
    // An offer whose name is not the only thing wrong with it.
    let bad = [13, 3, 0, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0, 0, 0];
    assert_goodbye(Script::hello().raw(&bad), RefusalCode::Malformed);
}

#[test]
fn a_name_of_any_length_that_fits_a_frame_reaches_the_inbox() {
    let name = "x".repeat(FRAME_BYTES_MAX - 100);
    let receiver = Script::hello().file(0, &name, b"x").play();
    assert!(receiver.inbox.published.contains_key(&name));
}

#[test]
fn offers_count_up_from_zero() {
    assert_goodbye(Script::hello().offer(1, "a", 1), RefusalCode::Malformed);
    assert_goodbye(Script::hello().offer(0, "a", 1).offer(0, "b", 1), RefusalCode::Malformed);
    assert_goodbye(Script::hello().offer(0, "a", 1).offer(2, "b", 1), RefusalCode::Malformed);
}

#[test]
fn numbers_that_were_not_offered_are_malformed() {
    assert_goodbye(Script::hello().data(0, 0, b"x"), RefusalCode::Malformed);
    assert_goodbye(Script::hello().finish(0, b""), RefusalCode::Malformed);
    assert_goodbye(Script::hello().cancel(0), RefusalCode::Malformed);
}

#[test]
fn a_credential_that_holds_is_answered_with_the_identity() {
    let authenticate = SenderMessage::Authenticate(Credential::Bearer("secret".into()));
    let mut receiver = receiver();
    receiver.identity = Ok(Authenticated { name: Some("ann".into()) });
    let script = Script::hello().message(&authenticate).file(0, "a", b"hello");
    let receiver = script.play_with(receiver);
    assert!(matches!(
        &messages(&receiver.sent)[1],
        ReceiverMessage::Authenticated(identity) if identity.name.as_deref() == Some("ann")
    ));
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
}

#[test]
fn a_credential_that_does_not_hold_ends_the_connection() {
    let authenticate = SenderMessage::Authenticate(Credential::Bearer("guess".into()));
    let script = Script::hello().message(&authenticate).file(0, "a", b"hello");
    let receiver = assert_goodbye(script, RefusalCode::NotPermitted);
    assert!(receiver.inbox.published.is_empty());
}

#[test]
fn authentication_comes_once_and_before_offers() {
    let authenticate = SenderMessage::Authenticate(Credential::Proof(("ann".into(), vec![1])));
    let late = Script::hello().offer(0, "a", 1).message(&authenticate);
    assert_goodbye(late, RefusalCode::InvalidState);
    let mut receiver = receiver();
    receiver.identity = Ok(Authenticated { name: None });
    let twice = Script::hello().message(&authenticate).message(&authenticate);
    let receiver = twice.play_open(receiver);
    assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::InvalidState);
}
