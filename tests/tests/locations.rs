//! Where a server cannot serve: it says why and what to do, and exits with the documented code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use sandport_tests::files::names_in;
use sandport_tests::namespace::mounted;
use sandport_tests::process::Ended;
use sandport_tests::{Native, Server, Setup, send};

/// Exit codes, as documented.
const USAGE: Option<i32> = Some(2);
const TEMPORARY: Option<i32> = Some(3);
const LOCAL_IO: Option<i32> = Some(7);

fn setup(inbox: &Path) -> Setup {
    Setup::new([""; 0]).inbox(inbox)
}

#[track_caller]
fn assert_fails(ended: &Ended, exit: Option<i32>, code: &str, words: &[&str]) {
    assert_eq!(ended.code, exit, "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")), "{ended:?}");
    assert!(ended.stderr.contains("hint: "), "{ended:?}");
    for expected in words {
        assert!(ended.stderr.contains(expected), "{expected:?} is not in: {}", ended.stderr);
    }
    assert!(!ended.stdout.contains("listening"), "{ended:?}");
}

#[test]
fn the_inbox_is_made_if_the_directory_above_it_exists() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("new");
    let server = setup(&inbox).start();
    assert!(server.published().is_empty());
    assert!(inbox.is_dir());
}

#[test]
fn a_missing_parent_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let ended = setup(&missing.join("inbox")).start_and_fail();
    assert_fails(&ended, LOCAL_IO, "inbox-parent-missing", &[missing.to_str().unwrap()]);
    assert!(!missing.exists());
}

#[test]
fn a_file_in_its_place_is_an_error_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    fs::write(&inbox, "mine").unwrap();
    let ended = setup(&inbox).start_and_fail();
    assert_fails(&ended, LOCAL_IO, "inbox-not-a-directory", &[inbox.to_str().unwrap()]);
    assert_eq!(fs::read(&inbox).unwrap(), b"mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    // Root may write everywhere, but not to a file system that is mounted read-only.
    let mount = format!("mount -t tmpfs -o ro tmpfs {}", inbox.display());
    let Some(wrapper) = mounted(&mount) else { return };
    let ended = setup(&inbox).wrapped(wrapper).start_and_fail();
    assert_fails(&ended, LOCAL_IO, "inbox-not-writable", &[inbox.to_str().unwrap(), "permission"]);
}

#[test]
fn an_inbox_that_is_served_already_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let mut first = setup(&inbox).start();
    let mut sender = Native::open(&first);
    sender.offer(0, "under way", 10);
    sender.data(0, 0, b"hello");
    assert!(sender.hear().is_some(), "the upload is accepted");

    let ended = setup(&inbox).start_and_fail();
    assert_fails(
        &ended,
        TEMPORARY,
        "inbox-locked",
        &["is in use by another server", "stop the other server"],
    );

    sender.data(0, 5, b"world");
    sender.end(0, b"helloworld");
    assert_eq!(sender.outcome(0).unwrap().name, "under way");
    drop(sender);
    assert_eq!(first.stop(), Some(0));
    setup(&inbox).start();
}

#[test]
fn a_full_disk_refuses_the_upload_and_the_server_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    for (name, content) in [("large", vec![7; 5 << 20]), ("small", vec![7; 1 << 10])] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let Some(wrapper) = mounted(&format!("mount -t tmpfs -o size=2m tmpfs {}", disk.display()))
    else {
        return;
    };
    let mut server = setup(&disk.join("inbox")).wrapped(wrapper).start();
    let (large, small) = (directory.path().join("large"), directory.path().join("small"));
    let sent = send([large.as_os_str(), server.address().as_ref()]);
    assert_eq!((sent.code, sent.failure()), (TEMPORARY, "insufficient-space"), "{sent:?}");
    assert!(sent.stderr.contains("hint: "), "{sent:?}");
    server.wait_refused("insufficient-space");

    // A stream is not announced: the disk fills up while it is written.
    let stream = vec![7; 5 << 20];
    let sent = sandport_tests::send::send_with(
        directory.path(),
        &stream,
        ["-", server.address(), "--name", "stream"],
    );
    assert_eq!((sent.code, sent.failure()), (TEMPORARY, "insufficient-space"), "{sent:?}");

    server.wait_refused("insufficient-space");

    // What was staged is gone again, so there is room.
    send([small.as_os_str(), server.address().as_ref()]).expect_success();
    assert_eq!(server.wait_stored(), "small");
    assert_eq!(names_in(&disk), [""; 0], "the disk is seen by the server alone");
}

#[test]
fn a_port_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Setup::new(["--listen", &address]).start_and_fail();
    assert_fails(&ended, TEMPORARY, "address-in-use", &[&address, "--listen"]);
}

#[test]
fn an_address_that_is_not_of_this_machine_is_an_error() {
    // TEST-NET-1, RFC 5737.
    let ended = Setup::new(["--listen", "192.0.2.1:0"]).start_and_fail();
    assert_fails(&ended, LOCAL_IO, "listen", &["192.0.2.1"]);
}

#[test]
fn a_name_for_unnamed_files_that_no_inbox_takes_is_an_error() {
    let ended = Setup::new(["--classic-name", "../x"]).start_and_fail();
    assert_fails(&ended, USAGE, "name-invalid", &["../x"]);
}

#[test]
fn an_inbox_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let mut server: Server = setup(&inbox).start();
    assert_eq!(server.stop(), Some(0));
    fs::write(inbox.join(".sandport/layout"), "999\n").unwrap();
    let ended = setup(&inbox).start_and_fail();
    assert_fails(&ended, USAGE, "inbox-layout", &["999"]);
}
