//! What counts as a circle of modules, on small crates that are written out here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sandport_modules::{Circle, Exceptions, Sources, Tree, describe, uses};

/// A crate of a few files.
struct Crate(BTreeMap<&'static str, &'static str>);

impl Sources for Crate {
    fn text(&self, file: &Path) -> io::Result<String> {
        let text = file.to_str().and_then(|file| self.0.get(file));
        text.map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The crate of these files, which begins in the first.
fn tree(files: &[(&'static str, &'static str)]) -> Tree {
    let root = files.first().expect("a file").0;
    Tree::read(Path::new(root), &Crate(files.iter().copied().collect())).unwrap()
}

fn found(files: &[(&'static str, &'static str)]) -> Vec<Circle> {
    let tree = tree(files);
    Exceptions::default().circles(&tree, &uses(&tree))
}

/// `FILE:LINE PATH` of every use in these files.
fn places(files: &[(&'static str, &'static str)]) -> Vec<String> {
    let place =
        |one: &sandport_modules::Use| format!("{}:{} {}", one.file.display(), one.line, one.path);
    uses(&tree(files)).iter().map(place).collect()
}

#[test]
fn two_files_that_import_from_each_other_are_a_circle() {
    let found = found(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a.rs", "use crate::b::B;\n\npub struct A(B);\n"),
        ("b.rs", "pub struct B;\n\nfn make() { super::a::A }\n"),
    ]);
    assert_eq!(found.len(), 1);
    let text = describe(&found[0], Path::new(""));
    assert!(text.contains("a.rs:1 uses crate::b::B of b.rs"), "{text}");
    assert!(text.contains("b.rs:3 uses super::a::A of a.rs"), "{text}");
}

#[test]
fn uses_in_one_direction_are_no_circle() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "use crate::b::B;\nuse crate::c::C;\n"),
        ("b.rs", "use crate::c::C;\npub struct B(C);\n"),
        ("c.rs", "pub struct C;\n"),
    ];
    assert_eq!(found(&files), []);
}

#[test]
fn a_longer_way_around_is_shown_step_by_step() {
    let found = found(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "pub fn a() { crate::b::b() }\n"),
        ("b.rs", "use super::c::c;\npub fn b() { c() }\n"),
        ("c.rs", "pub fn c() { crate::a::a() }\n"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].steps.len(), found[0].modules), (3, 3));
}

#[test]
fn a_parent_that_declares_and_hands_on_does_not_use_its_child() {
    let files = [
        ("lib.rs", "mod child;\npub use child::{Made, make};\npub struct Kept;\n"),
        ("child.rs", "use super::Kept;\npub struct Made(Kept);\npub fn make() {}\n"),
    ];
    assert_eq!(found(&files), []);
}

#[test]
fn a_parent_whose_own_code_uses_what_uses_it_is_a_circle() {
    let child = ("child.rs", "use super::Kept;\npub struct Made(Kept);\npub fn make() {}\n");
    for parent in [
        "mod child;\nuse child::make;\npub struct Kept;\n",
        "mod child;\npub struct Kept;\nfn own() { child::make() }\n",
        // Handed on, and used too.
        "mod child;\npub use child::Made;\npub struct Kept { made: Option<Made> }\n",
    ] {
        assert_eq!(found(&[("lib.rs", parent), child]).len(), 1, "{parent}");
    }
}

#[test]
fn a_directory_and_a_file_beside_it_must_not_use_each_other() {
    // No two files of these use each other, but the directory and the file do.
    let found = found(&[
        ("lib.rs", "mod beside;\nmod directory;\n"),
        ("beside.rs", "use crate::directory::one::One;\npub struct Beside;\n"),
        ("directory/mod.rs", "pub mod one;\npub mod two;\n"),
        ("directory/one.rs", "pub struct One;\n"),
        ("directory/two.rs", "use crate::beside::Beside;\n"),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn an_item_counts_where_it_is_defined_and_not_handed_on() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "pub use crate::c::C;\n"),
        ("b.rs", "use crate::a::C;\npub struct B(C);\n"),
        ("c.rs", "pub struct C;\n"),
    ];
    assert_eq!(places(&files), ["a.rs:1 crate::c::C", "b.rs:1 crate::a::C", "b.rs:2 C"]);
    let uses = uses(&tree(&files));
    assert!(uses.iter().all(|one| one.defined_in == Path::new("c.rs")));
}

