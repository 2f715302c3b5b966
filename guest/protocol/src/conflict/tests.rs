#![allow(clippy::unwrap_used, clippy::expect_used)]

use alloc::string::ToString;
use proptest::prelude::*;

use super::*;
use crate::{NAME_BYTES_MAX, OFFERED_NAME_BYTES_MAX, PART_BYTES_MAX};

fn first(text: &str) -> alloc::string::String {
    EntryName::parse(text).unwrap().renamed(1).unwrap().to_string()
}

#[test]
fn the_number_goes_before_the_extension() {
    for (name, expected) in [
        ("report.pdf", "report-1.pdf"),
        ("a/b/report.pdf", "a/b/report-1.pdf"),
        ("archive.tar.gz", "archive-1.tar.gz"),
        ("archive.TAR.xz", "archive-1.TAR.xz"),
        ("archive.v2.tar.zst", "archive.v2-1.tar.zst"),
        ("photo.small.jpg", "photo.small-1.jpg"),
        (".bashrc", ".bashrc-1"),
        ("..bashrc", "..bashrc-1"),
        (".config.json", ".config-1.json"),
        (".tar.gz", ".tar-1.gz"),
        ("README", "README-1"),
        ("a.d/README", "a.d/README-1"),
        ("name.", "name.-1"),
        ("Dr. Who and friends", "Dr. Who and friends-1"),
        ("state.sqlite3-journal", "state-1.sqlite3-journal"),
        ("x.thisisnotanextension", "x.thisisnotanextension-1"),
        ("日本.語", "日本-1.語"),
    ] {
        assert_eq!(first(name), expected);
    }
}

#[test]
fn numbers_are_bounded() {
    let name = EntryName::parse("a.txt").unwrap();
    assert_eq!(name.renamed(0), None);
    assert_eq!(name.renamed(42).unwrap().as_str(), "a-42.txt");
    assert_eq!(name.renamed(CONFLICT_NUMBER_MAX).unwrap().as_str(), "a-999999.txt");
    assert_eq!(name.renamed(CONFLICT_NUMBER_MAX + 1), None);
}

#[test]
fn the_longest_part_has_room_for_the_highest_number() {
    let name = EntryName::parse(&"x".repeat(PART_BYTES_MAX)).unwrap();
    assert!(name.renamed(CONFLICT_NUMBER_MAX).unwrap().leaf().len() <= 255);
}

#[test]
fn the_longest_name_has_room_for_the_highest_number() {
    let parts = ["x".repeat(PART_BYTES_MAX).as_str(); 8].join("/");
    let leaf = "y".repeat(OFFERED_NAME_BYTES_MAX - parts.len() - 1);
    let name = EntryName::parse(&alloc::format!("{parts}/{leaf}")).unwrap();
    let renamed = name.renamed(CONFLICT_NUMBER_MAX).unwrap();
    assert_eq!(renamed.as_str().len(), NAME_BYTES_MAX);
    assert_eq!(EntryName::parse_stored(renamed.as_str()), Ok(renamed));
}

#[test]
fn all_taken_is_said() {
    assert_eq!(free_number(|_| Ok::<_, ()>(false)), Ok(None));
    assert_eq!(
        free_number(|number| Ok::<_, ()>(number == CONFLICT_NUMBER_MAX)),
        Ok(Some(CONFLICT_NUMBER_MAX))
    );
    assert_eq!(free_number(|_| Err("disk")), Err("disk"));
}

proptest! {
    #[test]
    fn the_lowest_number_is_found_with_few_questions(taken in 0..CONFLICT_NUMBER_MAX) {
        let mut questions = 0;
        let found = free_number(|number| {
            questions += 1;
            Ok::<_, ()>(number > taken)
        });
        prop_assert_eq!(found, Ok(Some(taken + 1)));
        prop_assert!(questions <= 41);
    }

    #[test]
    fn with_gaps_the_number_found_is_free(
        taken in prop::collection::btree_set(1..200_u32, 0..150),
    ) {
        let found = free_number(|number| Ok::<_, ()>(!taken.contains(&number)));
        prop_assert!(!taken.contains(&found.unwrap().unwrap()));
    }

    #[test]
    fn different_numbers_give_different_names_in_the_same_directory(
        text in "[a-z.]{1,8}(/[a-z.]{1,12}){0,3}",
        one in 1..=CONFLICT_NUMBER_MAX,
        other in 1..=CONFLICT_NUMBER_MAX,
    ) {
        let Ok(name) = EntryName::parse(&text) else { return Ok(()) };
        let (a, b) = (name.renamed(one).unwrap(), name.renamed(other).unwrap());
        prop_assert_eq!(a.parent(), name.parent());
        prop_assert_eq!(one == other, a == b);
        prop_assert_ne!(&a, &name);
        prop_assert!(EntryName::parse(a.as_str()).is_ok());
    }
}
