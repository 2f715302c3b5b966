//! What one run leaves to the next, and to those who only look.

use super::*;

#[test]
fn a_run_that_ended_well_needs_no_sync_at_the_next_start() {
    let bench = Bench::new();
    let file = bench.file("one");
    let first = bench.open();
    assert!(!first.synced);
    // Nothing was stored, so there is nothing to say.
    first.receipts.close(&bench.disk, true, false);
    assert_eq!(fs::metadata(bench.log()).unwrap().len(), 0);

    let killed = bench.open();
    store(&bench, &killed.receipts, std::slice::from_ref(&file));
    let after_kill = bench.open();
    assert!(after_kill.synced);
    store(&bench, &after_kill.receipts, std::slice::from_ref(&file));
    after_kill.receipts.close(&bench.disk, true, false);
    assert!(!bench.open().synced);
}

#[test]
fn what_was_stored_without_durability_holds_for_this_boot() {
    let bench = Bench::new();
    let file = bench.file("one");
    let receipts = bench.open_as(false).receipts;
    receipts.note(&bench.disk, &publication(&file.0, file.1));
    assert!(receipts.wants_flush() && !receipts.wants_flush());
    receipts.close(&bench.disk, false, false);
    assert!(!bench.open_as(false).synced);
    let of_boot = fs::read(bench.log()).unwrap();
    as_of_another_boot(&bench);
    assert!(!bench.finds(&bench.open().receipts, &file.0));

    fs::write(bench.log(), of_boot).unwrap();
    let next = bench.open();
    // Found, but a run that promises durability makes it true first, and says so.
    assert!(bench.finds(&next.receipts, &file.0) && next.synced);
    as_of_another_boot(&bench);
    assert!(bench.finds(&bench.open().receipts, &file.0));
}

/// The log as another boot of the system would have left it.
fn as_of_another_boot(bench: &Bench) {
    let mut other_boot = Vec::new();
    Log::open(&bench.root, |item| {
        let LogItem::Entry(entry) = item else { return };
        let entry = match entry {
            LogEntry::Session(Session { boot, durable }) => {
                LogEntry::Session(Session { boot: boot ^ 1, durable })
            }
            entry => entry,
        };
        push_frame(&mut other_boot, &entry);
    })
    .unwrap();
    fs::write(bench.log(), other_boot).unwrap();
}

#[test]
fn who_looks_reads_what_was_appended_and_no_more() {
    let bench = Bench::new();
    let files: Vec<_> = (0..200).map(|n| bench.file(&format!("f{n}"))).collect();
    let receipts = bench.open().receipts;
    store(&bench, &receipts, &files[..100]);
    let mut records = Records::default();
    assert!(records.refresh(bench.root.as_fd()).unwrap());
    assert!(!records.refresh(bench.root.as_fd()).unwrap());
    // Whatever is made of the beginning is not seen, since it is not read again.
    let log = fs::OpenOptions::new().write(true).open(bench.log()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&log, &[0xEE; 40], 0).unwrap();
    for file in &files[100..] {
        store(&bench, &receipts, std::slice::from_ref(file));
        assert!(records.refresh(bench.root.as_fd()).unwrap());
        assert_eq!(records.get(file.0.as_str()).map(|it| it.record), Some(file.1));
    }
    assert!(records.get("f0").is_some());
    // A log that was written anew is another one, and so is one that was cut and written again.
    fs::write(bench.directory.path().join("copy"), fs::read(bench.log()).unwrap()).unwrap();
    fs::rename(bench.directory.path().join("copy"), bench.log()).unwrap();
    assert!(records.refresh(bench.root.as_fd()).unwrap());
    assert!(records.get("f199").is_some());
    fs::remove_file(bench.log()).unwrap();
    assert!(records.refresh(bench.root.as_fd()).unwrap());
    assert!(records.get("f199").is_none());
}
