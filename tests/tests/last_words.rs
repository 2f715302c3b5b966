//! What a receiver writes to its standard streams, and where it trapped: for whoever has to find out why.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use sandport_tests::{Connection, Server, Setup, artifacts, components, send};

/// How much of it is told with a trap. Bytes.
const LAST_WORDS_BYTES_MAX: usize = 4_096;

/// What is told of the trap that a connection which begins with `first` brings about, and the log.
#[track_caller]
fn trap<const N: usize>(first: &str, flags: [&str; N]) -> (String, String) {
    trap_of(Setup::new(flags).receiver(artifacts::hostile()).start(), first)
}

#[track_caller]
fn trap_of(mut server: Server, first: &str) -> (String, String) {
    let mut hostile = Connection::open(&server);
    hostile.say(first);
    let trapped = server.events.wait("a trap", |event| event["type"] == "trapped");
    assert_eq!(hostile.hear_all(), b"");
    assert_eq!(server.stop(), Some(0));
    (trapped["last_words"].as_str().unwrap().to_owned(), server.events.stderr())
}

#[test]
fn a_panic_is_told_with_its_message_without_any_option() {
    let (last_words, log) = trap("p", []);
    assert!(last_words.contains("a panic on purpose"), "{last_words}");
    assert!(!log.contains("a panic on purpose"), "the log is for who asks: {log}");
}

#[test]
fn lines_of_a_receiver_are_in_the_log_for_who_asks() {
    let (_, log) = trap("p", ["-v"]);
    assert!(log.contains("a panic on purpose"), "{log}");
    assert!(!log.contains("trapped in 0"), "{log}");
}

#[test]
fn output_without_end_is_bounded_in_log_and_last_words() {
    let (last_words, log) = trap("o", ["-v"]);
    assert_eq!(last_words.len(), LAST_WORDS_BYTES_MAX);
    assert!(last_words.ends_with("more and more "), "{last_words}");
    let lines = log.lines().filter(|line| line.contains("more and more")).count();
    assert_eq!(lines, 1, "the line ends with the receiver: {log}");
    assert!(log.lines().all(|line| line.len() < 4_096), "{log}");
}

#[test]
fn the_last_words_are_whole_though_the_log_drops_lines() {
    let (last_words, log) = trap("t", ["-v"]);
    assert!(last_words.ends_with("burst 999\nthe reason for all this\n"), "{last_words}");
    let lines = log.lines().filter(|line| line.contains("burst")).count();
    assert!((1..200).contains(&lines), "{lines} of 1,000 lines were written");
}

#[test]
fn tricks_in_the_last_words_have_no_power_over_a_terminal() {
    let (last_words, log) = trap("i", ["-v"]);
    assert!(last_words.contains("\u{fffd}\u{fffd}\u{fffd} is no text"), "{last_words:?}");
    assert!(last_words.ends_with("this line has no end"), "{last_words:?}");
    assert!(!log.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("error[forged]")), "{log}");
    assert!(log.contains("this line has no end"), "{log}");
}

#[test]
fn a_trap_has_a_backtrace_for_who_asks_twice() {
    let world = "package acme:tools; world made { export sandport:upload/receiver@0.2.0; }";
    let module = r#"(module
        (memory (export "memory") 1)
        (func $innermost unreachable)
        (func $outer (call $innermost))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func $serve (export "sandport:upload/receiver@0.2.0#serve")
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
          (call $outer) (i32.const 0)))"#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("named.wasm");
    fs::write(&path, components::of_module(&[world], module)).unwrap();
    let (_, log) = trap_of(Setup::new(["-vv"]).receiver(&path).start(), "x");
    for (depth, name) in ["innermost", "outer", "serve"].into_iter().enumerate() {
        assert!(log.contains(&format!("trapped in {depth}: {name} at 0x")), "{log}");
    }
    // Where names were stripped, the number of the function is told.
    let (_, log) = trap("u", ["-vv"]);
    assert!(log.contains("trapped in 0: function "), "{log}");
}

#[test]
fn traps_that_come_too_fast_are_told_without_details() {
    let mut server = Setup::new([""; 0]).receiver(artifacts::hostile()).start();
    let mut told = 0;
    let traps = 60;
    for _ in 0..traps {
        let mut hostile = Connection::open(&server);
        hostile.say("p");
        let trapped = server.events.wait("a trap", |event| event["type"] == "trapped");
        told += u32::from(trapped["last_words"] != "");
    }
    assert!(told >= 16, "{told} of {traps} traps were told in detail");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_line_of_the_log_says_of_which_connection_and_upload_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.pdf");
    fs::write(&path, "hello").unwrap();
    for (option, is_said) in [("-v", false), ("-vv", true)] {
        let mut server = Setup::new([option]).start();
        send([path.as_os_str(), server.address().as_ref()]).expect_success();
        assert_eq!(server.stop(), Some(0));
        let log = server.events.stderr();
        for said in ["connection{peer=127.0.0.1:", "upload{name=report.pdf"] {
            assert_eq!(log.contains(said), is_said, "{option} {said}: {log}");
        }
    }
}
