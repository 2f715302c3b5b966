//! Keeping on demand: when it is told that what was written is kept, that is so.

use std::time::Duration;

use sandport_protocol::ResumeMode;

use super::resume::*;
use super::*;
use crate::disk::Step;

fn kept(upload: &Upload) -> Result<(), Refusal> {
    block_on("what was written to be kept", upload.keep().ready())
}

#[test]
fn what_was_kept_before_a_kill_is_found_however_little_it_is() {
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..options(u64::MAX) });
        let content = content(3 * GROUP);
        let upload = accept(bench.inbox(), &offer_of(&content));
        let mut body = upload.body(ALL).unwrap();
        for length in [10, GROUP + 700] {
            let from = if length == 10 { 0 } else { 10 };
            body.write(&content[from..length]);
            kept(&upload).unwrap();
            let after = killed(&bench);
            let found = accept(after.inbox(), &offer_of(&content));
            assert_eq!(found.durable(), length as u64, "{durability:?}");
            if length > 10 {
                bring(&found, &content);
                finish(found, &content);
            }
        }
        assert_eq!(upload.durable(), (GROUP + 700) as u64);
    }
}

#[test]
fn a_keep_is_told_though_the_upload_is_dropped_or_committed() {
    let bench = bench();
    let content = content(2 * GROUP);
    let dropped = upload(bench.inbox(), &offer_of(&content), &content[..5_000]);
    let keep = dropped.keep();
    drop(dropped);
    assert_eq!(block_on("a keep whose upload is dropped", keep.ready()), Ok(()));
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let keep = upload.keep();
    finish(upload, &content);
    assert_eq!(block_on("a keep whose upload is committed", keep.ready()), Ok(()));
    assert_eq!(keep.try_get(), Some(Ok(())));
}

#[test]
fn a_disk_that_cannot_keep_is_told_of_and_the_upload_goes_on() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = upload(bench.inbox(), &offer_of(&content), &content[..5_000]);
    let mut fails = true;
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        let is_its = step == Step::WriteJournal && std::mem::take(&mut fails);
        if is_its { Err(rustix::io::Errno::NOSPC) } else { Ok(()) }
    }));
    assert_eq!(code(kept(&upload)), RefusalCode::InsufficientSpace);
    assert_eq!(upload.fault(), None);
    kept(&upload).unwrap();
    assert_eq!(upload.durable(), 5_000);
}

#[test]
fn who_loses_the_upload_or_has_no_key_keeps_nothing() {
    let bench = bench();
    let content = content(2 * GROUP);
    let loser = accept(bench.inbox(), &offer_of(&content));
    let _winner = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(code(kept(&loser)), RefusalCode::Locked);
    let plain = accept(bench.inbox(), &offer("plain", b"x"));
    assert_eq!(code(kept(&plain)), RefusalCode::InvalidState);
}

#[test]
fn many_may_ask_while_bytes_come() {
    let bench = Bench::in_memory(InboxOptions {
        watermark_interval: Duration::from_millis(1),
        ..options(u64::MAX)
    });
    let content = content(4 * GROUP);
    let offer = resumable("big", None, ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &offer);
    let mut body = upload.body(ALL).unwrap();
    for piece in content.chunks(GROUP / 4) {
        body.write(piece);
        let keeps = [upload.keep(), upload.keep(), upload.keep()];
        for keep in keeps {
            block_on("a keep", keep.ready()).unwrap();
        }
    }
    assert_eq!(upload.durable(), content.len() as u64);
    drop(body);
    finish(upload, &content);
}
