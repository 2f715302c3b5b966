//! The WIT package as `wkg` publishes it: encoded to one file of WebAssembly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;

use sandport_tests::artifacts;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{ManglingAndAbi, PackageId, Resolve};

/// What `wkg wit build` makes of the directory, but for the metadata.
fn encoded() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(artifacts::workspace().join("wit")).unwrap();
    wit_component::encode(&resolve, package, false).unwrap()
}

fn decoded() -> (Resolve, PackageId) {
    match decode(&encoded()).unwrap() {
        DecodedWasm::WitPackage(resolve, package) => (resolve, package),
        DecodedWasm::Component(..) => panic!("a package is expected"),
    }
}

#[test]
fn the_package_is_one_file_with_all_its_interfaces() {
    let (resolve, package) = decoded();
    let package = &resolve.packages[package];
    assert_eq!(package.name.to_string(), "sandport:upload@0.2.0");
    assert!(package.docs.contents.as_ref().is_some_and(|text| text.contains("the specification")));
    let interfaces: BTreeSet<&str> = package.interfaces.keys().map(String::as_str).collect();
    assert_eq!(interfaces, ["gate", "inbox", "log", "receiver", "types", "wire"].into());
    assert_eq!(package.worlds.keys().collect::<Vec<_>>(), ["sandbox"]);
    for (name, interface) in &package.interfaces {
        let interface = &resolve.interfaces[*interface];
        assert!(interface.docs.contents.is_some(), "{name} lost its text");
        for (function, definition) in &interface.functions {
            // `upload.drop` and the like have none to lose.
            assert!(definition.docs.contents.is_some(), "{name}.{function} lost its text");
        }
    }
}

#[test]
fn a_receiver_can_be_built_against_the_published_file_alone() {
    let (resolve, package) = decoded();
    let world = resolve.select_world(&[package], Some("sandbox")).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs.wasm");
    fs::write(&path, component).unwrap();
    sandport_tests::Setup::new([""; 0]).receiver(path).start();
}

#[test]
fn the_package_says_the_license_and_the_source() {
    let read = |path: &str| fs::read_to_string(artifacts::workspace().join(path)).unwrap();
    let (workspace, package) = (read("Cargo.toml"), read("wit/wkg.toml"));
    let value = |text: &str, key: &str| -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.unwrap_or_else(|| panic!("{key} is not there")).trim_matches('"').to_owned()
    };
    assert_eq!(value(&package, "licenses"), value(&workspace, "license"));
    assert_eq!(value(&package, "source"), value(&workspace, "repository"));
    let (resolve, id) = decoded();
    // What the package names is here to build it with.
    for (_, other) in resolve.packages.iter().filter(|(other, _)| *other != id) {
        let name = format!("\"{}:{}\"", other.name.namespace, other.name.name);
        assert!(package.contains(&name), "wit/wkg.toml does not say where {name} is");
    }
}
