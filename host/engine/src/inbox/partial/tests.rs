//! The moment between losing an upload and hearing of it, which no caller from outside can hold on to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::{EntryKind, Extent, Offer, RefusalCode, Resume, ResumeMode};
use tempfile::TempDir;

use super::lane::LaneState;
use super::*;
use crate::inbox::space::Claim;
use crate::inbox::{Inbox, InboxOptions, Upload};
use crate::patience::{Watchdog, block_on, until};

const OFFER: Offer = Offer {
    name: None,
    kind: EntryKind::File,
    size: Some(2 * GROUP_BYTES),
    digest: None,
    modified_ns: None,
    executable: false,
    resume: Some(RESUME),
};

const RESUME: Resume = Resume { key: [5; 32], epoch: 1, mode: ResumeMode::TakeOver };

pub(super) const FIRST: Extent = Extent { offset: 0, length: Some(GROUP_BYTES) };

/// An upload that is open, and the folder of its inbox.
pub(super) fn begun() -> ((TempDir, Watchdog), Upload, Arc<Partial>) {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::create(&folder.path().join("inbox"), InboxOptions::default()).unwrap();
    let offer = Offer { name: Some("big".to_owned()), ..OFFER };
    let Verdict::Accepted(upload) = inbox.open(&offer).unwrap() else { panic!("not accepted") };
    let partial = inbox.handle.partials.known().values().next().map(Arc::clone).unwrap();
    ((folder, Watchdog::start()), upload, partial)
}

fn claim(partial: &Partial) -> Arc<Claim> {
    Arc::new(Claim::new(partial.core(), partial.size()))
}

/// A later run takes it over, and nobody has been told so far.
fn lose(partial: &Arc<Partial>) -> (Holder, impl FnOnce()) {
    let name = partial.name().clone();
    let size = partial.size();
    let identity = Identity::ANONYMOUS;
    let plan =
        Plan { identity, name, size, digest: None, modified_ns: None, executable: false, copy: 0 };
    let (later, evicted) = partial.hold(&plan, &Resume { epoch: 2, ..RESUME }).unwrap().unwrap();
    (later, || partial.dismiss(evicted))
}

fn locked<T>(result: Result<T, Refusal>) -> bool {
    result.is_err_and(|refusal| refusal.code == RefusalCode::Locked)
}

#[test]
fn a_connection_that_has_lost_the_upload_and_not_heard_of_it_begins_no_body() {
    let (_folder, earlier, partial) = begun();
    let (later, dismiss) = lose(&partial);
    assert!(locked(earlier.body(FIRST)));
    dismiss();
    assert_eq!(later.missing(), [Extent { offset: 0, length: Some(2 * GROUP_BYTES) }]);
}

#[test]
fn nor_does_it_commit_what_is_not_its_own_any_more() {
    let (_folder, earlier, partial) = begun();
    let (later, dismiss) = lose(&partial);
    let pending = earlier.commit(2 * GROUP_BYTES, None);
    dismiss();
    drop(later);
    assert!(!partial.is_held(), "nothing waits for a commit");
    block_on("the outcome of a commit", pending.ready());
    assert!(locked(pending.try_get().unwrap()));
}

#[test]
fn a_body_that_is_sealed_before_it_has_claimed_anything_claims_nothing() {
    let (_folder, _earlier, partial) = begun();
    let (number, state) = partial.enter(1, LaneState::new(0, Some(GROUP_BYTES))).unwrap();
    let signals = Arc::new(Signals::new(0));
    let lane = Lane::new(Arc::clone(&partial), signals, claim(&partial), number, state);
    partial.seal(1);
    lane.begin().unwrap();
    assert_eq!(partial.missing(), [Extent { offset: 0, length: Some(2 * GROUP_BYTES) }]);
}

#[test]
fn nobody_finds_a_body_sealed_whose_group_is_not_given_back() {
    let (_folder, _earlier, partial) = begun();
    let (number, lane) = partial.enter(1, LaneState::new(0, Some(GROUP_BYTES))).unwrap();
    let signals = Arc::new(Signals::new(0));
    let mut body =
        Lane::new(Arc::clone(&partial), signals, claim(&partial), number, Arc::clone(&lane));
    body.write(b"some");
    std::thread::scope(|scope| {
        // It is at the end of it, and cannot get any further.
        let state = partial.state();
        scope.spawn(|| partial.leave(number, &lane));
        let mut busy = 0;
        until("it is at its end", || {
            match lane.try_lock() {
                Ok(lane) => assert!(lane.begun().is_some(), "sealed, and nothing is given back"),
                Err(_) => busy += 1,
            }
            busy == 10_000
        });
        drop(state);
    });
    assert_eq!(partial.missing(), [Extent { offset: 4, length: Some(2 * GROUP_BYTES - 4) }]);
}

#[test]
fn who_takes_over_from_one_that_has_just_taken_over_waits_for_the_bodies_of_all_before() {
    let (_folder, earlier, partial) = begun();
    let mut body = earlier.body(FIRST).unwrap();
    let (_later, dismiss) = lose(&partial);
    // The second to lose it has not come to telling the first.
    let evicted = partial.state().evict(RefusalCode::Locked.into());
    partial.dismiss(evicted);
    body.write(b"more");
    assert_eq!(partial.missing(), [Extent { offset: 0, length: Some(2 * GROUP_BYTES) }]);
    dismiss();
}
