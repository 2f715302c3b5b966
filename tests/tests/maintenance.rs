//! Looking after an inbox: what it holds, whether that is what was received, and how much it may be.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sandport_protocol::ResumeMode;
use sandport_tests::files::{self, Tree, file};
use sandport_tests::native::{offer, resumable};
use sandport_tests::process::Ended;
use sandport_tests::send::command;
use sandport_tests::{Native, Server, Setup, process, send};
use serde_json::Value;

/// Runs a command about the inbox, in words.
fn run(arguments: &[&str], inbox: &Path) -> Ended {
    process::run(command().args(arguments).arg(inbox), b"")
}

/// Runs it with `--json`: the exit code, and the lines.
fn run_json(arguments: &[&str], inbox: &Path) -> (Option<i32>, Vec<Value>) {
    let ended = process::run(command().arg("--json").args(arguments).arg(inbox), b"");
    let lines = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (ended.code, lines)
}

/// Stores files through a server; the server, which goes on.
fn server_with(flags: &[&str], stored: &[(&str, &str)]) -> Server {
    let server = Setup::new(flags.iter().copied()).start();
    let mut sender = Native::open(&server);
    for (id, (name, content)) in stored.iter().enumerate() {
        sender.send(id as u64, name, content.as_bytes());
        sender.outcome(id as u64).unwrap();
    }
    server
}

#[test]
fn ls_lists_what_was_received_beside_a_server_and_after_it() {
    let mut server = server_with(&[], &[("b/c.txt", "hello"), ("a", "")]);
    fs::write(server.inbox().join("theirs\u{1b}[2J"), "x").unwrap();
    for is_running in [true, false] {
        let (code, lines) = run_json(&["ls"], server.inbox());
        assert_eq!(code, Some(0));
        let told: Vec<_> = lines.iter().map(|line| (&line["name"], &line["state"])).collect();
        assert_eq!(told[0], (&"a".into(), &"stored".into()));
        assert_eq!(told[1], (&"b/c.txt".into(), &"stored".into()));
        assert_eq!(told[2], (&"theirs\u{1b}[2J".into(), &"unrecorded".into()));
        assert_eq!(lines[1]["size"], 5);
        assert!(lines[1]["digest"].as_str().unwrap().starts_with("blake3:"));
        assert!(lines[1]["age_s"].is_u64());
        let summary = lines.last().unwrap();
        assert_eq!((&summary["type"], &summary["files"]), (&"summary".into(), &3.into()));

        let ended = run(&["ls"], server.inbox());
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("stored      anonymous   b/c.txt\n"), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
        assert!(ended.stderr.contains("3 files: "), "{ended:?}");
        if is_running {
            server.stop();
        }
    }
}

#[test]
fn verify_is_0_for_what_is_as_received_and_5_for_changes() {
    let mut server = server_with(&[], &[("a", "hello"), ("b", "hello"), ("gone", "hello")]);
    for is_running in [true, false] {
        let (code, lines) = run_json(&["verify"], server.inbox());
        assert_eq!((code, lines.len()), (Some(0), 4), "{lines:?}");
        if is_running {
            server.stop();
        }
    }
    fs::remove_file(server.inbox().join("gone")).unwrap();
    let ended = run(&["verify"], server.inbox());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "missing     gone\n"), "{ended:?}");
    assert!(ended.stderr.contains("2 files as received, 1 missing: 10 B read"), "{ended:?}");
    assert_eq!(run(&["verify", "--strict"], server.inbox()).code, Some(5));

    fs::write(server.inbox().join("b"), "hellO").unwrap();
    let (code, lines) = run_json(&["verify"], server.inbox());
    assert_eq!(code, Some(5));
    let changed: Vec<_> = lines.iter().filter(|line| line["type"] == "changed").collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["name"], "b");
    assert_eq!(lines.last().unwrap()["exit_code"], 5);
}

#[test]
fn records_can_be_kept_off_the_disk() {
    let server = server_with(&["--records", "memory"], &[("a", "hello")]);
    assert!(!server.inbox().join(".sandport/receipts").exists());
    let ended = run(&["verify"], server.inbox());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "unrecorded  a\n"), "{ended:?}");
}

#[test]
fn a_directory_that_is_no_inbox_is_2_and_a_missing_one_is_7() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["ls", "verify"] {
        let ended = run(&[command], directory.path());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("error[not-an-inbox]: "), "{ended:?}");
        assert!(ended.stderr.contains("hint: "), "{ended:?}");
        assert_eq!(run(&[command], &directory.path().join("missing")).code, Some(7));
    }
    assert_eq!(files::tree(directory.path()), Tree::default());
}

#[test]
fn over_the_quota_is_4_and_a_retry_succeeds_with_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "1234567890").unwrap();
    let mut server = server_with(&["--quota-bytes", "12B", "--quota-files", "5"], &[("a", "123")]);
    let arguments = [path.as_os_str(), server.address().as_ref()];
    let sent = send(arguments);
    assert_eq!((sent.code, sent.failure()), (Some(4), "quota-exceeded"), "{sent:?}");
    assert!(sent.stderr.contains("--quota-bytes"), "{sent:?}");
    assert_eq!(server.published(), Tree::from([("a".into(), file("123"))]));
    server.wait_nothing_staged();
    server.stop();

    fs::remove_file(server.inbox().join("a")).unwrap();
    let again = Setup::new(["--quota-bytes", "12B"]).inbox(server.inbox()).start();
    send([path.as_os_str(), again.address().as_ref()]).expect_success();
}

#[test]
fn a_disk_that_would_be_too_full_is_3() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "1234567890").unwrap();
    // No disk has so much.
    let mut server = Server::start(["--min-free", "8000PiB"]);
    let sent = send([path.as_os_str(), server.address().as_ref()]);
    assert_eq!((sent.code, sent.failure()), (Some(3), "insufficient-space"), "{sent:?}");
    server.wait_refused("insufficient-space");
    server.stop_and_expect_nothing();
}

