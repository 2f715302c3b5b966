//! Limits on what an inbox holds.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use sandport_protocol::ResumeMode;
use sandport_protocol::journal::GROUP_BYTES;

use super::resume::{content, resumable};
use super::*;
use crate::disk::Step;
use crate::maintenance::clean;
use sandport_testkit::patience::PATIENCE;

fn with_quota(
    max_bytes: impl Into<Option<u64>>,
    max_files: impl Into<Option<u64>>,
) -> InboxOptions {
    InboxOptions {
        quota: Quota::new(max_bytes.into(), max_files.into()),
        ..InboxOptions::default()
    }
}

fn totals(bench: &Bench) -> [u64; 4] {
    bench.inbox().handle.core.usage.as_ref().unwrap().totals()
}

#[test]
fn what_exceeds_the_quota_is_refused_and_stored_files_stay() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..with_quota(10, None) });
        bench.send("a", b"12345").unwrap();
        assert_eq!(code(bench.send("b", b"123456")), RefusalCode::QuotaExceeded);
        bench.send("b", b"12345").unwrap();
        assert_eq!(code(bench.send("c", b"1")), RefusalCode::QuotaExceeded);
        bench.send("empty", b"").unwrap();
        // A retry needs no room.
        assert_eq!(bench.send("b", b"12345").unwrap().name, "b");
        assert_eq!(bench.names(), ["a", "b", "empty"]);
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn files_and_directories_are_counted() {
    let bench = Bench::with(with_quota(None, 3));
    bench.send("directory/a", b"a").unwrap();
    let directory = |name| commit(bench.inbox(), &offer_directory(name), b"");
    directory("another").unwrap();
    // Nothing is made that is there.
    directory("another").unwrap();
    let refusal = directory("third").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::QuotaExceeded);
    assert!(refusal.detail.unwrap().contains("3 files and directories"));
    assert_eq!(code(bench.send("b", b"")), RefusalCode::QuotaExceeded);
    assert_eq!(bench.names(), ["another/", "directory/", "directory/a"]);
}

#[test]
fn new_directories_of_one_file_are_counted_before_they_are_made() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..with_quota(None, 10) });
        let deep = format!("{}/f", ["d"; 63].join("/"));
        for size in [1, 100_000] {
            let offer = Offer { size: Some(size), ..offer(&deep, b"") };
            assert_eq!(code(bench.inbox().offered(&offer)), RefusalCode::QuotaExceeded);
        }
        assert_eq!(
            code(bench.inbox().offered(&offer_directory(&deep))),
            RefusalCode::QuotaExceeded
        );
        // Each fits alone: who comes second finds no room when its directories are to be made.
        let nine = |top: &str| format!("{top}/{}", ["d"; 8].join("/"));
        let uploads = ["a", "b"].map(|top| {
            let name = nine(top);
            upload(bench.inbox(), &offer(&name, b"x"), b"x")
        });
        let outcomes = uploads.map(|upload| wait(&upload.commit(1, None)));
        assert!(outcomes[0].is_ok());
        let code = outcomes[1].as_ref().unwrap_err().code;
        // The second while what is stored is counted once more, since the last count was a while ago.
        let codes = [RefusalCode::QuotaExceeded, RefusalCode::InsufficientSpace];
        assert!(codes.contains(&code), "{code}");
        assert_eq!(bench.names().len(), 9);
        assert_eq!(totals(&bench), [1, 9, 0, 0]);
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn uploads_reserve_what_they_announced_and_give_it_back() {
    let bench = Bench::with(with_quota(10, None));
    let first = accept(bench.inbox(), &Offer { size: Some(8), ..offer("a", b"") });
    assert_eq!(code(bench.send("b", b"123")), RefusalCode::QuotaExceeded);
    drop(first);
    bench.send("b", b"123").unwrap();
    // One that fails gives it back as well.
    let wrong = upload(bench.inbox(), &offer("c", b"1234567"), b"1234567");
    assert_eq!(code(wait(&wrong.commit(7, Some(digest(b"other"))))), RefusalCode::DigestMismatch);
    bench.send("d", b"1234567").unwrap();
    assert_eq!(totals(&bench), [10, 2, 0, 0]);
}

