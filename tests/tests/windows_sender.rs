//! The sender as it is built for Windows, under wine, against the real server.
//!
//! `SANDPORT_TEST_WINDOWS_SENDER` names the program, and `SANDPORT_TEST_WINE` wine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;

use sandport_tests::process::{self, Running};
use sandport_tests::{Fate, Middlebox, Random, Sent, Server, send};

const MIB: usize = 1024 * 1024;

/// Large enough that what waits in sockets is less than half of it.
const LARGE_BYTES: usize = 24 * MIB + 9;

/// How far the connection gets that is cut. Bytes.
const MIDWAY_BYTES: u64 = 16 * 1024 * 1024;

/// Watermarks come soon, so that a cut costs little.
const FLAGS: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];

/// Where wine keeps what it has of a Windows. Making it takes minutes, so there is one for all tests.
const PREFIX: &str = "wine";

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: see lane `windows` of .ci/run"))
}

/// Wine, with a Windows of its own.
fn wine() -> Command {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PREFIX);
    let mut command = Command::new(variable("SANDPORT_TEST_WINE"));
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("WINEARCH", "win64");
    // It would ask whether to install what draws pages and runs .NET.
    command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
    command
}

/// Makes that Windows, where it is not there.
fn boot() {
    static BOOTED: Once = Once::new();
    BOOTED.call_once(|| {
        let ended = process::run_build(wine().args(["wineboot", "-u"]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    });
}

/// The sender with these arguments, in a directory.
fn sender<S: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    boot();
    // It sets what the settings of the person who runs the tests would change, for the native one.
    let native = send::command();
    let mut command = wine();
    command.arg(variable("SANDPORT_TEST_WINDOWS_SENDER"));
    for (name, value) in native.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(directory).args(["--json", "send", "--state-dir", "state"]).args(arguments);
    command
}

fn run<S: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = S>) -> Sent {
    Sent::of(process::run(&mut sender(directory, arguments), b""))
}

#[test]
#[ignore = "needs wine and a sender for Windows"]
fn a_tree_arrives_with_slashes_in_its_names_once() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for (name, length) in [("a.txt", 3), ("sub/deep/b", 70_000), ("sub/\u{e9}", 0)] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, Random::seeded().bytes(length)).unwrap();
    }
    fs::create_dir(tree.join("empty")).unwrap();
    let sent = run(directory.path(), ["t", server.address()]).expect_success();
    assert_eq!(sent.names("stored"), ["t/a.txt", "t/sub/deep/b", "t/sub/\u{e9}"]);
    assert!(server.inbox().join("t/empty").is_dir());
    for name in ["t/a.txt", "t/sub/deep/b", "t/sub/\u{e9}"] {
        assert_eq!(server.content(name), fs::read(directory.path().join(name)).unwrap(), "{name}");
        let modified = |root: &Path| root.join(name).metadata().unwrap().modified().unwrap();
        let (ours, theirs) = (modified(directory.path()), modified(server.inbox()));
        let apart = ours.duration_since(theirs).unwrap_or_default();
        assert!(
            apart.as_nanos() < 100,
            "{name}: Windows counts in steps of 100 ns, and rounds down"
        );
    }
    let again = run(directory.path(), ["t\\", server.address()]).expect_success();
    assert_eq!(again.names("already-stored").len(), 3, "{again:?}");
}

#[test]
#[ignore = "needs wine and a sender for Windows"]
fn a_cut_is_mended_in_the_run_and_a_later_run_resumes() {
    let server = Server::start(FLAGS);
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(LARGE_BYTES);
    fs::write(directory.path().join("large"), &content).unwrap();

    let cut = Middlebox::before(server.address(), [Fate::Cut(MIDWAY_BYTES)]);
    let sent = run(directory.path(), ["large", cut.address(), "--retries", "8"]).expect_success();
    assert!(sent.of_type("resumed")[0]["kept"].as_u64().unwrap() >= MIB as u64, "{sent:?}");
    assert_eq!(server.content("large"), content);

    fs::rename(directory.path().join("large"), directory.path().join("later")).unwrap();
    let held = Middlebox::before(server.address(), [Fate::Cut(MIDWAY_BYTES)]);
    let first = Running::start(&mut sender(directory.path(), ["later", held.address()]), b"");
    let first = Sent::of(first.finish());
    assert_eq!(first.code, Some(3), "{first:?}");
    held.wait_closed(1);
    // It would be known by its digest.
    fs::remove_file(server.inbox().join("large")).unwrap();
    let second = run(directory.path(), ["later", held.address()]).expect_success();
    assert!(second.of_type("resumed")[0]["kept"].as_u64().unwrap() >= MIB as u64, "{second:?}");
    assert_eq!(server.content("later"), content);
}

#[test]
#[ignore = "needs wine and a sender for Windows"]
fn what_windows_does_not_have_is_said() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), b"a").unwrap();
    let sent = run(directory.path(), ["a", "unix:/run/sandport.sock"]);
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert!(sent.stderr.contains("no Unix sockets"), "{sent:?}");
    let sent = run(directory.path(), ["NUL", server.address()]);
    assert!(["special-file", "cannot-open"].contains(&sent.failure()), "{sent:?}");
}
