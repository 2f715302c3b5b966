//! Writes that the system took and could not do. It says so once to all who have the descriptor: whoever
//! hears it first has to see that nobody relies on the file.

use std::sync::mpsc::channel;

use rustix::io::Errno;
use sandport_protocol::ResumeMode;

use super::resume::{GROUP, bring, content, extent, offer_of, options, resumable};
use super::*;
use crate::inbox::disk::Step;

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
fn a_commit_does_not_miss_what_a_watermark_heard_that_was_under_way() {
    let content = content(3 * GROUP + 5);
    // The watermark moves with the last bytes.
    let bench = Bench::in_memory(options(2 * content.len() as u64 - 10));
    let (reached, wait_reached) = channel();
    let (let_go, gate) = channel::<()>();
    fail_watermarks(&bench, move || {
        let _ = reached.send(());
        let _ = gate.recv();
    });
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    wait_reached.recv().unwrap();
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
            block_on(body.has_room());
            let (piece, later) = rest.split_at(body.reserve(rest.len()));
            body.write(piece);
            rest = later;
        }
        drop(body);
        while upload.fault().is_none() {
            block_on(upload.watch().news());
        }
        assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
        drop(upload);
        assert_eq!(partials(&bench), 0, "{lost_with:?}");
    }
}
