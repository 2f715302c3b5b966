//! Uploads whose keys the inbox makes: kept from their beginning, empty, and of any size.

use std::collections::HashSet;

use sandport_protocol::{Resume, ResumeMode};

use super::resume::*;
use super::*;
use crate::inbox::partial::EMPTY_UPLOADS_MAX;

pub(super) fn new_key() -> Wishes {
    Wishes { new_key: true, ..Wishes::default() }
}

fn open_new(bench: &Bench, size: Option<u64>) -> Result<Upload, Refusal> {
    let (offer, wishes) = (Offer { size, ..offer("file", b"") }, new_key());
    let opening = bench.inbox().open_with(&Identity::ANONYMOUS, &offer, &wishes);
    match block_on("the answer to an offer", opening)? {
        Verdict::Accepted(upload) => Ok(upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

pub(super) fn key_of(upload: &Upload) -> [u8; 32] {
    upload.key().expect("it has a key").try_into().unwrap()
}

/// Goes on with what a key leads to, as who knows nothing but the key.
pub(super) fn go_on(bench: &Bench, key: [u8; 32], size: Option<u64>) -> Result<Upload, Refusal> {
    let resume = Some(Resume { key, epoch: 0, mode: ResumeMode::TakeOver });
    let offer = Offer { name: None, size, resume, ..offer("", b"") };
    let wishes = Wishes { existing: true, ..Wishes::default() };
    let opening = bench.inbox().open_with(&Identity::ANONYMOUS, &offer, &wishes);
    match block_on("the answer to an offer", opening)? {
        Verdict::Accepted(upload) => Ok(upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

pub(super) fn look(bench: &Bench, key: [u8; 32]) -> Result<Status, Refusal> {
    block_on("a look", bench.inbox().look(&Identity::ANONYMOUS, &key, true))
}

#[test]
fn an_empty_upload_of_any_size_is_found_again_after_a_kill() {
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        for size in [None, Some(0), Some(700), Some(5_000), Some(3 * GROUP as u64 + 5)] {
            let options = InboxOptions { durability, ..options(u64::MAX) };
            let mut bench = Bench::in_memory(options);
            let upload = open_new(&bench, size).unwrap();
            let key = key_of(&upload);
            // It is kept when its key is told.
            bench = killed(&bench);
            drop(upload);
            for _ in 0..2 {
                let seen = look(&bench, key).unwrap();
                assert_eq!((seen.size, seen.received), (size, 0), "{durability:?}");
                drop(go_on(&bench, key, size).unwrap());
                bench.restart();
            }
            let content = content(size.unwrap_or(9_000) as usize);
            let upload = go_on(&bench, key, None).unwrap();
            bring(&upload, &content);
            let receipt = finish(upload, &content);
            assert_eq!(bench.published(), [("file".to_owned(), content)]);
            bench.restart();
            assert_eq!(look(&bench, key).unwrap().outcome, Some(Ok(receipt)));
        }
    }
}

/// Whoever creates an upload has no digest to tell, and gets its key all the same.
#[test]
fn a_file_that_is_here_already_is_taken_again_and_has_no_second_copy() {
    let bench = bench();
    let content = content(5_000);
    commit(bench.inbox(), &offer("file", &content), &content).unwrap();
    let upload = open_new(&bench, Some(5_000)).unwrap();
    bring(&upload, &content);
    assert_eq!(finish(upload, &content).name, "file");
    assert_eq!(bench.published(), [("file".to_owned(), content)]);
}

#[test]
fn a_few_bytes_are_kept_too() {
    let mut bench = bench();
    let content = content(700);
    let upload = open_new(&bench, Some(700)).unwrap();
    let key = key_of(&upload);
    upload.body(ALL).unwrap().write(&content[..10]);
    drop(upload);
    bench.restart();
    assert_eq!(look(&bench, key).unwrap().durable, 10);
    let upload = go_on(&bench, key, Some(700)).unwrap();
    assert_eq!(upload.missing(), [extent(10, 690)]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(bench.published(), [("file".to_owned(), content)]);
}

#[test]
fn no_two_keys_are_alike_and_they_lead_nowhere_for_others() {
    let bench = bench();
    let keys: HashSet<_> = (0..20).map(|_| key_of(&open_new(&bench, None).unwrap())).collect();
    assert_eq!(keys.len(), 20);
    let stranger = Identity::user(7);
    for key in keys {
        let seen = block_on("a look", bench.inbox().look(&stranger, &key, true));
        assert_eq!(code(seen), RefusalCode::InvalidState);
    }
}

#[test]
fn a_size_that_was_not_known_is_set_once() {
    let mut bench = bench();
    let content = content(GROUP + 5_000);
    let upload = open_new(&bench, None).unwrap();
    let key = key_of(&upload);
    upload.body(ALL).unwrap().write(&content[..GROUP]);
    assert_eq!(code(upload.set_size(GROUP as u64 - 1)), RefusalCode::OffsetMismatch);
    upload.set_size(content.len() as u64).unwrap();
    upload.set_size(content.len() as u64).unwrap();
    assert_eq!(code(upload.set_size(9)), RefusalCode::InvalidState);
    drop(upload);
    bench.restart();
    assert_eq!(look(&bench, key).unwrap().size, Some(content.len() as u64));
    assert_eq!(code(go_on(&bench, key, Some(9))), RefusalCode::InvalidState);
    let upload = go_on(&bench, key, Some(content.len() as u64)).unwrap();
    assert_eq!(upload.missing(), [extent(GROUP, 5_000)]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(bench.published(), [("file".to_owned(), content)]);
}

#[test]
fn an_offer_with_the_key_and_a_size_sets_it() {
    let mut bench = bench();
    let key = key_of(&open_new(&bench, None).unwrap());
    let upload = go_on(&bench, key, Some(5_000)).unwrap();
    assert_eq!(upload.missing(), [extent(0, 5_000)]);
    drop(upload);
    bench.restart();
    assert_eq!(look(&bench, key).unwrap().size, Some(5_000));
    let plain = accept(bench.inbox(), &offer("plain", b"x"));
    assert_eq!(code(plain.set_size(1)), RefusalCode::InvalidState);
}

#[test]
fn an_empty_one_counts_as_a_file_in_the_quota() {
    let quota = Quota::new(None, Some(2));
    let bench = Bench::in_memory(InboxOptions { quota, ..options(u64::MAX) });
    let keys = [(); 2].map(|()| key_of(&open_new(&bench, Some(5)).unwrap()));
    assert_eq!(code(open_new(&bench, Some(5))), RefusalCode::QuotaExceeded);
    let ended = bench.inbox().abandon(&Identity::ANONYMOUS, &keys[0]);
    block_on("an end", ended).unwrap();
    open_new(&bench, Some(5)).unwrap();
}

#[test]
fn a_size_that_is_set_late_has_to_fit_the_quota() {
    let quota = Quota::new(Some(10_000), None);
    let bench = Bench::in_memory(InboxOptions { quota, ..options(u64::MAX) });
    let upload = open_new(&bench, None).unwrap();
    // What is stored is counted first.
    until("the quota to be told", || {
        let refused = code(upload.set_size(10_001));
        assert!(matches!(refused, RefusalCode::QuotaExceeded | RefusalCode::InsufficientSpace));
        refused == RefusalCode::QuotaExceeded
    });
    upload.set_size(9_999).unwrap();
}

#[test]
fn an_identity_has_so_many_empty_ones_and_no_more() {
    let durability = Durability::None;
    let mut bench = Bench::in_memory(InboxOptions { durability, ..options(u64::MAX) });
    let keys: Vec<_> =
        (0..EMPTY_UPLOADS_MAX).map(|_| key_of(&open_new(&bench, None).unwrap())).collect();
    assert_eq!(code(open_new(&bench, None)), RefusalCode::TooMany);
    bench.restart();
    assert_eq!(code(open_new(&bench, None)), RefusalCode::TooMany, "they are found again");
    let other = Identity::user(7);
    let (of_other, wishes) = (offer("other", b"x"), new_key());
    let opening = bench.inbox().open_with(&other, &of_other, &wishes);
    assert!(block_on("the answer to an offer", opening).is_ok(), "it is for each identity");
    // One that is ended, and one of which something came, make room.
    let ended = bench.inbox().abandon(&Identity::ANONYMOUS, &keys[0]);
    block_on("an end", ended).unwrap();
    let upload = go_on(&bench, keys[1], None).unwrap();
    upload.body(ALL).unwrap().write(&[1; 5_000]);
    drop(upload);
    look(&bench, keys[1]).unwrap();
    open_new(&bench, None).unwrap();
    open_new(&bench, None).unwrap();
    assert_eq!(code(open_new(&bench, None)), RefusalCode::TooMany);
}

#[test]
fn wishes_that_contradict_each_other_are_refused() {
    let bench = bench();
    let with_key = resumable("file", None, ResumeMode::TakeOver);
    let both = Wishes { new_key: true, existing: true, ..Wishes::default() };
    let existing = Wishes { existing: true, ..Wishes::default() };
    let cases = [
        (with_key, new_key()),
        (offer("file", b"x"), both),
        (offer("file", b"x"), existing),
        (offer_folder("folder"), new_key()),
    ];
    for (offer, wishes) in cases {
        let opening = bench.inbox().open_with(&Identity::ANONYMOUS, &offer, &wishes);
        let refused = block_on("the answer to an offer", opening);
        assert_eq!(code(refused), RefusalCode::InvalidState, "{offer:?} {wishes:?}");
    }
}
