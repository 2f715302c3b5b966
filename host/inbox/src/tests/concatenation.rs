//! Uploads that are made out of others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use rustix::io::Errno;
use sandport_protocol::{Algorithm, CONCATENATED_MAX};

use super::killed::copy;
use super::made_keys::{go_on, key_of, look, new_key};
use super::resume::*;
use super::*;
use crate::disk::Step;
use crate::meter::Meter;

type Key = [u8; 32];

fn offer_as(
    bench: &Bench,
    sender: &Identity,
    offer: &Offer,
    want: &[Algorithm],
) -> Result<Upload, Refusal> {
    let options = OfferOptions { want: want.to_vec(), ..new_key() };
    let opening = bench.inbox().offer_with(sender, offer, &options);
    match block_on("the answer to an offer", opening)? {
        OfferResponse::Accepted(upload) => Ok(upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

/// Checks what is published, and says no more of it than names where that is something else.
fn assert_published(bench: &Bench, expected: &[(&str, &[u8])]) {
    let found = bench.published();
    let is_same =
        found.iter().map(|(name, content)| (&**name, &**content)).eq(expected.iter().copied());
    assert!(is_same, "{:?}", bench.names());
}

/// A final upload.
fn open(bench: &Bench, size: Option<usize>) -> Upload {
    let offer = Offer { size: size.map(|size| size as u64), ..offer("file", b"") };
    offer_as(bench, &Identity::ANONYMOUS, &offer, &[]).unwrap()
}

/// An upload of which this is here, and that is as long.
fn part_of(bench: &Bench, sender: &Identity, content: &[u8]) -> Key {
    let offer = Offer { name: None, ..offer("", content) };
    let upload = offer_as(bench, sender, &offer, &[]).unwrap();
    if !content.is_empty() {
        upload.body(ALL).unwrap().write(content);
    }
    block_on("a keep", upload.keep().ready()).unwrap();
    key_of(&upload)
}

fn part(bench: &Bench, content: &[u8]) -> Key {
    part_of(bench, &Identity::ANONYMOUS, content)
}

fn concatenate(upload: &Upload, parts: &[Key]) -> Result<(), Refusal> {
    let parts = parts.iter().map(|key| key.to_vec()).collect();
    block_on("a concatenation", upload.concatenate(parts))
}

/// Pieces that are different, of sizes that are not those of blocks, and what they are together.
fn pieces() -> (Vec<Vec<u8>>, Vec<u8>) {
    let sizes = [3 * GROUP + 5, 0, 1, GROUP, 700, 2 * GROUP + 9];
    let all = content(sizes.iter().sum());
    let (mut at, mut pieces) = (0, vec![]);
    for size in sizes {
        pieces.push(all[at..at + size].to_vec());
        at += size;
    }
    (pieces, all)
}

fn parts(bench: &Bench, pieces: &[Vec<u8>]) -> Vec<Key> {
    pieces.iter().map(|piece| part(bench, piece)).collect()
}

#[test]
fn a_concatenation_has_its_parts_which_stay_until_abandoned() {
    let (pieces, all) = pieces();
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        for (step, knows_size) in [(u64::MAX, true), (GROUP as u64, false), (5_000, true)] {
            let options = InboxOptions { durability, ..options(step) };
            let mut bench = Bench::in_memory(options);
            let keys = parts(&bench, &pieces);
            let upload = open(&bench, knows_size.then_some(all.len()));
            concatenate(&upload, &keys).unwrap();
            assert!(upload.missing().is_empty());
            assert!(bench.published().is_empty());
            let receipt = finish(upload, &all);
            assert_eq!((receipt.digest, &*receipt.name), (digest(&all), "file"));
            assert_published(&bench, &[("file", &all)]);
            for (key, piece) in keys.iter().zip(&pieces) {
                let seen = look(&bench, *key).unwrap();
                assert_eq!((seen.received, seen.outcome), (piece.len() as u64, None));
                let ended = bench.inbox().abandon(&Identity::ANONYMOUS, key);
                block_on("the end of a part", ended).unwrap();
            }
            bench.restart();
            assert_published(&bench, &[("file", &all)]);
            assert!(keys.iter().all(|key| look(&bench, *key).is_err()));
            assert_eq!(verified(&bench.dir()), ["whole file"]);
        }
    }
}

#[test]
fn a_part_may_come_twice_and_nothing_is_made_of_nothing() {
    let bench = bench();
    let piece = content(GROUP + 77);
    let (key, empty) = (part(&bench, &piece), part(&bench, b""));
    let upload = open(&bench, None);
    concatenate(&upload, &[key, empty, key]).unwrap();
    let twice = [&*piece, &piece].concat();
    finish(upload, &twice);
    let upload = open(&bench, Some(0));
    concatenate(&upload, &[empty, empty]).unwrap();
    assert_eq!(finish(upload, b"").name, "file-1");
    assert_published(&bench, &[("file", &twice), ("file-1", b"")]);
}

/// The first bytes of a chunk group are held in memory, and who brings them may say last how long the upload is.
#[test]
fn a_part_is_whole_once_its_size_is_told_though_not_kept() {
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..options(u64::MAX) });
        let sizes = [0, 1, 14, 700, 1_023, 1_024, 1_025, GROUP, GROUP + 700];
        let pieces: Vec<_> = sizes.iter().map(|&size| content(size)).collect();
        let bring = |piece: &Vec<u8>| {
            let upload = open(&bench, None);
            upload.body(ALL).unwrap().write(piece);
            upload.set_size(piece.len() as u64).unwrap();
            upload
        };
        let held: Vec<_> = pieces.iter().map(bring).collect();
        let keys: Vec<_> = held.iter().map(key_of).collect();
        let upload = open(&bench, None);
        concatenate(&upload, &keys).unwrap();
        let all = pieces.concat();
        finish(upload, &all);
        assert_published(&bench, &[("file", &all)]);
        // Who brought them has them still.
        assert!(held.iter().all(|part| part.fault().is_none()));
    }
}

