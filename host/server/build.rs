//! Builds the receiver component and hands it to the library, which embeds it.
//!
//! - `SANDPORT_RECEIVER_WASM` names a component that was built before; nothing is built then.
//! - Otherwise the crate `sandport-receiver` of this workspace is built for `wasm32-wasip2`, with the
//!   profile `guest`, in a target directory of its own. Where the target is missing it is added with
//!   rustup, or the build fails with the line to type.
//! - Where pages of documentation are made for the registry (`DOCS_RS`), neither the sources of the receiver nor
//!   a network are there. An empty file takes its place, which no page shows.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a build script talks to cargo by environment and standard output"
)]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PREBUILT: &str = "SANDPORT_RECEIVER_WASM";
const FOR_PAGES: &str = "DOCS_RS";

/// Variables of cargo that the nested cargo keeps: where things are, and how to reach registries.
/// All others of cargo's describe the outer build.
const KEPT_CARGO_VARIABLES: [&str; 6] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];

/// Variables that describe the outer build, besides cargo's own.
const DROPPED_VARIABLES: [&str; 14] = [
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
    "HOST",
    "OPT_LEVEL",
    "DEBUG",
    "PROFILE",
    "NUM_JOBS",
    "CLIPPY_ARGS",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    println!("cargo::rerun-if-env-changed={FOR_PAGES}");
    let wasm = match env::var_os(PREBUILT) {
        Some(path) => prebuilt(&path),
        None if env::var_os(FOR_PAGES).is_some() => empty(),
        None => build(),
    };
    match wasm {
        Ok(path) => println!("cargo::rustc-env=SANDPORT_RECEIVER_FILE={}", path.display()),
        Err(error) => {
            for line in error.lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

fn prebuilt(path: &OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    println!("cargo::rerun-if-changed={}", path.display());
    path.canonicalize().map_err(|error| {
        format!("{PREBUILT} names {}, which cannot be read: {error}", path.display())
    })
}

fn empty() -> Result<PathBuf, String> {
    let path = PathBuf::from(variable("OUT_DIR")?).join("no-receiver.wasm");
    std::fs::write(&path, b"").map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn build() -> Result<PathBuf, String> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest.join("../..").canonicalize().map_err(|error| error.to_string())?;
    let guest = root.join("guest/receiver");
    if !guest.is_dir() {
        return Err(format!(
            "the receiver's sources are not at {}: set {PREBUILT} to a built component",
            guest.display()
        ));
    }
    for source in ["wit", "guest/protocol/src", "guest/protocol/Cargo.toml", "guest/receiver"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }

    ensure_target(&root)?;
    let target_dir = PathBuf::from(variable("OUT_DIR")?).join("guest");
    let mut command = scrubbed(&variable("CARGO")?);
    command
        .current_dir(&root)
        .args(["build", "--locked", "--package", "sandport-receiver", "--profile", "guest"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_dir);
    let output =
        command.output().map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the receiver component could not be built:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(target_dir.join(TARGET).join("guest/sandport_receiver.wasm"))
}

/// Adds the wasm target where rustup can, or says what to type.
fn ensure_target(root: &Path) -> Result<(), String> {
    if has_target(root)? {
        return Ok(());
    }
    let advice = format!("the Rust target {TARGET} is missing. Type: rustup target add {TARGET}");
    let output = scrubbed("rustup")
        .current_dir(root)
        .args(["target", "add", TARGET])
        .output()
        .map_err(|error| format!("{advice}\n(rustup could not be started: {error})"))?;
    if !output.status.success() || !has_target(root)? {
        return Err(format!("{advice}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(())
}

fn has_target(root: &Path) -> Result<bool, String> {
    let output = scrubbed(&variable("RUSTC")?)
        .current_dir(root)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// A command that does not inherit the outer build.
fn scrubbed(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let cargo = text.starts_with("CARGO_") || text.starts_with("__CARGO");
        let kept = KEPT_CARGO_VARIABLES.iter().any(|prefix| text.starts_with(prefix));
        if (cargo && !kept) || DROPPED_VARIABLES.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
