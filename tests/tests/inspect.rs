//! `sandport inspect`: what a component is, how it would run, and what it could reach.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use sandport_tests::process::{self, Ended, Running};
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
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs.wasm");
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
    assert_eq!(found["exports"], serde_json::json!(["sandport:upload/receiver@0.2.0"]));
    assert_eq!(found["imports"].as_array().unwrap().len(), 8, "what the world lists: {found}");
    assert!(reach(&found, "sandport:upload/inbox@").contains("the host checks"));
    assert_eq!(found["refusal"], Value::Null);
}

#[test]
fn what_somebody_elses_receiver_finds_is_said() {
    let (found, code) = in_json(Some(artifacts::put()), &[]);
    assert_eq!((code, &found["mode"]), (DONE, &"per-connection".into()));
    assert!(reach(&found, "wasi:cli/environment@").starts_with("nothing"));
    assert_eq!(reach(&found, "wasi:cli/stdout@"), "the operator's log, bounded");
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

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("module.wasm");
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

    let plain = "package acme:tools; world made { export sandport:upload/receiver@0.2.0; }";
    let (_, message) = refusal(&components::trapping_at_start(&[plain]));
    assert!(message.contains("fails when it is instantiated"), "{message}");

    let (found, code) = in_json(Some(artifacts::put()), &["--max-memory", "64KiB"]);
    assert_eq!(code, REFUSED);
    assert!(found["refusal"]["message"].as_str().unwrap().contains("bytes of memory"), "{found}");
}

#[test]
fn a_file_that_cannot_be_read_is_another_failure() {
    let ended = inspect(Some(Path::new("/nowhere/theirs.wasm")), &["--json"]);
    assert_eq!(ended.code, LOCAL_IO, "{ended:?}");
    assert!(ended.stderr.contains("error[receiver-unreadable]"), "{ended:?}");
}

/// A receiver that serves nobody, with more in its core module.
fn receiver_with(core: &str) -> Vec<u8> {
    let world = "package acme:tools; world made { export sandport:upload/receiver@0.2.0; }";
    let module = format!(
        r#"(module
        (memory (export "memory") 1)
        {core}
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func (export "sandport:upload/receiver@0.2.0#serve")
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))"#
    );
    components::of_module(&[world], &module)
}

/// What `serve` says of a receiver that it refuses; `None`: it listens.
fn serve(path: &Path) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(artifacts::sandport());
    command.arg("serve").arg(directory.path().join("inbox")).args([
        "--no-cache",
        "-l",
        "127.0.0.1:0",
    ]);
    let mut server = Running::start(command.arg("--receiver").arg(path), b"");
    match server.line_or_end("the ready line, or the end") {
        Some(ready) if ready.contains("ready on") => None,
        _ => Some(server.finish().stderr),
    }
}

#[test]
fn a_server_refuses_what_inspect_refuses_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs.wasm");
    let functions = "(func)".repeat(60_000);
    let escaping: String = (0..60_000).map(|number| format!(" {number}")).collect();
    let many_functions =
        format!("{functions} (table 60000 funcref) (elem (i32.const 0) func{escaping})");
    for (what, core, refusal) in [
        (
            "a large table",
            "(table 10000000 funcref)",
            Some("a table of 10000000 elements; 100000 are allowed"),
        ),
        ("a table that fits", "(table 100000 funcref)", None),
        ("two tables", "(table 10 funcref) (table 10 funcref)", None),
        ("two memories", "(memory 1)", None),
        ("a large memory", "(memory 2000)", Some("bytes of memory; 67108864 are allowed")),
        (
            "two memories that are large together",
            "(memory 600) (memory 600)",
            Some("67108864 bytes of memory"),
        ),
        ("a start that traps", "(func $start unreachable) (start $start)", Some("unreachable")),
        (
            "a start without end",
            "(func $start (loop $on (br $on))) (start $start)",
            Some("compute budget"),
        ),
        (
            "a start that grows without end",
            "(func $start (loop $on (drop (memory.grow (i32.const 16))) (br $on))) (start $start)",
            Some("bytes of memory"),
        ),
        ("many memories", &"(memory 1)".repeat(99), None),
        ("many functions", &many_functions, None),
    ] {
        fs::write(&path, receiver_with(core)).unwrap();
        let (found, code) = in_json(Some(&path), &[]);
        let served = serve(&path);
        match refusal {
            None => {
                assert_eq!((code, &found["refusal"]), (DONE, &Value::Null), "{what}: {found}");
                assert_eq!(served, None, "{what}");
            }
            Some(refusal) => {
                assert_eq!(code, REFUSED, "{what}: {found}");
                let message = found["refusal"]["message"].as_str().unwrap();
                assert!(message.contains(refusal), "{what}: {message}");
                let served = served.unwrap_or_else(|| panic!("{what} is served"));
                assert!(served.contains(message), "{what}: {served}, and not {message}");
            }
        }
    }
}

