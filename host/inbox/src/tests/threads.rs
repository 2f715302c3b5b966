//! Threads of an inbox that panic: whoever waits is told, and whoever serves the inbox is.

use std::time::Duration;

use sandport_protocol::ResumeMode;

use super::resume::{content, options, resumable};
use super::*;
use crate::disk::Step;

/// Makes the thread panic that comes to a step.
fn panic_at(bench: &Bench, wanted: Step) {
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        assert_ne!(step, wanted, "on purpose");
        Ok(())
    }));
}

/// Waits until the inbox is known to be lost by the panic of this thread.
fn wait_lost(bench: &Bench, thread: &str) {
    let lost = block_on("the loss of the inbox", bench.inbox().lost());
    assert_eq!(lost.code(), "inbox-stopped");
    assert!(lost.to_string().contains(thread), "{lost}");
    let refused = bench.inbox().offered(&offer("next", b"next"));
    assert_eq!(code(refused), RefusalCode::Io);
}

#[test]
fn commits_are_answered_when_the_committer_panics() {
    let bench = Bench::new();
    let uploads = ["a", "b"].map(|name| upload(bench.inbox(), &offer(name, b"x"), b"x"));
    panic_at(&bench, Step::SyncFile);
    for pending in uploads.map(|upload| upload.commit(1, None)) {
        assert_eq!(code(wait(&pending)), RefusalCode::Io);
    }
    wait_lost(&bench, "sandport-inbox");
}

#[test]
fn commits_are_answered_and_offers_refused_when_a_copier_panics() {
    for durability in [Durability::Full, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let disk = &bench.inbox().handle.core.disk;
        disk.without_moves();
        disk.watch_copies(Arc::new(|| panic!("on purpose")));
        let uploads = ["d/a", "d/b"].map(|name| upload(bench.inbox(), &offer(name, b"x"), b"x"));
        for pending in uploads.map(|upload| upload.commit(1, None)) {
            assert_eq!(code(wait(&pending)), RefusalCode::Io);
        }
        wait_lost(&bench, "sandport-copy");
    }
}

#[test]
fn bodies_that_wait_for_a_watermark_hear_when_its_thread_panics() {
    let bench = Bench::with(options(1 << 20));
    let content = content(3 << 20);
    let offer = resumable("big", Some(content.len() as u64), ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &offer);
    panic_at(&bench, Step::SyncPartial);
    let mut body = upload.body(ALL).unwrap();
    let mut rest = &content[..];
    while !rest.is_empty() {
        block_on("room, or the end", body.has_room());
        let (piece, later) = rest.split_at(body.reserve(rest.len()));
        body.write(piece);
        rest = later;
    }
    block_on("the fault", async {
        while upload.fault().is_none() {
            upload.watch().news().await;
        }
    });
    assert_eq!(upload.fault().unwrap().code, RefusalCode::Io);
    wait_lost(&bench, "sandport-upload");
    // What was being done has ended by that, so nothing waits for it, and the files are closed.
    drop((body, upload));
    until("the upload to be closed", || bench.inbox().handle.registry.is_empty());
}

#[test]
fn a_watermark_interval_of_any_length_is_one() {
    for watermark_interval in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
        let bench = Bench::with(InboxOptions { watermark_interval, ..options(1 << 20) });
        let content = content(3 << 20);
        let offer = resumable("big", Some(content.len() as u64), ResumeMode::TakeOver);
        let upload = accept(bench.inbox(), &offer);
        super::resume::bring(&upload, &content);
        super::resume::wait_durable(&upload, 1 << 20);
        assert_eq!(super::resume::finish(upload, &content).name, "big");
        assert!(bench.inbox().loss().is_none());
    }
}
