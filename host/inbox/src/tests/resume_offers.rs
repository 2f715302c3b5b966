//! What offers with a resume key lead to: who takes an upload over, joins it, or begins it anew.

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::*;
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

#[test]
fn a_takeover_ends_the_other_connection_and_keeps_its_bytes() {
    let bench = bench();
    let content = content(3 * GROUP);
    let older = accept(bench.inbox(), &offer_of(&content));
    let mut body = older.body(extent(0, content.len())).unwrap();
    body.write(&content[..GROUP + 9]);
    let newer = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(older.fault().unwrap().code, RefusalCode::Locked);
    assert_eq!(newer.missing(), [extent(GROUP + 9, 2 * GROUP - 9)]);
    // What the older one still has on its way goes nowhere.
    body.write(&[0xee; 1000]);
    assert_eq!(code(older.body(extent(2 * GROUP, GROUP)).map(drop)), RefusalCode::Locked);
    bring(&newer, &content);
    assert_eq!(code(wait(&older.commit(content.len() as u64, None))), RefusalCode::Locked);
    finish(newer, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn joined_connections_carry_own_extents_and_each_gets_a_receipt() {
    let bench = bench();
    let content = content(4 * GROUP + 5);
    let first = accept(bench.inbox(), &offer_of(&content));
    let join = Offer {
        resume: Some(Resume { key: [5; 32], epoch: 1, mode: ResumeMode::Join }),
        ..offer_of(&content)
    };
    let second = accept(bench.inbox(), &join);
    let mut lower = first.body(extent(0, 2 * GROUP)).unwrap();
    let mut upper = second.body(extent(2 * GROUP, 2 * GROUP + 5)).unwrap();
    assert_eq!(code(second.body(extent(0, GROUP)).map(drop)), RefusalCode::OffsetMismatch);
    for turn in 0..2 {
        lower.write(&content[turn * GROUP..(turn + 1) * GROUP]);
        upper.write(&content[(turn + 2) * GROUP..(turn + 3) * GROUP]);
    }
    upper.write(&content[4 * GROUP..]);
    let early = second.commit(content.len() as u64, Some(digest(&content)));
    assert!(early.try_get().is_none(), "the other one has not finished");
    let receipt = finish(first, &content);
    assert_eq!(wait(&early), Ok(receipt));
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn a_connection_that_joined_and_left_leaves_work_to_others() {
    let bench = bench();
    let content = content(3 * GROUP);
    let first = accept(bench.inbox(), &offer_of(&content));
    let join = Offer {
        resume: Some(Resume { key: [5; 32], epoch: 1, mode: ResumeMode::Join }),
        ..offer_of(&content)
    };
    let second = accept(bench.inbox(), &join);
    first.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    second.body(extent(GROUP, 2 * GROUP)).unwrap().write(&content[GROUP..2 * GROUP]);
    let pending = first.commit(content.len() as u64, Some(digest(&content)));
    drop(second);
    assert_eq!(code(wait(&pending)), RefusalCode::Cancelled);
    let again = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(again.missing(), [extent(2 * GROUP, GROUP)]);
    bring(&again, &content);
    finish(again, &content);
}

#[test]
fn a_restart_of_the_sender_discards_what_was_there() {
    let (bench, content) = cut_off();
    let restart = resumable("big", Some(content.len() as u64), ResumeMode::Restart);
    let upload = accept(bench.inbox(), &restart);
    assert_eq!(upload.missing(), [extent(0, content.len())]);
    assert_eq!(partials(&bench), Vec::<String>::new());
}

#[test]
fn another_digest_publishes_nothing_and_the_next_try_is_anew() {
    let (bench, content) = cut_off();
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let pending = upload.commit(content.len() as u64, Some(digest(b"other")));
    assert_eq!(code(wait(&pending)), RefusalCode::DigestMismatch);
    assert_eq!(bench.names().len(), 0);
    until("the end of the upload", || partials(&bench).is_empty());
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(0, content.len())]);
    bring(&upload, &content);
    finish(upload, &content);
}

#[test]
fn a_key_counts_for_one_name_and_one_size() {
    let (bench, content) = cut_off();
    let size = content.len() as u64;
    for (name, size) in
        [("other", Some(size)), ("big", Some(size - 1)), ("big", Some(size + 1)), ("big", None)]
    {
        let offer = resumable(name, size, ResumeMode::TakeOver);
        assert_eq!(
            code(bench.inbox().offered(&offer)),
            RefusalCode::InvalidState,
            "{name} {size:?}"
        );
    }
    // And it is still there.
    assert!(accept(bench.inbox(), &offer_of(&content)).durable() > 3 * GROUP_BYTES);
}

#[test]
fn another_key_leads_to_another_upload() {
    let (bench, content) = cut_off();
    let offer = Offer {
        resume: Some(Resume { key: [6; 32], epoch: 1, mode: ResumeMode::TakeOver }),
        ..offer_of(&content)
    };
    let upload = accept(bench.inbox(), &offer);
    assert_eq!(upload.missing(), [extent(0, content.len())]);
    bring(&upload, &content);
    finish(upload, &content);
    // Under the same name, and the other one is not lost.
    let mut other = content.clone();
    other[4 * GROUP] ^= 1;
    let upload = accept(bench.inbox(), &Offer { digest: Some(digest(&other)), ..offer_of(&other) });
    bring(&upload, &other);
    assert_eq!(finish(upload, &other).name, "big-1");
    assert_eq!(bench.published(), [("big".to_owned(), content), ("big-1".to_owned(), other)]);
}

#[test]
fn an_offer_during_the_commit_of_another_waits_for_its_outcome() {
    let (bench, content) = cut_off();
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let (go, stop) = std::sync::mpsc::channel::<()>();
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if step == Step::Publish {
            let _ = stop.recv_timeout(PATIENCE);
        }
        Ok(())
    }));
    let pending = upload.commit(content.len() as u64, Some(digest(&content)));
    let plain = bench.inbox().offered(&offer_of(&content)).unwrap();
    assert!(matches!(plain, OfferResponse::DigestFirst), "{plain:?}");
    let whole = Offer { digest: Some(digest(&content)), ..offer_of(&content) };
    let Ok(OfferResponse::Committing(making)) = bench.inbox().offered(&whole) else {
        panic!("not waiting")
    };
    drop(go);
    assert_eq!(wait(&pending), wait(&making));
    assert_eq!(bench.names(), ["big"]);
}
