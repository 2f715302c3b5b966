//! Senders that are interrupted, and files that change while they are sent: what the server has of an upload is
//! never anything but bytes of the file, so the same command goes on where it was interrupted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sandport_tests::deadline::until;
use sandport_tests::files::{keys_in, names_in};
use sandport_tests::process::Running;
use sandport_tests::send::{command, send_with};
use sandport_tests::{Fate, Middlebox, Random, Sent, Server};

const MIB: usize = 1024 * 1024;

/// How often each combination of a signal and a number of connections is tried, where nobody says otherwise.
const ROUNDS: usize = 2;

/// Says otherwise: a long run.
const ROUNDS_VARIABLE: &str = "SANDPORT_TEST_INTERRUPTS";

/// Watermarks come soon: little is sent twice.
const FLAGS: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];

/// What messages take beside the payload, over all connections of a round. Bytes.
const MESSAGES_BYTES_MAX: u64 = 64 * 1024;

/// A file that is sent through a middlebox.
struct World {
    server: Server,
    directory: tempfile::TempDir,
    content: Vec<u8>,
}

impl World {
    fn new(random: &mut Random, size: usize) -> Self {
        let (server, directory) = (Server::start(FLAGS), tempfile::tempdir().unwrap());
        let content = random.bytes(size);
        std::fs::write(directory.path().join("big"), &content).unwrap();
        Self { server, directory, content }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn arguments<'a>(&self, connections: &'a str, to: &'a str) -> [&'a str; 6] {
        ["--state-dir", "state", "-j", connections, "big", to]
    }

    fn start(&self, connections: &str, to: &str) -> Running {
        let mut command = command();
        command.current_dir(self.path()).args(["--json", "send"]);
        Running::start(command.args(self.arguments(connections, to)), b"")
    }

    fn again(&self, connections: &str, to: &str) -> Sent {
        send_with(self.path(), b"", self.arguments(connections, to))
    }

    /// Nothing but the file is left anywhere.
    #[track_caller]
    fn expect_whole(&self, told: &str) {
        assert!(self.server.content("big") == self.content, "the content differs: {told}");
        assert_eq!(self.server.published().len(), 1, "a second copy: {told}");
        assert_eq!(keys_in(&self.path().join("state")), [""; 0], "{told}");
        self.expect_nothing_parked(told);
    }

    #[track_caller]
    fn expect_nothing_parked(&self, told: &str) {
        // The server is still at it when the sender has ended.
        let partials = self.server.inbox().join(".sandport/partials");
        until(format_args!("the end of the upload: {told}"), || names_in(&partials).is_empty());
    }
}

/// Interrupts a sender somewhere, lets the same command go on, and counts. Bytes that were sent twice.
fn interrupt_and_resume(
    random: &mut Random,
    signal: Signal,
    connections: usize,
    link: Fate,
) -> u64 {
    // It does not end with a group.
    let size = 24 * MIB + random.below(MIB);
    let world = World::new(random, size);
    let middlebox = Middlebox::before(world.server.address(), vec![link; connections]);
    let number = connections.to_string();
    let mut first = world.start(&number, middlebox.address());
    let at = random.below(20 * MIB) as u64;
    middlebox.wait_bytes(at, || first.has_ended());
    if !first.has_ended() {
        first.signal(signal);
    }
    let first = Sent::of(first.finish());
    let opened = middlebox.bytes().len();
    middlebox.wait_closed(opened);
    let before: u64 = middlebox.bytes().iter().sum();
    let told = format!("{signal:?} at {at}, {connections} over {link:?}: {first:?}");

    let second = world.again(&number, middlebox.address());
    let told = format!("{told}, then {second:?}; {:?}", middlebox.bytes());
    if first.code == Some(0) {
        // It was faster than the signal.
        assert_eq!(second.names("already-stored"), ["big"], "{told}");
        world.expect_whole(&told);
        return 0;
    }
    assert_eq!(first.code, Some(130), "{told}");
    assert_eq!(second.code, Some(0), "{told}");
    assert!(second.of_type("restarted").is_empty(), "{told}");
    if before > (2 * MIB * connections) as u64 {
        assert_eq!(first.of_type("failed")[0]["resumable"], true, "{told}");
        let error = first.of_type("error")[0];
        assert!(error["hint"].as_str().unwrap().contains("same command again"), "{told}");
        assert!(second.of_type("resumed")[0]["kept"].as_u64().unwrap() >= MIB as u64, "{told}");
    }
    world.expect_whole(&told);
    let sent: u64 = middlebox.bytes().iter().sum();
    let twice = sent.saturating_sub(world.content.len() as u64);
    // A step, or with more connections than it has groups, a group for each.
    let step = (connections * MIB) as u64;
    assert!(twice <= step + MESSAGES_BYTES_MAX, "{twice} bytes are sent twice: {told}");
    twice
}

/// All rounds of a combination, over links of different speeds.
fn rounds(signal: Signal, connections: usize) {
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut random = Random::seeded();
    // As fast as it goes, 64 MiB and 6 MiB a second for each connection.
    let delays = [0, 1, 10];
    let mut twice = Vec::new();
    for round in 0..rounds {
        let link = match delays[(round + 1) % delays.len()] {
            0 => Fate::Pass,
            delay => Fate::Slow(Duration::from_millis(delay)),
        };
        twice.push(interrupt_and_resume(&mut random, signal, connections, link));
    }
    println!("{signal:?}, {connections} connections: sent twice, in bytes: {twice:?}");
}

