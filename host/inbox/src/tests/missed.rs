//! Files that do not get their names: nothing is said of them that is not so.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::*;
use crate::disk::Step;

/// An inbox in which `a` is stored, and where `a` and `d/b` are on their way, with other content.
fn on_their_way(conflict: Conflict) -> (Bench, Vec<(Upload, u64)>) {
    let bench = Bench::in_memory(InboxOptions { conflict, ..InboxOptions::default() });
    bench.send("a", b"first").unwrap();
    let uploads = [("a", &b"second"[..]), ("d/b", b"b")].map(|(name, content)| {
        (upload(bench.inbox(), &offer(name, content), content), content.len() as u64)
    });
    (bench, uploads.into())
}

fn end(uploads: Vec<(Upload, u64)>) -> Vec<Result<Receipt, Refusal>> {
    let pending: Vec<_> = uploads.into_iter().map(|(it, size)| it.commit(size, None)).collect();
    pending.iter().map(wait).collect()
}

/// Each of these steps fails from now on.
fn fail(bench: &Bench, step: Step, errno: Errno) {
    bench.inbox().handle.core.disk.watch(Box::new(
        move |at| {
            if at == step { Err(errno) } else { Ok(()) }
        },
    ));
}

#[test]
fn files_that_cannot_be_published_are_no_alarm_of_verify() {
    for conflict in [Conflict::Rename, Conflict::Replace] {
        for (step, errno) in [
            (Step::Publish, Errno::XDEV),
            (Step::Publish, Errno::INVAL),
            (Step::Publish, Errno::NOSPC),
            (Step::Publish, Errno::NAMETOOLONG),
            (Step::Publish, Errno::IO),
            // Again and again: somebody removes the directory.
            (Step::Publish, Errno::NOENT),
            (Step::MakeDir, Errno::NOSPC),
        ] {
            let (mut bench, uploads) = on_their_way(conflict);
            fail(&bench, step, errno);
            let outcomes = end(uploads);
            assert!(outcomes.iter().any(Result::is_err), "{step:?} {errno}");
            for _ in 0..2 {
                let said = verified(&bench.dir());
                assert!(said.iter().all(|said| said.starts_with("whole")), "{errno}: {said:?}");
                bench.restart();
            }
            // What was there before is its sender's still.
            if outcomes[0].is_err() {
                let again = bench.inbox().offered(&offer_with_digest("a", b"first")).unwrap();
                assert!(
                    matches!(again, OfferResponse::Stored(_)),
                    "{conflict:?} {errno}: {again:?}"
                );
            }
        }
    }
}

#[test]
fn a_name_that_was_lost_to_somebody_else_is_no_alarm_of_verify() {
    let (mut bench, uploads) = on_their_way(Conflict::Rename);
    let dir = bench.dir();
    // Whether or not both files are of one batch.
    fs::create_dir(dir.join("d")).unwrap();
    let mut theirs = vec!["d/b", "a-1"];
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if step == Step::Publish
            && let Some(name) = theirs.pop()
        {
            fs::write(dir.join(name), b"theirs").unwrap();
        }
        Ok(())
    }));
    let mut names: Vec<_> = end(uploads).into_iter().map(|it| it.unwrap().name).collect();
    names.sort();
    let expected: Vec<_> = ["whole a"]
        .into_iter()
        .map(str::to_owned)
        .chain(names.iter().map(|name| format!("whole {name}")))
        .chain(["unrecorded a-1".to_owned(), "unrecorded d/b".to_owned()])
        .collect();
    for _ in 0..2 {
        let mut said = verified(&bench.dir());
        said.sort();
        let mut expected = expected.clone();
        expected.sort();
        assert_eq!(said, expected);
        bench.restart();
    }
}

#[test]
fn an_entry_that_cannot_be_taken_back_at_once_is_later() {
    let (mut bench, uploads) = on_their_way(Conflict::Rename);
    // The log takes nothing after what is about to be published.
    let failed = AtomicBool::new(false);
    bench.inbox().handle.core.disk.watch(Box::new(move |step| match step {
        Step::Publish => {
            failed.store(true, Ordering::Relaxed);
            Err(Errno::XDEV)
        }
        Step::WriteLog if failed.load(Ordering::Relaxed) => Err(Errno::NOSPC),
        _ => Ok(()),
    }));
    assert!(end(uploads).iter().all(Result::is_err));
    bench.inbox().handle.core.disk.watch(Box::new(|_| Ok(())));
    bench.send("later", b"later").unwrap();
    for _ in 0..2 {
        assert_eq!(verified(&bench.dir()), ["whole a", "whole later"]);
        bench.restart();
    }
}
