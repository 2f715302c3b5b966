//! A log of mostly dead entries is written anew, also beside the work.

use super::*;
use sandport_testkit::patience::{PATIENCE, receive};

impl Receipts {
    /// Writes the log anew where that is due, while nobody else does anything.
    fn tidy(&self, bench: &Bench) {
        if let Some(due) = self.compaction_due(&bench.disk) {
            self.compact(&bench.disk, bench.root.as_fd(), due);
        }
    }
}

/// Writes living entries, five thousand `dead` ones between them, and opens the log again.
fn assert_rewritten(dead: impl Fn(u32) -> String, closed: bool) {
    let bench = Bench::new();
    let living: Vec<_> = (0..20).map(|n| bench.file(&format!("f{n}"))).collect();
    let (last, record) = bench.file("dead-4999");
    let receipts = bench.open().receipts;
    store(&bench, &receipts, &living[..10]);
    let dead: Vec<EntryName> = (0..5_000).map(|n| EntryName::parse(&dead(n)).unwrap()).collect();
    let publications = dead.iter().map(|name| publication(name, record));
    receipts.intend(&bench.disk, publications).unwrap();
    store(&bench, &receipts, &living[10..]);
    if closed {
        receipts.close(&bench.disk, true, false);
    }
    let before = fs::metadata(bench.log()).unwrap().len();
    assert!(before > 300_000, "{before}");
    // Once from the old log and once from the new one.
    for _ in 0..2 {
        let opened = bench.open();
        assert!(living.iter().all(|(name, _)| bench.finds(&opened.receipts, name)));
        assert!(bench.finds(&opened.receipts, &last));
        assert_eq!(opened.synced, !closed);
        let after = fs::metadata(bench.log()).unwrap().len();
        assert!(after < 3_000, "{before} to {after}");
    }
    let later = bench.file("later");
    store(&bench, &bench.open().receipts, std::slice::from_ref(&later));
    let receipts = bench.open().receipts;
    assert!(bench.finds(&receipts, &later.0) && bench.finds(&receipts, &living[0].0));
}

#[test]
fn a_log_of_mostly_superseded_entries_is_rewritten() {
    assert_rewritten(|_| "dead-4999".to_owned(), true);
    assert_rewritten(|_| "dead-4999".to_owned(), false);
}

#[test]
fn a_log_whose_files_are_mostly_gone_is_rewritten() {
    assert_rewritten(|n| format!("dead-{n}"), true);
    assert_rewritten(|n| format!("dead-{n}"), false);
}

#[test]
fn a_log_of_living_entries_is_left_as_it_is() {
    let bench = Bench::new();
    let files: Vec<_> = (0..4_200).map(|n| bench.file(&format!("f{n}"))).collect();
    let receipts = bench.open().receipts;
    let publications = files.iter().map(|(name, record)| publication(name, *record));
    receipts.intend(&bench.disk, publications).unwrap();
    let before = fs::read(bench.log()).unwrap();
    let receipts = bench.open().receipts;
    assert!(files.iter().all(|(name, _)| bench.finds(&receipts, name)));
    assert!(fs::read(bench.log()).unwrap() == before);
}

#[test]
fn commits_go_on_while_the_log_is_written_anew() {
    let bench = Bench::new();
    let (replaced, kept) = (bench.file("replaced"), bench.file("kept"));
    let receipts = bench.open().receipts;
    store(&bench, &receipts, std::slice::from_ref(&kept));
    let records: Vec<Record> = (0..5_000).map(|n| Record { inode: n, ..replaced.1 }).collect();
    let publications = records.iter().map(|record| publication(&replaced.0, *record));
    receipts.intend(&bench.disk, publications).unwrap();
    receipts.publish(&publication(&replaced.0, replaced.1), &replaced.0);
    let due = receipts.compaction_due(&bench.disk).unwrap();
    assert!(receipts.compaction_due(&bench.disk).is_none(), "one at a time");
    // It has come as far as to the writing of the new log, and waits there until others have committed.
    let disk = Disk::default();
    let (reached, wait_reached) = std::sync::mpsc::channel();
    let (go_on, wait_go_on) = std::sync::mpsc::channel::<()>();
    let mut first = true;
    disk.watch(Box::new(move |_| {
        if std::mem::take(&mut first) {
            reached.send(()).unwrap();
            let _ = wait_go_on.recv_timeout(PATIENCE);
        }
        Ok(())
    }));
    let meanwhile: Vec<_> = (0..20).map(|n| bench.file(&format!("m{n}"))).collect();
    std::thread::scope(|scope| {
        let (receipts, root) = (&receipts, bench.root.as_fd());
        scope.spawn(move || receipts.compact(&disk, root, due));
        receive("the writing of the new log", &wait_reached);
        store(&bench, receipts, std::slice::from_ref(&replaced));
        store(&bench, receipts, &meanwhile);
        drop(go_on);
    });
    let length = fs::metadata(bench.log()).unwrap().len();
    assert!(length < 30 * 100, "{length}: it is the new one");
    let later = bench.file("later");
    store(&bench, &receipts, std::slice::from_ref(&later));
    let receipts = bench.open().receipts;
    for (name, _) in meanwhile.iter().chain([&replaced, &kept, &later]) {
        assert!(bench.finds(&receipts, name), "{name}");
    }
}

