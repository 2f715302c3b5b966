//! `--receiver FILE.wasm`: other people's receivers, and files that are none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Server, Setup, artifacts, components, send};

/// Exit codes, as documented.
const USAGE: Option<i32> = Some(2);
const LOCAL_IO: Option<i32> = Some(7);

/// Starts a server with these bytes as its receiver, which has to fail before it listens; what it says.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs.wasm");
    fs::write(&path, bytes).unwrap();
    expect_refusal(Setup::new([""; 0]).receiver(path), USAGE, "receiver-unfit")
}

#[track_caller]
fn expect_refusal(setup: Setup, exit: Option<i32>, code: &str) -> String {
    let ended = setup.start_and_fail();
    assert_eq!(ended.code, exit, "{ended:?}");
    assert!(!ended.stdout.contains("listening"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")), "{ended:?}");
    assert!(ended.stderr.contains("hint: "), "{ended:?}");
    ended.stderr
}

#[track_caller]
fn assert_says(text: &str, expected: &str) {
    assert!(text.contains(expected), "{expected:?} is not in: {text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let setup = Setup::new([""; 0]).receiver("/nowhere/theirs.wasm");
    let text = expect_refusal(setup, LOCAL_IO, "receiver-unreadable");
    assert_says(&text, "/nowhere/theirs.wasm");
    assert_says(&text, "check the path");
}

#[test]
fn a_file_that_is_not_webassembly_is_no_receiver() {
    for bytes in [&b"#!/bin/sh\n"[..], b"", b"\0as"] {
        let text = refused(bytes);
        assert_says(&text, "theirs.wasm is not WebAssembly");
    }
}

#[test]
fn a_core_module_is_no_component() {
    let text = refused(b"\0asm\x01\0\0\0");
    assert_says(&text, "is a core module and not a component");
    assert_says(&text, "wasm-tools component new");
}

#[test]
fn a_version_that_does_not_exist_is_unknown() {
    assert_says(&refused(b"\0asm\xff\0\x01\0"), "unknown version");
}

#[test]
fn a_component_that_was_cut_off_is_invalid() {
    let whole = fs::read(artifacts::put()).unwrap();
    let text = refused(&whole[..whole.len() / 2]);
    assert_says(&text, "is not a valid component");
    assert_says(&text, "may be truncated");
}

#[test]
fn a_component_without_the_export_is_no_receiver() {
    let text = refused(b"\0asm\x0d\0\x01\0");
    assert_says(&text, "does not export sandport:upload/receiver");
    assert_says(&text, "it exports nothing");

    let wit = "package acme:tools; world made { export run: func(); }";
    let text = refused(&components::of_world(&[wit]));
    assert_says(&text, "it exports run");
}

#[test]
fn a_component_that_wants_what_nobody_provides_is_told_what() {
    let wit = "package acme:tools;
        interface printer { print: func(text: string); }
        world made { import printer; export sandport:upload/receiver@0.2.0; }";
    let text = refused(&components::of_world(&[wit]));
    assert_says(&text, "imports what a receiver does not get");
    assert_says(&text, "acme:tools/printer");
}

#[test]
fn a_component_that_wants_to_call_out_is_refused_in_both_modes() {
    let http = "package wasi:http@0.2.0; interface outgoing-handler { handle: func(); }";
    for export in ["sandport:upload/receiver@0.2.0", "wasi:cli/run@0.2.0"] {
        let wit = format!(
            "package acme:tools; world made {{ import wasi:http/outgoing-handler@0.2.0; export {export}; }}"
        );
        let text = refused(&components::of_world(&[components::COMMAND, http, &wit]));
        assert_says(
            &text,
            "imports what a receiver does not get: wasi:http/outgoing-handler@0.2.0",
        );
        assert_says(&text, "use only what the world sandport:upload/sandbox imports, and WASI 0.2");
    }
}

#[test]
fn a_component_for_another_version_is_told_both_versions() {
    let theirs = "package sandport:upload@0.1.0;
        interface receiver { serve: func(); }
        interface inbox { open: func(); }";
    let exporting = "package acme:tools; world made { export sandport:upload/receiver@0.1.0; }";
    let text = refused(&components::of_world(&[theirs, exporting]));
    assert_says(&text, "is built for sandport:upload/receiver@0.1.0");
    assert_says(&text, "this version speaks sandport:upload/receiver@0.2.0");
    assert_says(&text, "directory wit/");

    let importing = "package acme:tools; world made {
        import sandport:upload/inbox@0.1.0;
        export sandport:upload/receiver@0.2.0;
    }";
    let text = refused(&components::of_world(&[theirs, importing]));
    assert_says(&text, "is built for sandport:upload/inbox@0.1.0");
    assert_says(&text, "this version speaks sandport:upload/inbox@0.2.0");
}

#[test]
fn a_component_whose_start_traps_is_refused_early() {
    for export in ["sandport:upload/receiver@0.2.0", "wasi:cli/run@0.2.0"] {
        let wit = format!("package acme:tools; world made {{ export {export}; }}");
        let text = refused(&components::trapping_at_start(&[components::COMMAND, &wit]));
        assert_says(&text, "fails when it is instantiated");
        assert_says(&text, "unreachable");
        assert_says(&text, "before anybody connects");
    }
}

#[test]
fn a_component_whose_start_traps_is_told_with_its_last_words() {
    let stderr = "package wasi:cli@0.2.0; interface stderr {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stderr: func() -> output-stream;
    }";
    let world = "package acme:tools; world made {
        import wasi:cli/stderr@0.2.0;
        import wasi:io/streams@0.2.0;
        export sandport:upload/receiver@0.2.0;
    }";
    let module = r#"(module
        (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
          (func $write (param i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 1024) "panicked:\nno table of \1b[31mnames\n")
        (func (export "_initialize")
          (call $write (call $stderr) (i32.const 1024) (i32.const 33) (i32.const 64))
          unreachable)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "sandport:upload/receiver@0.2.0#serve")
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))"#;
    let text = refused(&components::of_module(&[stderr, world], module));
    assert_says(&text, "fails when it is instantiated");
    assert_says(&text, "; its last words: panicked: / no table of \\u{1b}[31mnames");
}

