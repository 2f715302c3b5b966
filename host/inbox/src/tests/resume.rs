//! Uploads that are cut and resumed: over the same inbox, after a restart, and after a kill.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

pub(super) use super::killed::{killed, killed_now};
use super::*;
use crate::disk::Step;

pub(super) const GROUP: usize = GROUP_BYTES as usize;

/// No two groups alike.
pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at ^ (at >> 7) ^ (at >> 20).wrapping_mul(37)) as u8).collect()
}

pub(super) fn resumable(name: &str, size: Option<u64>, mode: ResumeMode) -> Offer {
    let resume = Some(Resume { key: [5; 32], epoch: 1, mode });
    Offer { size, resume, ..offer(name, b"") }
}

pub(super) fn offer_of(content: &[u8]) -> Offer {
    resumable("big", Some(content.len() as u64), ResumeMode::TakeOver)
}

/// Watermarks move when the test says so: at the end of a connection, or with this many bytes.
pub(super) fn options(watermark_bytes: u64) -> InboxOptions {
    let watermark_interval = Duration::from_secs(3600);
    InboxOptions { watermark_bytes, watermark_interval, ..InboxOptions::default() }
}

pub(super) fn bench() -> Bench {
    Bench::in_memory(options(u64::MAX))
}

pub(super) fn extent(offset: usize, length: usize) -> Extent {
    Extent { offset: offset as u64, length: Some(length as u64) }
}

/// Brings what is missing.
pub(super) fn bring(upload: &Upload, content: &[u8]) {
    for Extent { offset, length } in upload.missing() {
        let start = offset as usize;
        let end = length.map_or(content.len(), |length| start + length as usize);
        let mut body = upload.body(Extent { offset, length }).unwrap();
        content[start..end].chunks(300_007).for_each(|piece| body.write(piece));
    }
}

pub(super) fn finish(upload: Upload, content: &[u8]) -> Receipt {
    wait(&upload.commit(content.len() as u64, Some(digest(content)))).unwrap()
}

/// Waits until so many bytes are durable.
pub(super) fn wait_durable(upload: &Upload, bytes: usize) {
    while upload.durable() < bytes as u64 {
        block_on("a watermark", upload.watch().news());
        assert_eq!(upload.fault(), None);
    }
}

/// The names in `.sandport/partials`, when all is removed that is to be.
pub(super) fn partials(bench: &Bench) -> Vec<String> {
    bench.inbox.as_ref().inspect(|inbox| settle(inbox));
    let mut names: Vec<String> = fs::read_dir(bench.path(".sandport/partials"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(super) fn journal(bench: &Bench) -> PathBuf {
    let names = partials(bench);
    let name = names.iter().find(|name| name.ends_with(".journal")).expect("a journal");
    bench.path(".sandport/partials").join(name)
}

/// An inbox with three and a half groups of five, kept, after the server was killed.
pub(super) fn cut_off() -> (Bench, Vec<u8>) {
    let content = content(5 * GROUP);
    let bench = Bench::in_memory(options(GROUP_BYTES / 2));
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(0, content.len())).unwrap().write(&content[..3 * GROUP + GROUP / 2]);
    wait_durable(&upload, 3 * GROUP + GROUP / 2);
    let after = killed(&bench);
    drop(upload);
    (after, content)
}

#[test]
fn an_upload_goes_on_where_its_connection_was_cut() {
    let bench = bench();
    let content = content(4 * GROUP + 77);
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(0, content.len())).unwrap().write(&content[..GROUP + 5]);
    drop(upload);
    assert_eq!(bench.names(), Vec::<String>::new());

    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(GROUP + 5, content.len() - GROUP - 5)]);
    bring(&upload, &content);
    assert_eq!(upload.missing(), []);
    assert_eq!(finish(upload, &content).name, "big");
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
    assert_eq!(partials(&bench), Vec::<String>::new());
}

