//! What does not fit together: sizes, digests, places, and uploads that are given up.

use rustix::io::Errno;

use super::*;
use crate::disk::Step;

#[test]
fn a_wrong_digest_publishes_nothing() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let open = |offer| upload(bench.inbox(), &offer, b"hello");
        let outcomes = [
            open(offer("a", b"hello")).commit(5, Some(digest(b"other"))),
            open(offer_with_digest("a", b"hallo")).commit(5, None),
            open(offer_with_digest("a", b"hallo")).commit(5, Some(digest(b"hello"))),
            open(offer_with_digest("a", b"hello")).commit(5, Some(digest(b"hallo"))),
        ];
        for pending in &outcomes {
            assert_eq!(code(wait(pending)), RefusalCode::DigestMismatch);
        }
        assert!(bench.names().is_empty());
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn a_wrong_size_publishes_nothing() {
    let bench = Bench::new();
    let known = |size: u64, content: &[u8], committed: u64| {
        let offer = Offer { size: Some(size), ..offer("a", b"") };
        wait(&upload(bench.inbox(), &offer, content).commit(committed, None))
    };
    assert_eq!(code(known(5, b"hell", 5)), RefusalCode::DigestMismatch);
    assert_eq!(code(known(5, b"hell", 4)), RefusalCode::DigestMismatch);
    assert_eq!(code(known(5, b"hello", 4)), RefusalCode::DigestMismatch);
    assert_eq!(code(known(5, b"hello", 6)), RefusalCode::DigestMismatch);
    assert_eq!(code(known(5, b"", 5)), RefusalCode::DigestMismatch);
    let unknown = Offer { size: None, ..offer("a", b"") };
    let pending = upload(bench.inbox(), &unknown, b"hello").commit(4, None);
    assert_eq!(code(wait(&pending)), RefusalCode::DigestMismatch);
    assert!(bench.names().is_empty());
    assert_eq!(bench.staged(), 0);
}

#[test]
fn an_upload_that_is_dropped_or_discarded_leaves_nothing() {
    let bench = Bench::new();
    drop(upload(bench.inbox(), &offer("a", b"hello"), b"hello"));
    upload(bench.inbox(), &offer("a", b"hello"), b"hello").discard();
    upload(bench.inbox(), &Offer { size: Some(9), ..offer("a", b"") }, b"hello").discard();
    let upload = accept(bench.inbox(), &offer("a", b"hello"));
    let mut body = upload.body(ALL).unwrap();
    body.write(b"he");
    drop(upload);
    assert_eq!(bench.staged(), 0);
    // A body that outlives its upload swallows.
    body.write(b"llo");
    assert_eq!((bench.staged(), bench.names().len()), (0, 0));
}

