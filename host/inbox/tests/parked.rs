//! How much memory uploads take that nobody is at. A test by itself: what is counted is what the whole process has.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use peak_alloc::PeakAlloc;
use sandport_inbox::{Durability, Identity, Inbox, InboxOptions, OfferResponse};
use sandport_protocol::{EntryKind, Extent, Offer, Resume, ResumeMode};
use sandport_testkit::patience::{Watchdog, block_on, until};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: u64 = 1024 * 1024;

/// How many uploads are left, and how much has come of each: more than goes without a file.
const UPLOADS: u64 = 300;
const BYTES: usize = 9_000;

/// Most that may be left of each. Bytes. It is known to the quota, and how it went on is remembered for a while.
const LEFT_BYTES_MAX: usize = 512;

fn offer(number: u64) -> Offer {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    Offer {
        name: Some(format!("upload {number}")),
        kind: EntryKind::File,
        size: Some(3 * MIB),
        digest: None,
        modified_ns: None,
        executable: false,
        resume: Some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver }),
    }
}

/// Begins uploads, holds all of them at once, and leaves them.
fn leave(inbox: &Inbox, numbers: std::ops::Range<u64>) {
    let uploads: Vec<_> = numbers
        .map(|number| {
            let opened = block_on("an offer", inbox.offer(&Identity::ANONYMOUS, &offer(number)));
            let Ok(OfferResponse::Accepted(upload)) = opened else { panic!("{opened:?}") };
            let extent = Extent { offset: 0, length: Some(BYTES as u64) };
            upload.body(extent).unwrap().write(&[7; BYTES]);
            upload
        })
        .collect();
    drop(uploads);
}

#[test]
fn uploads_that_nobody_is_at_give_their_memory_back() {
    let _watchdog = Watchdog::start();
    let directory = tempfile::tempdir().unwrap();
    let mut options = InboxOptions::default();
    options.durability = Durability::None;
    let inbox = Inbox::open(&directory.path().join("inbox"), options).unwrap();
    let journals = || {
        let entries = std::fs::read_dir(directory.path().join("inbox/.sandport/partials")).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() == "journal")
            .count()
    };
    let before = MEMORY.current_usage();
    for round in 1..=2 {
        leave(&inbox, (round - 1) * UPLOADS..round * UPLOADS);
        let most = LEFT_BYTES_MAX * usize::try_from(round * UPLOADS).unwrap();
        until("the memory of the uploads to be given back", || {
            let left = MEMORY.current_usage().saturating_sub(before);
            journals() as u64 == round * UPLOADS && left <= most
        });
    }
}