#[test]
fn it_goes_on_after_a_restart_and_after_a_kill() {
    let (mut bench, content) = cut_off();
    let upload = accept(bench.inbox(), &offer_of(&content));
    let from = 3 * GROUP + GROUP / 2;
    assert_eq!(upload.durable(), from as u64);
    assert_eq!(upload.missing(), [extent(from, content.len() - from)]);
    upload.body(extent(from, GROUP)).unwrap().write(&content[from..from + GROUP]);
    drop(upload);
    bench.restart();
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(from + GROUP, GROUP / 2)]);
    bring(&upload, &content);
    assert_eq!(finish(upload, &content).digest, digest(&content));
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn a_cut_upload_costs_one_watermark_and_one_read_of_a_group() {
    let (bench, content) = cut_off();
    let reads = counted(&bench, Step::Read);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let missing: u64 = upload.missing().iter().filter_map(|extent| extent.length).sum();
    assert!(missing <= content.len() as u64 - 3 * GROUP_BYTES, "{missing}");
    assert_eq!(reads.load(Ordering::Relaxed), 2, "the journal, and the group that is begun");
}

/// Counts the steps of a kind.
fn counted(bench: &Bench, kind: Step) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if step == kind {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }));
    steps
}

#[test]
fn a_partial_file_of_20_gib_opens_by_its_journal_and_one_group() {
    use sandport_protocol::journal::{Begun, Entry, Kept, Writer};
    let mut bench = bench();
    let groups = 20 * 1024;
    let size = groups * GROUP_BYTES + 5;
    let key = Resume { key: [5; 32], epoch: 1, mode: ResumeMode::TakeOver };
    let id = partial::Id::of(None, &key.key);
    let begun = Begun { name: "big".into(), size: Some(size), identity: None, begun_s: 0 };
    let (mut writer, mut bytes) = Writer::begin(id.journal(), begun);
    // A sparse file is all zeros; what its groups hash to is of no matter before the end.
    for first in (0..groups).step_by(64) {
        let kept = Kept { first, groups: vec![[7; 32]; 64], ..Kept::default() };
        writer.push(&mut bytes, &Entry::Kept(kept));
    }
    assert!(bytes.len() < 700 * 1024, "{}", bytes.len());
    let path = bench.path(".sandport/partials");
    fs::write(path.join(format!("{id}.journal")), bytes).unwrap();
    let data = fs::File::create(path.join(format!("{id}.data"))).unwrap();
    data.set_len(size).unwrap();
    bench.restart();
    let reads = counted(&bench, Step::Read);
    let upload = accept(bench.inbox(), &resumable("big", Some(size), ResumeMode::TakeOver));
    assert_eq!(upload.missing(), [Extent { offset: size - 5, length: Some(5) }]);
    assert_eq!(reads.load(Ordering::Relaxed), 1, "the journal alone: no group is begun");
}

#[test]
fn a_journal_of_any_length_is_read_to_its_end() {
    use blake3::hazmat::HasherExt;
    use sandport_protocol::journal::{Begun, Entry, Kept, Tail, Writer, group_hasher};
    // A journal was once cut here.
    let longest = 256 * 1024 * 1024;
    let mut bench = bench();
    let size = 2 * GROUP_BYTES;
    let key = [5; 32];
    let id = partial::Id::of(None, &key);
    let begun = Begun { name: "big".into(), size: Some(size), identity: None, begun_s: 0 };
    let (mut writer, mut bytes) = Writer::begin(id.journal(), begun);
    let path = bench.path(".sandport/partials");
    let mut journal = fs::File::create(path.join(format!("{id}.journal"))).unwrap();
    let mut written = 0;
    // The same is said again and again, and something else at the end.
    let value = group_hasher(0).update(&[0; 9_000]).finalize_non_root();
    let again = Kept { tail: Some(Tail { group: 0, length: 9_000, value }), ..Kept::default() };
    while written <= longest {
        (0..10_000).for_each(|_| writer.push(&mut bytes, &Entry::Kept(again.clone())));
        journal.write_all(&bytes).unwrap();
        written += bytes.len();
        bytes.clear();
    }
    let last = Kept { first: 1, groups: vec![[7; 32]], ..Kept::default() };
    writer.push(&mut bytes, &Entry::Kept(last));
    journal.write_all(&bytes).unwrap();
    let data = fs::File::create(path.join(format!("{id}.data"))).unwrap();
    data.set_len(size).unwrap();
    bench.restart();
    let upload = accept(bench.inbox(), &resumable("big", Some(size), ResumeMode::TakeOver));
    assert_eq!(upload.missing(), [extent(9_000, GROUP - 9_000)]);
}