#[test]
fn a_large_upload_that_is_dropped_leaves_nothing_either() {
    for durability in [Durability::Commit, Durability::None] {
        let mut bench = Bench::in_memory(InboxOptions { durability, ..InboxOptions::default() });
        let upload = accept(bench.inbox(), &Offer { size: None, ..offer("a", b"") });
        let mut body = upload.body(ALL).unwrap();
        for _ in 0..65 {
            body.write(&vec![0; 1 << 20]);
        }
        drop(upload);
        drop(body);
        bench.inbox = None;
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn a_commit_seals_the_body() {
    let bench = Bench::new();
    let unknown = Offer { size: None, ..offer("a", b"") };
    let upload = accept(bench.inbox(), &unknown);
    let mut body = upload.body(ALL).unwrap();
    body.write(b"hello");
    let pending = upload.commit(5, None);
    body.write(b" and more");
    wait(&pending).unwrap();
    body.write(b" and more");
    assert_eq!(fs::read(bench.path("a")).unwrap(), b"hello");
}

#[test]
fn more_bytes_than_announced_are_a_fault_that_stays() {
    let bench = Bench::new();
    let upload = accept(bench.inbox(), &offer("a", b"hello"));
    let watch = upload.watch();
    let mut body = upload.body(ALL).unwrap();
    body.write(b"hell");
    assert_eq!((upload.fault(), watch.fault()), (None, None));
    body.write(b"o!");
    assert_eq!(upload.fault().unwrap().code, RefusalCode::OffsetMismatch);
    block_on("the news of a fault", async {
        watch.news().await;
        watch.news().await;
    });
    // The room on the disk is given back at once, and nothing revives the upload.
    assert_eq!(bench.staged(), 0);
    body.write(b"o");
    drop(body);
    assert_eq!(code(upload.body(ALL)), RefusalCode::OffsetMismatch);
    assert_eq!(code(wait(&upload.commit(5, None))), RefusalCode::OffsetMismatch);
    assert_eq!(watch.fault().unwrap().code, RefusalCode::OffsetMismatch);
    assert!(bench.names().is_empty());
}

#[test]
fn more_bytes_than_the_extent_are_a_fault() {
    let bench = Bench::new();
    let upload = accept(bench.inbox(), &offer("a", b"hello"));
    let mut body = upload.body(Extent { offset: 0, length: Some(2) }).unwrap();
    body.write(b"he");
    body.write(b"l");
    assert_eq!(upload.fault().unwrap().code, RefusalCode::OffsetMismatch);
}

#[test]
fn a_fault_wakes_whoever_waits_for_it() {
    let bench = Bench::new();
    let upload = accept(bench.inbox(), &offer("a", b"hello"));
    let watch = upload.watch();
    let mut body = upload.body(ALL).unwrap();
    block_on("the news of a fault", async {
        tokio::join!(watch.news(), watch.news(), async { body.write(b"hello!") });
    });
}

#[test]
fn files_over_the_limit_are_refused_announced_or_grown() {
    let bench = Bench::with(InboxOptions { max_file_size: Some(4), ..InboxOptions::default() });
    assert_eq!(code(bench.inbox().offered(&offer("a", b"hello"))), RefusalCode::TooLarge);
    bench.send("fits", b"four").unwrap();
    let unknown = Offer { size: None, ..offer("a", b"") };
    let upload = accept(bench.inbox(), &unknown);
    let mut body = upload.body(ALL).unwrap();
    body.write(b"four");
    assert_eq!(upload.fault(), None);
    body.write(b"!");
    assert_eq!(upload.fault().unwrap().code, RefusalCode::TooLarge);
    assert_eq!(code(wait(&upload.commit(5, None))), RefusalCode::TooLarge);
    assert_eq!(bench.names(), ["fits"]);
}

#[test]
fn a_file_that_cannot_fit_on_the_disk_is_refused_when_announced() {
    let bench = Bench::new();
    for size in [1 << 60, u64::MAX] {
        let offer = Offer { size: Some(size), ..offer("a", b"") };
        assert_eq!(code(bench.inbox().offered(&offer)), RefusalCode::InsufficientSpace);
    }
}

#[test]
fn bodies_have_to_come_in_order_and_one_at_a_time() {
    let bench = Bench::new();
    let upload = accept(bench.inbox(), &offer("a", b"hello"));
    let extent = |offset, length| Extent { offset, length };
    let refused = |extent| code(upload.body(extent));
    assert_eq!(refused(extent(1, None)), RefusalCode::OffsetMismatch);
    assert_eq!(refused(extent(0, Some(6))), RefusalCode::OffsetMismatch);
    assert_eq!(refused(extent(0, Some(u64::MAX))), RefusalCode::OffsetMismatch);
    assert_eq!(refused(extent(5, None)), RefusalCode::OffsetMismatch);
    assert_eq!(refused(extent(u64::MAX, Some(1))), RefusalCode::OffsetMismatch);
    assert_eq!(upload.missing(), [extent(0, Some(5))]);

    let mut first = upload.body(extent(0, Some(3))).unwrap();
    assert_eq!(refused(extent(0, Some(3))), RefusalCode::InvalidState);
    first.write(b"he");
    assert_eq!(refused(extent(2, None)), RefusalCode::InvalidState);
    first.write(b"l");
    // Full: the next may come, although this one still lives.
    assert_eq!(upload.missing(), [extent(3, Some(2))]);
    assert_eq!(refused(extent(0, Some(3))), RefusalCode::OffsetMismatch);
    let second = upload.body(extent(3, Some(1))).unwrap();
    drop(first);
    assert_eq!(refused(extent(3, None)), RefusalCode::InvalidState);
    // Dropped before it was full: what it did not take is still missing.
    drop(second);
    let mut third = upload.body(extent(3, None)).unwrap();
    third.write(b"lo");
    assert_eq!(upload.missing(), []);
    assert_eq!(refused(extent(5, None)), RefusalCode::OffsetMismatch);
    upload.body(extent(5, Some(0))).unwrap();
    wait(&upload.commit(5, Some(digest(b"hello")))).unwrap();
}

#[test]
fn outcomes_come_in_the_order_of_the_commits() {
    let bench = Bench::new();
    let good: Vec<Upload> =
        (0..20).map(|n| upload(bench.inbox(), &offer(&format!("f{n}"), b"x"), b"x")).collect();
    let bad = upload(bench.inbox(), &offer("bad", b"x"), b"x");
    let pending: Vec<CommitHandle> =
        good.into_iter().map(|upload| upload.commit(1, None)).collect();
    let last = bad.commit(1, Some(digest(b"y")));
    assert_eq!(code(wait(&last)), RefusalCode::DigestMismatch);
    assert!(pending.iter().all(|pending| pending.try_get().unwrap().is_ok()));
}

#[test]
fn dropping_a_pending_does_not_undo_the_commit() {
    let mut bench = Bench::new();
    drop(upload(bench.inbox(), &offer("a", b"hello"), b"hello").commit(5, None));
    bench.restart();
    assert_eq!(bench.names(), ["a"]);
}

/// The refusal of a send in which `step` fails with `errno`, and what is published after it.
fn send_with_failure(
    durability: Durability,
    step: Step,
    errno: Errno,
) -> (RefusalCode, Vec<String>) {
    let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
    let mut failing = true;
    bench.inbox().handle.core.disk.watch(Box::new(move |at| {
        let fails = at == step && std::mem::take(&mut failing);
        if fails { Err(errno) } else { Ok(()) }
    }));
    let refusal = bench.send("a/b", b"hello").unwrap_err();
    let words = refusal.to_string();
    assert!(!words.contains(bench.directory.path().to_str().unwrap()), "{words}");
    assert_eq!(bench.staged(), 0, "{step:?}");
    let names = bench.names();
    // The inbox goes on.
    let receipt = bench.send("c", b"again").unwrap();
    assert_eq!(fs::read(bench.path(&receipt.name)).unwrap(), b"again");
    (refusal.code, names)
}

#[test]
fn a_failing_disk_refuses_one_upload_and_the_inbox_goes_on() {
    for durability in [Durability::Commit, Durability::None] {
        for (errno, code) in [
            (Errno::IO, RefusalCode::Io),
            (Errno::ROFS, RefusalCode::NotPermitted),
            (Errno::NOSPC, RefusalCode::InsufficientSpace),
            (Errno::DQUOT, RefusalCode::InsufficientSpace),
            (Errno::MFILE, RefusalCode::TooMany),
            (Errno::FBIG, RefusalCode::TooLarge),
        ] {
            for step in [Step::Create, Step::Write, Step::MakeDir] {
                let outcome = send_with_failure(durability, step, errno);
                assert_eq!(outcome, (code, vec![]), "{step:?}");
            }
            let outcome = send_with_failure(durability, Step::Publish, errno);
            assert_eq!(outcome, (code, vec!["a/".to_owned()]));
        }
    }
    for step in [Step::SyncFile, Step::WriteLog, Step::SyncLog, Step::SyncDir] {
        let (code, names) = send_with_failure(Durability::Commit, step, Errno::IO);
        assert_eq!(code, RefusalCode::Io);
        assert_eq!(names.contains(&"a/b".to_owned()), step == Step::SyncDir, "{step:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_durable_is_not_stored_yet() {
    for step in [Step::MakeDir, Step::SyncDir] {
        let bench = Bench::new();
        let mut failures = vec![step, Step::SyncAll];
        bench.inbox().handle.core.disk.watch(Box::new(move |at| {
            let fails = failures.first() == Some(&at);
            if fails {
                failures.remove(0);
            }
            if fails { Err(Errno::IO) } else { Ok(()) }
        }));
        let outcome = commit(bench.inbox(), &offer_directory("a/b"), b"");
        assert_eq!(code(outcome), RefusalCode::Io);
        if step == Step::SyncDir {
            // It exists by now, and so there is nothing to make; but it is not durable.
            let outcome = commit(bench.inbox(), &offer_directory("a/b"), b"");
            assert_eq!(code(outcome), RefusalCode::Io);
        }
        commit(bench.inbox(), &offer_directory("a/b"), b"").unwrap();
    }
}

#[test]
fn a_receipt_log_that_cannot_be_written_costs_no_file() {
    let bench =
        Bench::with(InboxOptions { durability: Durability::None, ..InboxOptions::default() });
    let core = std::sync::Arc::clone(&bench.inbox().handle.core);
    core.disk.watch(Box::new(|step| match step {
        Step::WriteLog => Err(Errno::NOSPC),
        _ => Ok(()),
    }));
    bench.send("a", b"hello").unwrap();
    core.receipts.flush(&core.disk);
    bench.send("b", b"hello").unwrap();
    assert_eq!(bench.names(), ["a", "b"]);
}