#[test]
fn what_is_for_tests_alone_counts_as_nobodys_use() {
    let b = "pub struct B;\n\
        #[cfg(test)]\nuse crate::a::A;\n\
        #[cfg(all(test, feature = \"slow\"))]\nfn slow() { crate::a::A }\n\
        struct Held { #[cfg(test)] a: crate::a::A }\n\
        impl B { #[cfg(test)] fn a() -> crate::a::A { crate::a::A } }\n\
        #[cfg(test)]\nmod tests;\n";
    let files = [
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
        ("b.rs", b),
        ("b/tests.rs", "use crate::a::A;\n"),
    ];
    assert_eq!(found(&files), []);
    let tree = tree(&files);
    assert!(tree.files.contains(Path::new("b/tests.rs")), "the file is known all the same");
}

#[test]
fn what_is_for_more_than_tests_counts() {
    for condition in ["not(test)", "any(test, feature = \"more\")", "feature = \"more\""] {
        let b: &'static str =
            format!("pub struct B;\n#[cfg({condition})]\nuse crate::a::A;\n").leak();
        let files = [
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", b),
        ];
        assert_eq!(found(&files).len(), 1, "{condition}");
    }
}

#[test]
fn paths_are_seen_wherever_code_names_them() {
    for code in [
        "fn f(_: &crate::a::A) {}",
        "fn f() -> Option<Box<crate::a::A>> { None }",
        "fn f() { let _ = crate::a::A; }",
        "fn f() { if let crate::a::A = g() {} }",
        "impl Clone for super::a::A {}",
        "fn f() { assert_eq!(1, crate::a::size(2)); }",
        "fn f() { vec![crate::a::A]; }",
        "fn f() { use crate::a; a::size(1); }",
        "use crate::a as other;\nfn f() { other::size(1); }",
        "use crate::*;\nfn f() { a::size(1); }",
        "use crate::a::*;\nfn f() { size(1); }",
        "mod inner { fn f() { super::super::a::size(1) } }",
        "fn f() { Choice::One; }\nuse crate::a::Choice;",
    ] {
        let b: &'static str = format!("pub struct B;\n{code}\n").leak();
        let a = "use crate::b::B;\npub struct A;\npub enum Choice { One }\npub fn size(_: u8) {}\n";
        assert_eq!(
            found(&[("lib.rs", "mod a;\nmod b;\n"), ("a.rs", a), ("b.rs", b)]).len(),
            1,
            "{code}"
        );
    }
}

#[test]
fn what_is_no_path_to_a_file_of_the_crate_is_no_use() {
    for code in [
        "use bytes::Bytes;",
        "use ::a::A;",
        "fn f(a: u8) -> u8 { a }",
        "fn f() { other.size(1); }",
        "/// As [`crate::a::A`].\nfn f() {}",
        "pub(in crate::a) struct Seen;",
        "fn f() { println!(\"{}\", x.a); }",
        "use crate::a;",
    ] {
        let b: &'static str = format!("pub struct B;\n{code}\n").leak();
        let a = "use crate::b::B;\npub struct A;\npub fn size(_: u8) {}\n";
        assert_eq!(
            found(&[("lib.rs", "mod a;\nmod b;\n"), ("a.rs", a), ("b.rs", b)]),
            [],
            "{code}"
        );
    }
}

#[test]
fn what_a_macro_makes_in_a_module_counts_as_that_modules() {
    let files = [
        ("lib.rs", "mod made;\nmod user;\n"),
        ("made.rs", "generate!({ path: \"wit\" });\nuse crate::user::User;\n"),
        ("user.rs", "use crate::made::deep::Thing;\npub struct User;\n"),
    ];
    assert_eq!(found(&files).len(), 1);
}

