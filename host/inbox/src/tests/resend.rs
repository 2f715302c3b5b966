//! The same file once more: its receipt, and no second copy.

use std::fs::{File, FileTimes, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use super::*;

fn assert_stored(bench: &Bench, offer: &Offer, name: &str) {
    match bench.inbox().offered(offer).unwrap() {
        OfferResponse::Stored(receipt) => assert_eq!(receipt.name, name),
        other => panic!("{offer:?} got {other:?}"),
    }
}

fn assert_digest_first(bench: &Bench, offer: &Offer) {
    let response = bench.inbox().offered(offer).unwrap();
    assert!(matches!(response, OfferResponse::DigestFirst), "{offer:?} got {response:?}");
}

fn assert_accepted(bench: &Bench, offer: &Offer) {
    let response = bench.inbox().offered(offer).unwrap();
    assert!(matches!(response, OfferResponse::Accepted(_)), "{offer:?} got {response:?}");
}

#[test]
fn a_stored_file_is_known_and_its_digest_asked_for() {
    for durability in [Durability::Commit, Durability::None] {
        for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
            let options = InboxOptions { conflict, durability, ..InboxOptions::default() };
            let mut bench = Bench::with(options);
            let receipt = bench.send("a/b", b"hello").unwrap();
            for restart in [false, true] {
                if restart {
                    bench.restart();
                }
                assert_stored(&bench, &offer_with_digest("a/b", b"hello"), "a/b");
                let sizeless = Offer { size: None, ..offer_with_digest("a/b", b"hello") };
                assert_stored(&bench, &sizeless, "a/b");
                assert_digest_first(&bench, &offer("a/b", b"hello"));
                assert_digest_first(&bench, &offer("a/b", b"other"));
                assert_eq!(bench.send("a/b", b"hello").unwrap(), receipt);
            }
            assert_eq!(bench.names(), ["a/", "a/b"]);
        }
    }
}

#[test]
fn another_file_is_not_taken_for_the_stored_one() {
    let bench = Bench::new();
    bench.send("a", b"hello").unwrap();
    assert_accepted(&bench, &offer("b", b"hello"));
    assert_accepted(&bench, &offer_with_digest("b", b"hello"));
    assert_accepted(&bench, &offer("a", b"longer"));
    assert_accepted(&bench, &offer_with_digest("a", b"other"));
    assert_accepted(&bench, &Offer { size: Some(4), ..offer_with_digest("a", b"hello") });
    assert_accepted(&bench, &Offer { size: None, ..offer("a", b"") });
}

#[test]
fn a_file_that_was_changed_moved_or_replaced_is_not_stored() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 7] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("moved", |path| fs::rename(path, path.with_extension("moved")).unwrap()),
        ("written", |path| {
            let mut file = OpenOptions::new().write(true).open(path).unwrap();
            file.seek(SeekFrom::Start(1)).unwrap();
            file.write_all(b"a").unwrap();
        }),
        ("grown", |path| {
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"!").unwrap();
        }),
        ("replaced by a copy", |path| {
            let times =
                FileTimes::new().set_modified(fs::metadata(path).unwrap().modified().unwrap());
            let copy = path.with_extension("copy");
            fs::copy(path, &copy).unwrap();
            File::options().write(true).open(&copy).unwrap().set_times(times).unwrap();
            fs::rename(copy, path).unwrap();
        }),
        ("replaced by a link to itself", |path| {
            let moved = path.with_extension("moved");
            fs::rename(path, &moved).unwrap();
            symlink(moved, path).unwrap();
        }),
        ("replaced by a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut bench = Bench::new();
        bench.send("a.txt", b"hello").unwrap();
        // A time of its own, that a write cannot happen to have.
        change(&bench.path("a.txt"));
        for restart in [false, true] {
            if restart {
                bench.restart();
            }
            for offer in [offer("a.txt", b"hello"), offer_with_digest("a.txt", b"hello")] {
                let response = bench.inbox().offered(&offer).unwrap();
                assert!(matches!(response, OfferResponse::Accepted(_)), "{what}: {response:?}");
            }
        }
    }
}

