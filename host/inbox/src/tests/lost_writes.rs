//! Writes that the system took and could not do. It says so once to all who have the descriptor: whoever
//! hears it first has to see that nobody relies on the file.

use std::sync::mpsc::channel;

use rustix::io::Errno;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{
    self, GROUP, bring, content, extent, finish, offer_of, options, resumable, wait_durable,
};
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::{PATIENCE, linger};

/// Makes syncs of data fail while an upload goes on, each after `before`; no other sync fails.
fn fail_watermarks(bench: &Bench, mut before: impl FnMut() + Send + 'static) {
    bench.inbox().handle.core.disk.watch(Box::new(move |step| match step {
        Step::SyncPartial => {
            before();
            Err(Errno::IO)
        }
        _ => Ok(()),
    }));
}

fn stop_failing(bench: &Bench) {
    bench.inbox().handle.core.disk.watch(Box::new(|_| Ok(())));
}

fn partials(bench: &Bench) -> usize {
    fs::read_dir(bench.path(".sandport/partials")).unwrap().count()
}

#[test]
fn a_commit_does_not_miss_what_a_watermark_heard() {
    let content = content(3 * GROUP + 5);
    // The watermark moves with the last bytes.
    let bench = Bench::in_memory(options(2 * content.len() as u64 - 1));
    let (reached, wait_reached) = channel();
    let (let_go, gate) = channel::<()>();
    fail_watermarks(&bench, move || {
        let _ = reached.send(());
        let _ = gate.recv_timeout(PATIENCE);
    });
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    receive("a watermark that is moved", &wait_reached);
    let pending = upload.commit(content.len() as u64, Some(digest(&content)));
    drop(let_go);
    assert_eq!(code(wait(&pending)), RefusalCode::Io);
    assert_eq!(bench.names(), [""; 0]);

    stop_failing(&bench);
    let again = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(again.missing(), [extent(0, content.len())], "nothing of it is relied on");
    bring(&again, &content);
    wait(&again.commit(content.len() as u64, Some(digest(&content)))).unwrap();
}

#[test]
fn a_commit_of_a_file_without_a_name_hears_of_its_own_watermark() {
    let content = content(3 * GROUP + 5);
    let bench = Bench::in_memory(options(u64::MAX));
    fail_watermarks(&bench, || ());
    let offer = Offer { name: None, ..offer_of(&content) };
    let upload = accept(bench.inbox(), &offer);
    bring(&upload, &content);
    let pending = upload.commit(content.len() as u64, Some(digest(&content)));
    assert_eq!(code(wait(&pending)), RefusalCode::Io);
    assert_eq!(bench.names(), [""; 0]);
    // Nothing says that something of it is here.
    let has_journal = || resume::partials(&bench).iter().any(|name| name.ends_with(".journal"));
    until("the end of the upload", || !has_journal());
}

