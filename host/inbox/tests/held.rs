//! How much memory uploads take that are open. A test by itself: what is counted is what the whole process has.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peak_alloc::PeakAlloc;
use sandport_inbox::{
    Durability, Identity, Inbox, InboxOptions, MemoryAccount, OfferResponse, Upload, memory_of,
};
use sandport_protocol::{EntryKind, Extent, Offer, Resume, ResumeMode};
use sandport_testkit::patience::{Watchdog, block_on, until};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: u64 = 1024 * 1024;
const UPLOADS: u64 = 1_000;

/// What a server has of an upload besides: handles, streams, a span. Bytes.
const SERVER_BYTES: u64 = 768;

/// Counts what is held.
#[derive(Default)]
struct Account(AtomicU64);

impl MemoryAccount for Account {
    fn hold(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        false
    }
}

fn offer(number: u64, is_resumable: bool) -> Offer {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    let resume = Resume { key, epoch: 1, mode: ResumeMode::TakeOver };
    Offer {
        name: Some(format!("upload {number} {is_resumable}")),
        kind: EntryKind::File,
        size: Some(300 * MIB),
        digest: None,
        modified_ns: None,
        executable: false,
        resume: is_resumable.then_some(resume),
    }
}

fn open(inbox: &Inbox, is_resumable: bool) -> Vec<Upload> {
    let open = |number| {
        let offer = offer(number, is_resumable);
        let opened = block_on("an offer", inbox.offer(&Identity::ANONYMOUS, &offer));
        let Ok(OfferResponse::Accepted(upload)) = opened else { panic!("{opened:?}") };
        upload
    };
    (0..UPLOADS).map(open).collect()
}

#[test]
fn an_open_upload_takes_no_more_than_is_charged_for_it() {
    let _watchdog = Watchdog::start();
    let folder = tempfile::tempdir().unwrap();
    let mut options = InboxOptions::default();
    options.durability = Durability::None;
    let inbox = Inbox::open(&folder.path().join("inbox"), options).unwrap();
    for is_resumable in [false, true] {
        // What is made once is there.
        drop(open(&inbox, is_resumable).pop());
        let account = Arc::new(Account::default());
        let before = MEMORY.current_usage() as u64;
        let uploads = open(&inbox, is_resumable);
        let bodies: Vec<_> = uploads
            .iter()
            .map(|upload| {
                upload.hold_memory(Arc::clone(&account) as _);
                let mut body = upload.body(Extent { offset: 0, length: None }).unwrap();
                body.write(&[7]);
                body
            })
            .collect();
        let taken = || MEMORY.current_usage() as u64 - before;
        let charged = |uploads| uploads * memory_of(&offer(0, is_resumable), false);
        let with_a_byte = taken();
        assert!(with_a_byte + UPLOADS * SERVER_BYTES <= charged(UPLOADS), "{with_a_byte}");
        drop(bodies);
        for upload in uploads.iter().filter(|_| is_resumable) {
            for group in 1..100 {
                let mut body = upload.body(Extent { offset: group * MIB, length: None }).unwrap();
                body.write(&[7; 20]);
            }
        }
        let (taken, held) = (taken(), account.0.load(Ordering::Relaxed));
        assert!(taken <= charged(UPLOADS) + held, "{taken}");
        drop(uploads);
        until("what was held to be free", || account.0.load(Ordering::Relaxed) == 0);
    }
}
