//! A disk that fails while the log is written, and entries of files that did not get their names.

use super::*;

#[test]
fn a_failed_write_or_sync_of_the_log_takes_nothing_else_with_it() {
    for step in [Step::WriteLog, Step::SyncLog] {
        let bench = Bench::new();
        let files = ["one", "two", "three"].map(|name| bench.file(name));
        let receipts = bench.open().receipts;
        store(&bench, &receipts, &files[..1]);
        fail_once(&bench.disk, step);
        let (name, record) = &files[1];
        receipts.intend(&bench.disk, std::iter::once(publication(name, *record))).unwrap_err();
        store(&bench, &receipts, &files[2..]);
        let receipts = bench.open().receipts;
        let found = files.each_ref().map(|(name, _)| bench.finds(&receipts, name));
        assert_eq!(found, [true, false, true]);
    }
}

fn sessions(bench: &Bench) -> usize {
    let mut sessions = 0;
    Log::open(&bench.root, |item| {
        sessions += usize::from(matches!(item, LogItem::Entry(LogEntry::Session(_))));
    })
    .unwrap();
    sessions
}

#[test]
fn a_first_write_of_a_run_that_fails_keeps_its_session() {
    for step in [Step::WriteLog, Step::SyncLog, Step::SyncLogDir] {
        let bench = Bench::new();
        let files = ["one", "two"].map(|name| bench.file(name));
        let receipts = bench.open().receipts;
        fail_once(&bench.disk, step);
        let (name, record) = &files[0];
        receipts.intend(&bench.disk, std::iter::once(publication(name, *record))).unwrap_err();
        store(&bench, &receipts, &files[1..]);
        assert_eq!(sessions(&bench), 1, "{step:?}");
    }
    // Without durability: what was written under no session would be believed after a power cut.
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| bench.file(name));
    let receipts = bench.open_as(false).receipts;
    fail_once(&bench.disk, Step::WriteLog);
    for (name, record) in &files {
        receipts.note(&bench.disk, &publication(name, *record));
        receipts.flush(&bench.disk);
    }
    assert_eq!(sessions(&bench), 1);
}

#[test]
fn a_write_of_the_log_that_failed_is_not_found_again() {
    for step in [Step::SyncLog, Step::SyncLogDir] {
        let bench = Bench::new();
        // As long as each other: the frames that failed begin where others end.
        let files: Vec<_> = (0..4).map(|n| bench.file(&format!("f{n}"))).collect();
        let receipts = bench.open().receipts;
        fail_once(&bench.disk, step);
        let failed = files[..3].iter().map(|(name, record)| publication(name, *record));
        receipts.intend(&bench.disk, failed).unwrap_err();
        store(&bench, &receipts, &files[3..]);
        let receipts = bench.open().receipts;
        let found = files.iter().filter(|(name, _)| bench.finds(&receipts, name)).count();
        assert_eq!(found, 1, "{step:?}");
    }
}

#[test]
fn an_entry_is_taken_back_by_what_was_true_before() {
    let bench = Bench::new();
    let (replaced, new) = (bench.file("replaced"), bench.file("new"));
    let receipts = bench.open().receipts;
    store(&bench, &receipts, std::slice::from_ref(&replaced));
    let record = Record { inode: 1, ..new.1 };
    let names = [&replaced.0, &new.0];
    receipts.intend(&bench.disk, names.map(|name| publication(name, record)).into_iter()).unwrap();
    // The disk does not take it at once.
    fail_once(&bench.disk, Step::WriteLog);
    receipts.take_back(&bench.disk, names.map(|name| (name, None)).into_iter());
    let later = bench.file("later");
    store(&bench, &receipts, std::slice::from_ref(&later));
    let mut records = Records::default();
    records.refresh(bench.root.as_fd()).unwrap();
    let recorded = |name: &EntryName| records.get(name.as_str()).map(|recorded| recorded.record);
    assert_eq!(recorded(&replaced.0), Some(replaced.1));
    assert_eq!(recorded(&new.0), None);
    assert_eq!(recorded(&later.0), Some(later.1));
    let receipts = bench.open().receipts;
    assert!(bench.finds(&receipts, &replaced.0) && bench.finds(&receipts, &later.0));
}

#[test]
fn a_crash_before_a_file_got_its_name_leaves_no_record_of_it() {
    let mut bench = Bench::new();
    let (replaced, other) = (bench.file("replaced"), bench.file("other"));
    let receipts = bench.open().receipts;
    store(&bench, &receipts, &[replaced.clone(), other.clone()]);
    let staging = bench.directory.path().join("staging");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("0"), b"staged").unwrap();
    let staged = tree::look(fs::File::open(&staging).unwrap(), "0").unwrap().unwrap();
    let record = describe([7; 32], &staged);
    let new = EntryName::parse("new").unwrap();
    let intended = [&replaced.0, &new, &replaced.0];
    receipts
        .intend(&bench.disk, intended.map(|name| publication(name, record)).into_iter())
        .unwrap();
    drop(receipts);
    bench.staged.add(fs::File::open(&staging).unwrap());
    let receipts = bench.open().receipts;
    assert!(bench.finds(&receipts, &replaced.0) && bench.finds(&receipts, &other.0));
    let mut records = Records::default();
    records.refresh(bench.root.as_fd()).unwrap();
    assert!(records.get("new").is_none());
    assert_eq!(records.get("replaced").map(|it| it.record), Some(replaced.1));
}
