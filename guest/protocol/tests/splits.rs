//! However the network cuts a session into segments, the result is the same: both dialects, both
//! sides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use std::collections::BTreeMap;

use pair::receiver_end::ReceiverEnd;
use pair::script::{START, Script, about, file_offer, goodbye, receiver};
use pair::sender_end::{File, Outcome};
use pair::{Network, Pair, play};
use proptest::collection::vec;
use proptest::prelude::*;
use sandport_protocol::sender::EndReason;
use sandport_protocol::sender::classic::{ClassicError, ClassicOutput, ClassicSender};
use sandport_protocol::wire::{Data, NumberedOffer, SenderMessage};
use sandport_protocol::{Limits, Millis, Offer, Refusal, RefusalCode};

/// What a session came to, as far as it must not depend on segments.
#[derive(Debug, PartialEq)]
struct Result {
    published: BTreeMap<String, Vec<u8>>,
    closed: Option<std::result::Result<(), Refusal>>,
    about: Vec<Vec<String>>,
    goodbye: Option<RefusalCode>,
}

fn native_result(receiver: &ReceiverEnd) -> Result {
    Result {
        published: receiver.inbox.published.clone(),
        closed: receiver.closed.clone(),
        about: (0..8).map(|id| about(receiver, id)).collect(),
        goodbye: goodbye(receiver).map(|refusal| refusal.code),
    }
}

fn classic_result(
    receiver: &ReceiverEnd,
) -> (BTreeMap<String, Vec<u8>>, Vec<u8>, Option<RefusalCode>) {
    (receiver.inbox.published.clone(), receiver.sent.clone(), receiver.code())
}

/// Cuts `bytes` at the places, which count modulo its length; each piece comes `pause` later.
fn cut(bytes: &[u8], places: &[usize], pause: Millis) -> Vec<(Millis, Vec<u8>)> {
    let mut places: Vec<_> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    let pieces = places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec());
    pieces.enumerate().map(|(index, piece)| (START + index as Millis * pause, piece)).collect()
}

/// Sessions of the native dialect that between them use every message and every way to go wrong.
fn native_sessions() -> Vec<Vec<u8>> {
    let digest_again = |content: &[u8]| {
        let digest = Some(pair::inbox::digest_of(content));
        let offer = Offer { digest, ..file_offer("here", Some(4)) };
        SenderMessage::Offer(NumberedOffer { id: 1, offer })
    };
    let everything = Script::hello()
        .file(0, "a", b"hello")
        .file(1, "here", b"HERE")
        .message(&SenderMessage::KeepAlive)
        .file(2, "no", &[1; 40])
        .message(&digest_again(b"HERE"))
        .data(1, 0, b"HE")
        .data(1, 2, b"RE")
        .finish(1, b"HERE")
        .unusual_uploads();
    let endings = [
        Script::default(),
        Script::default().offer(7, "open", 5),
        Script::default().raw(&[0]),
        Script::default().raw(&[0x85, 0x00]),
        Script::default().raw(&[2, 7, 7]).raw(&[1; 50]),
        Script::default().data(7, 0, b"not offered"),
        Script::default().message(&SenderMessage::Goodbye(RefusalCode::Cancelled.into())),
        Script::default()
            .offer(7, "open", 5)
            .message(&SenderMessage::Data(Data { id: 7, offset: 0, length: 5 }))
            .raw(b"hel"),
    ];
    let with_ending = |ending: &Script| everything.clone().raw(&ending.0).0;
    endings.iter().map(with_ending).collect()
}

fn native_receiver() -> ReceiverEnd {
    let mut receiver = receiver();
    receiver.inbox.published.insert("here".into(), b"here".to_vec());
    receiver.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    receiver
}

#[test]
fn a_native_session_may_be_split_at_each_byte() {
    for session in native_sessions() {
        let whole = play(native_receiver(), START, &cut(&session, &[], 0), Some(START));
        for place in 0..session.len() {
            let split = play(native_receiver(), START, &cut(&session, &[place], 0), Some(START));
            assert_eq!(native_result(&split), native_result(&whole), "split at {place}");
        }
        let bytes: Vec<_> = (0..session.len()).collect();
        let split = play(native_receiver(), START, &cut(&session, &bytes, 0), Some(START));
        assert_eq!(native_result(&split), native_result(&whole), "one byte per segment");
    }
}

/// Sessions of the classic dialect with a line end.
const CERTAIN: [&str; 9] = [
    "11\nhello world",
    "11\r\nhello world",
    "11\nhello",
    "0\n",
    "007\r\n1234567",
    "11 \nhello world",
    "11\rhello world",
    "123456789012345678901\nhello",
    "18446744073709551616\nhello",
];

