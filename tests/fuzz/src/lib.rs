//! What has to hold for any bytes that a peer, a disk or an operator may bring.
//!
//! Each [`Target`] is a function that takes bytes and asserts properties: that a value which was read is written as it
//! was read, that a cut anywhere gives the same result, that rules which others rely on hold. `fuzz/` at the root hands
//! these functions to libFuzzer, which needs a nightly compiler. The tests of this crate run them on stable, over the
//! seeds in `fuzz/seeds` and over bytes that are mutated by chance.
//!
//! The two ends in memory are those of the protocol crate's own tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

#[path = "../../../guest/protocol/tests/http_answers/mod.rs"]
mod http_answers;
#[path = "../../../guest/protocol/tests/http_end/mod.rs"]
mod http_end;
#[path = "../../../guest/protocol/tests/pair/mod.rs"]
mod pair;
#[path = "../../../guest/protocol/tests/url_uploads/mod.rs"]
mod url_uploads;
#[path = "../../../guest/protocol/tests/vectors/mod.rs"]
mod vectors;

mod addresses;
mod classic;
mod cutting;
mod fields;
mod frames;
mod http;
mod http_sender;
mod journal;
pub mod mutation;
mod names;
mod native;
mod of_server;
mod proxy_header;
mod receipt_log;
mod sender;
mod upload;
mod urls;

/// Something that takes bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called: a target of cargo-fuzz, and the directory of its seeds.
    pub name: &'static str,
    /// Takes any bytes in.
    ///
    /// # Panics
    /// Where a property does not hold.
    pub run: fn(&[u8]),
    /// Bytes that have a meaning, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is put among bytes that are mutated: words that a parser knows.
    pub words: &'static [&'static [u8]],
    /// How many mutated inputs the test command tries.
    pub iterations: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "frames",
        run: frames::run,
        seeds: frames::seeds,
        words: &[&[0x80], &[0xff, 0xff, 3], b"\x00", b"\x01"],
        iterations: 20_000,
    },
    Target {
        name: "native",
        run: native::run,
        seeds: native::seeds,
        words: &[&[0x80], b"\x01\x07", b"\x03\x01\x00"],
        iterations: 2_000,
    },
    Target {
        name: "native_sender",
        run: sender::run,
        seeds: sender::seeds,
        words: &[&[0x80], b"\x01\x09", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
        iterations: 4_000,
    },
    Target {
        name: "classic",
        run: classic::run,
        seeds: classic::seeds,
        words: &[b"\n", b"\r\n", b"0", b"18446744073709551615"],
        iterations: 4_000,
    },
    Target {
        name: "http",
        run: http::run,
        seeds: http::seeds,
        words: http::WORDS,
        iterations: 4_000,
    },
    Target {
        name: "http_uploads",
        run: urls::run,
        seeds: urls::seeds,
        words: urls::WORDS,
        iterations: 4_000,
    },
    Target {
        name: "http_fields",
        run: fields::run,
        seeds: fields::seeds,
        words: fields::WORDS,
        iterations: 10_000,
    },
    Target {
        name: "forwarded",
        run: fields::run_forwarded,
        seeds: fields::seeds_forwarded,
        words: fields::WORDS,
        iterations: 10_000,
    },
    Target {
        name: "http_sender",
        run: http_sender::run,
        seeds: http_sender::seeds,
        words: http_sender::WORDS,
        iterations: 10_000,
    },
    Target {
        name: "proxy_header",
        run: proxy_header::run,
        seeds: proxy_header::seeds,
        words: proxy_header::WORDS,
        iterations: 20_000,
    },
    Target {
        name: "addresses",
        run: addresses::run,
        seeds: addresses::seeds,
        words: addresses::WORDS,
        iterations: 20_000,
    },
    Target {
        name: "journal",
        run: journal::run,
        seeds: journal::seeds,
        words: &[b"\x00\x00", b"\x01\x00\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
        iterations: 10_000,
    },
    Target {
        name: "receipt_log",
        run: receipt_log::run,
        seeds: receipt_log::seeds,
        words: &[b"\x00\x00", b"\x00\x10\x00\x00", b"\x01\x03a/b"],
        iterations: 4_000,
    },
    Target {
        name: "names",
        run: names::run,
        seeds: names::seeds,
        words: names::WORDS,
        iterations: 20_000,
    },
    Target { name: "upload", run: upload::run, seeds: upload::seeds, words: &[], iterations: 400 },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Hands bytes to the target of this name.
///
/// # Panics
/// Where a property does not hold, or no target has the name.
pub fn run(name: &str, data: &[u8]) {
    (target(name).expect("a target of this name").run)(data);
}

/// Where the inputs of a target are kept, given the directory of this crate: its seeds, and what has once broken it.
pub fn seeds_directory(crate_directory: &Path, target: &Target) -> PathBuf {
    crate_directory.join("../../fuzz/seeds").join(target.name)
}
