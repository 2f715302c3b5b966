//! Two runs of a sender that send the same upload at the same time: the later one gets it.

use std::sync::atomic::{AtomicBool, Ordering};

use sandport_protocol::{Resume, ResumeMode};

use super::resume::{GROUP, bench, bring, content, extent, finish, offer_of};
use super::*;
use sandport_testkit::patience::{Barrier, linger};

const MODES: [ResumeMode; 3] = [ResumeMode::TakeOver, ResumeMode::Join, ResumeMode::Restart];

fn offer_in(epoch: u64, mode: ResumeMode, content: &[u8]) -> Offer {
    Offer { resume: Some(Resume { key: [5; 32], epoch, mode }), ..offer_of(content) }
}

fn is_locked(upload: &Upload) -> bool {
    upload.fault().is_some_and(|fault| fault.code == RefusalCode::Locked)
}

#[test]
fn a_later_run_gets_the_upload_however_it_asks() {
    for mode in MODES {
        let bench = bench();
        let content = content(3 * GROUP);
        let first = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
        let joined = accept(bench.inbox(), &offer_in(1, ResumeMode::Join, &content));
        first.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
        joined.body(extent(2 * GROUP, GROUP)).unwrap().write(&content[2 * GROUP..]);
        let later = accept(bench.inbox(), &offer_in(2, mode, &content));
        assert!(is_locked(&first) && is_locked(&joined), "{mode:?}");
        let missing = match mode {
            ResumeMode::Restart => extent(0, 3 * GROUP),
            _ => extent(GROUP, GROUP),
        };
        assert_eq!(later.missing(), [missing], "{mode:?}");
        bring(&later, &content);
        finish(later, &content);
        assert_eq!(bench.published(), [("big".to_owned(), content)]);
    }
}

