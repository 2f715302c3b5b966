//! `sandport send FILE http://HOST/`: to the real server, behind proxies, and to a server of others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use sandport_tests::deadline::until;
use sandport_tests::files::{kept, keys_in, modified, names_in, set_modified};
use sandport_tests::http_clients::{self, Kind, Proxy};
use sandport_tests::http_peers::SeaweedFs;
use sandport_tests::process::{self, Running};
use sandport_tests::send::{command, send_with};
use sandport_tests::{Middlebox, Random, Sent, Server, Setup};

const MIB: usize = 1024 * 1024;

/// Watermarks come soon: little is sent twice.
const FLAGS: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];

fn http(address: &str) -> String {
    format!("http://{address}/")
}

/// A directory with a file `big`, and the file's content.
fn world(size: usize) -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(size);
    std::fs::write(directory.path().join("big"), &content).unwrap();
    (directory, content)
}

/// The same command each time.
const BIG: [&str; 3] = ["--state-dir", "state", "big"];

fn start(directory: &Path, to: &str, retries: &str) -> Running {
    let mut command = command();
    command.current_dir(directory).args(["--json", "send", "--retries", retries]).args(BIG).arg(to);
    Running::start(&mut command, b"")
}

fn again(directory: &Path, to: &str) -> Sent {
    send_with(directory, b"", BIG.into_iter().chain([to]))
}

#[test]
fn files_directories_and_streams_are_stored_and_verified() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(3 * MIB + 5);
    let tree = directory.path().join("t");
    std::fs::create_dir_all(tree.join("a b")).unwrap();
    std::fs::create_dir(tree.join("nothing")).unwrap();
    std::fs::write(tree.join("a b/gr\u{fc}n%?.txt"), b"small").unwrap();
    std::fs::write(tree.join("empty"), b"").unwrap();
    std::fs::write(tree.join("big"), &content).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    set_modified(&tree.join("big"), time);

    let to = http(server.address());
    let sent = send_with(directory.path(), b"", ["t", to.as_str()]).expect_success();
    assert_eq!(sent.names("stored"), ["t/a b/gr\u{fc}n%?.txt", "t/big", "t/empty"]);
    for event in sent.of_type("stored") {
        assert!(event["digest"].as_str().unwrap().starts_with("blake3:"), "{event}");
    }
    assert_eq!(sent.of_type("skipped")[0]["code"], "empty-directory");
    assert!(server.content("t/big") == content);
    assert_eq!(server.content("t/a b/gr\u{fc}n%?.txt"), b"small");
    assert_eq!(modified(&server.inbox().join("t/big")), time);

    let sent =
        send_with(directory.path(), &content, ["-", "--name", "s", to.as_str()]).expect_success();
    assert_eq!(sent.names("stored"), ["s"]);
    assert!(server.content("s") == content);
}

#[test]
fn an_address_can_be_a_directory_or_a_name() {
    let server = Server::start([]);
    let (directory, content) = world(10);
    let below = format!("{}in/deep/", http(server.address()));
    send_with(directory.path(), b"", ["big", below.as_str()]).expect_success();
    let name = format!("{}other%20name", http(server.address()));
    let sent = send_with(directory.path(), b"", ["big", name.as_str()]).expect_success();
    assert_eq!(sent.names("stored"), ["other name"]);
    assert_eq!(server.content("in/deep/big"), content);
    assert_eq!(server.content("other name"), content);
    let sent = send_with(directory.path(), b"", ["big", ".", name.as_str()]);
    assert_eq!(sent.code, Some(2), "{sent:?}");
    assert_eq!(sent.of_type("error")[0]["code"], "one-name");
}

#[test]
fn the_same_command_again_stores_nothing_twice() {
    let server = Server::start([]);
    let (directory, _) = world(3 * MIB);
    let to = http(server.address());
    again(directory.path(), &to).expect_success();
    again(directory.path(), &to).expect_success();
    assert_eq!(server.published().len(), 1, "{:?}", server.published());
}

