//! Sending over several connections, by the real programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use sandport_tests::deadline::until;
use sandport_tests::files::{keys_in, names_in};
use sandport_tests::process::Running;
use sandport_tests::send::{command, send_with};
use sandport_tests::{Fate, Middlebox, Random, Sent, Server, Setup};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// Watermarks come soon, so that a cut costs little; and whoever is held back for a while is not cut.
const FLAGS: [&str; 6] =
    ["--watermark-size", "1MiB", "--watermark-time", "1ms", "--idle-timeout", "600s"];

/// Enough for a connection to have said hello and to have begun with payload. Bytes.
const BEGUN: u64 = 32 * 1024;

/// How many runs of a sender have their connections cut at random, where nobody says otherwise.
const CUTS: usize = 4;

/// Says otherwise: a long run.
const CUTS_VARIABLE: &str = "SANDPORT_TEST_CUTS";

/// A directory with a file `big` of random content.
fn directory_with(size: usize) -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(size);
    std::fs::write(directory.path().join("big"), &content).unwrap();
    (directory, content)
}

/// Sends from a directory, which has the keys too.
fn send(directory: &Path, arguments: &[&str]) -> Sent {
    send_with(directory, b"", ["--state-dir", "state"].iter().chain(arguments))
}

/// The file `big` is there, and nothing else.
#[track_caller]
fn expect_one(server: &Server, content: &[u8]) {
    assert!(server.content("big") == content);
    assert_eq!(server.published().len(), 1, "a second copy");
}

#[test]
fn a_large_file_over_four_connections_arrives_whole_once() {
    let mut server = Server::start(FLAGS);
    let (directory, content) = directory_with(64 * MIB + 12_345);
    let middlebox = Middlebox::before(server.address(), []).in_step(4, MIB as u64 + 1);
    let sent = send(directory.path(), &["-j", "4", "big", middlebox.address()]).expect_success();
    assert_eq!(sent.names("stored"), ["big"]);
    expect_one(&server, &content);
    let bytes = middlebox.bytes();
    assert_eq!(bytes.len(), 4);
    assert!(
        bytes.iter().all(|&bytes| bytes > MIB as u64),
        "all of them carry something: {bytes:?}"
    );
    let total: u64 = bytes.iter().sum();
    assert!(total < (content.len() + MIB / 4) as u64, "nothing is sent twice: {bytes:?}");
    // Each connection got an answer.
    server.stop();
    assert_eq!(server.told_stored(), 1, "the operator hears of a file once");
}

#[test]
fn one_that_is_cut_costs_the_others_nothing_and_is_made_again() {
    let server = Server::start(FLAGS);
    let (directory, content) = directory_with(48 * MIB);
    let cut = [Fate::Cut(2 * MIB as u64), Fate::Pass, Fate::Cut(MIB as u64 + 7)];
    let middlebox = Middlebox::before(server.address(), cut).in_step(3, 2 * MIB as u64);
    let arguments = ["-j", "4", "--retries", "5", "big", middlebox.address()];
    let sent = send(directory.path(), &arguments).expect_success();
    assert_eq!(middlebox.struck(), 2);
    expect_one(&server, &content);
    assert_eq!(sent.names("stored").len() + sent.names("already-stored").len(), 1, "{sent:?}");
    // What was on its way on those that were cut, and on the others when it was asked what is missing.
    let total: u64 = middlebox.bytes().iter().sum();
    assert!(total < (content.len() + 32 * MIB) as u64, "{:?}", middlebox.bytes());
}

