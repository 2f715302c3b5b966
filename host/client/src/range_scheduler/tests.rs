#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use blake3::hazmat::HasherExt;
use sandport_protocol::journal::group_hasher;

use super::*;

const GROUP: usize = GROUP_BYTES as usize;

fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// All of a file of so many groups is missing.
fn divided(groups: u64) -> RangeScheduler {
    let scheduler = RangeScheduler::new(groups * GROUP_BYTES, Arc::default());
    scheduler.begin(&[Extent { offset: 0, length: None }]);
    scheduler
}

fn take(scheduler: &RangeScheduler, share: ShareId) -> Option<u64> {
    scheduler.take(share).filter(|taken| taken.is_sent).map(|taken| taken.group)
}

/// Takes a group and announces it; its number.
fn send(scheduler: &RangeScheduler, share: ShareId) -> Option<u64> {
    let group = take(scheduler, share)?;
    let granted = scheduler.announce(share, group * GROUP_BYTES);
    assert_eq!(granted, Some(GROUP_BYTES));
    Some(group)
}

#[test]
fn who_runs_dry_takes_half_of_the_most_that_is_left() {
    let scheduler = divided(20);
    let first = scheduler.open();
    assert_eq!((0..4).map_while(|_| send(&scheduler, first)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let second = scheduler.open();
    assert_eq!(send(&scheduler, second), Some(12));
    let third = scheduler.open();
    assert_eq!(send(&scheduler, third), Some(8));
    assert_eq!(send(&scheduler, second), Some(13));
    assert_eq!(send(&scheduler, first), Some(4));
}

#[test]
fn every_group_is_sent_once_whoever_is_how_fast() {
    let scheduler = divided(100);
    let shares: Vec<_> = (0..4).map(|_| scheduler.open()).collect();
    let mut sent = BTreeSet::new();
    let mut turn = 0_usize;
    // The first is three times as fast as the next, and so on.
    loop {
        let speeds = [27, 9, 3, 1];
        let mut went = false;
        for (share, speed) in shares.iter().zip(speeds) {
            for _ in 0..speed {
                if let Some(group) = send(&scheduler, *share) {
                    assert!(sent.insert(group), "group {group} a second time");
                    went = true;
                }
            }
        }
        turn += 1;
        if !went {
            break;
        }
    }
    assert_eq!(sent.len(), 100);
    assert!(scheduler.is_announced());
    assert!(turn < 10, "the slow ones were left alone");
}

#[test]
fn what_a_lost_connection_had_not_announced_goes_to_the_others() {
    let scheduler = divided(6);
    let (first, second) = (scheduler.open(), scheduler.open());
    assert_eq!(send(&scheduler, first), Some(0));
    // Read, but not announced.
    assert_eq!(take(&scheduler, first), Some(1));
    assert!(scheduler.lose(first), "group 0 may not have arrived");
    let mut rest: Vec<_> = std::iter::from_fn(|| send(&scheduler, second)).collect();
    rest.sort_unstable();
    assert_eq!(rest, [1, 2, 3, 4, 5]);
    assert!(scheduler.is_announced());
    assert!(!scheduler.lose(scheduler.open()), "nothing was announced");
}

#[test]
fn a_group_that_another_took_is_not_announced() {
    let scheduler = divided(1);
    let (slow, quick) = (scheduler.open(), scheduler.open());
    assert_eq!(take(&scheduler, slow), Some(0));
    assert!(scheduler.has_work(quick));
    assert_eq!(take(&scheduler, quick), Some(0));
    assert_eq!(scheduler.announce(slow, 0), None);
    // Not back again, or they could go on like that.
    assert!(!scheduler.has_work(slow));
    assert_eq!(take(&scheduler, slow), None);
    assert_eq!(scheduler.announce(quick, 0), Some(GROUP_BYTES));
    assert!(scheduler.is_announced());
}

#[test]
fn the_digest_is_that_of_the_whole_and_nothing_is_hashed_twice() {
    let content = content(5 * GROUP + 77);
    let scheduler = RangeScheduler::new(content.len() as u64, Arc::default());
    let hash = |group: u64| {
        let range = scheduler.range(group);
        let mut hasher = group_hasher(group);
        hasher.update(&content[range.start as usize..range.end as usize]);
        scheduler.hashed(group, hasher.finalize_non_root());
    };
    let missing = Extent { offset: 2 * GROUP_BYTES + 5, length: Some(GROUP_BYTES) };
    scheduler.begin(&[missing]);
    let share = scheduler.open();
    let mut taken = Vec::new();
    while let Some(next) = scheduler.take(share) {
        taken.push((next.group, next.is_sent));
        hash(next.group);
        if taken.len() == 3 {
            // A new round: the connection was lost.
            scheduler.begin(&[missing]);
            break;
        }
    }
    assert_eq!(taken, [(2, true), (3, true), (0, false)], "what is sent comes first");
    assert_eq!(scheduler.take(share), None, "the share of an earlier round is void");
    assert_eq!(scheduler.digest(), None);
    let share = scheduler.open();
    let mut again = Vec::new();
    while let Some(next) = scheduler.take(share) {
        again.push(next.group);
        if !scheduler.is_hashed(next.group) {
            hash(next.group);
        }
    }
    assert_eq!(again, [2, 3, 1, 4, 5], "what is missing, and what was not hashed");
    assert_eq!(scheduler.digest(), Some(Digest::Blake3(*blake3::hash(&content).as_bytes())));
}

#[test]
fn only_missing_bytes_are_announced() {
    let scheduler = RangeScheduler::new(4 * GROUP_BYTES, Arc::default());
    let from = GROUP_BYTES + 9;
    scheduler.begin(&[
        Extent { offset: from, length: Some(GROUP_BYTES) },
        Extent { offset: 3 * GROUP_BYTES, length: None },
    ]);
    let share = scheduler.open();
    assert_eq!(take(&scheduler, share), Some(1));
    let (end, last) = (from + GROUP_BYTES, 3 * GROUP_BYTES);
    assert_eq!(scheduler.missing(1).first(), Some(&(from..2 * GROUP_BYTES)));
    assert_eq!(scheduler.missing(2).first(), Some(&(2 * GROUP_BYTES..end)));
    assert_eq!(scheduler.announce(share, GROUP_BYTES), None, "it is there");
    assert_eq!(scheduler.announce(share, from), Some(GROUP_BYTES - 9));
    assert_eq!(take(&scheduler, share), Some(2));
    assert_eq!(scheduler.announce(share, 2 * GROUP_BYTES), Some(9));
    assert_eq!(take(&scheduler, share), Some(3));
    assert_eq!(scheduler.announce(share, last), Some(GROUP_BYTES));
    assert!(scheduler.is_announced());
}
