//! What a receiver makes of single messages, good and bad, written by hand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::inbox::digest_of;
use pair::play;
use pair::receiver_end::ReceiverEnd;
use pair::script::{START, Script, about, file_offer, goodbye, messages, receiver};
use sandport_protocol::receiver::Want;
use sandport_protocol::wire::{
    Data, Finish, Hello, NumberedOffer, PREFACE, ReceiverMessage, SenderMessage,
};
use sandport_protocol::{
    CLASSIC_QUIET_MS, Credential, EntryKind, FRAME_BYTES_MAX, HEADER_READ_BYTES_MAX, Identity,
    LARGE_DATA_BYTES, Limits, Offer, READ_BYTES_MAX, Refusal, RefusalCode,
};

/// The session ends with a goodbye of this code, and nothing is left behind.
fn assert_goodbye(script: Script, code: RefusalCode) -> ReceiverEnd {
    let receiver = script.play_open(receiver());
    assert_eq!(receiver.code(), Some(code));
    assert_eq!(goodbye(&receiver).map(|refusal| refusal.code), Some(code));
    receiver
}

fn limited(change: impl FnOnce(&mut Limits)) -> ReceiverEnd {
    let mut limits = Limits::default();
    change(&mut limits);
    ReceiverEnd::new(limits, START)
}