#[test]
fn a_stream_is_stopped_at_the_quota_and_gives_its_room_back() {
    let bench = Bench::with(with_quota(1 << 20, None));
    let stopped = || {
        let upload = accept(bench.inbox(), &Offer { size: None, ..offer("a", b"") });
        let mut body = upload.body(ALL).unwrap();
        body.write(&vec![0; 1 << 20]);
        assert!(upload.fault().is_none());
        body.write(b"1");
        assert_eq!(bench.staged(), 0);
        upload.fault().unwrap().code
    };
    // Somebody may have taken files out, and a body whose bytes come without room does not wait until that is known.
    assert_eq!(stopped(), RefusalCode::InsufficientSpace);
    bench.inbox().handle.core.usage.as_ref().unwrap().count_now();
    assert_eq!(stopped(), RefusalCode::QuotaExceeded);
    bench.send("b", &vec![0; 1 << 20]).unwrap();
}

#[test]
fn an_upload_that_got_no_name_counts_on_while_somebody_has_it() {
    let options = with_quota(10 << 20, None);
    let bench = Bench::in_memory(InboxOptions { watermark_bytes: u64::MAX, ..options });
    let inbox = bench.inbox();
    let content = content(2 * super::resume::GROUP + 5);
    let offer = super::resume::offer_of(&content);
    let first = accept(inbox, &offer);
    super::resume::bring(&first, &content);
    // What came is about to be kept, for as long as this says.
    let (let_go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    inbox.handle.core.disk.watch_holds(Arc::new(move |step, _| {
        if step == Step::SyncPartial {
            let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
        }
    }));
    inbox.handle.core.disk.watch(Box::new(|step| match step {
        Step::WriteLog => Err(Errno::NOSPC),
        _ => Ok(()),
    }));
    let pending = first.commit(content.len() as u64, None);
    assert_eq!(code(wait(&pending)), RefusalCode::InsufficientSpace);
    inbox.handle.core.disk.watch(Box::new(|_| Ok(())));
    let next = accept(inbox, &offer);
    assert_eq!(next.missing(), []);
    assert_eq!(totals(&bench)[2..], [content.len() as u64, 1]);
    drop(let_go);
    super::resume::finish(next, &content);
    assert_eq!(totals(&bench)[2..], [0, 0]);
}

/// Writes as those do who wait for room.
fn write_in_time(body: &mut Body, bytes: &[u8]) {
    while body.reserve(bytes.len()) < bytes.len() {
        block_on("room for a body", body.has_room());
    }
    body.write(bytes);
}

#[test]
fn a_stream_that_meets_the_quota_waits_for_the_count() {
    const MIB: usize = 1 << 20;
    let resume = super::resume::resumable("stream", None, ResumeMode::TakeOver).resume;
    for resume in [None, resume] {
        let bench = Bench::in_memory(with_quota(3 * MIB as u64, None));
        bench.send("in the way", &vec![0; 2 * MIB]).unwrap();
        let upload = accept(bench.inbox(), &Offer { size: None, resume, ..offer("stream", b"") });
        let mut body = upload.body(ALL).unwrap();
        write_in_time(&mut body, &vec![1; MIB]);
        // Nobody tells the inbox.
        fs::remove_file(bench.path("in the way")).unwrap();
        assert_eq!(body.reserve(MIB), 0, "it waits for a count");
        write_in_time(&mut body, &vec![1; MIB]);
        write_in_time(&mut body, &vec![1; MIB]);
        assert_eq!(upload.fault(), None);
        // What was counted just now is believed.
        write_in_time(&mut body, b"1");
        assert_eq!(upload.fault().unwrap().code, RefusalCode::QuotaExceeded);
    }
}

#[test]
fn the_quota_holds_after_a_restart_and_counts_foreign_files() {
    let mut bench = Bench::with(with_quota(10, None));
    bench.send("d/a", b"12345").unwrap();
    fs::write(bench.path("theirs"), b"123").unwrap();
    bench.restart();
    assert_eq!(totals(&bench), [8, 3, 0, 0]);
    assert_eq!(code(bench.send("b", b"123")), RefusalCode::QuotaExceeded);
    bench.send("b", b"12").unwrap();
}

#[test]
fn room_that_somebody_makes_is_noticed_before_anyone_is_refused() {
    let bench = Bench::with(with_quota(10, None));
    bench.send("a", b"1234567890").unwrap();
    fs::remove_file(bench.path("a")).unwrap();
    bench.send("b", b"123456789").unwrap();
    assert_eq!(totals(&bench), [9, 1, 0, 0]);
}

#[test]
fn a_replaced_file_gives_its_room_back() {
    let bench = Bench::with(InboxOptions { conflict: Conflict::Replace, ..with_quota(10, 2) });
    bench.send("a", b"12345678").unwrap();
    bench.send("a", b"1").unwrap();
    assert_eq!(totals(&bench), [1, 1, 0, 0]);
    bench.send("b", b"123456789").unwrap();
    assert_eq!(totals(&bench), [10, 2, 0, 0]);
}

#[test]
fn many_at_once_never_exceed_the_quota_and_its_account_is_exact() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..with_quota(40_000, 60) });
        let stored: usize = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..8)
                .map(|sender| {
                    let inbox = bench.inbox().clone();
                    scope.spawn(move || {
                        let send_one = |number: usize| {
                            let content = vec![sender as u8; (number * 97) % 1_500];
                            send(&inbox, &format!("{sender}/{}", number % 40), &content)
                        };
                        (0..60).map(send_one).filter(Result::is_ok).count()
                    })
                })
                .collect();
            senders.into_iter().map(|sender| joined("a sender", sender)).sum()
        });
        assert!(stored > 20, "{stored}");
        let files = bench.published();
        let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
        assert!(bytes <= 40_000, "{bytes}");
        // The directories of uploads that were under way together may go over it.
        assert!(files.len() <= 60 + 8, "{}", files.len());
        assert_eq!(totals(&bench), [bytes as u64, files.len() as u64, 0, 0]);
    }
}

