//! Files that arrive, in the native dialect.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use sandport_protocol::{EntryKind, Limits};

use super::peer::Peer;
use super::*;

#[tokio::test]
async fn a_file_arrives_with_its_name_time_and_mode() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "script.sh", b"#!/bin/sh\n");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123)).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();

    let (result, told) =
        send_and_listen(&peer.address, vec![Source::path(&path)], Options::default()).await;

    let summary = result.unwrap();
    assert!(summary.is_complete());
    assert_eq!((summary.stored, summary.bytes), (1, 10));
    assert_eq!(told.0, ["stored script.sh as script.sh"]);
    peer.ended(1).await;
    let inbox = peer.inbox();
    let kept = &inbox.kept["script.sh"];
    assert_eq!(kept.content, b"#!/bin/sh\n");
    assert_eq!(kept.offer.modified_ns, Some(1_234_567_890_123));
    assert!(kept.offer.executable);
    assert_eq!(inbox.closed, [Ok(())]);
}

#[tokio::test]
async fn a_tree_arrives_under_its_own_name_with_its_empty_directories() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    write(&tree, "a.txt", b"a");
    write(&tree, "deep/er/b.txt", b"b");
    std::fs::create_dir_all(tree.join("empty/inner")).unwrap();
    std::fs::create_dir_all(tree.join("links")).unwrap();
    std::os::unix::fs::symlink("../a.txt", tree.join("links/to-a")).unwrap();

    let (result, told) =
        send_and_listen(&peer.address, vec![Source::path(&tree)], Options::default()).await;

    assert!(result.unwrap().is_complete());
    assert_eq!(
        told.sorted(),
        [
            "directory tree/empty/inner",
            "directory tree/links",
            "skipped to-a symbolic-link",
            "stored tree/a.txt as tree/a.txt",
            "stored tree/deep/er/b.txt as tree/deep/er/b.txt",
        ]
    );
    assert_eq!(peer.inbox().kept["tree/links"].offer.kind, EntryKind::Directory);
}

#[tokio::test]
async fn thousands_of_small_files_and_some_large_ones_arrive_whole() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for number in 0..3_000 {
        write(&tree, &format!("small/{number}"), &content(number % 1_500, number as u32));
    }
    // Around the largest small file, one chunk, and one frame.
    for length in [65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 8 << 20, (20 << 20) + 3] {
        write(&tree, &format!("large/{length}"), &content(length, length as u32));
    }

    let (result, _) =
        send_and_listen(&peer.address, vec![Source::path(&tree)], Options::default()).await;

    assert_eq!(result.unwrap().stored, 3_007);
    let inbox = peer.inbox();
    for (name, kept) in &inbox.kept {
        let sent = std::fs::read(directory.path().join(name)).unwrap();
        assert!(kept.content == sent, "{name} differs");
    }
}

#[tokio::test]
async fn a_server_that_grants_nothing_ahead_still_gets_every_file() {
    let limits = Limits { max_uploads_ahead: 1, max_bytes_ahead: 0, ..Limits::default() };
    let peer = Peer::start(limits).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for number in 0..50 {
        write(&tree, &number.to_string(), &content(number * 2_000, number as u32));
    }
    let (result, _) =
        send_and_listen(&peer.address, vec![Source::path(&tree)], Options::default()).await;
    assert_eq!(result.unwrap().stored, 50);
}

#[tokio::test]
async fn a_stream_of_unknown_size_arrives() {
    let peer = Peer::start(Limits::default()).await;
    let bytes = content((3 << 20) + 17, 5);
    let sources = vec![
        Source::reader("-", std::io::Cursor::new(bytes.clone())).named("dump.sql"),
        Source::reader("empty", std::io::empty()),
    ];
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert_eq!(result.unwrap().stored, 2);
    assert_eq!(told.sorted(), ["stored ? as made-up", "stored dump.sql as dump.sql"]);
    assert!(peer.inbox().kept["dump.sql"].content == bytes);
}

#[tokio::test]
async fn a_stream_is_not_read_again_after_its_end() {
    /// As a terminal is, on which Ctrl-D was typed, and something after it.
    struct Terminal(Vec<&'static [u8]>);
    impl std::io::Read for Terminal {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let line = self.0.pop().unwrap();
            buffer[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    let peer = Peer::start(Limits::default()).await;
    let typed = Terminal(vec![b"after it", b"", b"two\n", b"one\n"]);
    let sources = vec![Source::reader("-", typed).named("typed")];
    let (result, _) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert_eq!(result.unwrap().stored, 1);
    assert_eq!(peer.inbox().kept["typed"].content, b"one\ntwo\n");
}

#[tokio::test]
async fn what_is_stored_already_is_not_stored_twice() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for number in 0..2_000 {
        write(&tree, &format!("{number}"), &content(1_000, number));
    }
    let large = write(&tree, "large", &content(3 << 20, 9));
    let other = write(&tree, "other", &content(2 << 20, 10));
    let source = || vec![Source::path(&tree)];
    send_and_listen(&peer.address, source(), Options::default()).await.0.unwrap();
    // Of the same size, so that only the digest tells the difference.
    std::fs::write(&other, content(2 << 20, 11)).unwrap();
    peer.inbox().bytes = 0;

    let (result, told) = send_and_listen(&peer.address, source(), Options::default()).await;

    let summary = result.unwrap();
    assert_eq!((summary.already_stored, summary.stored), (2_001, 1));
    assert!(told.0.contains(&"already stored t/large".to_owned()));
    assert!(told.0.contains(&"stored t/other as t/other".to_owned()));
    assert!(large.exists());
    assert_eq!(peer.inbox().kept["t/other"].content, content(2 << 20, 11));
}

#[tokio::test]
async fn the_current_directory_is_sent_under_its_name() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "tree/sub/a", b"a");
    let path = directory.path().join("tree/sub/..");
    let (result, told) =
        send_and_listen(&peer.address, vec![Source::path(&path)], Options::default()).await;
    assert!(result.unwrap().is_complete());
    assert_eq!(told.0, ["stored tree/sub/a as tree/sub/a"]);
}

#[tokio::test]
async fn all_files_are_counted_when_asked_for() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "t/a", b"12345");
    write(directory.path(), "t/b/c", b"67");
    // The run ends after the count, so that it cannot come too late.
    let (goes_on, stream) = endless();
    let options = Options { count_totals: true, ..Options::default() };
    let mut goes_on = Some(goes_on);
    let mut totals = None;
    let sources = vec![Source::path(directory.path().join("t")), stream];
    let sending = send(&peer.address, sources, options, |event| {
        if let SendEvent::Totals { files, bytes } = event {
            totals = Some((files, bytes));
            drop(goes_on.take());
        }
    });
    within("the files are counted, and the run ends", sending).await.unwrap();
    assert_eq!(totals, Some((2, 7)));
}
