//! Uploads whose keys the inbox makes: kept from their beginning, empty, and of any size.

use std::collections::HashSet;
use std::time::Duration;

use sandport_protocol::inbox::{JumpResistantClock, Reading};
use sandport_protocol::{Resume, ResumeMode};

use super::resume::*;
use super::*;
use crate::resumable::EMPTY_UPLOADS_MAX;
use crate::{expiry, maintenance};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn new_key() -> OfferOptions {
    OfferOptions { new_key: true, ..OfferOptions::default() }
}

fn open_new(bench: &Bench, size: Option<u64>) -> Result<Upload, Refusal> {
    let (offer, options) = (Offer { size, ..offer("file", b"") }, new_key());
    let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
    match block_on("the answer to an offer", opening)? {
        OfferResponse::Accepted(upload) => Ok(upload),
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
    let options = OfferOptions { existing: true, ..OfferOptions::default() };
    let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
    match block_on("the answer to an offer", opening)? {
        OfferResponse::Accepted(upload) => Ok(upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

pub(super) fn look(bench: &Bench, key: [u8; 32]) -> Result<UploadStatus, Refusal> {
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
fn a_stored_file_is_taken_again_and_has_no_second_copy() {
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
fn a_body_brings_nothing_beyond_a_size_that_is_set_late() {
    let content = content(GROUP + 5);
    for (at, size) in [(0, 0), (0, GROUP), (2 * GROUP, GROUP)] {
        let bench = bench();
        let upload = open_new(&bench, None).unwrap();
        let mut body = upload.body(extent(at, GROUP + 5)).unwrap();
        upload.set_size(size as u64).unwrap();
        body.write(&content);
        let fault = upload.fault().expect("a fault");
        assert_eq!(fault.code, RefusalCode::OffsetMismatch, "{size} bytes, from {at} on");
    }
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

/// Whether a key leads to an upload.
fn is_there(bench: &Bench, key: [u8; 32]) -> bool {
    match look(bench, key) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, RefusalCode::InvalidState);
            false
        }
    }
}

/// The same as [`open_new`], for a sender at this address; nobody holds it then.
fn begin_at(bench: &Bench, address: &str) -> [u8; 32] {
    let options = OfferOptions { address: Some(address.parse().unwrap()), ..new_key() };
    let offer = Offer { size: None, ..offer("file", b"") };
    let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
    match block_on("the answer to an offer", opening).unwrap() {
        OfferResponse::Accepted(upload) => key_of(&upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

/// Waits until nobody is at any of them.
fn idle(bench: &Bench) {
    bench.inbox().handle.pool.wait_idle();
}

fn bench_of_empty_ones() -> Bench {
    let durability = Durability::None;
    Bench::in_memory(InboxOptions { durability, ..options(u64::MAX) })
}

#[test]
fn an_identity_has_so_many_empty_ones_and_the_oldest_gives_way() {
    let mut bench = bench_of_empty_ones();
    let keys: Vec<_> =
        (0..EMPTY_UPLOADS_MAX).map(|_| key_of(&open_new(&bench, None).unwrap())).collect();
    assert!(keys.iter().all(|key| is_there(&bench, *key)));
    idle(&bench);
    let next = key_of(&open_new(&bench, None).unwrap());
    assert_eq!(keys.iter().filter(|key| !is_there(&bench, **key)).count(), 1);
    assert!(!is_there(&bench, keys[0]));

    // Those of which something came are none of them.
    let upload = go_on(&bench, keys[1], None).unwrap();
    upload.body(ALL).unwrap().write(&[1; 5_000]);
    drop(upload);
    look(&bench, keys[1]).unwrap();
    idle(&bench);
    let last = key_of(&open_new(&bench, None).unwrap());
    assert!(is_there(&bench, keys[1]) && is_there(&bench, keys[2]));

    let other = Identity::user(7);
    let (of_other, options) = (offer("other", b"x"), new_key());
    let opening = bench.inbox().offer_with(&other, &of_other, &options);
    assert!(block_on("the answer to an offer", opening).is_ok(), "it is for each identity");
    assert!(is_there(&bench, keys[2]));

    bench.restart();
    open_new(&bench, None).unwrap();
    let all = keys.iter().chain([&next, &last]);
    let left = all.filter(|key| is_there(&bench, **key)).count();
    // One of them has bytes.
    assert_eq!(left, 1 + EMPTY_UPLOADS_MAX - 1, "they are found again");
}

#[test]
fn who_holds_an_empty_upload_keeps_it_and_newcomers_are_refused() {
    let bench = bench_of_empty_ones();
    let held: Vec<_> = (0..EMPTY_UPLOADS_MAX).map(|_| open_new(&bench, None).unwrap()).collect();
    assert_eq!(code(open_new(&bench, None)), RefusalCode::TooMany);
    let keys: Vec<_> = held.iter().map(key_of).collect();
    assert!(held.iter().all(|upload| upload.fault().is_none()));
    // One that has bytes by now is none of them, though it is held.
    held[3].body(ALL).unwrap().write(&[1; 5_000]);
    open_new(&bench, None).unwrap();
    drop(held);
    idle(&bench);
    open_new(&bench, None).unwrap();
    assert!(!is_there(&bench, keys[0]) && is_there(&bench, keys[1]));
    assert!(is_there(&bench, keys[3]));
}

#[test]
fn whoever_begins_very_many_takes_no_place_from_others() {
    let bench = bench_of_empty_ones();
    let early = begin_at(&bench, "192.0.2.1");
    let of_many = |number: u32| match number % 2 {
        0 => "198.51.100.7".to_owned(),
        // Other addresses of one network.
        _ => format!("2001:db8::{number:x}"),
    };
    let flood: Vec<_> = (0..2 * EMPTY_UPLOADS_MAX as u32)
        .map(|number| begin_at(&bench, &of_many(number)))
        .collect();
    let late = begin_at(&bench, "192.0.2.2");
    let next = begin_at(&bench, "198.51.100.7");
    assert!([early, late, next].into_iter().all(|key| is_there(&bench, key)));
    let left = flood.iter().filter(|key| is_there(&bench, **key)).count();
    assert_eq!(left, EMPTY_UPLOADS_MAX - 3);
}

/// As many as a client can begin that never sends a byte: they are bounded at every moment, and go by themselves.
#[test]
fn ten_thousand_empty_ones_are_bounded_and_expire() {
    let bench = bench_of_empty_ones();
    let mut last = None;
    for number in 0..10_000 {
        last = Some(begin_at(&bench, "192.0.2.1"));
        if number % 1_000 == 999 {
            idle(&bench);
            assert!(partial_files(&bench) <= 2 * EMPTY_UPLOADS_MAX);
        }
    }
    let last = last.unwrap();
    assert!(is_there(&bench, last));
    idle(&bench);
    let mut clock = JumpResistantClock::default();
    let mut pass = |after: Duration| {
        let (now, after_s) = (maintenance::now(), i64::try_from(after.as_secs()).unwrap());
        let reading = Reading { wall_s: now.wall_s + after_s, boot_s: now.boot_s + after_s };
        expiry::pass(&bench.inbox().handle.core, 7 * DAY, &mut clock, reading);
    };
    pass(Duration::ZERO);
    pass(DAY);
    assert!(is_there(&bench, last));
    idle(&bench);
    pass(8 * DAY);
    assert_eq!(partial_files(&bench), 0);
    assert!(!is_there(&bench, last));
}

fn partial_files(bench: &Bench) -> usize {
    fs::read_dir(bench.dir().join(".sandport/partials")).unwrap().count()
}

#[test]
fn wishes_that_contradict_each_other_are_refused() {
    let bench = bench();
    let with_key = resumable("file", None, ResumeMode::TakeOver);
    let both = OfferOptions { new_key: true, existing: true, ..OfferOptions::default() };
    let existing = OfferOptions { existing: true, ..OfferOptions::default() };
    let cases = [
        (with_key, new_key()),
        (offer("file", b"x"), both),
        (offer("file", b"x"), existing),
        (offer_directory("directory"), new_key()),
    ];
    for (offer, options) in cases {
        let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
        let refused = block_on("the answer to an offer", opening);
        assert_eq!(code(refused), RefusalCode::InvalidState, "{offer:?} {options:?}");
    }
}