/// Interrupts a sender in the middle, and lets the same command go on. Bytes that were sent over both.
fn interrupt_and_resume(signal: Signal) {
    let server = Server::start(FLAGS);
    let (directory, content) = world(24 * MIB);
    let middlebox = Middlebox::before(server.address(), []).held_at(12 * MIB as u64);
    let to = http(middlebox.address());
    let mut first = start(directory.path(), &to, "0");
    middlebox.wait_bytes(12 * MIB as u64, || first.has_ended());
    first.signal(signal);
    let first = Sent::of(first.finish());
    middlebox.release();
    middlebox.wait_closed(middlebox.bytes().len());
    assert_eq!(first.code, Some(130), "{first:?}");
    assert_eq!(first.of_type("failed")[0]["resumable"], true, "{first:?}");
    assert!(first.of_type("error")[0]["hint"].as_str().unwrap().contains("same command again"));
    assert_eq!(keys_in(&directory.path().join("state")).len(), 1);

    let second = again(directory.path(), &to).expect_success();
    assert!(second.of_type("resumed")[0]["kept"].as_u64().unwrap() > 0, "{second:?}");
    assert_eq!(second.names("stored"), ["big"], "{second:?}");
    assert!(server.content("big") == content);
    assert_eq!(keys_in(&directory.path().join("state")), [""; 0]);
    let twice = middlebox.bytes().iter().sum::<u64>().saturating_sub(content.len() as u64);
    // A step, what the sockets and the middlebox held, and heads.
    assert!(twice <= 4 * MIB as u64, "{twice} bytes are sent twice: {first:?} {second:?}");
}

#[test]
fn an_interrupted_sender_goes_on_with_the_same_command() {
    interrupt_and_resume(Signal::INT);
    interrupt_and_resume(Signal::TERM);
}

#[test]
fn a_sender_goes_on_when_a_killed_server_is_there_again() {
    let mut server = Server::start(FLAGS);
    let (directory, content) = world(24 * MIB);
    let middlebox = Middlebox::before(server.address(), []).held_at(12 * MIB as u64);
    let mut sender = start(directory.path(), &http(middlebox.address()), "8");
    middlebox.wait_bytes(12 * MIB as u64, || sender.has_ended());
    server.kill();
    let server = Setup::new(FLAGS).inbox(server.inbox()).start();
    middlebox.turn_to(server.address());
    middlebox.release();
    let sent = Sent::of(sender.finish()).expect_success();
    assert_eq!(sent.names("stored"), ["big"], "{sent:?}");
    assert!(!sent.of_type("reconnecting").is_empty(), "{sent:?}");
    assert!(server.content("big") == content);
}

#[test]
fn a_file_that_changed_between_two_runs_is_sent_anew() {
    let server = Server::start(FLAGS);
    let (directory, _) = world(24 * MIB);
    let middlebox = Middlebox::before(server.address(), []).held_at(12 * MIB as u64);
    let to = http(middlebox.address());
    let mut first = start(directory.path(), &to, "0");
    middlebox.wait_bytes(12 * MIB as u64, || first.has_ended());
    first.interrupt();
    first.finish();
    middlebox.release();
    let content = vec![7; 5 * MIB];
    std::fs::write(directory.path().join("big"), &content).unwrap();
    let second = again(directory.path(), &to).expect_success();
    assert_eq!(second.of_type("restarted")[0]["code"], "changed", "{second:?}");
    assert!(server.content("big") == content);
    until("the end of the old upload", || kept(server.inbox()) == 0);
}

#[test]
fn an_interrupted_stream_leaves_nothing_and_promises_nothing() {
    let server = Server::start(FLAGS);
    let to = http(server.address());
    let mut sender = command();
    sender.args(["--json", "send", "--name", "s", "-", to.as_str()]);
    // It goes on for ever.
    let (mut sender, stdin) = Running::open(&mut sender);
    stdin.write(Random::seeded().bytes(40 * MIB));
    let partials = server.inbox().join(".sandport/partials");
    until("the begun upload", || !names_in(&partials).is_empty() || sender.has_ended());
    sender.interrupt();
    let ended = Sent::of(sender.finish());
    drop(stdin);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(ended.of_type("failed")[0]["resumable"], false, "{ended:?}");
    until("the end of the upload", || names_in(&partials).is_empty());
    assert_eq!(server.published().len(), 0);
}

