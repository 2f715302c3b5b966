//! Bodies whose bytes count when they are found to be what they should be.

use sandport_protocol::Algorithm;

use super::resume::*;
use super::*;

fn checked(upload: &Upload, offset: usize, length: usize) -> Body {
    upload.body_checked(extent(offset, length), Algorithm::Blake3).unwrap()
}

#[test]
fn a_body_that_is_right_counts_and_outlives_a_kill() {
    let bench = bench();
    let content = content(3 * GROUP + 700);
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(0, 600)).unwrap().write(&content[..600]);
    let end = 2 * GROUP + 9;
    let mut body = checked(&upload, 600, end - 600);
    content[600..end].chunks(300_007).for_each(|piece| body.write(piece));
    assert_eq!(upload.missing(), [extent(3 * GROUP, 700)], "somebody is bringing the rest");
    block_on("what was written to be kept", upload.keep().ready()).unwrap();
    assert_eq!(upload.durable(), 600);
    body.finish(Some(digest(&content[600..end]))).unwrap();
    block_on("what was written to be kept", upload.keep().ready()).unwrap();
    assert_eq!(upload.durable(), end as u64);
    let after = killed(&bench);
    let upload = accept(after.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(end, content.len() - end)]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(after.published(), [("big".to_owned(), content)]);
}

#[test]
fn a_body_that_is_wrong_was_never_here_and_the_upload_goes_on() {
    let bench = bench();
    let content = content(3 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(0, 9_000)).unwrap().write(&content[..9_000]);
    let mut body = checked(&upload, 9_000, 2 * GROUP);
    body.write(&vec![0xee; 2 * GROUP]);
    let wrong = body.finish(Some(digest(&content[9_000..9_000 + 2 * GROUP])));
    assert_eq!(code(wrong), RefusalCode::DigestMismatch);
    assert_eq!(upload.fault(), None);
    assert_eq!(upload.missing(), [extent(9_000, 3 * GROUP - 9_000)]);
    drop(upload);
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(9_000, 3 * GROUP - 9_000)]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn a_body_that_is_cut_or_taken_over_was_never_here() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut cut = checked(&upload, 0, GROUP);
    cut.write(&content[..GROUP]);
    drop(cut);
    assert_eq!(upload.missing(), [extent(0, 2 * GROUP)]);
    let mut body = checked(&upload, 0, GROUP);
    body.write(&content[..GROUP]);
    let winner = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(code(body.finish(Some(digest(&content[..GROUP])))), RefusalCode::Locked);
    assert_eq!(winner.missing(), [extent(0, 2 * GROUP)]);
}

#[test]
fn what_is_not_checked_takes_no_room_of_an_upload_that_waits() {
    let quota = Quota::new(Some(5 * GROUP as u64), None);
    let bench = Bench::with(InboxOptions { quota, ..options(u64::MAX) });
    let content = content(4 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(0, 9_000)).unwrap().write(&content[..9_000]);
    checked(&upload, 9_000, 3 * GROUP).write(&content[9_000..3 * GROUP]);
    drop(upload);
    until("its files to be closed", || bench.inbox().handle.partials.is_empty());
    let seen = bench.inbox().look(&Identity::ANONYMOUS, &[5; 32], true);
    assert_eq!(block_on("a look", seen).unwrap().durable, 9_000);
    let held: u64 = partials(&bench)
        .iter()
        .map(|name| bench.path(".sandport/partials").join(name))
        .map(|path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap()) * 512)
        .sum();
    assert!(held < GROUP as u64, "{held} bytes of the disk");
}

#[test]
fn a_digest_is_due_where_something_is_checked_and_nowhere_else() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut body = checked(&upload, 0, 10);
    body.write(&content[..10]);
    assert_eq!(code(body.finish(None)), RefusalCode::InvalidState);
    let mut body = upload.body(extent(0, 10)).unwrap();
    body.write(&content[..10]);
    assert_eq!(code(body.finish(Some(digest(&content[..10])))), RefusalCode::InvalidState);
    let mut body = upload.body(extent(10, 10)).unwrap();
    body.write(&content[10..20]);
    body.finish(None).unwrap();
    assert_eq!(upload.missing()[0].offset, 20);
    let plain = accept(bench.inbox(), &offer("plain", b"x"));
    let refused = plain.body_checked(ALL, Algorithm::Blake3).map(drop);
    assert_eq!(code(refused), RefusalCode::InvalidState);
    let mut body = plain.body(ALL).unwrap();
    body.write(b"x");
    body.finish(None).unwrap();
    wait(&plain.commit(1, None)).unwrap();
}
