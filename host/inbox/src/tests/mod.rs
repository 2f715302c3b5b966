#![allow(clippy::unwrap_used, clippy::expect_used)]

//! What a sender, an operator and someone else on the same machine can see of an inbox.

mod batches;
mod checked;
mod concatenation;
mod conflicts;
mod copiers;
mod copying;
mod crashes;
mod damage;
mod disk_full;
mod failing_disk;
mod faults;
mod health;
mod identities;
mod intake;
mod keeps;
mod killed;
mod leftovers;
mod locations;
mod looks;
mod lost_writes;
mod made_keys;
mod maintenance;
mod missed;
mod modes;
mod nameless;
mod odd_disks;
mod ownership;
mod paths;
mod places;
mod power;
mod power_scenarios;
mod quota;
mod recognition;
mod removals;
mod resend;
mod resent;
mod resume;
mod resume_offers;
mod runs;
mod shares;
mod simulated_disk;
mod simulation;
mod space;
mod stored;
mod suite;
mod sums;
mod superseded;
mod syncs;
mod threads;
mod unsynced;

use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tempfile::TempDir;

use super::disk::Disk;
use super::maintenance::{Integrity as Checked, verify};
use super::*;
use crate::Identity;
use sandport_protocol::{
    Digest, EntryKind, EntryName, Extent, Offer, Receipt, Refusal, RefusalCode,
};
use sandport_testkit::namespace;
use sandport_testkit::patience::{Watchdog, block_on, joined, receive, until};

/// An inbox in a directory of its own.
struct Bench {
    directory: TempDir,
    options: InboxOptions,
    inbox: Option<Inbox>,
    _watchdog: Watchdog,
}

impl Bench {
    fn new() -> Self {
        Self::with(InboxOptions::default())
    }

    fn with(options: InboxOptions) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), options)
    }

    /// In memory, where this system has a place for that: for tests that start hundreds of servers
    /// and would wait for the disk most of the time.
    fn in_memory(options: InboxOptions) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::in_directory(directory.unwrap(), options)
    }

    fn in_directory(directory: TempDir, options: InboxOptions) -> Self {
        let inbox = Inbox::open(&directory.path().join("inbox"), options.clone()).unwrap();
        Self { directory, options, inbox: Some(inbox), _watchdog: Watchdog::start() }
    }

    /// On a disk that is not as others.
    fn on(disk: Disk, options: InboxOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inbox = Inbox::open_on(disk, &directory.path().join("inbox"), options.clone()).unwrap();
        Self { directory, options, inbox: Some(inbox), _watchdog: Watchdog::start() }
    }

    fn conflict(conflict: Conflict) -> Self {
        Self::with(InboxOptions { conflict, ..InboxOptions::default() })
    }

    fn inbox(&self) -> &Inbox {
        self.inbox.as_ref().unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.directory.path().join("inbox")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Ends the server and starts another.
    fn restart(&mut self) {
        self.inbox = None;
        self.inbox = Some(Inbox::open(&self.dir(), self.options.clone()).unwrap());
    }

    fn send(&self, name: &str, content: &[u8]) -> Result<Receipt, Refusal> {
        send(self.inbox(), name, content)
    }

    /// All that is published, with `/` behind directories and the content of files.
    fn published(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        list(&self.dir(), "", &mut found);
        found.sort();
        found
    }

    fn names(&self) -> Vec<String> {
        self.published().into_iter().map(|(name, _)| name).collect()
    }

    /// How many files are staged, when all is removed that is to be.
    fn staged(&self) -> usize {
        self.inbox.as_ref().inspect(|inbox| settle(inbox));
        fs::read_dir(self.path(".sandport/staging")).unwrap().count()
    }
}

/// Waits until all is removed that is to be.
fn settle(inbox: &Inbox) {
    let runtime = inbox.handle.pool.runtime();
    until("all to be removed", || runtime.removals() == 0);
}

