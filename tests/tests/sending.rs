//! `sandport send` into `sandport serve`: files, trees, streams.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sandport_tests::files::{self, Entry, Tree, file};
use sandport_tests::native::digest;
use sandport_tests::send::send_with;
use sandport_tests::{Random, Server, send};

/// A directory with a tree in it, and when its files were modified.
fn sample_tree(random: &mut Random) -> (tempfile::TempDir, SystemTime) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("photos");
    for made in ["", "2024/summer", "2024/empty/below", "empty"] {
        fs::create_dir_all(root.join(made)).unwrap();
    }
    // A whole second and a fraction, long ago.
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    for (name, size) in
        [("a.jpg", 10), ("2024/b c.jpg", 70_000), ("2024/summer/日本.jpg", 0), (".hidden", 5)]
    {
        let path = root.join(name);
        fs::write(&path, random.bytes(size)).unwrap();
        files::set_modified(&path, time);
    }
    files::make_executable(&root.join("a.jpg"));
    (directory, time)
}

#[test]
fn one_file_is_stored_under_its_name_with_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.pdf");
    fs::write(&path, "hello").unwrap();
    let mut server = Server::start([]);
    let sent = send([path.as_os_str(), server.address().as_ref()]).expect_success();
    let event = sent.of_type("stored")[0];
    assert_eq!((&event["name"], &event["size"]), (&"report.pdf".into(), &5.into()));
    assert_eq!(event["digest"], format!("{:?}", digest(b"hello")));
    assert_eq!(server.wait_stored(), "report.pdf");
    assert_eq!(server.published(), Tree::from([("report.pdf".into(), file("hello"))]));
    let summary = sent.events.last().unwrap();
    assert_eq!((&summary["type"], &summary["stored"]), (&"summary".into(), &1.into()), "{summary}");
    assert_eq!(summary["exit_code"], 0);
}

#[test]
fn files_of_every_size_arrive_as_they_are() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Tree::new();
    for size in [0, 1, 1023, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 5 << 20] {
        let content = random.bytes(size);
        fs::write(directory.path().join(format!("file-{size}")), &content).unwrap();
        expected.insert(format!("file-{size}"), file(content));
    }
    let server = Server::start([]);
    let mut arguments: Vec<String> = expected.keys().cloned().collect();
    arguments.push(server.address().to_owned());
    let sent = send_with(directory.path(), b"", &arguments).expect_success();
    assert_eq!(sent.names("stored").len(), expected.len());
    assert!(server.published() == expected, "{:?}", server.published());
}

#[test]
fn unusual_file_names_arrive_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Tree::new();
    for name in ["with space", "日本語.txt", "naïve \"quoted\"", "-dash", "a\\b", "$HOME"] {
        fs::write(directory.path().join(name), name).unwrap();
        expected.insert(name.to_owned(), file(name));
    }
    let server = Server::start([]);
    let mut arguments: Vec<String> = expected.keys().map(|name| format!("./{name}")).collect();
    arguments.push(server.address().to_owned());
    send_with(directory.path(), b"", &arguments).expect_success();
    assert_eq!(server.published(), expected);
}

#[test]
fn a_tree_arrives_with_its_empty_directories_and_times() {
    let (directory, time) = sample_tree(&mut Random::seeded());
    let server = Server::start([]);
    let sent = send([directory.path().join("photos").as_os_str(), server.address().as_ref()]);
    let sent = sent.expect_success();
    assert!(server.published() == files::tree(directory.path()), "{:?}", server.published());
    assert_eq!(sent.names("directory"), ["photos/2024/empty/below", "photos/empty"]);
    for (name, entry) in server.published() {
        if matches!(entry, Entry::File(_)) {
            let path = server.inbox().join(&name);
            assert_eq!(files::modified(&path), time, "{name}");
            assert!(!files::is_executable(&path), "a stranger's file is not executable: {name}");
        }
    }
}

#[test]
fn the_executable_bit_is_kept_only_where_the_operator_allows_it() {
    let (directory, _) = sample_tree(&mut Random::seeded());
    let server = Server::start(["--allow-executable"]);
    send([directory.path().join("photos").as_os_str(), server.address().as_ref()]).expect_success();
    assert!(files::is_executable(&server.inbox().join("photos/a.jpg")));
    assert!(!files::is_executable(&server.inbox().join("photos/.hidden")));
}

