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

#[test]
fn the_name_of_the_program_alone_shows_the_next_command_to_type() {
    let output = sandport(&[]);
    assert!(output.status.success());
    for line in ["sandport serve ./inbox", "sandport send FILE 127.0.0.1", "sandport --help"] {
        assert!(text(&output.stdout).contains(line), "{line}");
    }
}

#[test]
fn help_of_each_command_has_examples() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["send", "--help"],
        &["ls", "--help"],
        &["verify", "--help"],
        &["clean", "--help"],
    ] {
        let output = sandport(arguments);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:\n  sandport "), "{arguments:?}");
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
    assert!(completions.status.success() && text(&completions.stdout).contains("--listen"));
    let manual = sandport(&["man"]);
    assert!(manual.status.success());
    for line in
        [".TH sandport 1", ".TH sandport-serve 1", "\n  sandport send report.pdf 192.0.2.7\n"]
    {
        assert!(text(&manual.stdout).contains(line), "{line}");
    }
}
