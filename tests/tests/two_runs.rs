//! The same command run a second time while the first run is still under way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use sandport_tests::deadline::until;
use sandport_tests::files::kept;
use sandport_tests::process::Running;
use sandport_tests::send::{command, send_with};
use sandport_tests::{Fate, Middlebox, Random, Server};

const MIB: usize = 1024 * 1024;

/// Watermarks come soon, so that something is kept of the first run; and whoever is held is not cut.
const FLAGS: [&str; 6] =
    ["--watermark-size", "1MiB", "--watermark-time", "1ms", "--idle-timeout", "600s"];

/// More than four connections have on their way when they are held. Bytes.
const SIZE: usize = 48 * MIB;

/// A first run, whose connections get no further than this.
const HELD_AT: u64 = 3 * MIB as u64 + 7;

fn run(directory: &Path, connections: usize, address: &str) -> Command {
    let mut command = command();
    command.current_dir(directory).args(["--json", "send", "--state-dir", "state"]);
    command.args(["-j", &connections.to_string(), "big", address]);
    command
}

#[test]
fn the_later_run_finishes_and_the_earlier_one_hears_and_ends() {
    for (first, second) in [(1, 1), (4, 1), (1, 4), (3, 4)] {
        let server = Server::start(FLAGS);
        let directory = tempfile::tempdir().unwrap();
        let content = Random::seeded().bytes(SIZE);
        std::fs::write(directory.path().join("big"), &content).unwrap();
        let held = std::iter::repeat_n(Fate::HoldSender(HELD_AT), first);
        let middlebox = Middlebox::before(server.address(), held);
        let earlier = Running::start(&mut run(directory.path(), first, middlebox.address()), b"");
        until("the hold of all connections", || middlebox.struck() == first);
        until("what is kept of the first run", || kept(server.inbox()) >= MIB as u64);

        let connections = second.to_string();
        let arguments = ["--state-dir", "state", "-j", &connections, "big", middlebox.address()];
        let later = send_with(directory.path(), b"", arguments).expect_success();
        assert_eq!(later.names("stored"), ["big"], "{first} {second}");
        let kept = later.of_type("resumed")[0]["kept"].as_u64().unwrap();
        assert!(kept >= MIB as u64, "what the first run brought is kept: {kept}");

        let earlier = earlier.finish();
        let told = format!("{first} {second}: {earlier:?}");
        assert_eq!(earlier.code, Some(3), "{told}");
        let refused: Vec<_> =
            earlier.stdout.lines().filter(|line| line.contains("\"refused\"")).collect();
        assert!(refused[0].contains("\"locked\"") && refused[0].contains("a later run"), "{told}");
        assert!(!earlier.stdout.contains("reconnecting"), "{told}");
        assert!(server.content("big") == content);
        assert_eq!(server.published().len(), 1, "no second copy: {told}");
    }
}

#[test]
fn an_earlier_run_that_was_cut_does_not_take_the_upload_back() {
    let server = Server::start(FLAGS);
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(SIZE);
    std::fs::write(directory.path().join("big"), &content).unwrap();
    let fates = [Fate::Hold(HELD_AT), Fate::HoldSender(HELD_AT)];
    let middlebox = Middlebox::before(server.address(), fates);
    let start = || {
        let mut command = run(directory.path(), 1, middlebox.address());
        Running::start(command.args(["--retries", "9"]), b"")
    };
    let wait_struck = |count| until("the hold of a run", || middlebox.struck() == count);
    let earlier = start();
    wait_struck(1);
    let later = start();
    wait_struck(2);
    middlebox.cut(0);
    let earlier = earlier.finish();
    assert_eq!(earlier.code, Some(3), "{earlier:?}");
    assert!(earlier.stdout.contains("\"reconnecting\""), "{earlier:?}");
    assert!(earlier.stdout.contains("\"locked\""), "{earlier:?}");

    // And what the later one has lost, it takes up again.
    middlebox.cut(1);
    let later = later.finish();
    assert_eq!(later.code, Some(0), "{later:?}");
    assert!(later.stdout.contains("\"reconnecting\""), "{later:?}");
    assert!(server.content("big") == content);
    assert_eq!(server.published().len(), 1);
}