#[test]
fn a_sender_on_sigint_is_resumed() {
    rounds(Signal::INT, 1);
}

#[test]
fn a_sender_on_sigterm_is_resumed() {
    rounds(Signal::TERM, 1);
}

#[test]
fn a_sender_with_connections_on_sigint_is_resumed() {
    rounds(Signal::INT, 4);
}

#[test]
fn a_sender_with_connections_on_sigterm_is_resumed() {
    rounds(Signal::TERM, 4);
}

#[test]
fn an_interrupted_stream_leaves_nothing_and_promises_nothing() {
    let world = World::new(&mut Random::seeded(), 0);
    let middlebox = Middlebox::before(world.server.address(), []);
    let mut sender = command();
    sender.args(["--json", "send", "--name", "s", "-", middlebox.address()]);
    // It goes on for ever, and nothing of it waits for the network when it is interrupted.
    let (mut sender, stdin) = Running::open(&mut sender);
    stdin.write(Random::seeded().bytes(3 * MIB));
    middlebox.wait_bytes(3 * MIB as u64, || sender.has_ended());
    sender.interrupt();
    let ended = Sent::of(sender.finish());
    drop(stdin);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(ended.of_type("failed")[0]["resumable"], false, "{ended:?}");
    assert!(ended.of_type("error")[0]["hint"].is_null(), "{ended:?}");
    middlebox.wait_closed(1);
    assert_eq!(world.server.published().len(), 0);
    world.expect_nothing_parked("a stream");
}

#[test]
fn an_interrupted_upload_without_resume_promises_nothing() {
    let world = World::new(&mut Random::seeded(), 16 * MIB);
    let middlebox = Middlebox::before(world.server.address(), []).held_at(3 * MIB as u64);
    let mut sender = command();
    sender.current_dir(world.path()).args(["send", "--no-resume", "-j", "1", "big"]);
    let mut sender = Running::start(sender.arg(middlebox.address()), b"");
    middlebox.wait_bytes(3 * MIB as u64, || sender.has_ended());
    sender.interrupt();
    let ended = sender.finish();
    middlebox.release();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(!ended.stderr.contains("resume"), "{ended:?}");
    middlebox.wait_closed(1);
    world.expect_nothing_parked("--no-resume");
}

/// Changes a file while it is sent: it fails, once, and what is sent afterwards is the new one.
fn change_while_sent(connections: &str, change: impl FnOnce(&File), what: &str) {
    let mut world = World::new(&mut Random::seeded(), 24 * MIB);
    let middlebox = Middlebox::before(world.server.address(), []).held_at(3 * MIB as u64);
    let mut sender = world.start(connections, middlebox.address());
    middlebox.wait_bytes(3 * MIB as u64, || sender.has_ended());
    let big = world.path().join("big");
    change(&File::options().write(true).open(&big).unwrap());
    middlebox.release();
    let first = Sent::of(sender.finish());
    let what = format!("{what} with {connections}");
    assert_eq!((first.code, first.failure()), (Some(7), "changed"), "{what}: {first:?}");
    middlebox.wait_closed(middlebox.bytes().len());
    world.expect_nothing_parked(&what);
    world.content = std::fs::read(&big).unwrap();
    let second = world.again(connections, middlebox.address());
    assert_eq!(second.names("stored"), ["big"], "{what}: {second:?}");
    assert!(second.of_type("restarted").is_empty(), "{what}: {second:?}");
    world.expect_whole(&what);
}

#[test]
fn a_file_that_changes_while_sent_can_be_sent_again() {
    for connections in ["1", "4"] {
        let grow = |file: &File| file.set_len(25 * MIB as u64).unwrap();
        change_while_sent(connections, grow, "growing");
        let shrink = |file: &File| file.set_len(MIB as u64).unwrap();
        change_while_sent(connections, shrink, "shrinking");
        let rewrite = |file: &File| file.write_all_at(&[7; 2 * MIB], 0).unwrap();
        change_while_sent(connections, rewrite, "rewritten");
    }
}

#[test]
fn a_changed_file_whose_restart_was_cut_is_not_mixed() {
    let mut random = Random::seeded();
    let mut world = World::new(&mut random, 24 * MIB);
    // The second run is cut before its offer gets through: the server has bytes of the old file still.
    let fates = [Fate::Pass, Fate::Cut(8)];
    let middlebox = Middlebox::before(world.server.address(), fates).held_at(5 * MIB as u64);
    let mut first = world.start("1", middlebox.address());
    middlebox.wait_bytes(5 * MIB as u64, || first.has_ended());
    first.interrupt();
    assert_eq!(Sent::of(first.finish()).code, Some(130));
    middlebox.release();
    middlebox.wait_closed(1);
    world.content = random.bytes(24 * MIB);
    std::fs::write(world.path().join("big"), &world.content).unwrap();
    let cut = world.again("1", middlebox.address());
    assert_eq!(cut.code, Some(3), "{cut:?}");
    let sent = world.again("1", middlebox.address()).expect_success();
    let codes: Vec<_> = sent.of_type("restarted").iter().map(|event| &event["code"]).collect();
    assert_eq!(codes, ["changed"], "not found to be damaged at its end: {sent:?}");
    world.expect_whole("");
}