#[test]
fn a_file_renamed_by_the_conflict_rule_is_found_by_its_offer() {
    for durability in [Durability::Commit, Durability::None] {
        let mut bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        fs::write(bench.path("a.txt"), b"theirs").unwrap();
        assert_eq!(bench.send("a.txt", b"ours").unwrap().name, "a-1.txt");
        assert_eq!(bench.send("a.txt", b"more").unwrap().name, "a-2.txt");
        for restart in [false, true] {
            if restart {
                bench.restart();
            }
            assert_stored(&bench, &offer_with_digest("a.txt", b"ours"), "a-1.txt");
            assert_stored(&bench, &offer_with_digest("a.txt", b"more"), "a-2.txt");
            assert_stored(&bench, &offer_with_digest("a-2.txt", b"more"), "a-2.txt");
            assert_digest_first(&bench, &offer("a.txt", b"ours"));
            assert_eq!(bench.send("a.txt", b"ours").unwrap().name, "a-1.txt");
        }
        assert_eq!(bench.names(), ["a-1.txt", "a-2.txt", "a.txt"]);
    }
}

#[test]
fn the_same_file_sent_twice_without_asking_is_kept_once() {
    for durability in [Durability::Commit, Durability::None] {
        for conflict in [Conflict::Rename, Conflict::Refuse] {
            let options = InboxOptions { conflict, durability, ..InboxOptions::default() };
            let bench = Bench::with(options);
            // Opened before any of them is stored, as by a sender that retries on another
            // connection.
            let uploads: Vec<Upload> =
                (0..10).map(|_| upload(bench.inbox(), &offer("a", b"hello"), b"hello")).collect();
            let pending: Vec<CommitHandle> =
                uploads.into_iter().map(|upload| upload.commit(5, None)).collect();
            for pending in &pending {
                assert_eq!(wait(pending).unwrap().name, "a");
            }
            assert_eq!((bench.names(), bench.staged()), (vec!["a".to_owned()], 0));
        }
    }
}

#[test]
fn the_same_renamed_file_sent_twice_in_one_batch_is_kept_once() {
    let bench = Bench::new();
    fs::write(bench.path("a"), b"theirs").unwrap();
    let uploads: Vec<Upload> =
        (0..20_u8).map(|n| upload(bench.inbox(), &offer("a", &[n / 2]), &[n / 2])).collect();
    let pending: Vec<CommitHandle> =
        uploads.into_iter().map(|upload| upload.commit(1, None)).collect();
    let names: Vec<String> = pending.iter().map(|pending| wait(pending).unwrap().name).collect();
    for pair in names.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    assert_eq!(bench.names().len(), 11);
}

#[test]
fn what_was_replaced_is_not_stored_any_more() {
    let mut bench = Bench::conflict(Conflict::Replace);
    bench.send("a", b"old").unwrap();
    bench.send("a", b"new").unwrap();
    for restart in [false, true] {
        if restart {
            bench.restart();
        }
        assert_accepted(&bench, &offer_with_digest("a", b"old"));
        assert_stored(&bench, &offer_with_digest("a", b"new"), "a");
    }
}

#[test]
fn a_record_does_not_speak_for_a_later_file_with_the_same_inode() {
    // The sender chooses the modification time, and file systems use inode numbers again.
    let fixed = |name: &str, content: &[u8]| Offer {
        modified_ns: Some(1_000_000_000),
        ..offer_with_digest(name, content)
    };
    let mut bench = Bench::new();
    for round in 0..50_u8 {
        commit(bench.inbox(), &fixed("a", &[round]), &[round]).unwrap();
        fs::remove_file(bench.path("a")).unwrap();
    }
    commit(bench.inbox(), &fixed("a", &[100]), &[100]).unwrap();
    for restart in [false, true] {
        if restart {
            bench.restart();
        }
        assert_stored(&bench, &fixed("a", &[100]), "a");
        for round in 0..50_u8 {
            assert_accepted(&bench, &fixed("a", &[round]));
        }
    }
}

#[test]
fn a_tree_sent_twice_meets_what_is_stored() {
    let mut bench = Bench::new();
    let tree: Vec<(String, Vec<u8>)> =
        (0..60).map(|n| (format!("t/{}/f{n}", n % 7), vec![n; usize::from(n)])).collect();
    for _round in 0..2 {
        for (name, content) in &tree {
            assert_eq!(bench.send(name, content).unwrap().name, *name);
        }
        bench.restart();
    }
    for (name, content) in &tree {
        assert_stored(&bench, &offer_with_digest(name, content), name);
    }
    assert_eq!(bench.names().len(), 60 + 7 + 1);
}