#[test]
fn a_classic_session_may_be_split_at_each_byte() {
    for session in CERTAIN {
        let session = session.as_bytes();
        let end = Some(START + 100);
        let play = |places: &[usize], pause| {
            play(
                ReceiverEnd::new(Limits::default(), START),
                START,
                &cut(session, places, pause),
                end,
            )
        };
        let whole = classic_result(&play(&[], 0));
        let bytes: Vec<_> = (0..session.len()).collect();
        for pause in [0, 7] {
            assert_eq!(classic_result(&play(&bytes, pause)), whole, "one byte per segment");
            for place in 0..session.len() {
                assert_eq!(classic_result(&play(&[place], pause)), whole, "split at {place}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_native_session_may_be_split_anyhow(
        session in 0..8_usize,
        places in vec(any::<usize>(), 0..40),
        pause in 0..50_u64,
    ) {
        let session = &native_sessions()[session];
        let pieces = cut(session, &places, pause);
        let end = pieces.last().map(|(at, _)| *at);
        let whole = play(native_receiver(), START, &cut(session, &[], 0), Some(START));
        let split = play(native_receiver(), START, &pieces, end);
        prop_assert_eq!(native_result(&split), native_result(&whole));
    }

    /// The size in any pieces within the settle time, then the payload in any pieces.
    #[test]
    fn a_settled_classic_session_may_be_split_anyhow(
        content in vec(any::<u8>(), 0..300),
        size_places in vec(any::<usize>(), 0..3),
        places in vec(any::<usize>(), 0..20),
        size_pause in 0..50_u64,
        pause in 0..900_u64,
        closes in any::<bool>(),
    ) {
        let size = content.len().to_string();
        let mut pieces = cut(size.as_bytes(), &size_places, size_pause);
        let acknowledged = pieces.last().unwrap().0 + 60;
        let payload = cut(&content, &places, pause);
        pieces.extend(payload.into_iter().map(|(at, piece)| (acknowledged + at - START, piece)));
        let end = closes.then(|| acknowledged.max(pieces.last().unwrap().0));
        let receiver = play(ReceiverEnd::new(Limits::default(), START), START, &pieces, end);
        prop_assert_eq!(receiver.inbox.published.values().collect::<Vec<_>>(), [&content]);
        prop_assert_eq!(receiver.sent, b"ack");
        prop_assert_eq!(receiver.closed, Some(Ok(())));
    }

    /// Both sides of the native dialect, with segments of random length in both directions.
    #[test]
    fn both_native_ends_come_to_the_same_whatever_the_segments(
        seed in any::<u64>(),
        delay_ms_max in 0..5_u64,
        ahead in any::<bool>(),
        piece in 1..400_u64,
    ) {
        let session = |network| {
            let files = vec![
                File::new("a", "hello"),
                File { says_digest: true, ..File::new("here", "here") },
                File::new("changed", "CHANGED"),
                File { says_size: false, ..File::new("pipe", vec![3; 900]) },
                File::directory("dir"),
                File::new("no", vec![1; 500]),
                File { gives_up: true, ..File::new("gone", vec![1; 500]) },
                File::new("empty", []),
            ];
            let mut pair = Pair::new(files, Limits::default(), network);
            pair.sender.ahead = ahead;
            pair.sender.piece = piece;
            pair.receiver.inbox.published.insert("here".into(), b"here".to_vec());
            pair.receiver.inbox.published.insert("changed".into(), b"changed".to_vec());
            pair.receiver.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
            pair.drive();
            (
                pair.sender.outcomes,
                pair.sender.ended,
                pair.receiver.closed,
                pair.receiver.inbox.published,
            )
        };
        let whole = session(Network::default());
        prop_assert_eq!(whole.1.clone(), Some(Ok::<(), EndReason>(())));
        prop_assert!(matches!(whole.0[&0], Outcome::Stored(_)));
        let network = Network { pieces_seed: Some(seed), delay_ms_max, ..Network::default() };
        prop_assert_eq!(session(network), whole);
    }

    /// The classic sender has one answer to read.
    #[test]
    fn a_classic_sender_reads_its_answer_in_any_pieces(
        answer in prop_oneof![
            Just(b"ack".to_vec()),
            Just(b"ack and more".to_vec()),
            Just(b"acq".to_vec()),
            Just(b"a".to_vec()),
            Just(b"".to_vec()),
            vec(any::<u8>(), 0..6),
        ],
        places in vec(any::<usize>(), 0..6),
    ) {
        let read = |places: &[usize]| -> (Option<ClassicOutput>, Option<ClassicError>) {
            let mut sender = ClassicSender::new(5, 1_000, 0);
            sender.poll_output();
            let mut failure = None;
            for (_, piece) in cut(&answer, places, 0) {
                failure = failure.or(sender.handle_input(&piece).err());
            }
            failure = failure.or(sender.handle_eof().err());
            (sender.poll_output(), failure)
        };
        prop_assert_eq!(read(&places), read(&[]));
    }
}