#[test]
fn wherever_connections_are_cut_all_arrives_whole_and_once() {
    let rounds = std::env::var(CUTS_VARIABLE).map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut random = Random::seeded();
    for round in 0..rounds {
        let server = Server::start(FLAGS);
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let sizes =
            [8 * MIB + random.below(24 * MIB), random.below(10 * MIB), random.below(80_000)];
        for (number, size) in sizes.into_iter().enumerate() {
            std::fs::write(tree.join(number.to_string()), random.bytes(size)).unwrap();
        }
        let cuts: Vec<_> = (0..random.below(7))
            .map(|_| match random.below(3) {
                0 => Fate::Pass,
                _ => Fate::Cut(random.below(12 * MIB) as u64),
            })
            .collect();
        let middlebox = Middlebox::before(server.address(), cuts.clone());
        let connections = (1 + random.below(5)).to_string();
        let arguments = ["-j", &connections, "--retries", "9", "tree", middlebox.address()];
        let sent = send(directory.path(), &arguments);
        let told = format!("round {round}, {connections} connections, {cuts:?}: {sent:?}");
        assert_eq!(sent.code, Some(0), "{told}");
        assert_eq!(server.published().len(), 4, "the files and their directory: {told}");
        for number in 0..3 {
            let name = format!("tree/{number}");
            let content = std::fs::read(directory.path().join(&name)).unwrap();
            assert!(server.content(&name) == content, "{name} differs: {told}");
        }
    }
}

#[test]
fn the_others_take_what_one_without_retries_had_not_sent() {
    let server = Server::start(FLAGS);
    let (directory, content) = directory_with(48 * MIB);
    let cut = [Fate::Cut(2 * MIB as u64)];
    let middlebox = Middlebox::before(server.address(), cut).in_step(3, 2 * MIB as u64);
    let arguments = ["-j", "3", "--retries", "0", "big", middlebox.address()];
    let sent = send(directory.path(), &arguments).expect_success();
    assert_eq!(sent.of_type("connection-given-up").len(), 1, "{sent:?}");
    assert_eq!(sent.of_type("connection-given-up")[0]["left"], 2);
    assert_eq!(middlebox.bytes().len(), 3, "no other connection was made");
    expect_one(&server, &content);
}

#[test]
fn the_others_take_what_one_that_stalls_has_not_sent() {
    let server = Server::start(FLAGS);
    let (directory, content) = directory_with(48 * MIB);
    let fates = [Fate::Pass, Fate::Hold(3 * MIB as u64 / 2)];
    let middlebox = Middlebox::before(server.address(), fates).in_step(2, 2 * MIB as u64);
    let arguments =
        ["-j", "3", "--stall-timeout", "3s", "--retries", "20", "big", middlebox.address()];
    send(directory.path(), &arguments).expect_success();
    assert_eq!(middlebox.struck(), 1);
    expect_one(&server, &content);
}

#[test]
fn later_runs_with_other_connections_send_only_what_is_missing() {
    let (directory, content) = directory_with(64 * MIB);
    let inbox = directory.path().join("inbox");
    let mut server = Setup::new(FLAGS).inbox(&inbox).start();
    let cut = |mib: usize| Fate::Cut((mib * MIB) as u64);
    // Three connections of the first run, two of the second, one of the third.
    let cuts = [cut(9), cut(11), cut(12), cut(6), cut(6), cut(3)];
    let middlebox = Middlebox::before(server.address(), cuts);
    let run = |connections: &str| {
        let flags = ["-j", connections, "--retries", "0", "big"];
        send(directory.path(), &[&flags[..], &[middlebox.address()]].concat())
    };
    let mut kept = 0;
    for connections in ["3", "2", "1"] {
        let sent = run(connections);
        assert_eq!(sent.code, Some(3), "{sent:?}");
        assert_eq!(sent.failure(), "unanswered");
        if let Some(resumed) = sent.of_type("resumed").first() {
            let more = resumed["kept"].as_u64().unwrap();
            // A chunk group that was begun may have to come again.
            assert!(more + MIB as u64 > kept, "{kept} {more}");
            kept = more;
        }
        let partials = inbox.join(".sandport/partials");
        let is_kept = |name: &String| {
            let journal = std::fs::metadata(partials.join(name));
            name.ends_with(".journal") && journal.is_ok_and(|journal| journal.len() > 0)
        };
        until("something that is kept", || names_in(&partials).iter().any(is_kept));
        server.kill();
        server = Setup::new(FLAGS).inbox(&inbox).start();
        middlebox.turn_to(server.address());
    }
    let before: u64 = middlebox.bytes().iter().sum();
    let sent = run("5").expect_success();
    assert_eq!(sent.names("stored"), ["big"]);
    let more = sent.of_type("resumed")[0]["kept"].as_u64().unwrap();
    assert!(more >= kept && more > 0, "{kept} {more}");
    kept = more;
    let total = middlebox.bytes().iter().sum::<u64>() - before;
    assert!(total < content.len() as u64 - kept + MIB as u64 / 4, "{kept} {total}");
    expect_one(&server, &content);
}

