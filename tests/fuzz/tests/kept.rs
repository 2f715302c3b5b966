//! The fuzz targets on stable: over the inputs that are kept in `fuzz/seeds`, and over such that are mutated by chance.
//!
//! `SANDPORT_TEST_FUZZ=50` tries fifty times as many, and `SANDPORT_TEST_FUZZ_SEED` begins elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use sandport_fuzz::mutation::Mutator;
use sandport_fuzz::{TARGETS, Target, seeds_directory, target};

/// Where chance begins, unless somebody says otherwise.
const SEED: u64 = 20_261_201;

/// Prints what a test was at when it fails.
struct AtFailure<'a> {
    target: &'a str,
    what: String,
    input: Vec<u8>,
}

impl Drop for AtFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { target, what, input } = self;
            eprintln!("target {target}, {what}, input: {}", input.escape_ascii());
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn kept(target: &Target) -> Vec<(String, Vec<u8>)> {
    let directory = seeds_directory(Path::new(env!("CARGO_MANIFEST_DIR")), target);
    let mut kept: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    kept.sort();
    kept
}

/// Tries all that is kept, and then what is made of it.
fn hold(name: &str) {
    let target = target(name).expect("a target of this name");
    let kept = kept(target);
    let mut at = AtFailure { target: name, what: String::new(), input: vec![] };
    for (file, input) in &kept {
        (at.what, at.input) = (file.clone(), input.clone());
        (target.run)(input);
    }
    let known: Vec<_> = kept.into_iter().map(|(_, input)| input).collect();
    let seed = number("SANDPORT_TEST_FUZZ_SEED", SEED);
    let iterations = u64::from(target.iterations) * number("SANDPORT_TEST_FUZZ", 1);
    let mut mutator = Mutator::new(target, seed);
    for iteration in 0..iterations {
        at.what = format!("seed {seed}, iteration {iteration}");
        at.input = mutator.next(&known);
        (target.run)(&at.input);
    }
}

/// A test for each target, and one that says so where a target has none.
macro_rules! hold_for_any_bytes {
    ($($target:ident),+ $(,)?) => {
        $(
            #[test]
            fn $target() {
                hold(stringify!($target));
            }
        )+

        #[test]
        fn each_target_has_a_test() {
            let tested = [$(stringify!($target)),+];
            let all: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tested.as_slice(), all);
        }
    };
}

hold_for_any_bytes!(
    frames,
    native,
    native_sender,
    classic,
    http,
    http_uploads,
    http_fields,
    forwarded,
    http_sender,
    proxy_header,
    addresses,
    journal,
    receipt_log,
    names,
    upload,
);

#[test]
fn the_seeds_that_are_kept_are_those_of_the_targets() {
    for target in TARGETS {
        let kept = kept(target);
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let file = kept.iter().any(|(_, input)| input == seed);
            assert!(file, "seed {number} of {} is missing: run write-seeds", target.name);
        }
    }
}