/// Who has brought them has paid. But they stay, and are not to be copied for ever.
#[test]
fn parts_are_copied_for_nothing_a_few_times() {
    let bench = bench();
    let piece = content(8 * GROUP);
    let key = part(&bench, &piece);
    let meter = Meter::default();
    for number in 0..6 {
        let mut upload = open(&bench, None);
        upload.charge(&meter);
        concatenate(&upload, &[key]).unwrap();
        assert_eq!(meter.take() > 0, number >= 4, "{number}");
        upload.discard();
    }
}

#[test]
fn other_digests_of_the_whole_are_computed_too() {
    let bench = bench();
    let (pieces, all) = pieces();
    let keys = parts(&bench, &pieces);
    let upload = offer_as(&bench, &Identity::ANONYMOUS, &offer("file", b""), &[Algorithm::Sha256]);
    drop(upload);
    let size = Some(all.len() as u64);
    let offer = Offer { size, ..offer("file", b"") };
    let upload = offer_as(&bench, &Identity::ANONYMOUS, &offer, &[Algorithm::Sha256]).unwrap();
    concatenate(&upload, &keys).unwrap();
    let pending = upload.commit(all.len() as u64, None);
    wait(&pending).unwrap();
    let mut hasher = crate::sums::Hasher::new(Algorithm::Sha256).unwrap();
    hasher.update(&all);
    assert_eq!(pending.digests(), [hasher.digest()]);
}

#[test]
fn where_the_system_cannot_copy_the_bytes_are_read_and_written() {
    for errno in [Errno::NOSYS, Errno::XDEV, Errno::OPNOTSUPP] {
        let disk = Disk::default();
        let copies = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&copies);
        disk.watch_copies(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(errno)
        }));
        let bench = Bench::on(disk, options(u64::MAX));
        let (pieces, all) = pieces();
        let keys = parts(&bench, &pieces);
        let upload = open(&bench, None);
        concatenate(&upload, &keys).unwrap();
        finish(upload, &all);
        assert!(copies.load(Ordering::Relaxed) > 0);
        assert_published(&bench, &[("file", &all)]);
    }
}