#[test]
fn a_log_that_was_cut_while_it_is_written_anew_stays() {
    let bench = Bench::new();
    let (replaced, failed) = (bench.file("replaced"), bench.file("failed"));
    let receipts = bench.open().receipts;
    let publications = (0..5_000).map(|n| Record { inode: n, ..replaced.1 }).collect::<Vec<_>>();
    let publications = publications.iter().map(|record| publication(&replaced.0, *record));
    receipts.intend(&bench.disk, publications).unwrap();
    store(&bench, &receipts, std::slice::from_ref(&replaced));
    let due = receipts.compaction_due(&bench.disk).unwrap();
    fail_once(&bench.disk, Step::SyncLog);
    let intended = std::iter::once(publication(&failed.0, failed.1));
    receipts.intend(&bench.disk, intended).unwrap_err();
    let before = fs::read(bench.log()).unwrap();
    receipts.compact(&Disk::default(), bench.root.as_fd(), due);
    assert!(fs::read(bench.log()).unwrap() == before);
    assert!(!bench.directory.path().join("receipts.new").exists());
    assert!(!receipts.is_compacting());
}

/// Stores 30 times 500 files under one name, and lets the log be tidied after each 500; the largest
/// that it was.
fn store_under_one_name(
    bench: &Bench,
    receipts: &Receipts,
    (name, record): &(EntryName, Record),
) -> u64 {
    let mut largest = 0;
    for round in 0..30 {
        let records: Vec<Record> = (0..500)
            .map(|n| Record { inode: round * 500 + n, ..*record })
            .chain([*record])
            .collect();
        let publications = records.iter().map(|record| publication(name, *record));
        receipts.intend(&bench.disk, publications).unwrap();
        for record in &records {
            receipts.publish(&publication(name, *record), name);
        }
        receipts.tidy(bench);
        largest = largest.max(fs::metadata(bench.log()).unwrap().len());
    }
    largest
}

#[test]
fn a_log_is_rewritten_while_in_use_and_loses_nothing() {
    for durable in [true, false] {
        let bench = Bench::new();
        let before: Vec<_> = (0..20).map(|n| bench.file(&format!("f{n}"))).collect();
        store(&bench, &bench.open().receipts, &before);
        let (replaced, later) = (bench.file("replaced"), bench.file("later"));
        let receipts = bench.open_as(durable).receipts;
        let largest = store_under_one_name(&bench, &receipts, &replaced);
        // An entry has some 70 bytes. Without tidying there would be 15,000 of them.
        assert!(largest < 80 * (4_096 + 500), "{largest}");
        store(&bench, &receipts, std::slice::from_ref(&later));
        receipts.close(&bench.disk, true, false);
        let receipts = bench.open().receipts;
        for (name, _) in before.iter().chain([&replaced, &later]) {
            assert!(bench.finds(&receipts, name), "{name}");
        }
        assert!(!bench.directory.path().join("receipts.new").exists());
    }
}

#[test]
fn a_log_of_large_files_alone_is_looked_at_too() {
    let bench = Bench::new();
    let (name, record) = bench.file("large");
    let record = Record { size: NOTED_AT_ONCE_BYTES_MIN, ..record };
    let receipts = bench.open_as(false).receipts;
    let asked = (0..COMPACT_ENTRIES_MIN + 10).filter(|_| {
        receipts.note(&bench.disk, &publication(&name, record));
        receipts.wants_flush()
    });
    assert_eq!(asked.count(), 1);
}

#[test]
fn a_log_that_cannot_be_rewritten_goes_on_as_it_is() {
    let bench = Bench::new();
    let replaced = bench.file("replaced");
    // Something else has the name.
    fs::create_dir(bench.directory.path().join("receipts.new")).unwrap();
    let receipts = bench.open().receipts;
    let largest = store_under_one_name(&bench, &receipts, &replaced);
    assert!(largest > 60 * 15_000, "{largest}");
    let later = bench.file("later");
    store(&bench, &receipts, std::slice::from_ref(&later));
    fs::remove_dir(bench.directory.path().join("receipts.new")).unwrap();
    let receipts = bench.open().receipts;
    assert!(bench.finds(&receipts, &replaced.0) && bench.finds(&receipts, &later.0));
}