/// What `verify` says of an inbox.
fn verified(dir: &Path) -> Vec<String> {
    verify(dir)
        .unwrap()
        .map(|checked| {
            let word = match checked.integrity {
                Checked::Whole => "whole",
                Checked::Changed => "changed",
                Checked::Missing => "missing",
                Checked::Unrecorded => "unrecorded",
                Checked::Unreadable(error) => panic!("{error}"),
            };
            format!("{word} {}", checked.path.display())
        })
        .collect()
}

fn list(dir: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        // Also a copy that a crash has left: nobody takes that for a file.
        if entry.file_name() == ".sandport" {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push((format!("{name}/"), Vec::new()));
            list(&entry.path(), &format!("{name}/"), found);
        } else if kind.is_file() {
            found.push((name, fs::read(entry.path()).unwrap()));
        } else {
            found.push((format!("{name}@"), Vec::new()));
        }
    }
}

/// An offer of a file with a known size and without a digest.
fn offer(name: &str, content: &[u8]) -> Offer {
    Offer::of_file(Some(name.to_owned()), Some(content.len() as u64))
}

fn offer_with_digest(name: &str, content: &[u8]) -> Offer {
    Offer { digest: Some(digest(content)), ..offer(name, content) }
}

fn offer_directory(name: &str) -> Offer {
    Offer { kind: EntryKind::Directory, size: None, ..offer(name, b"") }
}

fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

const ALL: Extent = Extent { offset: 0, length: None };

/// Opens an offer that has to be accepted.
fn accept(inbox: &Inbox, offer: &Offer) -> Upload {
    match inbox.offered(offer).unwrap() {
        OfferResponse::Accepted(upload) => upload,
        other => panic!("{offer:?} got {other:?}"),
    }
}

/// An upload that has received `content`.
fn upload(inbox: &Inbox, offer: &Offer, content: &[u8]) -> Upload {
    let upload = accept(inbox, offer);
    if !content.is_empty() {
        upload.body(ALL).unwrap().write(content);
    }
    upload
}

impl Inbox {
    /// For a sender that is nobody in particular, as most are here.
    pub(crate) fn offered(&self, offer: &Offer) -> Result<OfferResponse, Refusal> {
        self.offered_as(&Identity::ANONYMOUS, offer)
    }

    /// As [`Inbox::offer`], waited for.
    pub(crate) fn offered_as(
        &self,
        sender: &Identity,
        offer: &Offer,
    ) -> Result<OfferResponse, Refusal> {
        block_on("the answer to an offer", self.offer(sender, offer))
    }
}

/// Sends a file as a sender does that knows its size but not its digest.
fn send(inbox: &Inbox, name: &str, content: &[u8]) -> Result<Receipt, Refusal> {
    commit(inbox, &offer(name, content), content)
}

/// Sends a file however it was offered, unless it is here already.
fn commit(inbox: &Inbox, offer: &Offer, content: &[u8]) -> Result<Receipt, Refusal> {
    commit_as(inbox, &Identity::ANONYMOUS, offer, content)
}

fn commit_as(
    inbox: &Inbox,
    sender: &Identity,
    offer: &Offer,
    content: &[u8],
) -> Result<Receipt, Refusal> {
    match inbox.offered_as(sender, offer)? {
        OfferResponse::Stored(receipt) => Ok(receipt),
        OfferResponse::Committing(pending) => wait(&pending),
        OfferResponse::Comparing(comparison) => {
            block_on("the comparison of a stored file", comparison.ready());
            commit_as(inbox, sender, offer, content)
        }
        OfferResponse::DigestFirst => {
            let offer = Offer { digest: Some(digest(content)), ..offer.clone() };
            commit_as(inbox, sender, &offer, content)
        }
        OfferResponse::Accepted(upload) => {
            if !content.is_empty() {
                upload.body(ALL)?.write(content);
            }
            wait(&upload.commit(content.len() as u64, Some(digest(content))))
        }
    }
}

fn wait(pending: &CommitHandle) -> Result<Receipt, Refusal> {
    block_on("the outcome of a commit", pending.ready());
    pending.try_get().unwrap()
}

fn code(result: Result<impl fmt::Debug, Refusal>) -> RefusalCode {
    result.unwrap_err().code
}