#[test]
fn imports_that_lead_to_themselves_hide_nothing_else() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "pub use crate::b::thing;\npub use super::b::*;\n"),
        ("b.rs", "pub use crate::a::thing;\npub use super::a::*;\n"),
        ("c.rs", "use crate::a::other;\nfn f() { other(); crate::b::found() }\n"),
    ];
    let from_c = places(&files).into_iter().filter(|place| place.starts_with("c.rs"));
    // What is nowhere to be found counts where it was asked for: a macro may make it there.
    let expected = ["c.rs:1 crate::a::other", "c.rs:2 other", "c.rs:2 crate::b::found"];
    assert_eq!(from_c.collect::<Vec<_>>(), expected);
}

#[test]
fn a_variable_is_not_taken_for_what_is_handed_on() {
    let child = ("child.rs", "pub struct Child(super::Kept);\npub fn mounts() {}\n");
    let parent = "mod child;\npub use child::mounts;\npub struct Kept;\n";
    let with = |code: &str| -> &'static str { format!("{parent}{code}\n").leak() };
    let variable = with("fn f(mounts: &[u8]) -> bool { !mounts.is_empty() && g(mounts) }");
    assert_eq!(found(&[("lib.rs", variable), child]), []);
    let called = with("fn f() { mounts() }");
    assert_eq!(found(&[("lib.rs", called), child]).len(), 1);
}

#[test]
fn a_file_that_is_missing_or_broken_is_named() {
    let read = |files: &[(&'static str, &'static str)]| {
        Tree::read(Path::new("lib.rs"), &Crate(files.iter().copied().collect()))
            .unwrap_err()
            .to_string()
    };
    let missing = read(&[("lib.rs", "mod gone;\n")]);
    assert!(missing.starts_with("gone/mod.rs: "), "{missing}");
    let broken = read(&[("lib.rs", "mod a;\n"), ("a.rs", "fn f() {\n  let = ;\n}\n")]);
    assert!(broken.starts_with("a.rs: line 2: "), "{broken}");
    let elsewhere = read(&[("lib.rs", "#[path = \"x.rs\"]\nmod a;\n")]);
    assert!(elsewhere.starts_with("lib.rs: module a names its file"), "{elsewhere}");
    // One of another crate is checked there.
    let of_another = "#[path = \"../../other/src/a.rs\"]\nmod a;\nfn f() { a::g() }\n";
    assert_eq!(found(&[("lib.rs", of_another)]), []);
}

/// Three children and their parent, two of which use each other.
const TIED: [(&str, &str); 4] = [
    ("lib.rs", "mod a;\nmod b;\nmod c;\npub struct Root;\nfn f() { a::a() }\n"),
    ("a.rs", "pub fn a() { crate::b::b(); crate::Root; }\n"),
    ("b.rs", "pub fn b() { crate::c::c() }\n"),
    ("c.rs", "pub fn c() {}\n"),
];

/// How many circles are left, and what is needless, with this list of exceptions.
fn left(list: &str, files: &[(&'static str, &'static str)]) -> (usize, Vec<String>) {
    let (tree, list) = (tree(files), Exceptions::parse(list, Path::new("")).unwrap());
    let uses = uses(&tree);
    (list.circles(&tree, &uses).len(), list.needless(&tree, &uses))
}

#[test]
fn a_parents_own_file_can_be_left_out_where_a_list_says_so() {
    assert_eq!(left("", &TIED), (1, vec![]));
    assert_eq!(left("lib.rs own # until it is divided\n", &TIED), (0, vec![]));
    assert_eq!(left("lib.rs 2\n", &TIED), (0, vec![]));
}

#[test]
fn an_exception_that_excepts_nothing_is_told() {
    let needless = |list| left(list, &TIED);
    assert_eq!(needless("lib.rs 3").0, 1, "two are tied, and not three");
    assert_eq!(needless("lib.rs 3").1, ["lib.rs 3: there is no such circle"]);
    assert_eq!(needless("a.rs own").1, ["a.rs own: there is no such circle"]);
    assert_eq!(needless("other.rs own").1, [""; 0], "it is of another crate");
}

#[test]
fn a_line_of_the_list_that_says_nothing_is_named() {
    for (list, words) in [
        ("\nlib.rs", "line 2: a file and one word are wanted"),
        ("lib.rs many", "line 1: many is neither `own` nor a number"),
    ] {
        assert_eq!(Exceptions::parse(list, Path::new("")).unwrap_err(), words);
    }
}
