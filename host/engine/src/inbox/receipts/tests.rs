#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::inbox::disk::Step;
use sandport_protocol::inbox::{COMPACT_ENTRIES_MIN, push_frame};
use tempfile::TempDir;

/// An inbox's folder with its state, without the rest of an inbox.
struct Bench {
    folder: TempDir,
    root: OwnedFd,
    disk: Disk,
    /// What a run that was killed left in staging.
    staged: Unpublished,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = OwnedFd::from(fs::File::open(folder.path()).unwrap());
        Self { folder, root, disk: Disk::default(), staged: Unpublished::default() }
    }

    fn open(&self) -> Opened {
        self.open_as(true)
    }

    fn open_as(&self, durable: bool) -> Opened {
        let root = self.root.as_fd();
        let disk = Disk::default();
        let synced = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&synced);
        disk.watch(Box::new(move |step| {
            seen.fetch_or(step == Step::SyncAll, Ordering::Relaxed);
            Ok(())
        }));
        let recognition = Recognition::of(root, Some(true));
        let path = self.folder.path();
        let receipts =
            Receipts::open(&disk, root, root, durable, &self.staged, path, recognition).unwrap();
        Opened { receipts, synced: synced.load(Ordering::Relaxed) }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("receipts")
    }

    /// A published file and its record.
    fn file(&self, name: &str) -> (EntryName, Record) {
        let name = EntryName::parse(name).unwrap();
        fs::write(self.folder.path().join(name.as_str()), name.as_str()).unwrap();
        let stat = tree::look(&self.root, name.as_str()).unwrap().unwrap();
        let digest = *blake3::hash(name.as_str().as_bytes()).as_bytes();
        (name, describe(digest, &stat))
    }

    fn finds(&self, receipts: &Receipts, name: &EntryName) -> bool {
        receipts.find(self.root.as_fd(), &Identity::ANONYMOUS, name, |_| true).is_some()
    }
}

/// Receipts, and whether all was made durable first.
struct Opened {
    receipts: Receipts,
    synced: bool,
}

impl Receipts {
    /// Writes the log anew where that is due, while nobody else does anything.
    fn tidy(&self, bench: &Bench) {
        if let Some(due) = self.compaction_due(&bench.disk) {
            self.compact(&bench.disk, bench.root.as_fd(), due);
        }
    }
}

fn publication(offered: &EntryName, record: Record) -> Publication<'_> {
    Publication { identity: &Identity::ANONYMOUS, offered, number: 0, record }
}

fn store(bench: &Bench, receipts: &Receipts, files: &[(EntryName, Record)]) {
    for (name, record) in files {
        receipts.intend(&bench.disk, std::iter::once(publication(name, *record))).unwrap();
        receipts.publish(&publication(name, *record), name);
    }
}

/// Where each frame of a log ends.
fn frame_ends(log: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < log.len() {
        at += 12 + u32::from_le_bytes(log[at..at + 4].try_into().unwrap()) as usize;
        ends.push(at);
    }
    ends
}

#[test]
fn a_log_torn_at_any_byte_keeps_what_is_before_and_goes_on() {
    let bench = Bench::new();
    let files = ["one", "two", "three"].map(|name| bench.file(name));
    let later = bench.file("later");
    store(&bench, &bench.open().receipts, &files);
    let log = fs::read(bench.log()).unwrap();
    let ends = frame_ends(&log);
    // The session, and each of the files.
    assert_eq!((ends.len(), *ends.last().unwrap()), (4, log.len()));
    for cut in 0..=log.len() {
        fs::write(bench.log(), &log[..cut]).unwrap();
        let receipts = bench.open().receipts;
        for ((name, _), end) in files.iter().zip(&ends[1..]) {
            assert_eq!(bench.finds(&receipts, name), *end <= cut, "{name} at {cut}");
        }
        store(&bench, &receipts, std::slice::from_ref(&later));
        let receipts = bench.open().receipts;
        assert!(bench.finds(&receipts, &later.0), "after {cut}");
        for ((name, _), end) in files.iter().zip(&ends[1..]) {
            assert_eq!(bench.finds(&receipts, name), *end <= cut, "{name} after {cut}");
        }
    }
}

#[test]
fn damage_of_the_log_costs_the_entry_that_it_is_in_alone() {
    let files = ["one", "two", "three"];
    let bench = Bench::new();
    let files = files.map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files);
    let log = fs::read(bench.log()).unwrap();
    let starts: Vec<usize> = std::iter::once(0).chain(frame_ends(&log)).collect();
    let aside = bench.folder.path().join("receipts.damaged-1");
    for at in 0..log.len() {
        for damage in [0x01, 0x80, 0xFF] {
            let mut damaged = log.clone();
            damaged[at] ^= damage;
            fs::write(bench.log(), &damaged).unwrap();
            // Twice, since the first start writes the log anew.
            for start in ["first", "second"] {
                let receipts = bench.open().receipts;
                for ((name, _), frame) in files.iter().zip(starts[1..].windows(2)) {
                    let is_hit = (frame[0]..frame[1]).contains(&at);
                    assert_eq!(bench.finds(&receipts, name), !is_hit, "{name} at {at}, {start}");
                }
            }
            let hit = starts.windows(2).find(|frame| (frame[0]..frame[1]).contains(&at)).unwrap();
            // At the end it is what a crash leaves.
            if hit[1] < log.len() {
                assert_eq!(fs::read(&aside).unwrap(), damaged[hit[0]..hit[1]], "at {at}");
                fs::remove_file(&aside).unwrap();
            }
            assert!(!aside.exists());
        }
    }
}