#[test]
fn an_earlier_run_gets_nothing_while_a_later_one_has_the_upload() {
    let bench = bench();
    let content = content(3 * GROUP);
    let earlier = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
    earlier.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
    for mode in MODES {
        let refused = bench.inbox().offered(&offer_in(1, mode, &content));
        assert_eq!(code(refused), RefusalCode::Locked, "{mode:?}");
        assert_eq!((later.fault(), later.missing()), (None, vec![extent(GROUP, 2 * GROUP)]));
    }
    // Nor while the later one waits for a connection of its own.
    let joined = accept(bench.inbox(), &offer_in(2, ResumeMode::Join, &content));
    bring(&later, &content);
    let pending = later.commit(content.len() as u64, Some(digest(&content)));
    for mode in MODES {
        assert_eq!(code(bench.inbox().offered(&offer_in(1, mode, &content))), RefusalCode::Locked);
    }
    drop(joined);
    assert_eq!(wait(&pending).unwrap().name, "big");
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn a_run_that_has_lost_the_upload_discards_nothing_of_it() {
    let bench = bench();
    let content = content(3 * GROUP);
    let offer = offer_in(1, ResumeMode::TakeOver, &content);
    let earlier: Vec<Upload> = (0..3)
        .map(|number| match number {
            0 => accept(bench.inbox(), &offer),
            _ => accept(bench.inbox(), &offer_in(1, ResumeMode::Join, &content)),
        })
        .collect();
    let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
    let [discards, commits, leaves] = earlier.try_into().unwrap();
    discards.discard();
    assert_eq!(code(wait(&commits.commit(content.len() as u64, None))), RefusalCode::Locked);
    drop(leaves);
    assert_eq!((later.fault(), later.missing()), (None, vec![extent(0, 3 * GROUP)]));
    bring(&later, &content);
    finish(later, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn what_an_earlier_run_finished_in_part_the_later_one_goes_on() {
    let bench = bench();
    let content = content(3 * GROUP);
    let first = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
    let joined = accept(bench.inbox(), &offer_in(1, ResumeMode::Join, &content));
    first.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    let waits_for_the_other = first.commit(content.len() as u64, Some(digest(&content)));
    let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
    assert_eq!(code(wait(&waits_for_the_other)), RefusalCode::Locked);
    assert!(is_locked(&joined));
    assert_eq!(later.missing(), [extent(GROUP, 2 * GROUP)]);
    bring(&later, &content);
    finish(later, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn connections_of_one_run_take_over_from_each_other_and_join() {
    let bench = bench();
    let content = content(2 * GROUP);
    let lost = accept(bench.inbox(), &offer_in(7, ResumeMode::TakeOver, &content));
    let again = accept(bench.inbox(), &offer_in(7, ResumeMode::TakeOver, &content));
    assert!(is_locked(&lost));
    let joined = accept(bench.inbox(), &offer_in(7, ResumeMode::Join, &content));
    assert_eq!((again.fault(), joined.fault()), (None, None));
    joined.body(extent(GROUP, GROUP)).unwrap().write(&content[GROUP..]);
    drop(joined);
    bring(&again, &content);
    finish(again, &content);
}

#[test]
fn any_run_resumes_an_upload_that_no_connection_has() {
    let mut bench = bench();
    let content = content(3 * GROUP);
    let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
    later.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    drop(later);
    let earlier = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
    assert_eq!(earlier.missing(), [extent(GROUP, 2 * GROUP)]);
    let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
    assert!(is_locked(&earlier));
    drop((later, earlier));
    bench.restart();
    let earlier = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
    bring(&earlier, &content);
    finish(earlier, &content);
}

/// Connections of the earlier run begin bodies, finish and leave all the time: whatever they are at when
/// they lose the upload, the later run is told all that is missing.
#[test]
fn a_takeover_at_any_moment_lets_the_later_run_finish() {
    let content = content(6 * GROUP);
    for round in 0..150 {
        let bench = bench();
        let first = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
        let joined: Vec<_> = (1..3)
            .map(|_| accept(bench.inbox(), &offer_in(1, ResumeMode::Join, &content)))
            .collect();
        let (start, is_over) = (Barrier::new(4), AtomicBool::new(false));
        let carry = |upload: Upload, number: usize| {
            start.wait();
            for group in 0..6 {
                let group = (group + 2 * number) % 6;
                if let Ok(mut body) = upload.body(extent(group * GROUP, GROUP)) {
                    let pieces = content[group * GROUP..][..GROUP / 2].chunks(GROUP / 8);
                    pieces.for_each(|piece| body.write(piece));
                }
                if is_over.load(Ordering::Relaxed) && number == round % 3 {
                    break;
                }
            }
            match (number, round % 2) {
                (0, _) => drop(upload.commit(content.len() as u64, None)),
                (1, 0) => upload.discard(),
                _ => drop(upload),
            }
        };
        std::thread::scope(|scope| {
            for (number, upload) in std::iter::once(first).chain(joined).enumerate() {
                let carry = &carry;
                scope.spawn(move || carry(upload, number));
            }
            start.wait();
            // Somewhere in between.
            linger(round * 200);
            let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
            is_over.store(true, Ordering::Relaxed);
            bring(&later, &content);
            let receipt = finish(later, &content);
            assert_eq!(receipt.digest, digest(&content), "round {round}");
        });
        assert_eq!(bench.names(), ["big"], "round {round}");
    }
}

/// A commit that waits for a connection which leaves early fails in the moment in which that leaves.
#[test]
fn a_later_run_never_waits_for_a_commit_that_cannot_be() {
    let content = content(3 * GROUP);
    for round in 0..400 {
        let bench = bench();
        let first = accept(bench.inbox(), &offer_in(1, ResumeMode::TakeOver, &content));
        let joined = accept(bench.inbox(), &offer_in(1, ResumeMode::Join, &content));
        first.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
        let pending = first.commit(content.len() as u64, None);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                drop(joined);
            });
            start.wait();
            linger(round);
            let later = accept(bench.inbox(), &offer_in(2, ResumeMode::TakeOver, &content));
            assert_eq!(later.missing(), [extent(GROUP, 2 * GROUP)], "round {round}");
            bring(&later, &content);
            finish(later, &content);
        });
        assert!(wait(&pending).is_err());
    }
}
