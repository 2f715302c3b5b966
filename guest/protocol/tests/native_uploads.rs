//! What a native receiver makes of offers, payload and finishes, written by hand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::inbox::digest_of;
use pair::play;
use pair::receiver_end::ReceiverEnd;
use pair::script::{START, Script, about, file_offer, goodbye, receiver};
use sandport_protocol::receiver::Want;
use sandport_protocol::wire::{Data, Finish, NumberedOffer, SenderMessage};
use sandport_protocol::{
    CLASSIC_QUIET_MS, EntryKind, HEADER_READ_BYTES_MAX, LARGE_DATA_BYTES, Limits, Offer,
    READ_BYTES_MAX, Refusal, RefusalCode,
};

fn limited(change: impl FnOnce(&mut Limits)) -> ReceiverEnd {
    let mut limits = Limits::default();
    change(&mut limits);
    ReceiverEnd::new(limits, START)
}

#[test]
fn more_uploads_at_once_than_granted_end_the_connection() {
    let receiver = limited(|limits| limits.max_uploads_ahead = 2);
    let script = Script::hello().offer(0, "a", 1).offer(1, "b", 1).offer(2, "c", 1);
    let receiver = script.play_open(receiver);
    assert_eq!(goodbye(&receiver).unwrap().code, RefusalCode::TooMany);
    assert!(receiver.inbox.published.is_empty());
}

#[test]
fn uploads_that_are_over_do_not_count() {
    let mut receiver = limited(|limits| limits.max_uploads_ahead = 1);
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
fn the_inbox_hears_why_an_upload_ends_that_others_refused() {
    let receiver = Script::hello()
        .offer(0, "short", Some(9))
        .data(0, 0, b"hello")
        .finish(0, b"hello")
        .offer(1, "gap", Some(9))
        .data(1, 4, b"hello")
        .offer(2, "gone", Some(9))
        .cancel(2)
        .play_with(receiver());
    assert_eq!(
        receiver.discarded,
        [
            (0, Some(RefusalCode::DigestMismatch)),
            (1, Some(RefusalCode::OffsetMismatch)),
            (2, Some(RefusalCode::Cancelled)),
        ]
    );
}

#[test]
fn a_cut_is_told_once_for_the_connection_and_not_per_upload() {
    let receiver = Script::hello().offer(0, "a", Some(9)).play_with(receiver());
    assert_eq!(receiver.code(), Some(RefusalCode::Cancelled));
    assert_eq!(receiver.discarded, [(0, None)]);
}

#[test]
fn a_file_of_unknown_size_is_refused_when_it_passes_the_limit() {
    let receiver = limited(|limits| limits.max_file_size = Some(4));
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
    let finish = |size| SenderMessage::Finish(Finish { id: 0, size, digest: digest_of(b"hello") });
    let offered = || Script::hello().offer(0, "a", 5);
    let unknown = || Script::hello().offer(0, "a", None);
    let bad = [
        offered().message(&finish(5)),
        offered().data(0, 0, b"hell").message(&finish(5)),
        offered().data(0, 0, b"hell").message(&finish(4)),
        offered().data(0, 0, b"hello").message(&finish(6)),
        unknown().data(0, 0, b"hell").message(&finish(5)),
        unknown().data(0, 0, b"hello").message(&finish(4)),
    ];
    for (row, script) in bad.into_iter().enumerate() {
        let receiver = script.file(1, "b", b"b").play();
        assert_eq!(about(&receiver, 0), ["accepted", "digest-mismatch"], "row {row}");
        assert_eq!(about(&receiver, 1), ["accepted", "stored b"], "row {row}");
        assert_eq!(receiver.inbox.asked_to_commit, 1, "row {row}: the inbox is not bothered");
    }
    // What only the inbox can know.
    let other = offered().data(0, 0, b"hellO").message(&finish(5)).play();
    assert_eq!(about(&other, 0), ["accepted", "digest-mismatch"]);
    assert!(other.inbox.published.is_empty());
}

#[test]
fn after_digest_first_the_number_is_offered_with_its_digest() {
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
