//! Receivers that misbehave. Each costs its own connection, and no other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::time::Instant;

use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Server, Setup, artifacts, peer};

/// Soon over for who says nothing, and long for who has the next words ready.
const IDLE_TIMEOUT: &str = "3s";

/// A server whose receiver misbehaves as the first byte of a connection says, with `flags`.
fn hostile_server<const N: usize>(flags: [&str; N]) -> Server {
    Setup::new(flags).receiver(artifacts::hostile()).start()
}

/// An upload through the same receiver of which half is sent.
struct HonestUpload(Connection);

impl HonestUpload {
    fn begin(server: &Server) -> Self {
        let mut connection = Connection::open(server);
        connection.say("PUT honest.txt\nfirst half, ");
        Self(connection)
    }

    /// Sends the other half, and checks that the file is there.
    #[track_caller]
    fn complete(mut self, server: &mut Server) {
        self.0.say("second half");
        self.0.finish();
        let answer = String::from_utf8(self.0.hear_all()).unwrap();
        let name = server.wait_stored();
        assert_eq!(answer, format!("stored {name} 23\n"));
        assert_eq!(server.content(&name), b"first half, second half");
    }
}

/// The server has served an upload while a connection misbehaved, and serves the next; nothing else is
/// published, and nothing is left in staging.
#[track_caller]
fn expect_unharmed(mut server: Server, during: HonestUpload) {
    during.complete(&mut server);
    HonestUpload::begin(&server).complete(&mut server);
    assert_eq!(server.stop(), Some(0));
    let stored = "first half, second half";
    assert_eq!(server.published(), Tree::from([("honest.txt".into(), file(stored))]));
    assert_eq!(server.staged(), [""; 0]);
}

/// What misbehaves in the way of `first` is cut with a reason that contains one of `reasons`.
#[track_caller]
fn expect_trap<const N: usize>(first: &str, flags: [&str; N], reasons: &[&str]) {
    let mut server = hostile_server(flags);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say(first);
    let reason = server.wait_trapped();
    assert!(reasons.iter().any(|expected| reason.contains(expected)), "{reason}");
    assert_eq!(hostile.hear_all(), b"");
    expect_unharmed(server, during);
}

#[test]
fn a_trap_ends_its_connection() {
    expect_trap("u", [], &["unreachable"]);
}

#[test]
fn a_panic_is_a_trap() {
    expect_trap("p", [], &["unreachable"]);
}

#[test]
fn exit_is_a_trap_and_ends_no_process() {
    expect_trap("x", [], &["exit"]);
}

#[test]
fn memory_over_the_limit_is_a_trap() {
    expect_trap("m", [], &["memory"]);
    expect_trap("m", ["--max-memory", "8MiB"], &["memory"]);
}

#[test]
fn endless_recursion_is_a_trap() {
    // Where the guest's own stack lies below its data, it runs out of memory's bounds first.
    expect_trap("s", [], &["stack", "out of bounds"]);
}

#[test]
fn resources_over_the_limit_are_a_trap() {
    expect_trap("h", [], &["table", "resource", "unreachable"]);
}

#[test]
fn uploads_of_a_receiver_that_traps_leave_nothing_behind() {
    expect_trap("a", [], &["unreachable"]);
}

/// Says `begun` to a server, whose receiver then waits for nothing, and expects it to be cut.
#[track_caller]
fn expect_cut(begun: &str) {
    let mut server = hostile_server(["--idle-timeout", IDLE_TIMEOUT]);
    let mut hostile = Connection::open(&server);
    hostile.say(begun);
    let refused = server.wait_refused("timeout");
    assert_eq!(refused["peer"], hostile.name());
    assert_eq!(hostile.hear_all(), b"");
    let after = HonestUpload::begin(&server);
    expect_unharmed(server, after);
}

#[test]
fn a_receiver_that_never_reads_is_cut_when_nothing_moves() {
    expect_cut("n and some bytes that nobody will read");
}

#[test]
fn a_receiver_that_never_asks_for_an_outcome_is_cut() {
    expect_cut("k");
}

#[test]
fn what_one_call_brings_to_the_host_is_bounded() {
    expect_trap("b", [], &["fuel"]);
}

#[test]
fn an_uncommitted_file_does_not_exist_whatever_a_receiver_says() {
    let server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("f");
    assert_eq!(hostile.hear_all(), b"stored forged.txt 5\n");
    expect_unharmed(server, during);
}