#[test]
fn what_is_no_whole_part_of_this_sender_is_refused() {
    let bench = bench();
    let piece = content(GROUP + 3);
    let whole = part(&bench, &piece);
    let theirs = part_of(&bench, &Identity::user(7), &piece);
    let begun = open(&bench, Some(2 * GROUP));
    begun.body(ALL).unwrap().write(&piece);
    let endless = open(&bench, None);
    endless.body(ALL).unwrap().write(&piece);
    let stored = open(&bench, Some(piece.len()));
    bring(&stored, &piece);
    let (unfinished, unsized_, published) = (key_of(&begun), key_of(&endless), key_of(&stored));
    finish(stored, &piece);
    let upload = open(&bench, None);
    let own = key_of(&upload);
    for (other, words) in [
        ([9; 32], "unknown upload"),
        (theirs, "unknown upload"),
        (unfinished, "not whole"),
        (unsized_, "not whole"),
        (published, "has ended"),
        (own, "its own"),
    ] {
        let refusal = concatenate(&upload, &[whole, other]).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidState);
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    assert_eq!(code(concatenate(&upload, &[whole; CONCATENATED_MAX + 1])), RefusalCode::TooMany);
    let odd = |key: Vec<u8>| block_on("a concatenation", upload.concatenate(vec![key]));
    assert_eq!(code(odd(vec![1; 65])), RefusalCode::Malformed);
    assert_eq!(code(odd(vec![1; 31])), RefusalCode::InvalidState);
    // None of that was its end.
    assert_eq!(upload.fault(), None);
    assert_eq!(look(&bench, own).unwrap().received, 0);
    let sized = open(&bench, Some(GROUP));
    assert_eq!(code(concatenate(&sized, &[whole])), RefusalCode::OffsetMismatch);
    let keyless = accept(bench.inbox(), &offer("keyless", &piece));
    assert_eq!(code(concatenate(&keyless, &[whole])), RefusalCode::InvalidState);
    // Who brings a part is not disturbed.
    assert_eq!(begun.fault(), None);
    bring(&begun, &[&*piece, &piece].concat());
}

#[test]
fn one_that_is_too_large_is_refused_and_its_parts_stay() {
    let piece = content(2 * GROUP);
    let max_file_size = Some(3 * GROUP as u64);
    let quota = Quota::new(Some(5 * GROUP as u64), None);
    let too_large = InboxOptions { max_file_size, ..options(u64::MAX) };
    let too_much = InboxOptions { quota, ..options(u64::MAX) };
    for (options, expected) in
        [(too_large, RefusalCode::TooLarge), (too_much, RefusalCode::QuotaExceeded)]
    {
        let bench = Bench::in_memory(options);
        let key = part(&bench, &piece);
        let upload = open(&bench, None);
        assert_eq!(code(concatenate(&upload, &[key, key])), expected);
        upload.discard();
        let upload = open(&bench, None);
        concatenate(&upload, &[key]).unwrap();
        finish(upload, &piece);
        assert_eq!(look(&bench, key).unwrap().received, piece.len() as u64);
    }
}

/// Whatever it was about to copy when the server is killed, the parts are there, and the same request can come again or
/// what was begun goes on.
#[test]
fn a_server_killed_in_a_concatenation_loses_nothing() {
    let (pieces, all) = pieces();
    for kill_at in 1.. {
        let disk = Disk::default();
        let (copies, directory) = (AtomicUsize::new(0), Arc::new(Mutex::new(None)));
        let bench = Bench::on(disk, options(GROUP as u64));
        let (left, dir) = (Arc::clone(&directory), bench.dir());
        bench.inbox().handle.core.disk.watch_copies(Arc::new(move || {
            if copies.fetch_add(1, Ordering::Relaxed) == kill_at {
                let at = tempfile::tempdir().unwrap();
                copy(&dir, &at.path().join("inbox"));
                *left.lock().unwrap() = Some(at);
            }
            Ok(())
        }));
        let keys = parts(&bench, &pieces);
        let upload = open(&bench, Some(all.len()));
        let key = key_of(&upload);
        concatenate(&upload, &keys).unwrap();
        finish(upload, &all);
        let Some(left) = directory.lock().unwrap().take() else {
            assert!(kill_at > 6, "only {kill_at} copies");
            return;
        };
        let after = Bench::in_directory(left, bench.options.clone());
        assert!(after.published().is_empty());
        for (key, piece) in keys.iter().zip(&pieces) {
            assert_eq!(look(&after, *key).unwrap().durable, piece.len() as u64);
        }
        let upload = match kill_at % 2 {
            0 => open(&after, Some(all.len())),
            _ => go_on(&after, key, None).unwrap(),
        };
        concatenate(&upload, &keys).unwrap();
        finish(upload, &all);
        assert_published(&after, &[("file", &all)]);
    }
}

