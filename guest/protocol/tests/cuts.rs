//! A connection that is cut at any byte, in either direction: nothing is published that is not whole,
//! nothing that was acknowledged is lost, and both ends come to an end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::receiver_end::ReceiverEnd;
use pair::rng::{Rng, SeedOnFailure};
use pair::script::{START, about};
use pair::sender_end::{File, Outcome};
use pair::{Network, Pair, play};
use sandport_protocol::{Limits, RefusalCode};

/// What holds of every session, whole or cut.
fn assert_sound(pair: &Pair, files: &[File], context: &str) {
    for (name, content) in &pair.receiver.inbox.published {
        let file = files.iter().find(|file| &file.name == name).unwrap();
        assert_eq!(content, &file.content, "{context}: {name} is published and not whole");
        assert!(!file.gives_up, "{context}: {name} was given up");
    }
    for (&id, outcome) in &pair.sender.outcomes {
        if let Outcome::Stored(receipt) | Outcome::AlreadyStored(receipt) = outcome {
            let file = &files[id as usize];
            let there = pair.receiver.inbox.published.get(&receipt.name);
            let dir = pair.receiver.inbox.directories.contains(&receipt.name);
            assert!(dir || there == Some(&file.content), "{context}: a lost receipt");
        }
    }
    for (id, file) in files.iter().enumerate() {
        let answered = about(&pair.receiver, id as u64).iter().any(|text| text.contains("stored"));
        let published = pair.receiver.inbox.published.contains_key(&file.name);
        assert!(answered || !published, "{context}: {} is published without an answer", file.name);
    }
    assert!(pair.receiver.closed.is_some() && pair.sender.ended.is_some(), "{context}");
}

fn small_files() -> Vec<File> {
    vec![
        File::new("a", "hello"),
        File::directory("dir"),
        File { says_size: false, ..File::new("pipe", "from a pipe") },
        File { says_digest: true, ..File::new("b", [7; 60]) },
        File { gives_up: true, ..File::new("gone", "gone") },
        File::new("empty", []),
    ]
}

#[test]
fn a_session_cut_at_each_byte_on_the_way_up() {
    let files = small_files();
    let mut whole = Pair::new(files.clone(), Limits::default(), Network::default());
    whole.drive();
    for cut in 0..whole.up.len() as u64 {
        let network = Network { cut_up: Some(cut), ..Network::default() };
        let mut pair = Pair::new(files.clone(), Limits::default(), network);
        pair.receiver.inbox.commit_ms = 30;
        pair.drive();
        assert_sound(&pair, &files, &format!("cut at {cut}"));
    }
}

#[test]
fn a_session_cut_at_each_byte_on_the_way_down() {
    let files = small_files();
    let mut whole = Pair::new(files.clone(), Limits::default(), Network::default());
    whole.drive();
    for cut in 0..whole.down.len() as u64 {
        let network = Network { cut_down: Some(cut), ..Network::default() };
        let mut pair = Pair::new(files.clone(), Limits::default(), network);
        pair.drive();
        assert_sound(&pair, &files, &format!("cut at {cut}"));
    }
}

/// Random files, segments, delays, faults and cuts.
#[test]
fn a_thousand_bad_networks() {
    for seed in 0..1_000 {
        let _seed = SeedOnFailure(seed);
        let mut rng = Rng::new(seed);
        let files: Vec<File> = (0..rng.below(12))
            .map(|index| {
                let length = if rng.chance(4) { rng.below(50_000) } else { rng.below(300) };
                let name = format!("{index}");
                if rng.chance(12) {
                    return File::directory(&name);
                }
                File {
                    says_size: !rng.chance(4),
                    says_digest: rng.chance(4),
                    gives_up: rng.chance(10),
                    ..File::new(&name, rng.bytes(length as usize))
                }
            })
            .collect();
        let total: u64 = files.iter().map(|file| file.content.len() as u64 + 120).sum();
        let limits = Limits {
            max_uploads_ahead: 1 + rng.below(8) as u32,
            max_bytes_ahead: rng.below(60_000),
            max_file_size: rng.chance(4).then_some(30_000),
            ..Limits::default()
        };
        let mut network = Network { pieces_seed: Some(rng.next()), ..Network::default() };
        network.delay_ms_max = rng.below(20);
        if rng.chance(2) {
            network.cut_up = Some(rng.below(total + 100));
        } else if rng.chance(2) {
            network.cut_down = Some(rng.below(files.len() as u64 * 80 + 80));
        }
        let mut pair = Pair::new(files.clone(), limits, network);
        pair.sender.ahead = rng.chance(2);
        pair.sender.piece = 1 + rng.below(40_000);
        pair.receiver.inbox.commit_ms = rng.below(200);
        pair.receiver.inbox.no_body = rng.chance(20);
        pair.receiver.inbox.fault_at = rng.chance(5).then(|| rng.below(1_000) as usize);
        if rng.chance(3) {
            pair.receiver.inbox.refused.insert("1".into(), RefusalCode::NameInvalid.into());
        }
        if rng.chance(3)
            && let Some(file) = files.first()
            && !file.gives_up
            && file.says_size
        {
            pair.receiver.inbox.published.insert("0".into(), file.content.clone());
        }
        pair.drive();
        for (name, content) in &pair.receiver.inbox.published {
            let index: usize = name.parse().unwrap();
            assert_eq!(content, &files[index].content, "{name} is published and not whole");
        }
        if network.cut_up.is_none() && network.cut_down.is_none() {
            assert_eq!(pair.sender.ended, Some(Ok(())));
            assert_eq!(pair.receiver.closed, Some(Ok(())));
            assert_eq!(pair.sender.outcomes.len(), files.len());
        }
    }
}

#[test]
fn a_classic_session_cut_at_each_byte_publishes_nothing() {
    for (size, payload) in
        [("11\n", "hello world"), ("11\r\n", "hello world"), ("11", "hello world")]
    {
        let session = [size, payload].concat();
        for cut in 0..session.len() {
            for eof in [true, false] {
                let mut pieces = vec![(START, session.as_bytes()[..cut.min(size.len())].to_vec())];
                if cut > size.len() {
                    let payload = session.as_bytes()[size.len()..cut].to_vec();
                    pieces.push((START + 60, payload));
                }
                let end = eof.then_some(START + 61);
                let receiver = ReceiverEnd::new(Limits::default(), START);
                let receiver = play(receiver, START, &pieces, end);
                assert!(receiver.inbox.published.is_empty(), "cut at {cut}");
                assert!(cut == 0 || receiver.code().is_some(), "cut at {cut}");
            }
        }
    }
}
