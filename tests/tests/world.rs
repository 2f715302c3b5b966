//! The world `sandbox`, and that the receiver stays inside it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;

use sandport_tests::artifacts;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldId};

/// All that a receiver may import. It is closed on purpose: see `wit/receiver.wit`.
const IMPORTS: [&str; 8] = [
    "sandport:upload/gate@0.2",
    "sandport:upload/inbox@0.2",
    "sandport:upload/log@0.2",
    "sandport:upload/types@0.2",
    "wasi:clocks/monotonic-clock@0.2",
    "wasi:io/error@0.2",
    "wasi:io/poll@0.2",
    "wasi:io/streams@0.2",
];

/// Imports and exports of a world, without patch versions: toolchains rewrite those.
fn surface(resolve: &Resolve, world: WorldId) -> (BTreeSet<String>, BTreeSet<String>) {
    let world = &resolve.worlds[world];
    let names = |keys: Vec<&wit_parser::WorldKey>| {
        keys.into_iter().map(|key| without_patch(&resolve.name_world_key(key))).collect()
    };
    (names(world.imports.keys().collect()), names(world.exports.keys().collect()))
}

/// `wasi:io/poll@0.2.6` becomes `wasi:io/poll@0.2`.
fn without_patch(name: &str) -> String {
    match name.split_once('@') {
        Some((path, version)) => {
            let parts: Vec<&str> = version.splitn(3, '.').take(2).collect();
            format!("{path}@{}", parts.join("."))
        }
        None => name.to_owned(),
    }
}

fn sandbox() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(artifacts::workspace().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("sandbox")).unwrap();
    surface(&resolve, world)
}

fn component(bytes: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    match decode(bytes).unwrap() {
        DecodedWasm::Component(resolve, world) => surface(&resolve, world),
        DecodedWasm::WitPackage(..) => panic!("a component is expected"),
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_world_lists_nothing_ambient() {
    let (imports, exports) = sandbox();
    assert_eq!(imports, set(&IMPORTS));
    assert_eq!(exports, set(&["sandport:upload/receiver@0.2"]));
    for ambient in ["filesystem", "sockets", "cli", "random", "wall-clock", "http"] {
        assert!(imports.iter().all(|import| !import.contains(ambient)), "{ambient}");
    }
}

#[test]
fn the_receiver_imports_and_exports_what_the_world_lists() {
    let bytes = fs::read(artifacts::receiver()).unwrap();
    let (imports, exports) = component(&bytes);
    let (allowed, required) = sandbox();
    let beyond: Vec<&String> = imports.difference(&allowed).collect();
    assert!(beyond.is_empty(), "the receiver imports what the world does not list: {beyond:?}");
    assert_eq!(exports, required);
}

#[test]
fn the_check_finds_what_a_runtime_drags_in() {
    let bytes = fs::read(artifacts::put()).unwrap();
    let (imports, exports) = component(&bytes);
    let (allowed, required) = sandbox();
    let beyond: Vec<&String> = imports.difference(&allowed).collect();
    assert!(beyond.iter().any(|name| name.starts_with("wasi:cli/")), "{beyond:?}");
    assert_eq!(exports, required);
}

#[test]
fn the_receiver_is_small() {
    if artifacts::chosen_receiver().is_some() {
        // A build for debugging, say.
        return;
    }
    // A start loads it. Two thirds of it are HTTP; a runtime that is linked in by mistake takes more than is left.
    let size = fs::metadata(artifacts::receiver()).unwrap().len();
    assert!(size < 640 * 1024, "{size} bytes");
}
