//! Which crates of a workspace are found, on the directories of this one.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sandport_modules::{roots, unreached};

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn libraries_programs_and_tests_of_a_package_are_found() {
    let roots = roots(&package()).unwrap();
    let files: Vec<_> =
        roots.iter().map(|root| root.file.strip_prefix(&root.package).unwrap()).collect();
    let expected = ["src/lib.rs", "src/main.rs", "tests/circles.rs", "tests/workspaces.rs"];
    assert_eq!(files, expected.map(Path::new));
}

#[test]
fn a_file_that_no_crate_has_as_a_module_is_found() {
    let roots = roots(&package()).unwrap();
    let source = package().join("src");
    let all: BTreeSet<_> = unreached(&roots, &BTreeSet::new()).unwrap().into_iter().collect();
    assert!(all.contains(&source.join("tree.rs")));
    let but_one = all.iter().filter(|file| !file.ends_with("tree.rs")).cloned().collect();
    assert_eq!(unreached(&roots, &but_one).unwrap(), [source.join("tree.rs")]);
}
