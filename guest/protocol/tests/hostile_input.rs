//! Bytes and calls without sense: no panic, always either something to wait for or an end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use bytes::Bytes;
use pair::receiver_end::ReceiverEnd;
use pair::rng::{Rng, SeedOnFailure};
use pair::script::{START, Script, file_offer};
use pair::sender_end::File;
use pair::{Network, Pair, play};
use sandport_protocol::receiver::{Opened, Receiver};
use sandport_protocol::sender::{Event, Sender};
use sandport_protocol::wire::{PREFACE, ReceiverMessage, SenderMessage};
use sandport_protocol::{
    Authenticated, Credential, Extent, Limits, Millis, Offer, Receipt, Refusal, RefusalCode,
};

/// Seeded runs of each test.
const RUNS: u64 = 2_000;

fn limits(rng: &mut Rng) -> Limits {
    Limits {
        max_file_size: rng.chance(3).then(|| rng.below(100)),
        max_uploads_ahead: rng.below(4) as u32,
        settle_ms: rng.below(100) as u32,
        // With none at all a moment could be due again within itself.
        idle_timeout_ms: 1 + rng.below(1_000) as u32,
        ..Limits::default()
    }
}

/// Cuts bytes into pieces that come at random times.
fn pieces(rng: &mut Rng, bytes: &[u8]) -> Vec<(Millis, Vec<u8>)> {
    let mut at = START;
    let mut rest = bytes;
    let mut pieces = vec![];
    while !rest.is_empty() {
        let count = (1 + rng.below(60)).min(rest.len() as u64) as usize;
        pieces.push((at, rest[..count].to_vec()));
        rest = &rest[count..];
        if rng.chance(3) {
            at += rng.below(80);
        }
    }
    pieces
}

/// Changes, drops, doubles and inserts a few bytes.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(5) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes.truncate(at),
            3 => {
                bytes.remove(at);
            }
            _ => {
                let end = (at + 1 + rng.below(30) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// Plays bytes into a receiver until it closes; its driver checks that it never hangs.
fn survive(rng: &mut Rng, bytes: &[u8]) -> ReceiverEnd {
    let mut receiver = ReceiverEnd::new(limits(rng), START);
    receiver.inbox.commit_ms = rng.below(50);
    if rng.chance(2) {
        receiver.identity = Ok(Authenticated { name: None });
    }
    let pieces = pieces(rng, bytes);
    let end = pieces.last().map(|(at, _)| *at).filter(|_| rng.chance(2));
    play(receiver, START, &pieces, end)
}

fn session() -> Vec<u8> {
    let bearer = Credential::Bearer("secret".into());
    Script::hello()
        .message(&SenderMessage::Authenticate(bearer))
        .file(0, "a", b"hello")
        .offer(1, "pipe", None)
        .data(1, 0, &[1; 50])
        .message(&SenderMessage::KeepAlive)
        .cancel(1)
        .file(2, "b", &[2; 90])
        .message(&SenderMessage::Goodbye(RefusalCode::Cancelled.into()))
        .0
}

#[test]
fn random_bytes_after_any_first_byte() {
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let count = rng.below(200) as usize;
        let mut bytes = match rng.below(4) {
            0 => vec![],
            1 => PREFACE.to_vec(),
            2 => Script::hello().0,
            _ => vec![b'0' + rng.below(10) as u8],
        };
        bytes.extend(rng.bytes(count));
        let receiver = survive(&mut rng, &bytes);
        assert!(receiver.inbox.published.values().all(|content| content.len() < 200));
    }
}

#[test]
fn native_sessions_with_a_few_bytes_changed() {
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let mut bytes = session();
        mutate(&mut rng, &mut bytes);
        survive(&mut rng, &bytes);
    }
}

#[test]
fn classic_sessions_with_a_few_bytes_changed() {
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let ends = ["", "\n", "\r\n"];
        let end = ends[rng.below(3) as usize];
        let mut bytes = format!("30{end}{}", "x".repeat(30)).into_bytes();
        mutate(&mut rng, &mut bytes);
        survive(&mut rng, &bytes);
    }
}

#[test]
fn messages_in_any_order() {
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let mut script = Script::hello();
        for _ in 0..rng.below(30) {
            let id = rng.below(4);
            let payload = rng.bytes(5);
            script = match rng.below(8) {
                0 | 1 => script.offer(id, "a", rng.chance(2).then(|| rng.below(12))),
                2 | 3 => script.data(id, rng.below(10), &payload[..rng.below(6) as usize]),
                4 => script.finish(id, &payload[..rng.below(6) as usize]),
                5 => script.cancel(id),
                6 => script.message(&SenderMessage::KeepAlive),
                _ => script.file(id, "b", &payload),
            };
        }
        survive(&mut rng, &script.0);
    }
}