#[test]
fn damage_is_set_aside_up_to_a_bound_and_never_a_reason_not_to_start() {
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files);
    let mut log = fs::read(bench.log()).unwrap();
    log[15] ^= 1;
    for _ in 0..20 {
        fs::write(bench.log(), &log).unwrap();
        assert!(bench.finds(&bench.open().receipts, &files[1].0));
    }
    let names = fs::read_dir(bench.folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let aside = names.filter(|name| name.to_str().unwrap().starts_with("receipts.damaged-"));
    assert_eq!(aside.count(), 16);
}

#[test]
fn a_long_end_of_a_log_that_is_no_entry_is_set_aside() {
    let bench = Bench::new();
    let file = bench.file("one");
    store(&bench, &bench.open().receipts, std::slice::from_ref(&file));
    let mut log = fs::read(bench.log()).unwrap();
    let length = log.len();
    log.resize(length + damage::TORN_BYTES_MAX as usize + 1, 0xEE);
    fs::write(bench.log(), &log).unwrap();
    assert!(bench.finds(&bench.open().receipts, &file.0));
    assert_eq!(fs::metadata(bench.log()).unwrap().len(), length as u64);
    let aside = fs::read(bench.folder.path().join("receipts.damaged-1")).unwrap();
    assert!(aside == log[length..]);
}

#[test]
fn entries_of_an_unknown_kind_are_skipped_and_kept() {
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files[..1]);
    let payload = b"\x7fwhat a later version says";
    let mut unknown = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    unknown.extend(&blake3::hash(payload).as_bytes()[..8]);
    unknown.extend(payload);
    let mut log = fs::read(bench.log()).unwrap();
    log.extend(&unknown);
    fs::write(bench.log(), &log).unwrap();
    store(&bench, &bench.open().receipts, &files[1..]);
    // Also when the log is written anew, as it is where it is damaged.
    let mut log = fs::read(bench.log()).unwrap();
    log.splice(0..0, [0; 5]);
    fs::write(bench.log(), &log).unwrap();
    let receipts = bench.open().receipts;
    assert!(files.iter().all(|(name, _)| bench.finds(&receipts, name)));
    let log = fs::read(bench.log()).unwrap();
    assert!(log.windows(unknown.len()).any(|bytes| bytes == unknown));
    assert!(log[0] != 0);
}

#[test]
fn what_is_no_log_at_all_is_cut_off() {
    let bench = Bench::new();
    for content in [vec![0; 10_000], vec![0xFF; 10_000], b"receipts\n".to_vec()] {
        fs::write(bench.log(), content).unwrap();
        bench.open();
        assert_eq!(fs::metadata(bench.log()).unwrap().len(), 0);
    }
}

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

/// Lets the next of these steps fail.
fn fail_once(disk: &Disk, step: Step) {
    let mut fails = true;
    disk.watch(Box::new(move |at| {
        if at == step && std::mem::take(&mut fails) {
            return Err(rustix::io::Errno::IO);
        }
        Ok(())
    }));
}