#[test]
fn a_directory_that_a_count_meets_early_counts_once() {
    let bench = Bench::in_memory(with_quota(None, 10));
    let usage = bench.inbox().handle.core.usage.as_ref().unwrap();
    let making = usage.making_directories();
    let path = bench.path("new");
    std::fs::create_dir(&path).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
    usage.count_now();
    making.made(inode);
    drop(making);
    assert_eq!(totals(&bench), [0, 1, 0, 0]);
    // Made, told of, and met by a later count.
    usage.count_now();
    assert_eq!(totals(&bench), [0, 1, 0, 0]);
}

/// An inbox with a quota of `beyond` bytes over an upload of four groups, of which one and 5 bytes have
/// come before it was cut and the server was started anew; that upload's content.
fn cut_upload(beyond: u64) -> (Bench, Vec<u8>) {
    let content = content(4 * GROUP_BYTES as usize);
    let mut bench = Bench::in_memory(with_quota(4 * GROUP_BYTES + beyond, None));
    let offer = resumable("big", Some(4 * GROUP_BYTES), ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &offer);
    upload.body(ALL).unwrap().write(&content[..GROUP_BYTES as usize + 5]);
    assert_eq!(totals(&bench), [0, 0, 4 * GROUP_BYTES, 1]);
    drop(upload);
    bench.restart();
    (bench, content)
}

fn announce(bench: &Bench, size: u64) -> Result<OfferResponse, Refusal> {
    bench.inbox().offered(&Offer { size: Some(size), ..offer("other", b"") })
}

#[test]
fn a_parked_upload_counts_what_came_and_an_active_one_all() {
    let (bench, content) = cut_upload(10);
    let room = 3 * GROUP_BYTES + 5;
    assert_eq!(code(announce(&bench, room + 1)), RefusalCode::QuotaExceeded);
    drop(announce(&bench, room).unwrap());
    let offer = resumable("big", Some(4 * GROUP_BYTES), ResumeMode::TakeOver);
    let other = announce(&bench, room).unwrap();
    // It would not fit beside the other; and what is here of it is not lost by that.
    assert_eq!(code(bench.inbox().offered(&offer)), RefusalCode::QuotaExceeded);
    drop(other);
    let upload = accept(bench.inbox(), &offer);
    let missing = upload.missing();
    assert_eq!(missing[0].offset, GROUP_BYTES + 5);
    upload.body(missing[0]).unwrap().write(&content[GROUP_BYTES as usize + 5..]);
    wait(&upload.commit(4 * GROUP_BYTES, Some(digest(&content)))).unwrap();
    assert_eq!(totals(&bench), [4 * GROUP_BYTES, 1, 0, 0]);
    bench.send("rest", &[0; 10]).unwrap();
}

#[test]
fn the_room_of_an_upload_that_is_cleaned_away_is_noticed() {
    let (bench, _) = cut_upload(0);
    let partials = bench.path(".sandport/partials");
    for entry in fs::read_dir(&partials).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let cleaned = clean(&bench.dir(), Duration::from_secs(60), false).unwrap();
    assert_eq!((cleaned.removed.len(), cleaned.served), (1, true));
    drop(announce(&bench, 4 * GROUP_BYTES).unwrap());
}
