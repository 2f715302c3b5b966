//! Components that are made on the spot: of a world and of functions that only trap, or of text.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::artifacts;

/// WIT of the interface that a resident component exports.
pub const COMMAND: &str = "package wasi:cli@0.2.0; interface run { run: func() -> result; }";

/// A component of the world `acme:tools/made`, which the last of the packages has. The others are what
/// it needs besides the packages of this project.
pub fn of_world(packages: &[&str]) -> Vec<u8> {
    encode(packages, |module| module)
}

/// The same, and it traps when it is instantiated.
pub fn trapping_at_start(packages: &[&str]) -> Vec<u8> {
    encode(packages, trap_at_start)
}

/// A component of the world `acme:tools/made` around a core module in the text format.
pub fn of_module(packages: &[&str], module: &str) -> Vec<u8> {
    encode(packages, |_| wat::parse_str(module).unwrap_or_else(|error| panic!("{error}")))
}

/// A component in the text format.
pub fn of_text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap_or_else(|error| panic!("{error}"))
}

fn encode(packages: &[&str], change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(artifacts::workspace().join("wit")).unwrap();
    let mut last = None;
    for text in packages {
        last = Some(resolve.push_str(Path::new("made.wit"), text).unwrap());
    }
    let world = resolve.select_world(&[last.unwrap()], Some("made")).unwrap();
    let mut module = change(dummy_module(&resolve, world, ManglingAndAbi::Standard32));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// Bodies of functions with their sizes, as wasm has them: the one that returns, and the one that traps.
const RETURNS: &[u8] = &[2, 0x00, 0x0b];
const TRAPS: &[u8] = &[3, 0x00, 0x00, 0x0b];

/// In a dummy module all functions trap but those that initialise it and clean up after a call, and they
/// come last. Here those trap too.
fn trap_at_start(mut module: Vec<u8>) -> Vec<u8> {
    let mut functions = 0_u8;
    loop {
        let body = if module.ends_with(TRAPS) { TRAPS } else { RETURNS };
        if !module.ends_with(body) {
            break;
        }
        module.truncate(module.len() - body.len());
        functions += 1;
    }
    // Before them are the number of the code section, its size, and their number.
    let header = module.split_off(module.len() - 3);
    assert_eq!((header[0], header[2]), (10, functions), "{header:?}");
    let size = 1 + u8::try_from(TRAPS.len()).unwrap() * functions;
    module.extend_from_slice(&[10, size, functions]);
    module.extend_from_slice(&TRAPS.repeat(functions.into()));
    module
}