fn sessions(bench: &Bench) -> usize {
    let mut sessions = 0;
    Log::open(&bench.root, |item| {
        sessions += usize::from(matches!(item, LogItem::Entry(Entry::Session(_))));
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
    let staging = bench.folder.path().join("staging");
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
    fs::write(bench.folder.path().join("copy"), fs::read(bench.log()).unwrap()).unwrap();
    fs::rename(bench.folder.path().join("copy"), bench.log()).unwrap();
    assert!(records.refresh(bench.root.as_fd()).unwrap());
    assert!(records.get("f199").is_some());
    fs::remove_file(bench.log()).unwrap();
    assert!(records.refresh(bench.root.as_fd()).unwrap());
    assert!(records.get("f199").is_none());
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
            let _ = wait_go_on.recv();
        }
        Ok(())
    }));
    let meanwhile: Vec<_> = (0..20).map(|n| bench.file(&format!("m{n}"))).collect();
    std::thread::scope(|scope| {
        let (receipts, root) = (&receipts, bench.root.as_fd());
        scope.spawn(move || receipts.compact(&disk, root, due));
        let patience = std::time::Duration::from_secs(60);
        wait_reached.recv_timeout(patience).expect("the compaction writes the new log");
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
    assert!(!bench.folder.path().join("receipts.new").exists());
    assert!(!receipts.is_compacting());
}

#[test]
fn a_run_that_ended_in_good_order_needs_no_sync_at_the_next_start() {
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
fn what_was_stored_without_durability_holds_until_the_system_stops() {
    let bench = Bench::new();
    let file = bench.file("one");
    let receipts = bench.open_as(false).receipts;
    receipts.note(&bench.disk, &publication(&file.0, file.1));
    assert!(receipts.wants_flush() && !receipts.wants_flush());
    receipts.close(&bench.disk, false, false);
    assert!(!bench.open_as(false).synced);
    let next = bench.open();
    // Found, but a run that promises durability makes it true first.
    assert!(bench.finds(&next.receipts, &file.0) && next.synced);

    // The same log as another boot left it.
    let mut other_boot = Vec::new();
    Log::open(&bench.root, |item| {
        let LogItem::Entry(entry) = item else { return };
        let entry = match entry {
            Entry::Session(Session { boot, durable }) => {
                Entry::Session(Session { boot: boot ^ 1, durable })
            }
            entry => entry,
        };
        push_frame(&mut other_boot, &entry);
    })
    .unwrap();
    fs::write(bench.log(), other_boot).unwrap();
    assert!(!bench.finds(&bench.open().receipts, &file.0));
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
fn a_log_of_mostly_superseded_entries_is_rewritten_with_the_living() {
    assert_rewritten(|_| "dead-4999".to_owned(), true);
    assert_rewritten(|_| "dead-4999".to_owned(), false);
}

#[test]
fn a_log_whose_files_are_mostly_gone_is_rewritten_with_the_living() {
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
fn a_log_is_rewritten_while_it_is_in_use_and_nothing_that_counts_is_lost() {
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
        assert!(!bench.folder.path().join("receipts.new").exists());
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
    fs::create_dir(bench.folder.path().join("receipts.new")).unwrap();
    let receipts = bench.open().receipts;
    let largest = store_under_one_name(&bench, &receipts, &replaced);
    assert!(largest > 60 * 15_000, "{largest}");
    let later = bench.file("later");
    store(&bench, &receipts, std::slice::from_ref(&later));
    fs::remove_dir(bench.folder.path().join("receipts.new")).unwrap();
    let receipts = bench.open().receipts;
    assert!(bench.finds(&receipts, &replaced.0) && bench.finds(&receipts, &later.0));
}

mod index {
    use super::*;

    fn record(size: u64) -> Record {
        Record { digest: [0; 32], size, inode: 0, modified: (0, 0) }
    }

    fn insert(index: &mut Index, offered: &str, number: u32, published: &str, size: u64) {
        let (offered, record) = (Cow::Borrowed(offered), record(size));
        index.insert(&Stored { identity: None, offered, number, record }, published);
    }

    fn sizes(index: &Index, offered: &str) -> Vec<u64> {
        let offered = EntryName::parse(offered).unwrap();
        index.find(None, &offered, |_| true).into_iter().map(|(_, record)| record.size).collect()
    }

    #[test]
    fn the_latest_record_of_a_name_counts() {
        let mut index = Index::new();
        insert(&mut index, "a", 0, "a", 1);
        insert(&mut index, "a", 0, "a", 2);
        assert_eq!((sizes(&index, "a"), index.len()), (vec![2], 1));
    }

    #[test]
    fn the_latest_record_counts_however_much_came_in_between() {
        let mut index = Index::with_capacity_max(10);
        for n in 0..20 {
            insert(&mut index, "a", 0, "a", n);
            for other in 0..n {
                insert(&mut index, &format!("f{other}"), 0, &format!("f{other}"), 0);
            }
            if n < 5 {
                assert_eq!(sizes(&index, "a"), [n]);
            }
            insert(&mut index, "a", 0, "a", n + 100);
            assert_eq!(sizes(&index, "a"), [n + 100]);
        }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_half_is_kept() {
        let mut index = Index::with_capacity_max(100);
        for n in 0..1_000 {
            insert(&mut index, &format!("f{n}"), 0, &format!("f{n}"), n);
            assert!(index.len() <= 100);
        }
        for n in 950..1_000 {
            assert_eq!(sizes(&index, &format!("f{n}")), [n]);
        }
        assert!(sizes(&index, "f0").is_empty());
    }

    #[test]
    fn many_files_under_one_offered_name_are_remembered_up_to_a_bound() {
        let mut index = Index::new();
        let offered = EntryName::parse("a").unwrap();
        insert(&mut index, "a", 0, "a", 0);
        for number in 1..1_000 {
            let published = offered.renamed(number).unwrap();
            insert(&mut index, "a", number, published.as_str(), u64::from(number));
        }
        let found = sizes(&index, "a");
        assert_eq!(found.len(), 65);
        assert!(found.contains(&0) && found.contains(&999) && !found.contains(&1));
    }
}
