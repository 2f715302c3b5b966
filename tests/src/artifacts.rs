//! What the tests run: the binary and the receivers, built when they are first needed.
//!
//! cargo itself decides whether something is stale, so that a test never runs an old binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process;

/// The target of the receivers.
const TARGET: &str = "wasm32-wasip2";

/// Names a binary to test in place of one that is built.
const BINARY: &str = "SANDPORT_TEST_BINARY";

/// Names a component to use in place of the receiver.
const RECEIVER: &str = "SANDPORT_TEST_RECEIVER";

/// Names the directory of another build of the examples.
const EXAMPLES: &str = "SANDPORT_TEST_EXAMPLES";

/// Names the standalone component to use in place of one that is built.
const STANDALONE: &str = "SANDPORT_TEST_STANDALONE";

/// Names the `wasmtime` to run it with in place of `src/bin/stock.rs`.
const WASMTIME: &str = "SANDPORT_TEST_WASMTIME";

/// An integration test of the package that has the binary: `host/cli/tests`.
const TEST_OF_BINARY: &str = "first_screens";

/// Variables by which cargo tells a test about its package. A nested cargo gets none of them.
const TOLD_TO_TESTS: [&str; 5] =
    ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];

/// Variables that would change what the components are built of.
const DROPPED_FOR_WASM: [&str; 6] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
];

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a workspace").to_owned()
}

/// The binary `sandport`, of the profile that the tests were built with.
pub fn sandport() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = chosen(BINARY) {
            return path;
        }
        // This builds the binary because that integration test needs it.
        built(&["test", "--no-run", "--test", TEST_OF_BINARY]).join("sandport")
    })
}

/// An example that is a program: `examples/`.
pub fn program(example: &str) -> PathBuf {
    built(&["build", "--example", example]).join("examples").join(example)
}

/// Has cargo build in the profile that the tests were built with; where that is.
fn built(command_line: &[&str]) -> PathBuf {
    let profile_dir = profile_dir();
    let target_dir = profile_dir.parent().expect("a profile's directory lies in another");
    // The whole workspace is named although one program is wanted: the features of the dependencies
    // depend on what is named, and `cargo test --workspace` has built them so already.
    let mut command = scrubbed(&[]);
    command.args(command_line).args(["--locked", "--workspace"]);
    command.arg("--target-dir").arg(target_dir);
    // `debug` is the directory of the default profile.
    if let Some(profile) = profile_dir.file_name().filter(|name| *name != "debug") {
        command.arg("--profile").arg(profile);
    }
    run(&mut command);
    profile_dir
}

/// The receiver, built as the engine's build script builds it, or the component that
/// `SANDPORT_TEST_RECEIVER` names.
pub fn receiver() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    chosen_receiver().unwrap_or_else(|| PATH.get_or_init(|| component("sandport-receiver")).clone())
}

/// The component that `SANDPORT_TEST_RECEIVER` names.
pub fn chosen_receiver() -> Option<PathBuf> {
    chosen(RECEIVER)
}

fn chosen(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable)?);
    Some(
        path.canonicalize()
            .unwrap_or_else(|error| panic!("{variable}: {}: {error}", path.display())),
    )
}

/// The receiver that misbehaves as the first byte says: `tests/guests/hostile`.
pub fn hostile() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| component("sandport-guest-hostile"))
}

/// The honest receiver of somebody else's: `guest/examples/put-rust`.
pub fn put() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| example("sandport-example-put"))
}

/// What turns peers away in front of a receiver: `guest/examples/doorkeeper`. It is no receiver by
/// itself.
pub fn doorkeeper() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| example("sandport-example-doorkeeper"))
}

/// The resident component that misbehaves: `tests/guests/resident`.
pub fn resident() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| component("sandport-guest-resident"))
}

/// The standalone component: `guest/standalone`, or the one that `SANDPORT_TEST_STANDALONE` names.
pub fn standalone() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let build = || component("sandport-standalone").with_file_name("sandport-standalone.wasm");
    chosen(STANDALONE).unwrap_or_else(|| PATH.get_or_init(build).clone())
}

/// What runs it: `src/bin/stock.rs`, or the `wasmtime` that `SANDPORT_TEST_WASMTIME` names.
pub fn wasmtime() -> PathBuf {
    // cargo has built it along with the test.
    chosen(WASMTIME).unwrap_or_else(|| profile_dir().join("stock"))
}

/// Where compiled receivers are kept between servers, so that each starts in milliseconds.
pub fn cache_dir() -> PathBuf {
    guest_target_dir().join("cache")
}

/// An example, or what lies under its file name in the directory that `SANDPORT_TEST_EXAMPLES` names.
fn example(package: &str) -> PathBuf {
    match chosen(EXAMPLES) {
        Some(directory) => directory.join(file_name(package)),
        None => component(package),
    }
}

fn component(package: &str) -> PathBuf {
    let target_dir = guest_target_dir();
    run(scrubbed(&DROPPED_FOR_WASM)
        .args(["build", "--locked", "--package", package, "--profile", "guest"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_dir));
    target_dir.join(TARGET).join("guest").join(file_name(package))
}

fn file_name(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

/// Where the tests keep what cargo builds for the sandbox.
pub fn guest_target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile's directory lies in another").join("tests-guest")
}

/// `target/debug`, say: the directory above that of the test's own executable.
fn profile_dir() -> PathBuf {
    let test = env::current_exe().expect("a test knows its executable");
    test.ancestors()
        .find(|directory| directory.file_name().is_some_and(|name| name == "deps"))
        .unwrap_or(&test)
        .parent()
        .expect("cargo puts tests into target/PROFILE/deps")
        .to_owned()
}

/// cargo, without what describes the build of the tests, nor the variables in `dropped`.
fn scrubbed(dropped: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    scrub(&mut command, dropped);
    command.current_dir(workspace());
    command
}

/// A shell in which cargo is that of the tests, and finds nothing that describes their own build.
/// [`process::run_build`] runs it.
pub fn shell() -> Command {
    let mut command = Command::new("bash");
    scrub(&mut command, &DROPPED_FOR_WASM);
    command
}

fn scrub(command: &mut Command, dropped: &[&str]) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let told = TOLD_TO_TESTS.iter().any(|prefix| text.starts_with(prefix));
        if told || dropped.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
}

fn run(command: &mut Command) {
    let ended = process::run_build(command);
    assert_eq!(ended.code, Some(0), "{command:?} failed:\n{}", ended.stderr);
}

/// Takes away the settings that the person who runs the tests may have.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SANDPORT_") {
            command.env_remove(name);
        }
    }
}