#[test]
fn a_tree_sent_twice_sends_only_the_changes() {
    let (directory, _) = sample_tree(&mut Random::seeded());
    let tree = directory.path().join("photos");
    let server = Server::start([]);
    let to_server = [tree.as_os_str(), server.address().as_ref()];
    let first = send(to_server).expect_success();
    let before = server.published();

    let second = send(to_server).expect_success();
    let files =
        ["photos/.hidden", "photos/2024/b c.jpg", "photos/2024/summer/日本.jpg", "photos/a.jpg"];
    for name in files {
        assert!(first.names("stored").iter().any(|stored| stored == name), "{first:?}");
        assert!(second.names("already-stored").iter().any(|stored| stored == name), "{second:?}");
    }
    assert_eq!(second.names("stored"), [""; 0], "{second:?}");
    assert!(server.published() == before, "{:?}", server.published());

    fs::write(tree.join("new.jpg"), "new").unwrap();
    let third = send(to_server).expect_success();
    assert_eq!(third.names("stored"), ["photos/new.jpg"]);
}

#[test]
fn what_was_stored_is_known_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (inbox, path) = (directory.path().join("inbox"), directory.path().join("file"));
    fs::write(&path, Random::seeded().bytes(100_000)).unwrap();
    for expected in ["stored", "already-stored"] {
        let mut server = sandport_tests::Setup::new([""; 0]).inbox(&inbox).start();
        let sent = send([path.as_os_str(), server.address().as_ref()]).expect_success();
        assert_eq!(sent.names(expected), ["file"], "{sent:?}");
        assert_eq!(server.stop(), Some(0));
    }
    assert_eq!(files::published(&inbox).len(), 1);
}

#[test]
fn links_within_a_tree_are_neither_followed_nor_sent() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("tree");
    fs::create_dir(&root).unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    fs::write(root.join("file"), "hello").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    let server = Server::start([]);
    let sent = send([root.as_os_str(), server.address().as_ref()]).expect_success();
    assert_eq!(sent.of_type("skipped").len(), 1, "{sent:?}");
    let names: Vec<String> = server.published().into_keys().collect();
    assert_eq!(names, ["tree", "tree/file"]);
}

#[test]
fn standard_input_is_stored_under_the_given_name() {
    let mut random = Random::seeded();
    let server = Server::start([]);
    for size in [0, 5, 3 << 20] {
        let name = format!("streams/{size}.bin");
        let content = random.bytes(size);
        let arguments = ["-", server.address(), "--name", &name];
        let sent = send_with(Path::new("."), &content, arguments).expect_success();
        assert_eq!(sent.names("stored"), [name.as_str()]);
        assert!(server.content(&name) == content);
    }
}

#[test]
fn standard_input_without_a_name_gets_one_and_the_sender_hears() {
    let server = Server::start([]);
    let sent = send_with(Path::new("."), b"hello", ["-", server.address()]).expect_success();
    let names = sent.names("stored");
    assert_eq!(names.len(), 1, "{sent:?}");
    assert_eq!(server.content(&names[0]), b"hello");
}

#[test]
fn a_name_can_be_chosen_for_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "hello").unwrap();
    let server = Server::start([]);
    send([path.as_os_str(), server.address().as_ref(), "--name".as_ref(), "a/b/c.txt".as_ref()])
        .expect_success();
    assert_eq!(server.content("a/b/c.txt"), b"hello");
}

#[test]
fn hundreds_of_small_files_share_one_connection() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("many");
    fs::create_dir(&root).unwrap();
    for number in 0..500 {
        fs::write(root.join(format!("{number:03}")), format!("file {number}")).unwrap();
    }
    for durability in ["commit", "none"] {
        let mut server = Server::start(["--durability", durability]);
        // Where files wait for the one, a second is opened, unless the user says how many there are.
        let arguments = ["-j".as_ref(), "1".as_ref(), root.as_os_str(), server.address().as_ref()];
        let sent = send(arguments).expect_success();
        assert_eq!(sent.names("stored").len(), 500, "{durability}");
        assert!(server.published() == files::tree(directory.path()), "{durability}");
        let mut peers: Vec<String> = (0..500)
            .map(|_| server.events.wait("a stored file", |event| event["type"] == "stored"))
            .map(|event| event["peer"].to_string())
            .collect();
        peers.dedup();
        assert_eq!(peers.len(), 1, "{durability}: {peers:?}");
    }
}
