//! A server that is killed as it is about to replace a file, when the record of the new one is written: the old
//! one is there still, and is its sender's.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::identities::{ann, bob};
use super::*;
use crate::disk::Step;
use crate::maintenance::{FileState, Integrity as Compared, list, verify};

/// The disk does nothing any more from the step on by which a file gets its name.
fn killed_before_publishing(bench: &Bench) {
    let dead = AtomicBool::new(false);
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        dead.fetch_or(step == Step::Publish, Ordering::Relaxed);
        if dead.load(Ordering::Relaxed) { Err(Errno::IO) } else { Ok(()) }
    }));
}

fn send_as(bench: &Bench, sender: &Identity, content: &[u8]) -> Result<Receipt, Refusal> {
    commit_as(bench.inbox(), sender, &offer("a", content), content)
}

/// As the operator sees it.
fn is_stored_and_whole(bench: &Bench, content: &[u8]) {
    let files: Vec<_> = list(&bench.dir()).unwrap().map(Result::unwrap).collect();
    let states: Vec<_> = files.iter().map(|file| (file.state, file.identity.clone())).collect();
    assert_eq!(states, [(FileState::Stored(digest(content)), Some(ann()))]);
    let checked = verify(&bench.dir()).unwrap().find(|checked| checked.path == Path::new("a"));
    assert!(
        matches!(checked, Some(ref it) if matches!(it.integrity, Compared::Whole)),
        "{checked:?}"
    );
}

#[test]
fn a_file_that_was_about_to_be_replaced_is_still_its_senders() {
    let mut bench = Bench::conflict(Conflict::Replace);
    send_as(&bench, &ann(), b"first").unwrap();
    bench.restart();
    killed_before_publishing(&bench);
    send_as(&bench, &ann(), b"other").unwrap_err();
    bench.inbox = None;
    is_stored_and_whole(&bench, b"first");
    for run in 0..3 {
        bench.restart();
        is_stored_and_whole(&bench, b"first");
        assert_eq!(code(send_as(&bench, &bob(), b"bobs")), RefusalCode::Exists, "run {run}");
        // What else is written down does not bring the wrong record back.
        commit_as(bench.inbox(), &bob(), &offer(&format!("b{run}"), b"b"), b"b").unwrap();
        fs::remove_file(bench.path(&format!("b{run}"))).unwrap();
        killed_before_publishing(&bench);
        send_as(&bench, &ann(), format!("try {run}").as_bytes()).unwrap_err();
    }
    bench.restart();
    send_as(&bench, &ann(), b"second").unwrap();
    bench.restart();
    assert_eq!(code(send_as(&bench, &bob(), b"bobs")), RefusalCode::Exists);
    assert_eq!(fs::read(bench.path("a")).unwrap(), b"second");
}