#[test]
fn policy_holds_against_a_receiver_that_ignores_it() {
    let server = hostile_server(["--max-file", "64KiB"]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("w");
    assert_eq!(String::from_utf8_lossy(&hostile.hear_all()), "taken: \n");
    expect_unharmed(server, during);
    assert!(!std::path::Path::new("/tmp/escaped").exists());
}

#[test]
fn uploads_are_made_out_of_whole_ones_of_the_same_sender() {
    let mut server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("J");
    let told = String::from_utf8_lossy(&hostile.hear_all()).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "unknown: Err(RefusalCode::InvalidState)",
            "unfinished: Err(RefusalCode::InvalidState)",
            "its own: Err(RefusalCode::InvalidState)",
            "too many: Err(RefusalCode::TooMany)",
            "very many: Err(RefusalCode::TooMany)",
            "too long: Err(RefusalCode::Malformed)",
            "empty: Err(RefusalCode::InvalidState)",
            "stored 10",
            "keyless: Err(RefusalCode::InvalidState)",
        ]
    );
    assert_eq!(server.wait_stored(), "whole");
    assert_eq!(server.content("whole"), b"hellohello");
    during.complete(&mut server);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().len(), 2);
}

#[test]
fn digests_that_are_none_or_false_store_nothing() {
    let server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("d");
    assert_eq!(String::from_utf8_lossy(&hostile.hear_all()), "taken: \n");
    expect_unharmed(server, during);
}

#[test]
fn what_is_written_to_a_body_after_its_upload_goes_nowhere() {
    let mut server = hostile_server([]);
    let mut hostile = Connection::open(&server);
    hostile.say("z");
    assert_eq!(hostile.hear_all(), b"done\n");
    assert_eq!(server.wait_stored(), "committed");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published(), Tree::from([("committed".into(), file("hello"))]));
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn a_call_about_an_upload_that_was_released_is_a_trap() {
    expect_trap("R", [], &["unknown handle index"]);
}

#[test]
fn no_more_uploads_are_open_at_once_than_were_granted() {
    let server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("q");
    assert_eq!(String::from_utf8_lossy(&hostile.hear_all()), "opened 1024\n");
    expect_unharmed(server, during);
}

#[test]
fn offers_whose_answers_nobody_takes_count_as_open_uploads() {
    let server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("O");
    assert_eq!(String::from_utf8_lossy(&hostile.hear_all()), "accepted 1024\n");
    expect_unharmed(server, during);
}

#[test]
fn a_credential_is_shown_once_and_before_the_first_offer() {
    let mut server = hostile_server([]);
    for (first, answers) in [
        ("A", "RefusalCode::NotPermitted RefusalCode::InvalidState"),
        ("B", "RefusalCode::InvalidState RefusalCode::InvalidState"),
    ] {
        let mut hostile = Connection::open(&server);
        hostile.say(first);
        assert_eq!(String::from_utf8_lossy(&hostile.hear_all()), format!("{answers}\n"));
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_flood_of_log_lines_is_cut_and_its_tricks_are_taken_out() {
    let mut server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    let since = Instant::now();
    hostile.say("g");
    assert_eq!(hostile.hear_all(), b"flooded\n");
    during.complete(&mut server);
    assert_eq!(server.stop(), Some(0));
    let log = server.events.stderr();
    let lines = log.lines().filter(|line| line.contains("flood")).count();
    // One more may be written each second, however long this machine takes for a flood.
    let most = 200 + since.elapsed().as_secs() as usize;
    assert!((1..most).contains(&lines), "{lines} of 20,000 lines were written");
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("second line")), "{log}");
    assert!(log.lines().all(|line| line.len() < 4_096));
}

#[test]
fn the_interfaces_of_wasi_are_there_and_give_no_power() {
    // Somebody to connect to, if that were possible.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = hostile_server([]);
    let during = HonestUpload::begin(&server);
    let mut hostile = Connection::open(&server);
    hostile.say("e");
    hostile.say(format!("{address}\n"));
    hostile.finish();
    let report = String::from_utf8(hostile.hear_all()).unwrap();
    assert_eq!(
        report.lines().collect::<Vec<_>>(),
        [
            "environment: 0",
            "arguments: 0",
            "directory /: nothing",
            "directory .: nothing",
            "file /etc/passwd: nothing",
            "new file: nothing",
            "new file in /tmp: nothing",
            "connect: nothing",
            "listen: nothing",
            "datagrams: nothing",
            "resolve: nothing",
            "standard input: nothing",
        ]
    );
    during.complete(&mut server);
    assert_eq!(server.stop(), Some(0));
    let log = server.events.stderr();
    assert!(log.contains("environment: 0"), "the receiver's log is the operator's: {log}");
    assert!(!log.contains("a line on standard"), "its output is for who wants more: {log}");
    assert!(!peer::has_connected(&listener), "nobody may have connected");
}
