//! What a person sees who has just installed the program.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

fn sandport(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sandport")).args(arguments).output().unwrap()
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
