//! Whole sessions of the native dialect, between both machines.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::sender_end::{File, Outcome};
use pair::{Network, Pair};
use sandport_protocol::sender::EndReason;
use sandport_protocol::{Credential, Identity, Limits, Refusal, RefusalCode};

fn pair(files: Vec<File>) -> Pair {
    Pair::new(files, Limits::default(), Network::default())
}

fn stored(pair: &Pair, name: &str) -> bool {
    matches!(pair.sender.outcome_of(name), Some(Outcome::Stored(receipt)) if receipt.name == name)
}

fn refused(pair: &Pair, name: &str) -> Option<RefusalCode> {
    match pair.sender.outcome_of(name)? {
        Outcome::Refused(refusal) => Some(refusal.code),
        _ => None,
    }
}

fn assert_both_well(pair: &Pair) {
    assert_eq!(pair.receiver.closed, Some(Ok(())));
    assert_eq!(pair.sender.ended, Some(Ok(())));
}

#[test]
fn one_file_arrives_with_its_receipt() {
    let mut pair = pair(vec![File::new("a", "hello")]);
    pair.drive();
    assert_both_well(&pair);
    assert!(stored(&pair, "a"));
    assert_eq!(pair.receiver.inbox.published["a"], b"hello");
}

#[test]
fn files_of_all_kinds_arrive_sent_ahead_and_after_their_verdicts() {
    for ahead in [true, false] {
        let unknown_size = File { says_size: false, ..File::new("pipe", vec![3; 5000]) };
        let with_digest = File { says_digest: true, ..File::new("digest", vec![4; 70_000]) };
        let files = vec![
            File::new("empty", []),
            File { says_size: false, ..File::new("empty-pipe", []) },
            File::directory("dir"),
            unknown_size,
            with_digest,
        ];
        let mut pair = pair(files);
        pair.sender.ahead = ahead;
        pair.drive();
        assert_both_well(&pair);
        for name in ["empty", "empty-pipe", "pipe", "digest"] {
            assert!(stored(&pair, name), "{name}");
        }
        assert!(matches!(pair.sender.outcome_of("dir"), Some(Outcome::AlreadyStored(_))));
        assert!(pair.receiver.inbox.directories.contains("dir"));
        assert_eq!(pair.receiver.inbox.published["digest"], vec![4; 70_000]);
    }
}
