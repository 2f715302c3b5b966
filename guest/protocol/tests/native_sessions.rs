//! Whole sessions of the native dialect, between both machines.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::sender_end::{File, Outcome};
use pair::{Network, Pair};
use sandport_protocol::sender::EndReason;
use sandport_protocol::{Authenticated, Credential, Limits, Refusal, RefusalCode};

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
fn files_of_all_kinds_arrive_ahead_of_and_after_their_verdicts() {
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

#[test]
fn a_file_larger_than_the_window_waits_for_its_verdict() {
    let limits = Limits { max_bytes_ahead: 1000, ..Limits::default() };
    let files = vec![File::new("small", [1; 600]), File::new("large", [2; 5000])];
    let mut pair = Pair::new(files, limits, Network::default());
    assert!(!pair.sender.machine.can_send_ahead(1), "nothing is granted before the welcome");
    pair.drive();
    assert_both_well(&pair);
    assert!(stored(&pair, "small") && stored(&pair, "large"));
}

#[test]
fn many_more_files_than_the_window_arrive_in_one_connection() {
    let limits = Limits { max_uploads_ahead: 3, ..Limits::default() };
    let files = (0..200).map(|count| File::new(&format!("{count}"), vec![1; count])).collect();
    let mut pair = Pair::new(files, limits, Network::default());
    pair.receiver.inbox.commit_ms = 10;
    pair.drive();
    assert_both_well(&pair);
    assert_eq!(pair.receiver.inbox.published.len(), 200);
    assert!((0..200).all(|count| stored(&pair, &count.to_string())));
}

#[test]
fn a_tree_sent_twice_is_already_stored() {
    for says_digest in [false, true] {
        let files: Vec<_> = (0..20)
            .map(|count| File {
                says_digest,
                ..File::new(&format!("{count}"), vec![9; 50 * count])
            })
            .collect();
        let mut first = pair(files.clone());
        first.drive();
        let mut second = pair(files);
        second.receiver.inbox.published = first.receiver.inbox.published;
        second.drive();
        assert_both_well(&second);
        for count in 0..20 {
            let outcome = second.sender.outcome_of(&count.to_string());
            assert!(matches!(outcome, Some(Outcome::AlreadyStored(_))), "{outcome:?}");
        }
    }
}

#[test]
fn a_file_that_changed_since_is_sent_after_its_digest() {
    for ahead in [true, false] {
        let mut pair = pair(vec![File::new("a", "HELLO"), File::new("b", "other")]);
        pair.sender.ahead = ahead;
        pair.receiver.inbox.published.insert("a".into(), b"hello".to_vec());
        pair.drive();
        assert_both_well(&pair);
        assert!(stored(&pair, "a") && stored(&pair, "b"));
        assert_eq!(pair.receiver.inbox.published["a"], b"HELLO");
    }
}

#[test]
fn a_refused_file_costs_no_other() {
    for ahead in [true, false] {
        let files = vec![File::new("no", [1; 3000]), File::new("a", "x"), File::new("no", "y")];
        let mut pair = pair(files);
        pair.sender.ahead = ahead;
        pair.receiver.inbox.refused.insert("no".into(), RefusalCode::NameInvalid.into());
        pair.drive();
        assert_both_well(&pair);
        assert_eq!(refused(&pair, "no"), Some(RefusalCode::NameInvalid));
        assert!(stored(&pair, "a"));
        assert_eq!(pair.sender.outcomes.len(), 3);
    }
}

#[test]
fn a_disk_that_fills_up_refuses_files_and_keeps_the_connection() {
    let files = vec![File::new("large", vec![1; 300_000]), File::new("small", "x")];
    let mut pair = pair(files);
    pair.receiver.inbox.fault_at = Some(100_000);
    pair.drive();
    assert_both_well(&pair);
    assert_eq!(refused(&pair, "large"), Some(RefusalCode::InsufficientSpace));
    assert!(stored(&pair, "small"));
}

#[test]
fn a_file_that_is_given_up_leaves_nothing() {
    for ahead in [true, false] {
        let gone = File { gives_up: true, ..File::new("gone", [1; 3000]) };
        let mut pair = pair(vec![gone, File::new("a", "x")]);
        pair.sender.ahead = ahead;
        pair.drive();
        assert_both_well(&pair);
        assert!(stored(&pair, "a"));
        assert_eq!(pair.receiver.inbox.published.len(), 1);
    }
}

#[test]
fn a_slow_commit_is_neither_a_timeout_nor_a_stall() {
    let mut pair = pair(vec![File::new("a", "x")]);
    // Many times what either waits in silence, and less than a sender waits for anything to come further.
    pair.receiver.inbox.commit_ms = 1_500_000;
    pair.drive();
    assert_both_well(&pair);
    assert!(stored(&pair, "a"));
}

#[test]
fn an_application_that_pauses_for_hours_keeps_its_connection() {
    let mut pair = pair(vec![File::new("a", "x")]);
    pair.sender.hangs = true;
    let end = pair.now + 7_200_000;
    while pair.now < end {
        assert!(pair.step());
    }
    pair.sender.hangs = false;
    pair.drive();
    assert_both_well(&pair);
    assert!(stored(&pair, "a"));
}

#[test]
fn a_credential_opens_the_way_for_offers() {
    let mut pair = pair(vec![File::new("a", "x")]);
    pair.sender.credential = Some(Credential::Bearer("secret".into()));
    pair.receiver.identity = Ok(Authenticated { name: Some("ann".into()) });
    pair.drive();
    assert_both_well(&pair);
    assert!(stored(&pair, "a"));
}

#[test]
fn a_refused_credential_is_a_goodbye() {
    let mut pair = pair(vec![File::new("a", "x")]);
    pair.sender.credential = Some(Credential::Bearer("guess".into()));
    pair.drive();
    let not_permitted: Refusal = RefusalCode::NotPermitted.into();
    assert_eq!(pair.sender.ended, Some(Err(EndReason::Goodbye(not_permitted.clone()))));
    assert_eq!(pair.receiver.closed, Some(Err(not_permitted)));
}

#[test]
fn an_abort_tells_the_receiver_why() {
    let mut pair = pair(vec![File::new("a", [1; 5000])]);
    pair.sender.ahead = false;
    pair.step();
    let reason = Refusal::new(RefusalCode::Cancelled, "interrupted");
    pair.sender.abort(reason.clone());
    pair.drive();
    assert_eq!(pair.sender.ended, Some(Err(EndReason::Aborted(reason.clone()))));
    assert_eq!(pair.receiver.closed, Some(Err(reason)));
    assert!(pair.receiver.inbox.published.is_empty());
}

#[test]
fn nothing_to_send_is_a_short_and_good_session() {
    let mut pair = pair(vec![]);
    pair.drive();
    assert_both_well(&pair);
}