/// A driver that keeps no rule: calls of any kind at any time.
#[test]
fn a_receiver_survives_calls_without_sense() {
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let mut machine = Receiver::new(limits(&mut rng), vec![], String::new(), 0);
        let session = session();
        for _ in 0..rng.below(60) {
            let (now, id) = (rng.below(5_000), rng.below(3));
            let refusal = Refusal::from(RefusalCode::Io);
            match rng.below(10) {
                0..=2 => {
                    let from = if rng.chance(3) { rng.below(session.len() as u64) } else { 0 };
                    let bytes = Bytes::copy_from_slice(&session[from as usize..]);
                    machine.handle_input(now, bytes);
                }
                3 => machine.handle_eof(now),
                4 => machine.handle_spliced(now, rng.next()),
                5 => machine.handle_timeout(now),
                6 => {
                    let length = rng.chance(2).then(|| rng.next());
                    let extent = Extent { offset: rng.below(3), length };
                    let opened = match rng.below(3) {
                        0 => Ok(Opened::DigestFirst),
                        1 => Ok(Opened::Accepted(vec![extent; rng.below(5_000) as usize])),
                        _ => Err(refusal),
                    };
                    machine.handle_opened(now, id, opened);
                }
                7 => machine.handle_fault(now, id, refusal),
                8 => machine.handle_committed(now, id, Err(refusal)),
                _ => machine.handle_authenticated(now, Ok(Authenticated { name: None })),
            }
            machine.handle_progress(now, id, rng.next());
            let _ = (machine.want(), machine.poll_timeout());
            if rng.chance(2) {
                while machine.poll_output().is_some() {}
            }
        }
    }
}

/// A receiver's bytes with a few changed, and calls of any kind in between.
#[test]
fn a_sender_survives_answers_and_calls_without_sense() {
    let files = vec![File::new("a", "hello"), File::directory("d"), File::new("b", vec![1; 90])];
    let mut pair = Pair::new(files, Limits::default(), Network::default());
    pair.drive();
    let receipt = Receipt {
        name: "a".into(),
        size: u64::MAX,
        digest: pair::inbox::digest_of(b""),
        proof: Some(vec![1]),
    };
    for seed in 0..RUNS {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let mut answers = pair.down.clone();
        if rng.chance(3) {
            let id = rng.below(3);
            let stored = sandport_protocol::wire::Stored { id, receipt: receipt.clone() };
            answers.extend(ReceiverMessage::Stored(stored).encode_frame().unwrap());
        }
        if rng.chance(2) {
            mutate(&mut rng, &mut answers);
        }
        let mut sender = Sender::new("sender/1".into(), rng.below(3_000), 0);
        let mut rest = answers.as_slice();
        let mut ended = false;
        for _ in 0..80 {
            let (now, id) = (rng.below(5_000), rng.below(4));
            let digest = pair::inbox::digest_of(&[id as u8]);
            match rng.below(12) {
                0..=3 => {
                    let count = rng.below(40).min(rest.len() as u64) as usize;
                    sender.handle_input(now, Bytes::copy_from_slice(&rest[..count]));
                    rest = &rest[count..];
                }
                4 => sender.handle_sent(now, rng.below(100_000)),
                5 => sender.handle_timeout(now),
                6 => {
                    let size = rng.chance(2).then(|| rng.next());
                    let digest = rng.chance(2).then_some(digest);
                    let _ = sender.offer(Offer { digest, ..file_offer("a", size) });
                }
                7 => {
                    let _ = sender.data(id, rng.below(2), rng.next() >> rng.below(64));
                }
                8 => {
                    let _ = sender.finish(id, rng.below(3), digest);
                }
                9 => {
                    let _ = sender.cancel(id, RefusalCode::Other.into());
                }
                10 => {
                    let _ = sender.offer_digest(id, digest);
                }
                _ => match rng.below(12) {
                    0 => sender.close(),
                    1 => sender.abort(RefusalCode::Other.into()),
                    2 => sender.handle_eof(now),
                    _ => {}
                },
            }
            let _ = (sender.can_offer(), sender.can_send_ahead(rng.next()), sender.poll_timeout());
            while sender.poll_output().is_some() {}
            while let Some(event) = sender.poll_event() {
                assert!(!ended, "{event:?} after the end");
                ended = matches!(event, Event::Ended(_));
            }
            assert!(!ended || sender.poll_timeout().is_none());
        }
    }
}