#[test]
fn extents_come_in_any_order_and_end_in_the_same_digest() {
    let mut bench = bench();
    let content = content(5 * GROUP + 1);
    for (turn, order) in [[4, 0, 2, 1, 3, 5], [5, 4, 3, 2, 1, 0]].into_iter().enumerate() {
        let name = format!("big{turn}");
        let offer = resumable(&name, Some(content.len() as u64), ResumeMode::TakeOver);
        for group in order {
            let upload = accept(bench.inbox(), &offer);
            let (start, end) = (group * GROUP, ((group + 1) * GROUP).min(content.len()));
            let piece = &content[start..end];
            upload.body(extent(start, piece.len())).unwrap().write(piece);
            drop(upload);
            bench.restart();
        }
        let upload = accept(bench.inbox(), &offer);
        assert_eq!(upload.missing(), []);
        finish(upload, &content);
        assert_eq!(fs::read(bench.path(&name)).unwrap(), content);
    }
}

#[test]
fn small_and_keyless_uploads_have_no_journal_and_are_discarded() {
    let bench = bench();
    let small = content(GROUP);
    let big = content(2 * GROUP);
    let plain = Offer { resume: None, ..offer_of(&big) };
    for (offer, content) in [(offer_of(&small), &small), (plain, &big)] {
        let upload = upload(bench.inbox(), &offer, &content[..GROUP - 1]);
        assert_eq!((partials(&bench).len(), upload.durable()), (0, 0));
        drop(upload);
        assert_eq!(bench.staged(), 0);
        let missing = accept(bench.inbox(), &offer).missing();
        assert_eq!(missing, [extent(0, content.len())]);
    }
}

#[test]
fn bytes_that_are_here_or_do_not_belong_there_are_refused() {
    let (bench, content) = cut_off();
    let from = 3 * GROUP + GROUP / 2;
    let size = content.len();
    let cases = [
        (0, GROUP, "here already"),
        (GROUP, 1, "here already"),
        (from - 1, 5, "before the first missing byte"),
        (from + 1, 5, "behind the first missing byte, and not a group"),
        (4 * GROUP + 1, 5, "not where a group begins"),
        (4 * GROUP, GROUP + 1, "beyond the end"),
        (size + 1, 0, "beyond the end"),
        (usize::MAX, 1, "beyond any end"),
    ];
    for (offset, length, why) in cases {
        let upload = accept(bench.inbox(), &offer_of(&content));
        let refused = code(upload.body(extent(offset, length)).map(drop));
        assert_eq!(refused, RefusalCode::OffsetMismatch, "{why}");
    }
    // A body that runs into what is here fails there, and changes nothing.
    let upload = accept(bench.inbox(), &offer_of(&content));
    upload.body(extent(4 * GROUP, GROUP)).unwrap().write(&content[4 * GROUP..]);
    let mut body = upload.body(extent(from, size - from)).unwrap();
    body.write(&content[from..4 * GROUP]);
    body.write(&[0xee; 100]);
    assert_eq!(upload.fault().unwrap().code, RefusalCode::OffsetMismatch);
    drop(upload);
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), []);
    finish(upload, &content);
}