#[test]
fn proposals_that_no_toolchain_needs_are_switched_off() {
    for (what, core) in [
        ("threads", "(memory 1 1 shared)"),
        ("64-bit memories", "(memory i64 1)"),
        ("tail calls", "(func $f return_call $f)"),
        ("garbage collection", "(type (struct (field i32)))"),
        ("exceptions", "(tag $t)"),
        (
            "relaxed SIMD",
            "(func (param v128 v128 v128) (result v128) \
             (i8x16.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))",
        ),
        (
            "wide arithmetic",
            "(func (param i64 i64 i64 i64) (result i64 i64) \
             (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
        ),
    ] {
        let (_, message) = refusal(&receiver_with(core));
        assert!(message.contains("is not a valid component"), "{what}: {message}");
    }
    // What compilers emit without being asked.
    for core in [
        "(func (param v128 v128) (result v128) (i8x16.add (local.get 0) (local.get 1)))",
        "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)))",
        "(func (result i32 i32) (i32.const 1) (i32.const 2))",
        "(func (param i32) (result i32) (i32.extend8_s (local.get 0)))",
        "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("theirs.wasm");
        fs::write(&path, receiver_with(core)).unwrap();
        let (found, code) = in_json(Some(&path), &[]);
        assert_eq!(code, DONE, "{core}: {found}");
    }
}

#[test]
fn what_exports_decide_is_decided_before_compiling() {
    // A module that does not validate, and would be refused for that as soon as it is compiled.
    let broken = r#"(core module (func (result i32)))"#;
    let text =
        format!(r#"(component {broken} (type $f (func)) (import "acme:a/b" (func (type $f))))"#);
    let (found, message) = refusal(&components::of_text(&text));
    assert!(message.contains("does not export sandport:upload/receiver"), "{message}");
    assert_eq!(found["imports"][0]["name"], "acme:a/b", "{found}");
    // Names within do not count.
    let nested = format!(
        r#"(component {broken} (component
            (component $empty)
            (instance $i (instantiate $empty))
            (export "sandport:upload/receiver@0.2.0" (instance $i))))"#
    );
    let (found, message) = refusal(&components::of_text(&nested));
    assert!(message.contains("it exports nothing"), "{message}");
    assert_eq!(found["mode"], Value::Null);
    // An import that nobody provides, too.
    let calling = format!(
        r#"(component {broken}
            (import "acme:a/b" (instance))
            (component $empty)
            (instance $i (instantiate $empty))
            (export "wasi:cli/run@0.2.0" (instance $i)))"#
    );
    let (found, message) = refusal(&components::of_text(&calling));
    assert!(message.contains("imports what a receiver does not get: acme:a/b"), "{message}");
    assert_eq!(found["mode"], "resident");
}

/// Between two components that are composed, the compiler puts code of its own, which copies from one memory to
/// the other: what is switched off must not be in its way.
#[test]
fn components_that_are_composed_compile() {
    let text = r#"(component
        (component $inner
          (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "f") (param i32 i32) (result i32) (i32.const 0)))
          (core instance $i (instantiate $m))
          (func (export "f") (param "s" string) (result string)
            (canon lift (core func $i "f") (memory (core memory $i "memory"))
              (realloc (core func $i "realloc")))))
        (component $outer
          (import "f" (func $f (param "s" string) (result string)))
          (core module $memory
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
          (core instance $memory (instantiate $memory))
          (core func $lowered
            (canon lower (func $f) (memory (core memory $memory "memory"))
              (realloc (core func $memory "realloc"))))
          (core module $m
            (import "" "f" (func $f (param i32 i32 i32)))
            (func (export "run") (result i32)
              (call $f (i32.const 0) (i32.const 5) (i32.const 128)) (i32.const 0)))
          (core instance $i
            (instantiate $m (with "" (instance (export "f" (func $lowered))))))
          (func (export "run") (result (result)) (canon lift (core func $i "run"))))
        (instance $inner (instantiate $inner))
        (instance $outer (instantiate $outer (with "f" (func $inner "f"))))
        (export "wasi:cli/run@0.2.0" (instance $outer)))"#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("composed.wasm");
    fs::write(&path, components::of_text(text)).unwrap();
    let (found, code) = in_json(Some(&path), &[]);
    assert_eq!((code, &found["mode"]), (DONE, &"resident".into()), "{found}");
}
