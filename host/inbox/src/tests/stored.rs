//! A file that arrives whole.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_file_appears_under_its_name_with_its_receipt() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let receipt = bench.send("hello.txt", b"hello").unwrap();
        assert_eq!(receipt.name, "hello.txt");
        assert_eq!(receipt.size, 5);
        assert_eq!(receipt.digest, digest(b"hello"));
        assert_eq!(receipt.proof, None);
        assert_eq!(bench.published(), [("hello.txt".to_owned(), b"hello".to_vec())]);
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn a_file_in_directories_gets_its_directories() {
    let bench = Bench::new();
    let receipt = bench.send("a/b/c.txt", b"c").unwrap();
    assert_eq!(receipt.name, "a/b/c.txt");
    bench.send("a/b/d.txt", b"d").unwrap();
    bench.send("a/e.txt", b"e").unwrap();
    assert_eq!(bench.names(), ["a/", "a/b/", "a/b/c.txt", "a/b/d.txt", "a/e.txt"]);
}

#[test]
fn an_empty_file_is_a_file() {
    let bench = Bench::new();
    let receipt = bench.send("empty", b"").unwrap();
    assert_eq!((receipt.size, receipt.digest), (0, digest(b"")));
    assert_eq!(bench.published(), [("empty".to_owned(), vec![])]);
}

#[test]
fn content_in_many_writes_and_bodies_is_put_together() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let upload = accept(bench.inbox(), &offer("pieces", &content));
    let (mut offset, mut step) = (0, 1);
    while offset < content.len() {
        let end = (offset + step).min(content.len());
        let extent = Extent { offset: offset as u64, length: Some((end - offset) as u64) };
        let mut body = upload.body(extent).unwrap();
        let middle = offset + (end - offset) / 3;
        body.write(&content[offset..middle]);
        body.write(&content[middle..end]);
        (offset, step) = (end, step * 2 + 1);
    }
    assert_eq!(upload.missing(), []);
    wait(&upload.commit(content.len() as u64, Some(digest(&content)))).unwrap();
    assert_eq!(fs::read(bench.path("pieces")).unwrap(), content);
}

#[test]
fn a_file_of_unknown_size_takes_what_comes() {
    let bench = Bench::new();
    let offer = Offer { size: None, ..offer("pipe", b"") };
    let upload = accept(bench.inbox(), &offer);
    assert_eq!(upload.missing(), [ALL]);
    let mut body = upload.body(ALL).unwrap();
    body.write(b"from ");
    body.write(b"a pipe");
    assert_eq!(upload.missing(), [Extent { offset: 11, length: None }]);
    let receipt = wait(&upload.commit(11, None)).unwrap();
    assert_eq!(receipt.digest, digest(b"from a pipe"));
}

#[test]
fn nothing_is_on_disk_before_a_byte_or_visible_before_a_commit() {
    let bench = Bench::new();
    let upload = accept(bench.inbox(), &offer("a/b", b"hello"));
    assert_eq!(bench.staged(), 0);
    let mut body = upload.body(ALL).unwrap();
    body.write(b"hello");
    assert_eq!(bench.staged(), 1);
    assert!(bench.names().is_empty());
    assert_eq!(upload.durable(), 0);
    wait(&upload.commit(5, None)).unwrap();
    assert_eq!(bench.names(), ["a/", "a/b"]);
}

#[test]
fn the_modification_time_is_kept() {
    let bench = Bench::new();
    for (name, modified_ns) in [("now", 1_700_000_000_123_456_789), ("before", -1_500_000_000)] {
        let offer = Offer { modified_ns: Some(modified_ns), ..offer(name, b"x") };
        commit(bench.inbox(), &offer, b"x").unwrap();
        let metadata = fs::metadata(bench.path(name)).unwrap();
        let found =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        assert_eq!(found, i128::from(modified_ns), "{name}");
    }
    bench.send("without", b"x").unwrap();
    let age = SystemTime::now()
        .duration_since(fs::metadata(bench.path("without")).unwrap().modified().unwrap());
    assert!(age.unwrap_or_default() < Duration::from_secs(3600));
}

#[test]
fn the_executable_bit_needs_the_operators_word() {
    for allow_executable in [false, true] {
        let options = InboxOptions { allow_executable, ..InboxOptions::default() };
        let bench = Bench::with(options);
        let offer = Offer { executable: true, ..offer("tool", b"#!") };
        commit(bench.inbox(), &offer, b"#!").unwrap();
        let mode = |name| fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("tool") & 0o111 != 0, allow_executable);
        assert_eq!(mode("tool") & 0o7000, 0);
        bench.send("text", b"text").unwrap();
        assert_eq!(mode("text") & 0o111, 0);
    }
}

#[test]
fn directories_are_made_and_are_stored_when_they_exist() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        for name in ["a/b/c", "a/b/c", "a"] {
            let receipt = commit(bench.inbox(), &offer_directory(name), b"").unwrap();
            assert_eq!((receipt.name.as_str(), receipt.size), (name, 0));
            assert_eq!(receipt.digest, digest(b""));
        }
        assert_eq!(bench.names(), ["a/", "a/b/", "a/b/c/"]);
    }
}

#[test]
fn a_file_without_a_name_gets_one() {
    let bench = Bench::new();
    let unnamed = Offer { name: None, ..offer("", b"hello") };
    let one = commit(bench.inbox(), &unnamed, b"hello").unwrap();
    let other = commit(bench.inbox(), &unnamed, b"hello").unwrap();
    assert_ne!(one.name, other.name);
    let parts: Vec<&str> = one.name.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[1].len(), parts[2].len()), (3, "upload", 16, 8));
    assert_eq!(bench.names().len(), 2);
}

#[test]
fn a_file_without_a_name_gets_the_operators_name() {
    let classic_name = Some("in/upload.bin".to_owned());
    let bench = Bench::with(InboxOptions { classic_name, ..InboxOptions::default() });
    let unnamed = |content: &[u8]| Offer { name: None, ..offer("", content) };
    let names = [b"one", b"two"]
        .map(|content| commit(bench.inbox(), &unnamed(content), content).unwrap().name);
    assert_eq!(names, ["in/upload.bin", "in/upload-1.bin"]);
}

#[test]
fn the_inbox_outlives_its_handle_while_an_upload_runs() {
    let mut bench = Bench::new();
    let upload = upload(bench.inbox(), &offer("late", b"late"), b"late");
    bench.inbox = None;
    let locked = Inbox::open(&bench.dir(), InboxOptions::default()).unwrap_err();
    assert!(matches!(locked, InboxError::Locked { .. }), "{locked}");
    wait(&upload.commit(4, None)).unwrap();
    bench.restart();
    assert_eq!(bench.names(), ["late"]);
}

#[test]
fn commits_are_finished_when_the_inbox_is_dropped() {
    let mut bench = Bench::new();
    let content = b"x";
    let pending: Vec<CommitHandle> = (0..100)
        .map(|n| upload(bench.inbox(), &offer(&format!("f{n}"), content), content).commit(1, None))
        .collect();
    bench.inbox = None;
    assert!(pending.iter().all(|pending| pending.try_get().unwrap().is_ok()));
    assert_eq!(bench.names().len(), 100);
}

#[test]
fn each_directory_that_is_offered_is_told_once() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        for number in 0..50 {
            let response = bench.inbox().offered(&offer_directory(&format!("d{number}")));
            let Ok(OfferResponse::Committing(pending)) = response else { panic!("{response:?}") };
            wait(&pending).unwrap();
            assert!(pending.take_report() && !pending.take_report());
        }
    }
}
