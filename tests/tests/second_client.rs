//! A client of the native dialect that was written from the text of `wit/wire.wit` alone, against the real
//! server: what it sends, and what the server says to each broken rule.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sandport_tests::clients::{json_lines, second_client};
use sandport_tests::deadline::until;
use sandport_tests::files::{self, kept};
use sandport_tests::process::{self, Running};
use sandport_tests::{Fate, Middlebox, Random, Server, Setup};
use serde_json::Value;
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// Large enough that what waits in sockets is less than half of it.
const LARGE_BYTES: usize = 24 * MIB + 9;

/// How far the connections get that are cut or held. Bytes.
const MIDWAY_BYTES: u64 = 16 * 1024 * 1024;

/// Watermarks come soon, so that a cut costs little.
const FLAGS: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];

/// A directory with a large file; the client's state lies beside it.
struct Large {
    directory: TempDir,
    content: Vec<u8>,
}

impl Large {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = Random::seeded().bytes(LARGE_BYTES);
        fs::write(directory.path().join("large"), &content).unwrap();
        Self { directory, content }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("large")
    }

    /// Begins to send it.
    fn start(&self, address: &str, options: &[&str]) -> Running {
        let state = self.directory.path().join("state");
        let mut arguments = vec![address.into(), self.path().into_os_string()];
        arguments.extend(["--state".into(), state.into_os_string()]);
        arguments.extend(options.iter().map(Into::into));
        Running::start(&mut second_client("second_client.py", arguments), b"")
    }

    /// Sends it; what is said of it.
    fn send(&self, address: &str, options: &[&str]) -> Value {
        line(self.start(address, options))
    }

    /// Whether it is in the inbox, and this has brought the rest of it and no more than that.
    #[track_caller]
    fn expect_resumed(&self, server: &Server, said: &Value) {
        assert_eq!(said["outcome"], "stored", "{said}");
        let sent = said["sent"].as_u64().unwrap();
        assert!((1..LARGE_BYTES as u64).contains(&sent), "it has not gone on where it was: {said}");
        assert!(server.content("large") == self.content, "the content is another");
    }
}

/// The one line of a run.
#[track_caller]
fn line(running: Running) -> Value {
    let ended = running.finish();
    let mut lines = json_lines(&ended);
    assert_eq!(lines.len(), 1, "{ended:?}");
    lines.remove(0)
}