#[test]
fn a_component_that_needs_too_much_memory_is_told_so() {
    let setup = Setup::new(["--max-memory", "64KiB"]).receiver(artifacts::put());
    let text = expect_refusal(setup, USAGE, "receiver-unfit");
    assert_says(&text, "bytes of memory; 65536 are allowed");
    assert_says(&text, "--max-memory");
}

#[test]
fn a_receiver_of_somebody_elses_serves_its_own_protocol() {
    let mut server = Setup::new([""; 0]).receiver(artifacts::put()).start();
    let mut client = Connection::open(&server);
    client.say("PUT directory/hello world.txt 5\n");
    client.say("hello");
    assert_eq!(client.hear_all(), b"stored directory/hello world.txt\n");
    assert_eq!(server.wait_stored(), "directory/hello world.txt");
    assert_eq!(server.content("directory/hello world.txt"), b"hello");

    for (said, code, heard) in [
        ("PUT ../out 5\nhello", "name-invalid", "the name has a part of dots only"),
        ("PUT out five\nhello", "malformed", "expected is PUT name size"),
        ("GET out 5\n", "malformed", "expected is PUT name size"),
        ("PUT out 5\nhell", "malformed", "the connection ended within the file"),
    ] {
        let mut client = Connection::open(&server);
        client.say(said);
        client.finish();
        assert_eq!(client.hear_all(), format!("refused: {heard}\n").as_bytes());
        server.wait_refused(code);
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(
        server.published().keys().collect::<Vec<_>>(),
        ["directory", "directory/hello world.txt"]
    );
}

#[test]
fn the_receiver_as_a_file_is_the_same_as_the_embedded_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "hello").unwrap();
    let server = Setup::new([""; 0]).receiver(artifacts::receiver()).start();
    send([path.as_os_str(), server.address().as_ref()]).expect_success();
    let mut client = Connection::open(&server);
    client.say("5\nhello");
    assert_eq!(client.hear_all(), b"ack");
    assert_eq!(server.published().len(), 2);
}

#[test]
fn the_compiled_receiver_is_kept_and_used_again() {
    let cache = tempfile::tempdir().unwrap();
    let directory = cache.path().join("compiled");
    let flags = ["--cache-dir", directory.to_str().unwrap()];
    let entries = || -> Tree {
        let mut tree = sandport_tests::files::tree(&directory);
        // What counts its own uses is not compiled code.
        tree.retain(|name, _| !name.ends_with(".stats"));
        tree
    };
    for _ in 0..2 {
        let mut server = Setup::new(flags).without_cache().start();
        let mut client = Connection::open(&server);
        client.say("5\nhello");
        assert_eq!(client.hear_all(), b"ack");
        assert_eq!(server.stop(), Some(0));
    }
    let after_two = entries();
    assert!(after_two.values().any(|entry| *entry != sandport_tests::files::Entry::Directory));
    let mut server = Setup::new(flags).without_cache().start();
    assert_eq!(server.stop(), Some(0));
    assert_eq!(entries(), after_two, "a start with a full cache compiles nothing");
}

#[test]
fn without_a_cache_it_is_compiled_each_time_and_runs() {
    let mut server: Server =
        Setup::new(["--no-cache", "--classic-name", "file"]).without_cache().start();
    let mut client = Connection::open(&server);
    client.say("5\nhello");
    assert_eq!(client.hear_all(), b"ack");
    assert_eq!(server.wait_stored(), "file");
    assert_eq!(server.published(), Tree::from([("file".into(), file("hello"))]));
}