#[test]
fn a_stream_is_resumed_and_its_rest_is_cut_to_its_size() {
    let content = content(2 * GROUP + 100);
    let bench = Bench::in_memory(options(GROUP_BYTES));
    let stream = resumable("s", None, ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &stream);
    let mut body = upload.body(ALL).unwrap();
    body.write(&content[..GROUP]);
    wait_durable(&upload, GROUP);
    let after = {
        // More than the stream will have, and a kill before it is kept.
        let core = &bench.inbox().handle.core;
        core.disk.watch(Box::new(|step| match step {
            Step::WriteJournal => Err(rustix::io::Errno::IO),
            _ => Ok(()),
        }));
        body.write(&[0xee; 3 * GROUP]);
        killed(&bench)
    };
    let upload = accept(after.inbox(), &stream);
    assert_eq!(upload.missing(), [Extent { offset: GROUP_BYTES, length: None }]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(after.published(), [("s".to_owned(), content)]);
}

#[test]
fn streams_end_at_any_size() {
    for size in [0, 1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 4] {
        let bench = bench();
        let content = content(size);
        let upload = accept(bench.inbox(), &resumable("s", None, ResumeMode::TakeOver));
        upload.body(ALL).unwrap().write(&content);
        finish(upload, &content);
        assert_eq!(bench.published(), [("s".to_owned(), content)]);
        assert_eq!(partials(&bench), Vec::<String>::new());
    }
}

#[test]
fn a_lost_receipt_is_given_again_also_for_a_made_up_name() {
    for name in [Some("s".to_owned()), None] {
        let mut bench = bench();
        let content = content(GROUP + 1);
        let stream = Offer { name, ..resumable("s", None, ResumeMode::TakeOver) };
        let upload = accept(bench.inbox(), &stream);
        upload.body(ALL).unwrap().write(&content);
        let receipt = finish(upload, &content);
        for _ in 0..2 {
            let whole = Offer {
                size: Some(content.len() as u64),
                digest: Some(digest(&content)),
                ..stream.clone()
            };
            match bench.inbox().offered(&whole).unwrap() {
                OfferResponse::Stored(again) => assert_eq!(again, receipt),
                other => panic!("{other:?}"),
            }
            bench.restart();
        }
        assert_eq!(bench.names().len(), 1);
    }
}

#[test]
fn what_a_killed_server_kept_unsynced_is_there_until_a_reboot() {
    for durability in [Durability::Commit, Durability::None] {
        let content = content(3 * GROUP);
        let options = InboxOptions { durability, ..options(GROUP_BYTES) };
        let bench = Bench::in_memory(options);
        let upload = accept(bench.inbox(), &offer_of(&content));
        upload.body(extent(0, content.len())).unwrap().write(&content[..2 * GROUP]);
        wait_durable(&upload, 2 * GROUP);
        let after = killed(&bench);
        let upload = accept(after.inbox(), &offer_of(&content));
        assert_eq!(upload.missing(), [extent(2 * GROUP, GROUP)]);
        bring(&upload, &content);
        finish(upload, &content);
    }
}

#[test]
fn an_upload_in_too_many_pieces_is_refused() {
    let bench = bench();
    let size = 4_000 * GROUP_BYTES;
    let upload = accept(bench.inbox(), &resumable("big", Some(size), ResumeMode::TakeOver));
    let fault = (0..2_000).find_map(|piece| {
        let extent = Extent { offset: 2 * piece * GROUP_BYTES, length: Some(1) };
        upload.body(extent).map(|mut body| body.write(b"x")).err()
    });
    assert_eq!(fault.expect("a refusal").code, RefusalCode::TooMany);
    assert!(upload.missing().len() <= 200, "begun groups cost more than whole ones");
}

#[test]
fn the_rest_of_an_upload_goes_when_its_file_came_another_way() {
    let content = content(3 * GROUP);
    for is_open in [false, true] {
        let mut bench = Bench::in_memory(InboxOptions {
            quota: Quota::new(Some(1 << 30), None),
            ..options(u64::MAX)
        });
        let cut = accept(bench.inbox(), &offer_of(&vec![1; 4 * GROUP]));
        cut.body(extent(0, 2 * GROUP)).unwrap().write(&[1; 2 * GROUP]);
        // The other version of the file, as it is at the end.
        commit(bench.inbox(), &offer_with_digest("big", &content), &content).unwrap();
        let again = Offer { digest: Some(digest(&content)), ..offer_of(&content) };
        let first = bench.inbox().offered(&again).unwrap();
        assert!(
            matches!(first, OfferResponse::Stored(_)) && cut.fault().is_none(),
            "it is under way"
        );

        drop(cut);
        if !is_open {
            bench.restart();
        }
        let second = bench.inbox().offered(&again).unwrap();
        assert!(matches!(second, OfferResponse::Stored(_)));
        until("the end of what was left", || partials(&bench).is_empty());
        until("the end of the upload", || bench.inbox().handle.partials.is_empty());
        let usage = bench.inbox().handle.core.usage.as_ref().unwrap();
        assert_eq!(usage.totals(), [content.len() as u64, 1, 0, 0]);
        // An upload under the same key begins anew.
        let offer = offer_of(&vec![1; 4 * GROUP]);
        assert_eq!(accept(bench.inbox(), &offer).missing(), [extent(0, 4 * GROUP)]);
    }
}
