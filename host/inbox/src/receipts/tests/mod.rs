#![allow(clippy::unwrap_used, clippy::expect_used)]

//! What the log keeps, and what becomes of it.

mod damage;
mod failures;
mod index;
mod rewriting;
mod runs;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::log::Log;
use super::*;
use crate::disk::Step;
use crate::unpublished::Unpublished;
use sandport_protocol::inbox::{COMPACT_ENTRIES_MIN, LogEntry, LogItem, Session, push_frame};
use tempfile::TempDir;

/// An inbox's directory with its state, without the rest of an inbox.
struct Bench {
    directory: TempDir,
    root: OwnedFd,
    disk: Disk,
    /// What a run that was killed left in staging.
    staged: Unpublished,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = OwnedFd::from(fs::File::open(directory.path()).unwrap());
        Self { directory, root, disk: Disk::default(), staged: Unpublished::default() }
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
        let path = self.directory.path();
        let receipts =
            Receipts::open(&disk, root, root, durable, &self.staged, path, recognition).unwrap();
        Opened { receipts, synced: synced.load(Ordering::Relaxed) }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("receipts")
    }

    /// A published file and its record.
    fn file(&self, name: &str) -> (EntryName, Record) {
        let name = EntryName::parse(name).unwrap();
        fs::write(self.directory.path().join(name.as_str()), name.as_str()).unwrap();
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

fn publication(offered: &EntryName, record: Record) -> Publication<'_> {
    Publication { identity: &Identity::ANONYMOUS, offered, number: 0, record }
}

fn store(bench: &Bench, receipts: &Receipts, files: &[(EntryName, Record)]) {
    for (name, record) in files {
        receipts.intend(&bench.disk, std::iter::once(publication(name, *record))).unwrap();
        receipts.publish(&publication(name, *record), name);
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
