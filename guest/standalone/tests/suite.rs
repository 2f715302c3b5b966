//! The suite that every inbox passes, on a disk of std's.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod std_disk;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sandport_protocol::inbox::suite::{self, Begun, Settings, Subject};
use sandport_protocol::{Digest, EntryName, Extent, Offer, Receipt, Refusal};
use sandport_standalone::inbox::{Durability, Inbox, Options, Upload, Verdict};
use std_disk::StdFolder;
use tempfile::TempDir;

sandport_protocol::inbox_suite!(make);

fn make(settings: &Settings) -> Box<dyn Subject> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("inbox");
    std::fs::create_dir(&dir).unwrap();
    let options = Options {
        conflict: settings.conflict,
        durability: if settings.durable { Durability::Commit } else { Durability::None },
        size_max: settings.size_max,
        classic_name: settings.classic_name.as_ref().map(|name| EntryName::parse(name).unwrap()),
    };
    let inbox = open(&dir, &options);
    Box::new(Bench { _folder: folder, dir, options, inbox })
}

fn open(dir: &Path, options: &Options) -> Inbox<StdFolder> {
    Inbox::open(StdFolder::new(dir), options.clone(), chance).unwrap()
}

/// Numbers that differ in both halves.
fn chance() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
}

struct Bench {
    _folder: TempDir,
    dir: PathBuf,
    options: Options,
    inbox: Inbox<StdFolder>,
}

impl Subject for Bench {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn restart(&mut self) {
        self.inbox = open(&self.dir, &self.options);
    }

    fn answer(&self, offer: &Offer) -> Result<suite::Verdict, Refusal> {
        Ok(match self.inbox.answer(offer)? {
            Verdict::Stored(receipt) => suite::Verdict::Stored(receipt),
            Verdict::DigestFirst => suite::Verdict::DigestFirst,
            Verdict::Accepted(upload) => suite::Verdict::Accepted(Box::new(Received(upload))),
        })
    }
}

struct Received(Upload<StdFolder>);

impl Begun for Received {
    fn missing(&self) -> Vec<Extent> {
        self.0.missing()
    }

    fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        self.0.body(extent)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn fault(&self) -> Option<Refusal> {
        self.0.fault().cloned()
    }

    fn commit(self: Box<Self>, size: u64, digest: Option<Digest>) -> Result<Receipt, Refusal> {
        self.0.commit(size, digest).map(|published| published.receipt())
    }
}
