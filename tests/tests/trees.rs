//! Trees that `sandport send` brings into an inbox: what is left out, what is followed, and what a
//! dry run says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use sandport_tests::files::{self, Tree, file};
use sandport_tests::send::command;
use sandport_tests::{Server, Setup, peer, process, send};

/// Makes a file, and the directories above it.
fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Whether the tests' own disk tells `a` from `A`, and one Unicode form from another.
fn tells_names_apart(directory: &Path) -> bool {
    write(directory, "probe/a\u{e9}", "");
    let apart =
        !directory.join("probe/A\u{e9}").exists() && !directory.join("probe/ae\u{301}").exists();
    fs::remove_dir_all(directory.join("probe")).unwrap();
    apart
}

#[test]
fn names_that_differ_in_case_or_unicode_form_alone_are_all_kept() {
    let directory = tempfile::tempdir().unwrap();
    assert!(tells_names_apart(directory.path()), "run the tests on a disk that tells names apart");
    let root = directory.path().join("t");
    let names = ["Readme", "README", "readme", "caf\u{e9}", "cafe\u{301}", "\u{212b}", "\u{c5}"];
    for name in names {
        write(&root, name, name);
        write(&root, &format!("{name}-directory/x"), name);
    }
    let server = Server::start([]);
    let to_server = [root.as_os_str(), server.address().as_ref()];
    let sent = send(to_server).expect_success();
    assert_eq!(sent.names("stored").len(), 2 * names.len(), "{sent:?}");
    assert_eq!(server.published(), files::tree(directory.path()));
    let again = send(to_server).expect_success();
    assert_eq!(again.names("already-stored").len(), 2 * names.len(), "{again:?}");
    assert_eq!(server.published(), files::tree(directory.path()));
}

#[test]
fn what_exclude_names_stays_at_home() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("t");
    for name in ["a.txt", "a.tmp", "cache/x", "sub/cache/y", "sub/b.txt"] {
        write(&root, name, name);
    }
    let server = Server::start([]);
    let root = root.to_str().unwrap();
    let sent =
        send([root, server.address(), "--exclude", "*.tmp", "--exclude=/cache/"]).expect_success();
    assert_eq!(sent.names("stored"), ["t/a.txt", "t/sub/b.txt", "t/sub/cache/y"]);
    assert_eq!(sent.of_type("skipped").len(), 2, "{sent:?}");
    assert!(sent.of_type("skipped").iter().all(|event| event["code"] == "excluded"));

    let sent = send([root, server.address(), "--exclude", "[a"]);
    assert_eq!(sent.code, Some(2), "{sent:?}");
    assert!(sent.stderr.contains("\"[a\" is not a pattern"), "{sent:?}");
}

#[test]
fn links_are_followed_with_follow_links_and_a_loop_is_1() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("t");
    write(directory.path(), "outside/x", "outside");
    write(&root, "a", "a");
    symlink("../outside", root.join("directory")).unwrap();
    let server = Server::start([]);
    let arguments = [root.to_str().unwrap(), server.address(), "--follow-links"];
    send(arguments).expect_success();
    assert_eq!(server.content("t/directory/x"), b"outside");

    symlink(".", root.join("around")).unwrap();
    write(&root, "b", "b");
    let sent = send(arguments);
    assert_eq!((sent.code, sent.failure()), (Some(1), "link-loop"), "{sent:?}");
    assert_eq!(sent.names("stored"), ["t/b"], "the rest goes on");
}

#[test]
fn a_dry_run_says_what_would_be_sent_and_connects_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("t");
    write(&root, "a\u{1b}[2J", "12345");
    write(&root, "sub/b", "678");
    fs::create_dir(root.join("empty")).unwrap();
    // Nobody accepts there; a connection would be seen.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();

    let run = send([root.to_str().unwrap(), &address, "--dry-run"]).expect_success();
    assert_eq!(run.names("planned"), ["t/a\u{1b}[2J", "t/empty", "t/sub/b"]);
    let summary = run.events.last().unwrap();
    assert_eq!((&summary["planned"], &summary["bytes"]), (&2.into(), &8.into()), "{summary}");
    assert_eq!(summary["stored"], 0);

    let ended = process::run(command().args(["send", "-n"]).arg(&root).arg(&address), b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut lines: Vec<&str> = ended.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["t/a\\u{1b}[2J (5 B)", "t/empty/ (empty directory)", "t/sub/b (3 B)"]);
    assert!(ended.stderr.contains("2 files to send, 1 empty directory: 8 B; nothing was sent"));

    let missing = directory.path().join("missing");
    let run = send([root.to_str().unwrap(), missing.to_str().unwrap(), &address, "--dry-run"]);
    assert_eq!((run.code, run.failure()), (Some(1), "not-found"), "{run:?}");
    assert!(!peer::has_connected(&nobody), "a dry run connects to nobody");
}

#[test]
fn an_inbox_within_the_tree_is_not_sent_into_itself() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("t");
    for number in 0..300 {
        write(&root, &format!("{number}"), &number.to_string());
    }
    let server = Setup::new::<&str>([]).inbox(root.join("in")).start();
    let to_server = [root.as_os_str(), server.address().as_ref()];
    let arrived = |stored: usize| {
        let sent = send(to_server).expect_success();
        assert_eq!(sent.names("stored").len(), stored, "{sent:?}");
        let mut skipped: Vec<_> =
            sent.of_type("skipped").iter().filter_map(|event| event["code"].as_str()).collect();
        skipped.sort_unstable();
        skipped.dedup();
        (skipped.contains(&"inbox-state"), skipped.contains(&"own-arrival"))
    };
    assert!(arrived(300).0, "its state is left out");
    assert_eq!(arrived(0), (true, true), "and what has arrived");
    assert_eq!(arrived(0), (true, true));
}

#[test]
fn a_file_that_got_another_name_is_said_with_both() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "report.pdf", "first");
    let server = Server::start([]);
    let run = |arguments: &[&str]| {
        let mut command = command();
        command.current_dir(directory.path()).args(["send", "report.pdf", server.address()]);
        process::run(command.args(arguments), b"")
    };
    let first = run(&[]);
    assert!(!first.stderr.contains("->"), "{first:?}");
    write(directory.path(), "report.pdf", "second");
    let second = run(&[]);
    assert!(second.stderr.contains("report.pdf -> report-1.pdf\n"), "{second:?}");
    assert_eq!(second.stdout, "report-1.pdf\n", "the result is the name alone");
    write(directory.path(), "report.pdf", "third");
    assert_eq!(run(&["-q"]).stderr, "");
}

#[test]
fn a_file_that_procfs_calls_empty_arrives_whole_in_each_dialect() {
    let version = fs::read("/proc/version").unwrap();
    let mut server = Server::start([]);
    let sent = send(["/proc/version", server.address()]).expect_success();
    assert_eq!(sent.names("stored"), ["version"]);
    assert_eq!(server.wait_stored(), "version");
    assert!(server.content("version") == version);
    send(["/proc/version", server.address(), "--classic"]).expect_success();
    let name = server.wait_stored();
    assert!(server.content(&name) == version);
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_costs_no_other() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a", "a");
    let server = Server::start([]);
    // A regular file to look at, which fails when it is read.
    let sent = send([
        directory.path().join("a").as_os_str(),
        "/proc/self/mem".as_ref(),
        server.address().as_ref(),
    ]);
    assert_eq!((sent.code, sent.failure()), (Some(1), "cannot-read"), "{sent:?}");
    assert_eq!(server.published(), Tree::from([("a".into(), file("a"))]));
}
