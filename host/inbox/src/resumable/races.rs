//! What happens between two steps of those who come from outside of an upload: it ends, and its files are there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::upload::{Done, Work};
use sandport_protocol::{Extent, Offer, RefusalCode, Resume, ResumeMode};

use super::{Id, Registry};
use crate::Identity;
use crate::{Inbox, InboxOptions, OfferResponse, Upload};
use sandport_testkit::patience::{Watchdog, block_on, joined, until};

const KEY: [u8; 32] = [7; 32];

/// Who holds an upload for which nothing is being done: the table of uploads, the [`Upload`], and the test.
const HOLDERS: usize = 3;

/// Two groups and a bit.
const SIZE: u64 = 2 * 1024 * 1024 + 600;

fn accept(inbox: &Inbox) -> Upload {
    let offer = Offer {
        resume: Some(Resume { key: KEY, epoch: 1, mode: ResumeMode::TakeOver }),
        ..Offer::of_file(Some("big".into()), Some(SIZE))
    };
    let opened = block_on("an answer", inbox.offer(&Identity::ANONYMOUS, &offer));
    let Ok(OfferResponse::Accepted(upload)) = opened else { panic!("it is not accepted") };
    upload
}

/// Lets `other` find an upload that is open, and closes the upload before it is told anything.
fn close_before<T: Send>(other: impl FnOnce(&Arc<Registry>) -> T + Send) -> T {
    let _watchdog = Watchdog::start();
    let directory = tempfile::tempdir().unwrap();
    let options =
        InboxOptions { watermark_interval: Duration::from_secs(3600), ..InboxOptions::default() };
    let inbox = Inbox::open(&directory.path().join("inbox"), options).unwrap();
    let upload = accept(&inbox);
    let mut body = upload.body(Extent { offset: 0, length: None }).unwrap();
    body.write(&vec![1; 1024 * 1024]);
    drop(body);
    block_on("a keep", upload.keep().ready()).unwrap();
    let registry = &inbox.handle.registry;
    let id = Id::of(None, &KEY);
    let resumable = registry.find(id).expect("it is open");
    until("nothing is done for the upload", || Arc::strong_count(&resumable) == HOLDERS);
    let answer = std::thread::scope(|scope| {
        let other = resumable.act(|state, now| {
            let other = scope.spawn(|| other(registry));
            until("the upload is found", || Arc::strong_count(&resumable) > HOLDERS);
            // Its connection is lost, and what it has asked for is done at once.
            state.upload.fail_all(&RefusalCode::Io.into(), now);
            while let Some(work) = state.upload.poll_work() {
                assert!(matches!(work, Work::Park { .. }), "{work:?}");
                state.upload.done(Done::Parked, now);
            }
            assert!(state.upload.is_gone());
            other
        });
        joined("who has found it", other)
    });
    assert!(!inbox.handle.registry.volume().is_there(id), "its files are there");
    drop((resumable, upload));
    answer
}

#[test]
fn who_gives_up_an_upload_that_is_being_closed_finds_it_gone() {
    let id = Id::of(None, &KEY);
    let ended = close_before(|registry| block_on("an end", registry.abandon(id)));
    assert_eq!(ended, Ok(()));
}

#[test]
fn the_rest_of_a_stored_file_is_removed_though_being_closed() {
    let is_removed = close_before(|registry| registry.discard_waiting(Id::of(None, &KEY)));
    assert!(is_removed);
}