#[test]
fn clean_removes_what_a_killed_server_left_and_nothing_active() {
    let mut server = server_with(&[], &[("stored", "hello")]);
    let mut sender = Native::open(&server);
    sender.offer(0, "under way", 10);
    sender.data(0, 0, b"hello");
    // When this one is through, the bytes before it have been staged.
    sender.send(1, "after", b"x");
    sender.outcome(1).unwrap();
    let (code, lines) = run_json(&["clean"], server.inbox());
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
    assert_eq!((&lines[0]["removed"], &lines[0]["served"]), (&0.into(), &true.into()));
    assert_eq!(server.staged().len(), 1);

    server.kill();
    let ended = run(&["clean", "-n"], server.inbox());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("would remove leftover .sandport/staging/"), "{ended:?}");
    assert!(ended.stderr.contains("1 leftover to remove: 5 B; nothing was removed"), "{ended:?}");
    assert_eq!(server.staged().len(), 1);
    let (code, lines) = run_json(&["clean"], server.inbox());
    assert_eq!(
        (code, &lines[0]["kind"], &lines[0]["size"]),
        (Some(0), &"staged".into(), &5.into())
    );
    assert_eq!(server.staged(), [""; 0]);
    let stored = [("after".into(), file("x")), ("stored".into(), file("hello"))];
    assert_eq!(server.published(), Tree::from(stored));
}

#[test]
fn an_upload_of_which_nothing_is_kept_yet_is_listed_as_that() {
    let server = server_with(&["--watermark-time", "1h"], &[]);
    let mut sender = Native::open(&server);
    sender.say(&offer(0, resumable("video.mkv", 4 << 20, ResumeMode::TakeOver)));
    // Less than 4 KiB stays in memory.
    sender.data(0, 0, &[7; 8000]);
    // When this one is through, the bytes before it have been staged.
    sender.send(1, "after", b"x");
    sender.outcome(1).unwrap();
    let (code, lines) = run_json(&["ls"], server.inbox());
    assert_eq!(code, Some(0));
    let partial = lines.iter().find(|line| line["type"] == "partial").expect("it is under way");
    assert_eq!((&partial["kept"], &partial["name"]), (&0.into(), &serde_json::Value::Null));
    assert!(partial["age_s"].is_u64(), "{partial}");
    let ended = run(&["ls"], server.inbox());
    assert!(ended.stdout.contains("(begun, nothing is kept yet)\n"), "{ended:?}");
    assert!(ended.stderr.contains("1 partial upload"), "{ended:?}");
    assert_eq!(run_json(&["clean"], server.inbox()).0, Some(0));
    sender.data(0, 8000, &vec![7; (4 << 20) - 8000]);
    sender.say(&sandport_tests::native::finish(0, &vec![7; 4 << 20]));
    assert_eq!(sender.outcome(0).unwrap().name, "video.mkv");
}

#[test]
fn a_cut_upload_is_listed_with_its_progress_and_cleaned_away() {
    let mut server = server_with(&[], &[("stored", "hello")]);
    let mut sender = Native::open(&server);
    sender.say(&offer(0, resumable("video.mkv", 4 << 20, ResumeMode::TakeOver)));
    sender.data(0, 0, &vec![7; 1 << 20]);
    // When this one is through, the bytes before it have been staged.
    sender.send(1, "after", b"x");
    sender.outcome(1).unwrap();
    drop(sender);
    server.stop();

    let (code, lines) = run_json(&["ls"], server.inbox());
    assert_eq!(code, Some(0));
    let partial =
        lines.iter().find(|line| line["type"] == "partial").expect("an upload that waits");
    assert_eq!((&partial["name"], &partial["size"]), (&"video.mkv".into(), &(4 << 20).into()));
    assert_eq!((&partial["kept"], &partial["percent"]), (&(1 << 20).into(), &25.into()));
    assert!(partial["identity"].is_null());
    assert_eq!(lines.last().unwrap()["partials"], 1);
    let ended = run(&["ls"], server.inbox());
    assert!(ended.stdout.contains("25 %        anonymous   video.mkv\n"), "{ended:?}");
    assert!(ended.stderr.contains("2 files: 6 B; 1 partial upload"), "{ended:?}");

    // A week is not over yet; then it is.
    let (_, lines) = run_json(&["clean"], server.inbox());
    assert_eq!((&lines[0]["removed"], &lines[0]["partials_left"]), (&0.into(), &1.into()));
    let partials = server.inbox().join(".sandport/partials");
    for name in files::names_in(&partials) {
        let long_ago = SystemTime::now() - Duration::from_secs(8 * 24 * 3_600);
        files::set_modified(&partials.join(name), long_ago);
    }
    let again = Setup::new([""; 0]).inbox(server.inbox()).start();
    let ended = run(&["clean"], again.inbox());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "removed partial upload of video.mkv (1.0 MiB, idle for 8d)\n");
    assert_eq!(files::names_in(&partials), [""; 0]);
    assert_eq!(again.published().len(), 2);
}

#[test]
fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    for name in ["receipts", "layout"] {
        let mut server = server_with(&[], &[("a", "hello")]);
        server.kill();
        let path = server.inbox().join(".sandport").join(name);
        fs::remove_file(&path).unwrap();
        let (mode, kind) = (rustix::fs::Mode::from_raw_mode(0o600), rustix::fs::FileType::Fifo);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        for command in ["ls", "verify"] {
            let ended = run(&[command], server.inbox());
            assert_eq!(ended.code, Some(7), "{command} {name}: {ended:?}");
        }
    }
}