#[test]
fn many_files_over_four_connections_arrive_once_each() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut random = Random::seeded();
    for number in 0..400 {
        let size = match number % 20 {
            0 => MIB + random.below(4 * MIB),
            1..5 => 70_000 + random.below(MIB),
            _ => random.below(20_000),
        };
        std::fs::write(tree.join(number.to_string()), random.bytes(size)).unwrap();
    }
    let middlebox = Middlebox::before(server.address(), []).in_step(4, BEGUN);
    let sent = send(directory.path(), &["-j", "4", "tree", middlebox.address()]).expect_success();
    assert_eq!(sent.names("stored").len(), 400);
    assert_eq!(middlebox.bytes().len(), 4);
    assert_eq!(server.published().len(), 401, "the files and their directory");
    for number in 0..400 {
        let name = format!("tree/{number}");
        assert!(server.content(&name) == std::fs::read(directory.path().join(&name)).unwrap());
    }
    let again = send(directory.path(), &["-j", "4", "tree", server.address()]).expect_success();
    assert_eq!(again.names("already-stored").len(), 400);
}

#[test]
fn files_of_a_cut_connection_are_sent_once_by_others() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut random = Random::seeded();
    for number in 0..300 {
        let size = random.below(100_000);
        std::fs::write(tree.join(number.to_string()), random.bytes(size)).unwrap();
    }
    let cuts = [Fate::Cut(300_000), Fate::Cut(900_000), Fate::Cut(10)];
    let middlebox = Middlebox::before(server.address(), cuts);
    let arguments = ["-j", "4", "--retries", "4", "tree", middlebox.address()];
    let sent = send(directory.path(), &arguments).expect_success();
    assert_eq!(sent.names("stored").len() + sent.names("already-stored").len(), 300);
    assert_eq!(server.published().len(), 301, "the files and their directory");
}

#[test]
fn a_server_that_serves_one_connection_at_a_time_gets_all() {
    let server = Server::start(["--max-connections", "1"]);
    let (directory, content) = directory_with(24 * MIB);
    send(directory.path(), &["-j", "4", "big", server.address()]).expect_success();
    expect_one(&server, &content);
}

#[test]
fn connections_that_a_full_server_refuses_are_given_up() {
    let server = Server::start(["--max-connections", "2"]);
    let mut command = command();
    command.args(["--json", "send", "-j", "4", "--name", "s", "-", server.address()]);
    let (mut sender, stdin) = Running::open(&mut command);
    let mut next = |what: &str| serde_json::from_str::<Value>(&sender.line(what)).unwrap();
    for left in [3, 2] {
        let given_up = next("a connection that is given up");
        let told = (&given_up["type"], &given_up["code"], &given_up["left"]);
        assert_eq!(told, (&"connection-given-up".into(), &"busy".into(), &left.into()));
    }
    // The stream ends when that was said.
    drop(stdin);
    assert_eq!(next("the stored stream")["type"], "stored");
    assert_eq!(next("the summary")["exit_code"], 0);
    assert_eq!(sender.finish().code, Some(0));
    assert_eq!(server.content("s"), b"");
}