#[test]
fn what_a_commit_heard_to_be_lost_is_sent_again() {
    let content = content(3 * GROUP + 5);
    let bench = Bench::in_memory(options(u64::MAX));
    bench.inbox().handle.core.disk.watch(Box::new(|step| match step {
        Step::SyncFile => Err(Errno::IO),
        _ => Ok(()),
    }));
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let pending = upload.commit(content.len() as u64, Some(digest(&content)));
    assert_eq!(code(wait(&pending)), RefusalCode::Io);

    // The system has told it, and from now on says that all is well.
    stop_failing(&bench);
    let again = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(again.missing(), [extent(0, content.len())]);
    bring(&again, &content);
    finish(again, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

/// A stream of which a group is durable, and somewhat more is here.
fn stream_with_a_durable_group(bench: &Bench, upload: &Upload, content: &[u8]) {
    let mut body = upload.body(ALL).unwrap();
    body.write(&content[..GROUP]);
    wait_durable(upload, GROUP);
    body.write(&content[GROUP..GROUP + GROUP / 4]);
    drop(body);
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_is_durable_of_a_stream_outlives_an_unheard_failed_sync() {
    let content = content(2 * GROUP);
    let bench = Bench::in_memory(options(GROUP as u64));
    let stream = resumable("stream", None, ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &stream);
    stream_with_a_durable_group(&bench, &upload, &content);
    let (reached, wait_reached) = channel();
    fail_watermarks(&bench, move || {
        let _ = reached.send(());
    });
    // What came last is to be kept.
    drop(upload);
    receive("a watermark that is moved", &wait_reached);
    let partials = &bench.inbox().handle.registry;
    until("the end of the upload that the disk lost", || partials.is_empty());
    let again = accept(bench.inbox(), &stream);
    stop_failing(&bench);
    assert_eq!(again.missing()[0].offset, GROUP as u64);
    let mut body = again.body(Extent { offset: GROUP as u64, length: None }).unwrap();
    body.write(&content[GROUP..]);
    drop(body);
    finish(again, &content);
}

#[test]
fn a_connection_that_failed_takes_no_stream_from_a_later_one() {
    let content = content(2 * GROUP);
    let bench = Bench::in_memory(options(GROUP as u64));
    let stream = resumable("stream", None, ResumeMode::TakeOver);
    let failed = accept(bench.inbox(), &stream);
    bench.inbox().handle.core.disk.watch(Box::new(|step| match step {
        Step::Write => Err(Errno::NOSPC),
        _ => Ok(()),
    }));
    failed.body(ALL).unwrap().write(&content[..GROUP]);
    assert_eq!(failed.fault().unwrap().code, RefusalCode::InsufficientSpace);
    stop_failing(&bench);
    let later = accept(bench.inbox(), &stream);
    stream_with_a_durable_group(&bench, &later, &content);
    drop(later);
    // Only now it is known that its connection is gone.
    drop(failed);
    assert!(accept(bench.inbox(), &stream).missing()[0].offset >= GROUP as u64);
}

/// A sender whose file has changed begins anew while an earlier run commits.
#[test]
fn an_upload_that_is_being_committed_is_not_begun_anew() {
    let content = content(3 * GROUP + 5);
    for round in 0..20 {
        // The watermark moves with the last bytes.
        let bench = Bench::in_memory(options(2 * content.len() as u64 - 1));
        let (reached, wait_reached) = channel();
        let (let_go, gate) = channel::<()>();
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            if step == Step::SyncPartial {
                let _ = reached.send(());
                let _ = gate.recv_timeout(PATIENCE);
            }
            Ok(())
        }));
        let upload = accept(bench.inbox(), &offer_of(&content));
        bring(&upload, &content);
        receive("a watermark that is moved", &wait_reached);
        std::thread::scope(|scope| {
            let anew = Resume { key: [5; 32], epoch: 2, mode: ResumeMode::Restart };
            let offer = Offer { resume: Some(anew), ..offer_of(&content) };
            let inbox = bench.inbox();
            let opened = scope.spawn(move || inbox.offered(&offer));
            // So that it finds no commit, and then waits for the watermark; or not so far yet.
            linger(round * 10_000);
            let pending = upload.commit(content.len() as u64, Some(digest(&content)));
            drop(let_go);
            match (wait(&pending), joined("an offer", opened)) {
                (Ok(_), Ok(_)) => {
                    assert_eq!(bench.published(), [("big".to_owned(), content.clone())]);
                }
                // The other was first.
                (Err(refusal), Ok(OfferResponse::Accepted(_))) => {
                    assert_eq!(refusal.code, RefusalCode::Locked, "round {round}: {refusal}");
                }
                other => panic!("round {round}: {other:?}"),
            }
        });
    }
}

#[test]
fn nothing_is_left_of_a_stream_that_the_disk_has_lost() {
    let content = content(3 * GROUP + 5);
    for lost_with in [Step::SyncPartial, Step::WriteJournal] {
        let bench = Bench::in_memory(options(GROUP as u64));
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            if step == lost_with { Err(Errno::NOSPC) } else { Ok(()) }
        }));
        let upload = accept(bench.inbox(), &resumable("stream", None, ResumeMode::TakeOver));
        let mut body = upload.body(ALL).unwrap();
        let mut rest = &content[..];
        while !rest.is_empty() {
            block_on("room for a body", body.has_room());
            let (piece, later) = rest.split_at(body.reserve(rest.len()));
            body.write(piece);
            rest = later;
        }
        drop(body);
        while upload.fault().is_none() {
            block_on("news of the upload", upload.watch().news());
        }
        assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
        drop(upload);
        until("the end of the stream", || partials(&bench) == 0);
    }
}

#[test]
fn an_upload_is_stored_after_a_failed_sync_of_everything() {
    // No descriptor of a staged file is kept.
    let bench = Bench::in_memory(InboxOptions { max_open_files: 0, ..options(u64::MAX) });
    fail_syncs_of_everything(&bench);
    let others = upload(bench.inbox(), &offer("other", b"x"), b"x").commit(1, None);
    assert_eq!(code(wait(&others)), RefusalCode::Io);

    stop_failing(&bench);
    let content = content(3 * GROUP + 5);
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

fn fail_syncs_of_everything(bench: &Bench) {
    bench.inbox().handle.core.disk.watch(Box::new(|step| match step {
        Step::SyncAll => Err(Errno::IO),
        _ => Ok(()),
    }));
}
