//! How a native connection comes to its end on the receiver's side.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::play;
use pair::receiver_end::ReceiverEnd;
use pair::script::{START, Script, about, goodbye, messages, receiver};
use sandport_protocol::receiver::Want;
use sandport_protocol::wire::{Data, Hello, PREFACE, ReceiverMessage, SenderMessage};
use sandport_protocol::{Limits, Refusal, RefusalCode};

/// The session ends with a goodbye of this code, and nothing is left behind.
fn assert_goodbye(script: Script, code: RefusalCode) -> ReceiverEnd {
    let receiver = script.play_open(receiver());
    assert_eq!(receiver.code(), Some(code));
    assert_eq!(goodbye(&receiver).map(|refusal| refusal.code), Some(code));
    receiver
}

#[test]
fn a_sender_that_says_goodbye_gets_what_was_committed() {
    let mut receiver = receiver();
    receiver.inbox.commit_ms = 50;
    let reason = Refusal::new(RefusalCode::Cancelled, "interrupted");
    let receiver = Script::hello()
        .file(0, "a", b"hello")
        .offer(1, "b", 5)
        .message(&SenderMessage::Goodbye(reason.clone()))
        .file(2, "c", b"after the goodbye")
        .play_open(receiver);
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
    assert_eq!(about(&receiver, 1), ["accepted"]);
    assert_eq!(receiver.closed, Some(Err(reason)));
    assert_eq!(receiver.inbox.published.len(), 1);
}

#[test]
fn an_end_between_messages_with_nothing_open_is_a_good_one() {
    let mut receiver = receiver();
    receiver.inbox.commit_ms = 70_000;
    let receiver = Script::hello().file(0, "a", b"hello").play_with(receiver);
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
    assert_eq!(receiver.closed, Some(Ok(())));
}

#[test]
fn an_end_in_the_middle_of_things_is_a_cut() {
    let scripts = [
        Script(PREFACE[..3].to_vec()),
        Script(PREFACE.to_vec()),
        Script::hello().raw(&[9]),
        Script::hello().offer(0, "b", 5),
        Script::hello().offer(0, "b", 5).data(0, 0, b"hello"),
        Script::hello()
            .offer(0, "b", 5)
            .message(&SenderMessage::Data(Data { id: 0, offset: 0, length: 5 }))
            .raw(b"hel"),
    ];
    for (row, script) in scripts.into_iter().enumerate() {
        let receiver = script.play();
        assert_eq!(receiver.code(), Some(RefusalCode::Cancelled), "row {row}");
        assert!(receiver.inbox.published.is_empty(), "row {row}");
    }
}

#[test]
fn silence_ends_the_connection_with_a_timeout() {
    let scripts = [
        Script(PREFACE[..1].to_vec()),
        Script(PREFACE.to_vec()),
        Script::hello(),
        Script::hello().offer(0, "a", 5).data(0, 0, b"he"),
        Script::hello().file(0, "a", b"hello"),
    ];
    for script in scripts {
        let receiver = assert_goodbye(script, RefusalCode::Timeout);
        assert_eq!(receiver.machine.want(), Want::Nothing);
    }
}

#[test]
fn a_keep_alive_holds_the_connection() {
    let idle = u64::from(Limits::default().idle_timeout_ms);
    let mut pieces = vec![(START, Script::hello().0)];
    for count in 1..10 {
        let alive = Script::default().message(&SenderMessage::KeepAlive);
        pieces.push((START + count * (idle - 1), alive.0));
    }
    let end = START + 10 * (idle - 1);
    pieces.push((end, Script::default().file(0, "a", b"hello").0));
    let receiver = play(receiver(), START, &pieces, Some(end));
    assert_eq!(receiver.closed, Some(Ok(())));
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
}

#[test]
fn silence_of_a_sender_that_waits_for_a_commit_does_not_count() {
    let mut receiver = receiver();
    receiver.inbox.commit_ms = 299_999;
    let receiver = Script::hello().file(0, "a", b"hello").play_open(receiver);
    let messages = messages(&receiver.sent);
    let alive =
        messages.iter().filter(|message| matches!(message, ReceiverMessage::KeepAlive)).count();
    assert_eq!(alive, 29, "one each ten seconds");
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
    // The silence after it does.
    assert_eq!(receiver.code(), Some(RefusalCode::Timeout));
}

#[test]
fn messages_in_the_wrong_state_are_named_so() {
    let hello = Hello { version_min: 1, version_max: 1, agent: String::new() };
    assert_goodbye(
        Script::hello().message(&SenderMessage::Hello(hello)),
        RefusalCode::InvalidState,
    );
    let slow = |script: Script| {
        let mut receiver = receiver();
        receiver.inbox.commit_ms = 100;
        let receiver = script.play_open(receiver);
        assert_eq!(receiver.code(), Some(RefusalCode::InvalidState));
        // The commit that ran is answered before the goodbye.
        assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
        assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::InvalidState);
    };
    slow(Script::hello().file(0, "a", b"hello").finish(0, b"hello"));
    slow(Script::hello().file(0, "a", b"hello").data(0, 5, b"more"));
    slow(Script::hello().file(0, "a", b"hello").cancel(0));
}