#[test]
fn a_file_that_changed_in_between_begins_anew_and_is_whole() {
    let server = Server::start(FLAGS);
    let (directory, _) = directory_with(48 * MIB);
    let cuts = [Fate::Cut(9 * MIB as u64), Fate::Cut(9 * MIB as u64)];
    let middlebox = Middlebox::before(server.address(), cuts);
    let sent = send(directory.path(), &["-j", "2", "--retries", "0", "big", middlebox.address()]);
    assert_eq!(sent.code, Some(3), "{sent:?}");
    let changed = Random::seeded().bytes(30 * MIB);
    std::fs::write(directory.path().join("big"), &changed).unwrap();
    let sent = send(directory.path(), &["-j", "4", "big", middlebox.address()]).expect_success();
    assert_eq!(sent.of_type("restarted")[0]["code"], "changed");
    assert!(sent.of_type("resumed").is_empty(), "{sent:?}");
    expect_one(&server, &changed);
}

#[test]
fn a_file_that_changes_while_several_carry_it_fails_once() {
    let server = Server::start(FLAGS);
    let (directory, _) = directory_with(24 * MIB);
    let half = MIB as u64 / 2;
    let middlebox = Middlebox::before(server.address(), []).held_at(half);
    let mut sender = command();
    sender.current_dir(directory.path()).args([
        "--json",
        "send",
        "--state-dir",
        "state",
        "-j",
        "3",
    ]);
    let running = Running::start(sender.args(["big", middlebox.address()]), b"");
    until("three connections that carry it", || middlebox.bytes() == [half; 3]);
    let file = std::fs::File::options().append(true).open(directory.path().join("big")).unwrap();
    file.set_len(25 * MIB as u64).unwrap();
    middlebox.release();
    let ended = running.finish();
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let failures: Vec<_> =
        ended.stdout.lines().filter(|line| line.contains("\"failed\"")).collect();
    assert_eq!(failures.len(), 2, "the file, and the summary: {ended:?}");
    assert!(failures[0].contains("\"changed\""), "{ended:?}");
    assert_eq!(server.published().len(), 0);
    assert_eq!(keys_in(&directory.path().join("state")), [""; 0], "the key is forgotten");
}

#[test]
fn damage_on_one_connection_is_found_and_all_sent_again_once() {
    let server = Server::start(FLAGS);
    let (directory, content) = directory_with(32 * MIB);
    let place = 5 * MIB as u64 / 2;
    let damage = [Fate::Pass, Fate::Damage(place)];
    let middlebox = Middlebox::before(server.address(), damage).in_step(2, 3 * MIB as u64);
    let arguments = ["-j", "3", "big", middlebox.address()];
    let sent = send(directory.path(), &arguments).expect_success();
    assert_eq!(sent.of_type("restarted")[0]["code"], "damaged", "{:?}", middlebox.bytes());
    expect_one(&server, &content);
}

#[test]
fn a_receiver_that_takes_no_ranges_gets_the_file_over_one() {
    let server = Setup::new([""; 0]).standalone().start();
    let (directory, content) = directory_with(48 * MIB);
    let sent = send(directory.path(), &["-j", "4", "big", server.address()]).expect_success();
    assert_eq!(sent.names("stored"), ["big"]);
    expect_one(&server, &content);
}

#[test]
fn on_a_slow_path_there_is_more_than_one_connection() {
    let (directory, content) = directory_with(24 * MIB);
    let server = Server::start([]);
    // 3 MiB a second for each connection, and 20 ms to the server.
    let slow = Middlebox::before(server.address(), [Fate::Slow(Duration::from_millis(20)); 8]);
    send(directory.path(), &["big", slow.address()]).expect_success();
    assert!(slow.bytes().len() > 1, "{:?}", slow.bytes());
    expect_one(&server, &content);
}

#[test]
fn standard_input_goes_over_one_connection_and_arrives() {
    let server = Server::start([]);
    let content = Random::seeded().bytes(3 * MIB);
    let arguments = ["-j", "4", "--name", "big", "-", server.address()];
    send_with(Path::new("."), &content, arguments).expect_success();
    expect_one(&server, &content);
}