/// Sends what is at `path`; the lines.
#[track_caller]
fn send(server: &Server, path: &Path, options: &[&str]) -> Vec<Value> {
    let mut arguments = vec![server.address().into(), path.as_os_str().to_owned()];
    arguments.extend(options.iter().map(Into::into));
    let ended = process::run(&mut second_client("second_client.py", arguments), b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    json_lines(&ended)
}

fn outcomes(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect()
}

/// What the cases come to that wait for no timeout, or those that do.
fn broken_rules(server: &Server, options: &[&str]) -> Vec<Value> {
    let arguments = [server.address()].into_iter().chain(options.iter().copied());
    let ended = process::run(&mut second_client("broken_rules.py", arguments), b"");
    let lines = json_lines(&ended);
    let wrong: Vec<_> = lines.iter().filter(|line| line["expect"] != line["got"]).collect();
    assert!(wrong.is_empty() && ended.code == Some(0), "{wrong:#?}, {}", ended.stderr);
    lines
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn a_tree_arrives_and_is_known_when_it_is_sent_again() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    for name in ["a/b/empty", "a/c", "alone"] {
        fs::create_dir_all(tree.join(name)).unwrap();
    }
    for number in 0..300 {
        fs::write(tree.join(format!("a/c/{number}")), random.bytes(number * 41)).unwrap();
    }
    fs::write(tree.join("a/no bytes"), "").unwrap();
    fs::write(tree.join("a/größer"), random.bytes(2 * MIB + 1)).unwrap();
    let server = Server::start([]);
    let lines = send(&server, &tree, &[]);
    assert_eq!(lines.len(), 304);
    assert_eq!(outcomes(&lines), BTreeSet::from(["already-stored", "stored"]));
    assert_eq!(files::tree(&server.inbox().join("tree")), files::tree(&tree));

    for options in [&[][..], &["--no-digest"]] {
        let lines = send(&server, &tree, options);
        assert_eq!(outcomes(&lines), BTreeSet::from(["already-stored"]), "{options:?}");
    }
    assert_eq!(files::tree(server.inbox()).keys().filter(|name| name.contains("-1")).count(), 0);
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn a_token_that_nobody_asked_for_ends_the_connection() {
    let large = Large::new();
    let server = Server::start([]);
    let said = large.send(server.address(), &["--token", "secret"]);
    assert_eq!((&said["outcome"], &said["code"]), (&"goodbye".into(), &"not-permitted".into()));
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn an_upload_that_was_cut_goes_on_in_a_later_process() {
    let large = Large::new();
    let server = Server::start(FLAGS);
    let middlebox = Middlebox::before(server.address(), [Fate::Cut(MIDWAY_BYTES)]);
    let cut = large.send(middlebox.address(), &[]);
    assert_eq!(cut["outcome"], "cut", "{cut}");
    middlebox.wait_closed(1);
    let said = large.send(middlebox.address(), &[]);
    large.expect_resumed(&server, &said);
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn a_later_run_takes_over_from_a_killed_one_still_believed_in() {
    let large = Large::new();
    let server = Server::start(FLAGS);
    let middlebox = Middlebox::before(server.address(), [Fate::Hold(MIDWAY_BYTES)]);
    let mut killed = large.start(middlebox.address(), &[]);
    middlebox.wait_bytes(MIDWAY_BYTES, || killed.has_ended());
    until("a part of the upload to be kept", || kept(server.inbox()) > 0);
    killed.signal(Signal::KILL);
    assert_eq!(killed.finish().code, None);
    let said = large.send(middlebox.address(), &[]);
    large.expect_resumed(&server, &said);
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn the_earlier_of_two_runs_hears_that_it_is_locked_out() {
    let large = Large::new();
    let server = Server::start(FLAGS);
    let middlebox = Middlebox::before(server.address(), [Fate::HoldSender(MIDWAY_BYTES)]);
    let mut earlier = large.start(middlebox.address(), &[]);
    middlebox.wait_bytes(MIDWAY_BYTES, || earlier.has_ended());
    until("a part of the upload to be kept", || kept(server.inbox()) > 0);
    let said = large.send(middlebox.address(), &[]);
    large.expect_resumed(&server, &said);
    let said = line(earlier);
    assert_eq!((&said["outcome"], &said["code"]), (&"refused".into(), &"locked".into()), "{said}");
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn an_upload_resumes_at_a_server_that_was_killed_and_restarted() {
    let large = Large::new();
    let mut server = Server::start(FLAGS);
    let middlebox = Middlebox::before(server.address(), [Fate::HoldSender(MIDWAY_BYTES)]);
    let mut cut = large.start(middlebox.address(), &[]);
    middlebox.wait_bytes(MIDWAY_BYTES, || cut.has_ended());
    until("a part of the upload to be kept", || kept(server.inbox()) > 0);
    server.kill();
    assert_eq!(line(cut)["outcome"], "cut");
    let server = Setup::new(FLAGS).inbox(server.inbox()).start();
    middlebox.turn_to(server.address());
    let said = large.send(middlebox.address(), &[]);
    large.expect_resumed(&server, &said);
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn two_connections_carry_one_file() {
    let large = Large::new();
    let server = Server::start([]);
    let middlebox = Middlebox::before(server.address(), []);
    let said = large.send(middlebox.address(), &["--connections", "2"]);
    assert_eq!((&said["outcome"], &said["carriers"]), (&"stored".into(), &2.into()), "{said}");
    assert!(server.content("large") == large.content, "the content is another");
    let bytes = middlebox.bytes();
    assert_eq!(bytes.len(), 2);
    assert!(bytes.iter().all(|&bytes| bytes > MIB as u64), "{bytes:?}");
    // None was carried twice: beside the content there are frames.
    assert!(bytes.iter().sum::<u64>() < (LARGE_BYTES + MIB) as u64, "{bytes:?}");
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn one_of_two_connections_is_cut_and_the_upload_goes_on() {
    let large = Large::new();
    let server = Server::start(FLAGS);
    let midway = MIDWAY_BYTES / 4;
    let middlebox = Middlebox::before(server.address(), [Fate::Pass, Fate::Cut(midway)]);
    let said = large.send(middlebox.address(), &["--connections", "2", "--retries", "1"]);
    assert_eq!(said["outcome"], "stored", "{said}");
    assert_eq!(middlebox.struck(), 1);
    assert!(server.content("large") == large.content, "the content is another");
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn each_broken_rule_is_answered_as_the_text_says() {
    let lines = broken_rules(&Server::start([]), &[]);
    let said: BTreeSet<_> = lines.iter().map(|line| line["got"].as_str().unwrap()).collect();
    for code in ["malformed", "unsupported-version", "not-permitted", "invalid-state", "too-many"] {
        assert!(said.contains(format!("goodbye {code}").as_str()), "{code} is a line of the table");
    }
    for code in ["name-invalid", "offset-mismatch", "digest-mismatch", "locked", "invalid-state"] {
        assert!(said.contains(format!("refused {code}").as_str()), "{code} costs one upload");
    }
}

#[test]
#[ignore = "needs a Python with blake3: lane `second-client` of .ci/run"]
fn silence_is_answered_as_the_text_says() {
    let lines = broken_rules(&Server::start(["--idle-timeout", "1s"]), &["--timeouts"]);
    assert_eq!(lines.len(), 4, "{lines:?}");
}