#[test]
fn the_welcome_says_version_limits_and_challenge() {
    let limits = Limits { size_max: Some(99), uploads_ahead_max: 5, ..Limits::default() };
    let receiver = Script::hello().play_with(ReceiverEnd::new(limits, START));
    assert_eq!(receiver.closed, Some(Ok(())));
    let messages = messages(&receiver.sent);
    let [ReceiverMessage::Welcome(welcome)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(welcome.version, 1);
    assert_eq!(welcome.agent, "receiver/1");
    assert_eq!(welcome.size_max, Some(99));
    assert_eq!(welcome.uploads_ahead_max, 5);
    assert_eq!(welcome.bytes_ahead_max, limits.bytes_ahead_max);
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
    // offer, number 1, some, 2 bytes, file, no size, no digest, no time, not executable
    let bad = [11, 3, 1, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0];
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
    let bad = [12, 3, 0, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0, 0];
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

#[test]
fn more_uploads_at_once_than_granted_end_the_connection() {
    let receiver = limited(|limits| limits.uploads_ahead_max = 2);
    let script = Script::hello().offer(0, "a", 1).offer(1, "b", 1).offer(2, "c", 1);
    let receiver = script.play_open(receiver);
    assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::TooMany);
    assert!(receiver.inbox.published.is_empty());
}

#[test]
fn uploads_that_are_over_do_not_count() {
    let mut receiver = limited(|limits| limits.uploads_ahead_max = 1);
    receiver.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    let receiver = Script::hello()
        .offer(0, "no", 1)
        .offer(1, "given-up", 1)
        .cancel(1)
        .file(2, "a", b"x")
        .play_with(receiver);
    assert_eq!(receiver.closed, Some(Ok(())));
    assert_eq!(about(&receiver, 2), ["accepted", "stored a"]);
}

#[test]
fn a_refused_upload_is_skipped_with_its_framing_intact() {
    let mut receiver = receiver();
    receiver.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    let receiver = Script::hello()
        .file(0, "no", &[1; 100_000])
        .file(1, "a", b"hello")
        .data(0, 7, b"still on its way")
        .play_with(receiver);
    assert_eq!(about(&receiver, 0), ["exists"]);
    assert_eq!(about(&receiver, 1), ["accepted", "stored a"]);
    assert_eq!(receiver.closed, Some(Ok(())));
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_opened() {
    let receiver = limited(|limits| limits.size_max = Some(4));
    let receiver = Script::hello()
        .file(0, "a", b"hello")
        .file(1, "b", b"four")
        .play_with(receiver);
    assert_eq!(about(&receiver, 0), ["too-large"]);
    assert_eq!(about(&receiver, 1), ["accepted", "stored b"]);
}

#[test]
fn a_file_of_unknown_size_is_refused_when_it_passes_the_limit() {
    let receiver = limited(|limits| limits.size_max = Some(4));
    let receiver = Script::hello()
        .offer(0, "a", None)
        .data(0, 0, b"hell")
        .data(0, 4, b"o")
        .finish(0, b"hello")
        .play_with(receiver);
    assert_eq!(about(&receiver, 0), ["accepted", "too-large"]);
    assert_eq!(receiver.closed, Some(Ok(())));
    assert!(receiver.inbox.published.is_empty());
}

#[test]
fn payload_out_of_order_or_beyond_the_size_is_refused_once() {
    let bad = [
        Script::hello().offer(0, "a", 10).data(0, 1, b"x"),
        Script::hello().offer(0, "a", 10).data(0, 0, b"xx").data(0, 1, b"x"),
        Script::hello().offer(0, "a", 10).data(0, 0, b"xx").data(0, 3, b"x"),
        Script::hello().offer(0, "a", 10).data(0, 0, b"0123456789a"),
        Script::hello().offer(0, "a", 10).data(0, 0, b"0123456789").data(0, 10, b"a"),
        Script::hello().offer(0, "a", 0).data(0, 0, b"a"),
        Script::hello().offer(0, "a", None).data(0, u64::MAX, b"ab"),
    ];
    for (row, script) in bad.into_iter().enumerate() {
        let script = script.data(0, 7, b"more of it").finish(0, b"whatever").file(1, "b", b"b");
        let receiver = script.play();
        assert_eq!(about(&receiver, 0), ["accepted", "offset-mismatch"], "row {row}");
        assert_eq!(about(&receiver, 1), ["accepted", "stored b"], "row {row}");
        assert_eq!(receiver.closed, Some(Ok(())), "row {row}");
    }
}

#[test]
fn a_length_beyond_all_numbers_is_skipped_and_not_summed() {
    let data = Data { id: 0, offset: u64::MAX, length: u64::MAX };
    let script = Script::hello().offer(0, "a", None).message(&SenderMessage::Data(data));
    let receiver = script.raw(&[0; 1000]).play();
    assert_eq!(about(&receiver, 0), ["accepted", "offset-mismatch"]);
    assert_eq!(receiver.code(), Some(RefusalCode::Cancelled));
}

#[test]
fn a_finish_that_does_not_fit_what_came_is_refused() {
    let finish = |size| {
        SenderMessage::Finish(Finish { id: 0, size, digest: digest_of(b"hello") })
    };
    let offered = || Script::hello().offer(0, "a", 5);
    let unknown = || Script::hello().offer(0, "a", None);
    let bad = [
        offered().message(&finish(5)),
        offered().data(0, 0, b"hell").message(&finish(5)),
        offered().data(0, 0, b"hell").message(&finish(4)),
        offered().data(0, 0, b"hello").message(&finish(6)),
        offered().data(0, 0, b"hellO").message(&finish(5)),
        unknown().data(0, 0, b"hell").message(&finish(5)),
        unknown().data(0, 0, b"hello").message(&finish(4)),
    ];
    for (row, script) in bad.into_iter().enumerate() {
        let receiver = script.file(1, "b", b"b").play();
        assert_eq!(about(&receiver, 0), ["accepted", "digest-mismatch"], "row {row}");
        assert_eq!(about(&receiver, 1), ["accepted", "stored b"], "row {row}");
        assert!(!receiver.inbox.published.contains_key("a"), "row {row}");
    }
}

#[test]
fn after_digest_first_the_same_number_is_offered_with_its_digest() {
    let again = |content: &[u8]| {
        let digest = Some(digest_of(content));
        let offer = Offer { digest, ..file_offer("a", Some(5)) };
        SenderMessage::Offer(NumberedOffer { id: 0, offer })
    };
    let has = || {
        let mut receiver = receiver();
        receiver.inbox.published.insert("a".into(), b"hello".to_vec());
        receiver
    };
    let same = Script::hello()
        .file(0, "a", b"hello")
        .message(&again(b"hello"))
        .file(1, "b", b"b")
        .play_with(has());
    assert_eq!(about(&same, 0), ["digest-first", "already-stored"]);
    assert_eq!(about(&same, 1), ["accepted", "stored b"]);
    assert_eq!(same.closed, Some(Ok(())));

    let other = Script::hello()
        .file(0, "a", b"HELLO")
        .message(&again(b"HELLO"))
        .data(0, 0, b"HELLO")
        .finish(0, b"HELLO")
        .play_with(has());
    assert_eq!(about(&other, 0), ["digest-first", "accepted", "stored a"]);

    let never = Script::hello().file(0, "a", b"hello").play_with(has());
    assert_eq!(about(&never, 0), ["digest-first"]);
    assert_eq!(never.code(), Some(RefusalCode::Cancelled));

    let given_up = Script::hello().file(0, "a", b"hello").cancel(0).play_with(has());
    assert_eq!(given_up.closed, Some(Ok(())));

    let without = Script::hello().offer(0, "a", 5).offer(0, "a", 5).play_with(has());
    assert_eq!(without.code(), Some(RefusalCode::InvalidState));
}

#[test]
fn an_upload_that_is_given_up_gets_no_answer() {
    let receiver = Script::hello()
        .offer(0, "a", 5)
        .data(0, 0, b"he")
        .cancel(0)
        .cancel(0)
        .data(0, 2, b"llo")
        .finish(0, b"hello")
        .play();
    assert_eq!(about(&receiver, 0), ["accepted"]);
    assert_eq!(receiver.closed, Some(Ok(())));
    assert!(receiver.inbox.published.is_empty());
}

#[test]
fn a_body_that_fails_refuses_its_upload_only() {
    for fault_at in [0, 3, 4] {
        let mut receiver = receiver();
        receiver.inbox.fault_at = Some(fault_at);
        let script = Script::hello().file(0, "a", b"hello").file(1, "empty", b"");
        let receiver = script.play_with(receiver);
        assert_eq!(about(&receiver, 0), ["accepted", "insufficient-space"]);
        assert_eq!(about(&receiver, 1), ["accepted", "stored empty"]);
        assert_eq!(receiver.closed, Some(Ok(())));
    }
}

#[test]
fn a_body_that_can_not_be_opened_refuses_its_upload_only() {
    let mut receiver = receiver();
    receiver.inbox.no_body = true;
    let receiver = Script::hello()
        .file(0, "small", b"hello")
        .file(1, "large", &[5; 200_000])
        .file(2, "empty", b"")
        .play_with(receiver);
    assert_eq!(about(&receiver, 0), ["accepted", "io"]);
    assert_eq!(about(&receiver, 1), ["accepted", "io"]);
    assert_eq!(about(&receiver, 2), ["accepted", "stored empty"]);
    assert_eq!(receiver.closed, Some(Ok(())));
}

#[test]
fn a_directory_is_stored_at_once() {
    let offer = Offer { kind: EntryKind::Directory, ..file_offer("d", None) };
    let offer = SenderMessage::Offer(NumberedOffer { id: 0, offer });
    let receiver = Script::hello().message(&offer).play();
    assert_eq!(about(&receiver, 0), ["already-stored"]);
    assert!(receiver.inbox.directories.contains("d"));
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
fn the_silence_of_a_sender_that_waits_for_a_commit_does_not_count() {
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
fn a_credential_that_holds_is_answered_with_the_identity() {
    let authenticate = SenderMessage::Authenticate(Credential::Bearer("secret".into()));
    let mut receiver = receiver();
    receiver.identity = Ok(Identity { name: Some("ann".into()) });
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
    receiver.identity = Ok(Identity { name: None });
    let twice = Script::hello().message(&authenticate).message(&authenticate);
    let receiver = twice.play_open(receiver);
    assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::InvalidState);
}

#[test]
fn durable_offsets_are_passed_on_while_the_upload_is_open() {
    let mut receiver = receiver();
    let script = Script::hello().offer(0, "a", 5).0;
    let taken = receiver.feed(START, &script, usize::MAX);
    assert_eq!(taken, script.len());
    receiver.machine.handle_progress(START, 0, 3);
    receiver.machine.handle_progress(START, 9, 3);
    receiver.settle(START);
    assert_eq!(about(&receiver, 0), ["accepted", "progress"]);
    assert!(about(&receiver, 9).is_empty());
}

#[test]
fn the_header_behind_large_payload_is_read_alone() {
    let mut receiver = receiver();
    let large = vec![1; LARGE_DATA_BYTES as usize];
    let script = Script::hello().offer(0, "a", None).data(0, 0, &large).0;
    let mut rest = script.as_slice();
    while !rest.is_empty() {
        let taken = receiver.feed(START, rest, usize::MAX);
        rest = &rest[taken..];
    }
    assert_eq!(receiver.machine.want(), Want::Read { max: HEADER_READ_BYTES_MAX });
    let small = Script::default().data(0, LARGE_DATA_BYTES, b"x").0;
    receiver.feed(START, &small, usize::MAX);
    assert_eq!(receiver.machine.want(), Want::Read { max: READ_BYTES_MAX });
}

#[test]
fn large_files_pass_by_splice() {
    let content = vec![9; 3_000_000];
    let mut script = Script::hello().offer(0, "a", content.len() as u64);
    for (index, piece) in content.chunks(1_000_000).enumerate() {
        script = script.data(0, index as u64 * 1_000_000, piece);
    }
    let receiver = script.finish(0, &content).play();
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
    let written_max = READ_BYTES_MAX + 2 * HEADER_READ_BYTES_MAX;
    assert!(receiver.written <= written_max as u64, "{} bytes were written", receiver.written);
    assert_eq!(receiver.written + receiver.spliced, 3_000_000);
}

#[test]
fn a_large_name_behind_large_payload_is_read_in_one_go() {
    let large = vec![1; LARGE_DATA_BYTES as usize];
    let name = "n".repeat(5_000);
    let receiver = Script::hello().file(0, "a", &large).file(1, &name, b"x").play();
    assert_eq!(about(&receiver, 1), ["accepted".into(), format!("stored {name}")]);
}

#[test]
fn what_the_inbox_says_is_cut_to_what_a_frame_holds() {
    let mut receiver = receiver();
    let long = Refusal::new(RefusalCode::Io, "é".repeat(100_000));
    receiver.inbox.refused.insert("a".into(), long);
    let receiver = Script::hello().offer(0, "a", 1).play_with(receiver);
    assert_eq!(about(&receiver, 0), ["io"]);
    assert_eq!(receiver.closed, Some(Ok(())));
}

#[test]
fn the_quiet_of_the_classic_dialect_means_nothing_here() {
    let script = Script::hello().offer(0, "a", 5).data(0, 0, b"hello").0;
    let later = START + 2 * CLASSIC_QUIET_MS;
    let pieces = [(START, script), (later, Script::default().finish(0, b"hello").0)];
    let receiver = play(receiver(), START, &pieces, Some(later));
    assert_eq!(about(&receiver, 0), ["accepted", "stored a"]);
}
