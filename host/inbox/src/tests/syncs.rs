//! Which threads wait for the disk: none that has a connection.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use sandport_protocol::{Resume, ResumeMode};

use super::resume::{GROUP, bring, content, extent, finish, options, resumable, wait_durable};
use super::*;
use crate::disk::Step;

/// The syncs that one thread made.
fn syncs_of(bench: &Bench, thread: ThreadId) -> Arc<Mutex<Vec<Step>>> {
    let found = Arc::<Mutex<Vec<Step>>>::default();
    let noted = Arc::clone(&found);
    bench.inbox().handle.core.disk.watch_syncs(Box::new(move |step, _, _| {
        if std::thread::current().id() == thread {
            noted.lock().unwrap().push(step);
        }
    }));
    found
}

fn keyed(key: u8, size: Option<usize>, mode: ResumeMode) -> Offer {
    let offer = resumable(&format!("big{key}"), size.map(|size| size as u64), mode);
    Offer { resume: Some(Resume { key: [key; 32], epoch: 1, mode }), ..offer }
}

#[test]
fn no_thread_with_a_connection_syncs_anything() {
    for durability in [Durability::Full, Durability::Commit] {
        let bench = Bench::in_memory(InboxOptions { durability, ..options(GROUP as u64 / 2) });
        let syncs = syncs_of(&bench, std::thread::current().id());
        let inbox = bench.inbox();
        let content = content(3 * GROUP + 5);
        let begun = |key, size| {
            let upload = accept(inbox, &keyed(key, size, ResumeMode::TakeOver));
            upload.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
            upload
        };
        // In order: small, large, empty, a directory, and of a size that nobody said.
        bench.send("small", b"small").unwrap();
        bench.send("large", &content).unwrap();
        bench.send("empty", b"").unwrap();
        match inbox.offered(&offer_folder("a/b")).unwrap() {
            OfferResponse::Committing(making) => drop(wait(&making).unwrap()),
            other => panic!("a directory got {other:?}"),
        }
        let unsized_offer = Offer { size: None, ..offer("stream", b"") };
        let stream = upload(inbox, &unsized_offer, &content);
        wait(&stream.commit(content.len() as u64, None)).unwrap();
        // To be resumed: stored, of a size that nobody said, kept, given up, begun anew, cut off.
        for (key, size) in [(1, Some(content.len())), (2, None)] {
            let upload = begun(key, size);
            block_on("a keep", upload.keep().ready()).unwrap();
            bring(&upload, &content);
            finish(upload, &content);
        }
        begun(3, Some(content.len())).discard();
        let left = begun(4, Some(content.len()));
        wait_durable(&left, GROUP);
        drop(left);
        let anew = accept(inbox, &keyed(4, Some(content.len()), ResumeMode::Restart));
        bring(&anew, &content);
        finish(anew, &content);
        drop(begun(5, Some(content.len())));
        until("the end of all uploads", || inbox.handle.partials.is_empty());
        assert_eq!(*syncs.lock().unwrap(), [], "{durability:?}");
    }
}