#[test]
fn each_failure_of_the_disk_costs_a_try_and_no_part() {
    let (pieces, all) = pieces();
    for fails_at in 0.. {
        let bench = Bench::in_memory(options(GROUP as u64));
        let keys = parts(&bench, &pieces);
        let upload = open(&bench, Some(all.len()));
        let (steps, failed) = (AtomicUsize::new(0), Arc::new(Mutex::new(None)));
        let fails = Arc::clone(&failed);
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            match steps.fetch_add(1, Ordering::Relaxed) == fails_at {
                true => {
                    *fails.lock().unwrap() = Some(step);
                    Err(Errno::IO)
                }
                false => Ok(()),
            }
        }));
        let outcome =
            concatenate(&upload, &keys).and_then(|()| wait(&upload.commit(all.len() as u64, None)));
        let failed = failed.lock().unwrap().take();
        let Some(step) = failed else {
            assert!(outcome.is_ok() && fails_at > 20, "{fails_at}: {outcome:?}");
            return;
        };
        bench.inbox().handle.core.disk.watch(Box::new(|_| Ok(())));
        for (key, piece) in keys.iter().zip(&pieces) {
            assert_eq!(look(&bench, *key).unwrap().received, piece.len() as u64, "{fails_at}");
        }
        if outcome.is_err() {
            let upload = open(&bench, Some(all.len()));
            concatenate(&upload, &keys).unwrap();
            finish(upload, &all);
        }
        match (step, bench.names().len()) {
            // The name was there, and nobody could promise that it stays: so it counts as somebody else's.
            (Step::SyncDir, 2) => assert_published(&bench, &[("file", &all), ("file-1", &all)]),
            _ => assert_published(&bench, &[("file", &all)]),
        }
    }
}

#[test]
fn who_loses_the_upload_is_told_and_the_next_one_goes_on() {
    let (pieces, all) = pieces();
    let bench = Arc::new(Bench::in_memory(options(u64::MAX)));
    let keys = parts(&bench, &pieces);
    let upload = open(&bench, None);
    let key = key_of(&upload);
    let (other, copies) = (Arc::clone(&bench), AtomicUsize::new(0));
    let (takes, taken) = std::sync::mpsc::channel();
    bench.inbox().handle.core.disk.watch_copies(Arc::new(move || {
        if copies.fetch_add(1, Ordering::Relaxed) == 2 {
            // It has the upload when this copy is over.
            let (other, takes) = (Arc::clone(&other), takes.clone());
            std::thread::spawn(move || {
                let _ = takes.send(go_on(&other, key, None).unwrap());
            });
        }
        Ok(())
    }));
    let parts: Vec<_> = keys.iter().map(|key| key.to_vec()).collect();
    // The copies are over before the other one has it, or not.
    let outcome = block_on("a concatenation", upload.concatenate(parts));
    if let Err(refusal) = outcome {
        assert_eq!(refusal.code, RefusalCode::Locked);
    }
    let upload = receive("who takes it over", &taken);
    concatenate(&upload, &keys).unwrap();
    finish(upload, &all);
    assert_published(&bench, &[("file", &all)]);
}

/// A guest can ask for it and go.
#[test]
fn what_nobody_waits_for_ends() {
    let (pieces, all) = pieces();
    let bench = bench();
    let keys = parts(&bench, &pieces);
    let upload = open(&bench, None);
    let key = key_of(&upload);
    let parts: Vec<_> = keys.iter().map(|key| key.to_vec()).collect();
    let concatenation = upload.concatenate(parts);
    drop(upload);
    let outcome = block_on("a concatenation of an upload that was released", concatenation);
    assert_eq!(code(outcome), RefusalCode::Locked);
    assert_eq!(look(&bench, key).unwrap().received, 0);
    // A copy that nobody waits for is over before the next one begins.
    let upload = open(&bench, None);
    let parts: Vec<_> = keys.iter().map(|key| key.to_vec()).collect();
    for _ in 0..5 {
        let mut concatenation = Box::pin(upload.concatenate(parts.clone()));
        let mut context = Context::from_waker(Waker::noop());
        let _ = concatenation.as_mut().poll(&mut context);
    }
    block_on("a concatenation", upload.concatenate(parts)).unwrap();
    finish(upload, &all);
    assert_published(&bench, &[("file", &all)]);
}

#[test]
fn concatenations_that_nobody_waits_for_keep_no_other_waiting() {
    let options = InboxOptions { durability: Durability::None, ..options(u64::MAX) };
    let bench = Bench::in_memory(options);
    let key = part(&bench, b"hello");
    let joined = |upload: &Upload| upload.concatenate(vec![key.to_vec(); 2]);
    for _ in 0..200 {
        let whole = open(&bench, None);
        for _ in 0..64 {
            let mut dropped = Box::pin(joined(&whole));
            let _ = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        block_on("a concatenation", joined(&whole)).unwrap();
        let mut late = Box::pin(joined(&whole));
        let asked = late.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        finish(whole, b"hellohello");
        if asked.is_pending() {
            let _ = block_on("one that is late", late);
        }
    }
}
