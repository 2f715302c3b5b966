//! A server that ends at any moment: what is visible is whole, what was answered is kept, and sending
//! again gives one copy of each file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::*;

/// Files that a sender sends, some of them under names that are taken.
fn tree() -> Vec<(String, Vec<u8>)> {
    let mut tree: Vec<(String, Vec<u8>)> =
        (0..12_u8).map(|n| (format!("d{}/f{n}", n % 3), vec![n; 100 + usize::from(n)])).collect();
    tree.push(("taken".to_owned(), b"ours".to_vec()));
    tree.push(("taken".to_owned(), b"ours too".to_vec()));
    tree.push(("empty".to_owned(), Vec::new()));
    tree
}

/// From the step with this number on, the disk does nothing any more. The number of steps so far.
fn crash_at(bench: &Bench, number: usize) -> Arc<AtomicUsize> {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    bench.inbox().handle.core.disk.watch(Box::new(move |_| {
        if counted.fetch_add(1, Ordering::Relaxed) < number { Ok(()) } else { Err(Errno::IO) }
    }));
    steps
}

/// Sends the tree, `ahead` files at a time; the receipts that came.
fn send_tree(bench: &Bench, ahead: usize) -> BTreeMap<Vec<u8>, Receipt> {
    let mut receipts = BTreeMap::new();
    for group in tree().chunks(ahead) {
        let pending: Vec<(Vec<u8>, CommitHandle)> = group
            .iter()
            .filter_map(|(name, content)| {
                let offer = offer_with_digest(name, content);
                match bench.inbox().offered(&offer) {
                    Ok(OfferResponse::Accepted(upload)) => {
                        if !content.is_empty() {
                            upload.body(ALL).unwrap().write(content);
                        }
                        Some((content.clone(), upload.commit(content.len() as u64, None)))
                    }
                    Ok(OfferResponse::Stored(receipt)) => {
                        receipts.insert(content.clone(), receipt);
                        None
                    }
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        for (content, pending) in pending {
            if let Ok(receipt) = wait(&pending) {
                receipts.insert(content, receipt);
            }
        }
    }
    receipts
}

/// Whether files can be moved to their directories, or have to be copied there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Moved,
    Copied,
}

fn crash_and_send_again(durability: Durability, ahead: usize, way: Way, crash: usize) -> bool {
    let mut bench = Bench::in_memory(InboxOptions { durability, ..InboxOptions::default() });
    if way == Way::Copied {
        bench.inbox().handle.core.disk.without_moves();
    }
    fs::write(bench.path("taken"), b"theirs").unwrap();
    let steps = crash_at(&bench, crash);
    let answered = send_tree(&bench, ahead);
    let crashed = steps.load(Ordering::Relaxed) > crash;

    // Whatever is visible is whole.
    let contents: Vec<Vec<u8>> = tree().into_iter().map(|(_, content)| content).collect();
    for (name, content) in bench.published() {
        let known = name.ends_with('/') || content == b"theirs" || contents.contains(&content);
        assert!(known, "crash at {crash}: {name} has {content:?}");
    }
    // What a killed process leaves behind; dropping the inbox may not tidy up for it.
    bench.restart();
    let alarms = verified(&bench.dir());
    let is_alarm = |said: &&String| said.starts_with("missing") || said.starts_with("changed");
    assert_eq!(alarms.iter().find(is_alarm), None, "crash at {crash}: a false alarm");
    if way == Way::Copied {
        bench.inbox().handle.core.disk.without_moves();
    }
    let again = send_tree(&bench, ahead);
    for (content, receipt) in &answered {
        assert_eq!(fs::read(bench.path(&receipt.name)).unwrap(), *content, "crash at {crash}");
        if durability == Durability::Commit {
            assert_eq!(again.get(content), Some(receipt), "crash at {crash}");
        }
    }
    for content in &contents {
        let copies = bench
            .published()
            .iter()
            .filter(|(name, found)| found == content && !name.ends_with('/'))
            .count();
        // Without durability a receipt may be lost that was not written yet.
        let most = if durability == Durability::Commit { 1 } else { 2 };
        assert!((1..=most).contains(&copies), "crash at {crash}: {copies} copies of {content:?}");
    }
    assert_eq!(bench.staged(), 0);
    assert_eq!(fs::read(bench.path("taken")).unwrap(), b"theirs");
    crashed
}

#[test]
fn a_crash_at_any_step_loses_no_answered_file_and_copies_none() {
    for (durability, ahead, way) in [
        (Durability::Commit, 1, Way::Moved),
        (Durability::Commit, 4, Way::Moved),
        (Durability::Commit, 20, Way::Moved),
        (Durability::None, 4, Way::Moved),
        (Durability::Commit, 1, Way::Copied),
        (Durability::Commit, 20, Way::Copied),
        (Durability::None, 4, Way::Copied),
    ] {
        let mut crash = 0;
        while crash_and_send_again(durability, ahead, way, crash) {
            crash += 1;
        }
        assert!(crash > 30, "{crash}");
    }
}
