//! Uploads that are sent again under the key of one that was here before.

use std::sync::atomic::Ordering;

use sandport_protocol::ResumeMode;
use sandport_protocol::journal::GROUP_BYTES;

use super::resume::{
    GROUP, bench, bring, content, extent, finish, killed, offer_of, options, resumable,
};
use super::*;

#[test]
fn the_journal_of_a_published_file_says_nothing_of_later_bytes() {
    let content = content(2 * GROUP + 600);
    let bench = bench();
    // Where the name is made up, the journal stays and tells it.
    let offer_with = |mode| Offer { name: None, ..resumable("", Some(content.len() as u64), mode) };
    let upload = accept(bench.inbox(), &offer_with(ResumeMode::TakeOver));
    bring(&upload, &content);
    finish(upload, &content);
    let anew = accept(bench.inbox(), &offer_with(ResumeMode::Restart));
    anew.body(extent(2 * GROUP, 600)).unwrap().write(&content[2 * GROUP..]);
    anew.body(extent(0, GROUP)).unwrap().write(&content[..5_000]);
    let after = killed(&bench);
    let again = accept(after.inbox(), &offer_with(ResumeMode::TakeOver));
    assert_eq!(again.missing(), [extent(0, content.len())]);
    bring(&again, &content);
    finish(again, &content);
    assert!(after.published().iter().all(|(_, found)| *found == content));
}

#[test]
fn beginning_anew_during_a_commit_that_fails_keeps_no_old_byte() {
    let (old, new) = (content(2 * GROUP), vec![7; 2 * GROUP]);
    let options = InboxOptions { conflict: Conflict::Refuse, ..options(u64::MAX) };
    let bench = Bench::in_memory(options);
    let upload = accept(bench.inbox(), &offer_of(&old));
    bring(&upload, &old);
    bench.send("big", b"another one is first").unwrap();
    let pending = upload.commit(old.len() as u64, Some(digest(&old)));
    let anew = resumable("big", Some(new.len() as u64), ResumeMode::Restart);
    // The name is taken by now, which is said before any byte is looked at.
    assert_eq!(code(bench.inbox().offered(&anew).map(drop)), RefusalCode::Exists);
    assert_eq!(code(wait(&pending)), RefusalCode::Exists);
    fs::remove_file(bench.path("big")).unwrap();
    let upload = accept(bench.inbox(), &anew);
    assert_eq!(upload.missing(), [extent(0, new.len())]);
    bring(&upload, &new);
    finish(upload, &new);
}

#[test]
fn an_upload_that_finds_no_room_leaves_no_file_open() {
    let content = content(4 * GROUP);
    let quota = Quota::new(Some(4 * GROUP_BYTES), None);
    let bench = Bench::in_memory(InboxOptions { quota, ..options(u64::MAX) });
    let cut = accept(bench.inbox(), &offer_of(&content));
    cut.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
    drop(cut);
    until("the end of the upload", || bench.inbox().handle.registry.is_empty());
    bench.send("other", &vec![1; 2 * GROUP]).unwrap();
    for _ in 0..3 {
        assert_eq!(code(bench.inbox().offered(&offer_of(&content))), RefusalCode::QuotaExceeded);
    }
    assert_eq!(bench.inbox().handle.core.files_open.load(Ordering::Relaxed), 0);
}