#[test]
fn what_the_server_does_not_take_is_told_by_its_code() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small"), b"12345").unwrap();
    std::fs::write(directory.path().join("large"), vec![1; 3 * MIB]).unwrap();
    let refused = |server: &Server, file: &str, name: &str| {
        let to = format!("{}{name}", http(server.address()));
        let sent = send_with(directory.path(), b"", ["--no-resume", file, to.as_str()]);
        let with_resume = send_with(directory.path(), b"", ["--state-dir", "s", file, to.as_str()]);
        assert_eq!(sent.failure(), with_resume.failure(), "{sent:?} {with_resume:?}");
        assert_eq!(sent.code, with_resume.code, "{sent:?} {with_resume:?}");
        (sent.code, sent.failure().to_owned())
    };
    let server = Server::start(["--max-file", "1MiB", "--quota-bytes", "2MiB"]);
    assert_eq!(refused(&server, "small", ".sandport"), (Some(4), "name-invalid".to_owned()));
    assert_eq!(refused(&server, "large", ""), (Some(4), "too-large".to_owned()));
    let server = Server::start(["--quota-bytes", "1MiB"]);
    assert_eq!(refused(&server, "large", ""), (Some(4), "quota-exceeded".to_owned()));
    assert_eq!(server.published().len(), 0);
}

#[test]
fn wrong_commands_end_with_2_and_a_missing_server_with_3() {
    let (directory, _) = world(5);
    for arguments in [["big", "ftp://localhost/"], ["big", "http://me@localhost/"]] {
        let mut command = command();
        let ended =
            process::run(command.current_dir(directory.path()).arg("send").args(arguments), b"");
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = http(&listener.local_addr().unwrap().to_string());
    drop(listener);
    let sent = send_with(directory.path(), b"", ["big", nobody.as_str()]);
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert_eq!(sent.of_type("error")[0]["code"], "unreachable");
}

#[test]
fn a_server_without_http_says_so() {
    let server = Server::start(["--http", "off"]);
    let (directory, _) = world(5);
    let to = http(server.address());
    let sent = send_with(directory.path(), b"", ["big", to.as_str()]);
    assert_eq!(sent.code, Some(4), "{sent:?}");
}

/// Stops a sender in the middle by Ctrl-C and lets the same command go on. What that says, and how many bytes both have
/// sent.
fn interrupt_on_the_way(front: &str, path: &str, directory: &Path) -> (Sent, u64) {
    let middlebox = Middlebox::before(front, []).held_at(12 * MIB as u64);
    let to = format!("http://{}{path}", middlebox.address());
    let mut first = start(directory, &to, "0");
    middlebox.wait_bytes(12 * MIB as u64, || first.has_ended());
    first.interrupt();
    let first = Sent::of(first.finish());
    assert_eq!(first.code, Some(130), "{first:?}");
    middlebox.release();
    middlebox.wait_closed(middlebox.bytes().len());
    (again(directory, &to).expect_success(), middlebox.bytes().iter().sum())
}

#[test]
#[ignore = "it needs SeaweedFS: lane http-clients"]
fn another_server_of_tus_takes_a_file_and_goes_on() {
    let server = SeaweedFs::start();
    let (directory, content) = world(24 * MIB);
    let path = SeaweedFs::upload("in/name");
    // It listens before it can store something.
    let small = format!("http://{}{}", server.address(), SeaweedFs::upload("in/small"));
    std::fs::write(directory.path().join("small"), b"12345").unwrap();
    until("SeaweedFS to store something", || {
        send_with(directory.path(), b"", ["small", small.as_str()]).code == Some(0)
    });
    let (sent, bytes) = interrupt_on_the_way(server.address(), &path, directory.path());
    assert!(bytes <= 36 * MIB as u64, "all of it is sent twice");
    assert_eq!(sent.of_type("stored")[0]["verified"], false, "it gives no digest: {sent:?}");
    assert!(!sent.of_type("resumed").is_empty(), "{sent:?}");
    let url = format!("http://{}/in/name", server.address());
    let there = http_clients::run("curl", directory.path(), ["-s", "-o", "there", &url], b"");
    assert_eq!(there.code, Some(0), "{there:?}");
    assert!(std::fs::read(directory.path().join("there")).unwrap() == content);
}

#[test]
#[ignore = "it needs nginx, haproxy and caddy: lane http-clients"]
fn a_sender_behind_any_proxy_goes_on_with_the_same_command() {
    for kind in Kind::ALL {
        let server = Server::start(FLAGS);
        let proxy = Proxy::before(&server, kind, []);
        let (directory, content) = world(24 * MIB);
        let (sent, bytes) = interrupt_on_the_way(proxy.front.address(), "/", directory.path());
        // The others pass a request on when they have all of it.
        if matches!(kind, Kind::NginxUnbuffered | Kind::Haproxy | Kind::Caddy) {
            assert!(bytes <= 36 * MIB as u64, "{kind:?}: all of it is sent twice");
        }
        assert_eq!(sent.names("stored"), ["big"], "{kind:?} {sent:?}");
        assert!(server.content("big") == content, "{kind:?}");
    }
}
