//! What a person sees who has just installed the program.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a test waits for the program to end. It only bounds how long a broken one keeps people waiting.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the program to its end, which is that of its output.
#[track_caller]
fn sandport(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandport"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[expect(clippy::disallowed_methods, reason = "its end has a deadline here")]
    let mut child = command.spawn().unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let output = (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE));
    let (Ok(stdout), Ok(stderr)) = output else {
        let _ = child.kill();
        panic!("waited {} s for the end of sandport {arguments:?}: {output:?}", PATIENCE.as_secs())
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it has closed its output, as it does at its end"
    )]
    let status = child.wait().unwrap();
    Output { status, stdout, stderr }
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (all, read) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = all.send(bytes);
    });
    read
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Of the commands that this build may have.
const SENDS: bool = cfg!(feature = "send");
const SERVES: bool = cfg!(feature = "serve");

#[test]
fn the_name_of_the_program_alone_shows_the_next_command_to_type() {
    let output = sandport(&[]);
    assert!(output.status.success());
    let shown = text(&output.stdout);
    assert!(shown.contains("sandport --help"), "{shown}");
    assert_eq!(shown.contains("sandport send FILE 127.0.0.1"), SENDS, "{shown}");
    assert_eq!(shown.contains("sandport serve ./inbox"), SERVES, "{shown}");
}

#[test]
fn help_of_each_command_has_examples() {
    let sending = ["send"].into_iter().filter(|_| SENDS);
    let serving = ["serve", "ls", "verify", "clean"].into_iter().filter(|_| SERVES);
    let commands = sending.chain(serving).map(|command| vec![command, "--help"]);
    for arguments in commands.chain([vec!["--help"]]) {
        let output = sandport(&arguments);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:\n  sandport "), "{arguments:?}");
    }
}

#[test]
fn a_command_that_is_not_in_this_build_is_a_usage_error() {
    for (command, is_here) in [("send", SENDS), ("serve", SERVES), ("inspect", SERVES)] {
        let output = sandport(&[command, "--help"]);
        let expected = if is_here { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{command}");
    }
}

#[test]
fn the_version_is_the_package_version() {
    let output = sandport(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("sandport ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    let completions = sandport(&["completions", "bash"]);
    assert!(completions.status.success());
    assert_eq!(text(&completions.stdout).contains("--listen"), SERVES);
    assert_eq!(text(&completions.stdout).contains("--follow-links"), SENDS);
    let manual = sandport(&["man"]);
    assert!(manual.status.success());
    let pages = text(&manual.stdout);
    assert!(pages.contains(".TH sandport 1"));
    assert_eq!(pages.contains(".TH sandport-serve 1"), SERVES);
    assert_eq!(pages.contains("\n  sandport send report.pdf 192.0.2.7\n"), SENDS);
}
