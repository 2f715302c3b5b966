//! Looking after an inbox, with a server in it or without.

use std::os::unix::fs::symlink;

use super::*;
use crate::maintenance::{FileState, Integrity, list, verify};

/// What is in an inbox, as text that can be compared.
fn listed(dir: &Path) -> Vec<String> {
    list(dir)
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            let state = match file.state {
                FileState::Stored(_) => "stored",
                FileState::Touched(_) => "touched",
                FileState::Unrecorded => "unrecorded",
            };
            format!("{state} {} {}", file.path.display(), file.size)
        })
        .collect()
}

#[test]
fn files_are_listed_by_name_beside_a_server_and_after_it() {
    let mut bench = Bench::new();
    for (name, content) in [("b/c", "abc"), ("a", "a"), ("a", "other"), ("taken", "x")] {
        bench.send(name, content.as_bytes()).unwrap();
    }
    fs::write(bench.path("taken"), b"edited").unwrap();
    fs::write(bench.path("b/theirs"), b"theirs").unwrap();
    symlink("a", bench.path("link")).unwrap();
    let expected =
        ["stored a 1", "stored a-1 5", "stored b/c 3", "unrecorded b/theirs 6", "touched taken 6"];
    for _ in 0..2 {
        assert_eq!(listed(&bench.dir()), expected);
        bench.inbox = None;
    }
    let files: Vec<_> = list(&bench.dir()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files[0].state, FileState::Stored(digest(b"a")));
}

#[test]
fn verify_tells_what_is_whole_changed_missing_and_not_recorded() {
    let mut bench = Bench::new();
    for name in ["whole", "edited", "rotten", "gone", "d/gone", "moved", "copied"] {
        bench.send(name, name.as_bytes()).unwrap();
    }
    fs::write(bench.path("edited"), b"something else").unwrap();
    // The same size and time: only the content tells.
    let modified = fs::metadata(bench.path("rotten")).unwrap().modified().unwrap();
    fs::write(bench.path("rotten"), b"rotteN").unwrap();
    fs::File::open(bench.path("rotten")).unwrap().set_modified(modified).unwrap();
    fs::remove_file(bench.path("gone")).unwrap();
    fs::remove_dir_all(bench.path("d")).unwrap();
    fs::rename(bench.path("moved"), bench.path("renamed")).unwrap();
    // As a backup that is played back does it.
    fs::write(bench.path("new"), b"copied").unwrap();
    fs::rename(bench.path("new"), bench.path("copied")).unwrap();
    let expected = [
        "whole copied",
        "changed edited",
        "unrecorded renamed",
        "changed rotten",
        "whole whole",
        "missing d/gone",
        "missing gone",
        "missing moved",
    ];
    for _ in 0..2 {
        assert_eq!(verified(&bench.dir()), expected);
        bench.inbox = None;
    }
}

#[test]
fn what_a_server_stores_or_replaces_meanwhile_is_no_damage() {
    let bench = Bench::conflict(Conflict::Replace);
    bench.send("a", b"first").unwrap();
    bench.send("z", b"first").unwrap();
    let mut checking = verify(&bench.dir()).unwrap();
    assert!(matches!(checking.next().unwrap().integrity, Integrity::Whole));
    bench.send("z", b"second").unwrap();
    bench.send("zz", b"new").unwrap();
    let rest: Vec<_> = checking.collect();
    assert!(rest.iter().all(|checked| matches!(checked.integrity, Integrity::Whole)), "{rest:?}");
}

#[test]
fn a_torn_end_of_the_records_costs_that_alone_and_stays() {
    let mut bench = Bench::new();
    bench.send("a", b"a").unwrap();
    bench.send("b", b"b").unwrap();
    bench.inbox = None;
    let log = bench.path(".sandport/receipts");
    let whole = fs::read(&log).unwrap();
    for length in 0..whole.len() {
        fs::write(&log, &whole[..length]).unwrap();
        let found = verified(&bench.dir());
        assert!(found.iter().all(|line| !line.starts_with("changed")), "{length}: {found:?}");
        assert_eq!(fs::metadata(&log).unwrap().len(), length as u64);
    }
    fs::remove_file(&log).unwrap();
    assert_eq!(verified(&bench.dir()), ["unrecorded a", "unrecorded b"]);
}

#[test]
fn a_directory_that_was_never_served_is_no_inbox_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), b"a").unwrap();
    for error in [list(directory.path()).err().unwrap(), verify(directory.path()).err().unwrap()] {
        assert!(matches!(error, InboxError::NotAnInbox { .. }), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(list(&directory.path().join("missing")).is_err());
    assert!(matches!(list(&directory.path().join("a")), Err(InboxError::NotADirectory { .. })));
}

#[test]
fn an_inbox_from_the_future_is_left_alone() {
    let mut bench = Bench::new();
    bench.inbox = None;
    fs::write(bench.path(".sandport/layout"), "99\n").unwrap();
    assert!(matches!(list(&bench.dir()), Err(InboxError::WrongLayout { .. })));
}

#[test]
fn records_in_memory_are_not_written_and_serve_until_the_end() {
    let records = Records::Memory;
    for durability in [Durability::Commit, Durability::None] {
        let mut bench =
            Bench::with(InboxOptions { records, durability, ..InboxOptions::default() });
        bench.send("a", b"hello").unwrap();
        assert_eq!(bench.send("a", b"hello").unwrap().name, "a");
        bench.inbox = None;
        assert!(!bench.path(".sandport/receipts").exists());
        assert_eq!(verified(&bench.dir()), ["unrecorded a"]);
        bench.restart();
        assert_eq!(bench.send("a", b"hello").unwrap().name, "a-1");
    }
}
