//! `sandport inspect`: what a component is, how it would run, and what it could reach.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use sandport_tests::process::{self, Ended};
use sandport_tests::{artifacts, components};
use serde_json::Value;

/// Exit codes, as documented.
const DONE: Option<i32> = Some(0);
const REFUSED: Option<i32> = Some(2);
const LOCAL_IO: Option<i32> = Some(7);

fn inspect(file: Option<&Path>, flags: &[&str]) -> Ended {
    let mut command = Command::new(artifacts::sandport());
    process::run(command.arg("inspect").args(file).args(flags), b"")
}

/// What it says of a file in JSON, and the exit code.
fn in_json(file: Option<&Path>, flags: &[&str]) -> (Value, Option<i32>) {
    let ended = inspect(file, &[&["--json"], flags].concat());
    let value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (value, ended.code)
}

/// What it says of these bytes in JSON, which would be refused; why.
#[track_caller]
fn refusal(bytes: &[u8]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.wasm");
    fs::write(&path, bytes).unwrap();
    let (found, code) = in_json(Some(&path), &[]);
    assert_eq!(code, REFUSED, "{found}");
    assert_eq!(found["runs"], false);
    assert_eq!(found["refusal"]["code"], "receiver-unfit");
    assert!(found["refusal"]["hint"].is_string(), "{found}");
    let message = found["refusal"]["message"].as_str().unwrap().to_owned();
    (found, message)
}

/// What is behind an import, by the beginning of its name.
#[track_caller]
fn reach(found: &Value, import: &str) -> String {
    let imports = found["imports"].as_array().unwrap();
    let found = imports
        .iter()
        .find(|found| found["name"].as_str().unwrap().starts_with(import))
        .unwrap_or_else(|| panic!("{import} is not among {imports:?}"));
    assert_eq!(found["given"], true, "{found}");
    found["reach"].as_str().unwrap().to_owned()
}

#[test]
fn the_built_in_receiver_is_inspected_where_no_file_is_named() {
    let (found, code) = in_json(None, &[]);
    assert_eq!(code, DONE);
    assert_eq!((&found["runs"], &found["mode"]), (&true.into(), &"per-connection".into()));
    assert_eq!(found["exports"], serde_json::json!(["sandport:upload/receiver@0.1.0"]));
    assert_eq!(found["imports"].as_array().unwrap().len(), 8, "what the world lists: {found}");
    assert!(reach(&found, "sandport:upload/inbox@").contains("the host checks"));
    assert_eq!(found["refusal"], Value::Null);
}

#[test]
fn what_somebody_elses_receiver_finds_is_said() {
    let (found, code) = in_json(Some(artifacts::put()), &[]);
    assert_eq!((code, &found["mode"]), (DONE, &"per-connection".into()));
    for powerless in ["wasi:cli/environment@", "wasi:cli/stdout@"] {
        assert!(reach(&found, powerless).starts_with("nothing"), "{powerless}");
    }
}

#[test]
fn what_a_resident_component_reaches_is_said() {
    let (found, code) = in_json(Some(artifacts::resident()), &[]);
    assert_eq!((code, &found["mode"]), (DONE, &"resident".into()));
    assert!(reach(&found, "wasi:sockets/tcp@").contains("where it is granted"));
    assert!(reach(&found, "wasi:sockets/udp@").starts_with("nothing"));
    assert!(reach(&found, "wasi:filesystem/types@").contains("as /inbox"));
}

#[test]
fn people_read_the_same_in_words() {
    let ended = inspect(Some(artifacts::resident()), &[]);
    assert_eq!(ended.code, DONE, "{ended:?}");
    let text = &ended.stdout;
    assert!(text.contains("sandport_guest_resident.wasm: "), "{text}");
    assert!(text.contains("Mode: resident"), "{text}");
    assert!(text.contains("\n  wasi:sockets/tcp@0.2."), "{text}");
    assert!(text.ends_with("It would run.\n"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.wasm");
    fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
    let ended = inspect(Some(&path), &[]);
    assert_eq!(ended.code, REFUSED, "{ended:?}");
    assert!(ended.stdout.contains("It would be refused."), "{ended:?}");
    assert!(ended.stderr.contains("error[receiver-unfit]: ") && ended.stderr.contains("hint: "));
}

#[test]
fn each_reason_to_refuse_is_said() {
    assert!(refusal(b"#!/bin/sh\n").1.contains("is not WebAssembly"));
    assert!(refusal(b"\0asm\x01\0\0\0").1.contains("is a core module"));
    let whole = fs::read(artifacts::put()).unwrap();
    assert!(refusal(&whole[..whole.len() / 2]).1.contains("is not a valid component"));

    let nothing = "package acme:tools; world made { export run: func(); }";
    let (found, message) = refusal(&components::of_world(&[nothing]));
    assert!(message.contains("it exports run"), "{message}");
    assert_eq!((&found["mode"], &found["exports"]), (&Value::Null, &serde_json::json!(["run"])));

    let http = "package wasi:http@0.2.0; interface outgoing-handler { handle: func(); }";
    let calling = "package acme:tools; world made {
        import wasi:http/outgoing-handler@0.2.0;
        export wasi:cli/run@0.2.0;
    }";
    let (found, message) = refusal(&components::of_world(&[components::COMMAND, http, calling]));
    assert!(message.contains("wasi:http/outgoing-handler@0.2.0"), "{message}");
    assert_eq!(
        (&found["mode"], &found["imports"][0]["given"]),
        (&"resident".into(), &false.into())
    );

    let plain = "package acme:tools; world made { export sandport:upload/receiver@0.1.0; }";
    let (_, message) = refusal(&components::trapping_at_start(&[plain]));
    assert!(message.contains("fails when it is instantiated"), "{message}");

    let (found, code) = in_json(Some(artifacts::put()), &["--memory-max", "64KiB"]);
    assert_eq!(code, REFUSED);
    assert!(found["refusal"]["message"].as_str().unwrap().contains("bytes of memory"), "{found}");
}

#[test]
fn a_file_that_cannot_be_read_is_another_failure() {
    let ended = inspect(Some(Path::new("/nowhere/theirs.wasm")), &["--json"]);
    assert_eq!(ended.code, LOCAL_IO, "{ended:?}");
    assert!(ended.stderr.contains("error[receiver-unreadable]"), "{ended:?}");
}
