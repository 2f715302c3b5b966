#![allow(clippy::unwrap_used, clippy::expect_used)]

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_names_are_taken_as_they_are() {
    for text in [
        "report.pdf",
        "a/b/c.txt",
        ".bashrc",
        "..hidden",
        "a..b",
        "...a",
        "with space",
        " lead",
        "trail ",
        "-rf",
        "~",
        "$HOME",
        "a\\b",
        "C:",
        "Füße.txt",
        "日本語/資料.txt",
        "e\u{301}",
        "👨\u{200D}👩\u{200D}👧.png",
        "کتاب\u{200C}ها/می\u{200C}خواهم.pdf",
        "❤\u{FE0F}",
        "葛\u{E0100}城.txt",
        "sandport",
        ".sandport2",
        "x.sandport",
    ] {
        let name = EntryName::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(name.as_str(), text);
        assert_eq!(name.to_string(), text);
    }
}

#[test]
fn each_rule_refuses_with_its_own_reason() {
    let long_part = "x".repeat(PART_BYTES_MAX + 1);
    let long_name = vec!["x".repeat(200); 25].join("/");
    let deep = ["d"].repeat(200).join("/");
    let cases: Vec<(&str, NameError)> = vec![
        ("", NameError::Empty),
        ("/etc/x", NameError::Absolute),
        ("/", NameError::Absolute),
        ("a//b", NameError::EmptyPart),
        ("a/", NameError::EmptyPart),
        (".", NameError::DotPart),
        ("..", NameError::DotPart),
        ("...", NameError::DotPart),
        ("../x", NameError::DotPart),
        ("a/../x", NameError::DotPart),
        ("a/./x", NameError::DotPart),
        ("a/..", NameError::DotPart),
        ("a\0b", NameError::Character('\0')),
        ("a\nb", NameError::Character('\n')),
        ("a\rb", NameError::Character('\r')),
        ("a\tb", NameError::Character('\t')),
        ("a\x1b[31m", NameError::Character('\x1b')),
        ("a\x7f", NameError::Character('\x7f')),
        ("a\u{9b}31m", NameError::Character('\u{9b}')),
        ("\u{202E}fdp.exe", NameError::Character('\u{202E}')),
        ("a\u{2066}b", NameError::Character('\u{2066}')),
        ("a\u{200E}b", NameError::Character('\u{200E}')),
        ("a\u{061C}b", NameError::Character('\u{061C}')),
        ("a\u{2028}b", NameError::Character('\u{2028}')),
        ("\u{FEFF}a", NameError::Character('\u{FEFF}')),
        ("re\u{AD}port.pdf", NameError::Character('\u{AD}')),
        ("report\u{200B}.pdf", NameError::Character('\u{200B}')),
        ("report\u{200D}.pdf", NameError::Character('\u{200D}')),
        ("report\u{FE0F}.pdf", NameError::Character('\u{FE0F}')),
        ("report\u{E0041}.pdf", NameError::Character('\u{E0041}')),
        ("a/\u{2060}", NameError::Character('\u{2060}')),
        (".sand\u{200B}port", NameError::Character('\u{200B}')),
        (&long_part, NameError::PartTooLong { bytes: 241 }),
        (&long_name, NameError::TooLong { bytes: 5_024 }),
        (&deep, NameError::TooDeep),
    ];
    for (text, expected) in cases {
        assert_eq!(EntryName::parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn the_reserved_name_is_refused_in_every_form() {
    for text in [
        ".sandport",
        ".SANDPORT",
        ".Sandport",
        ".sandport/x",
        "a/.sandport",
        "a/.sandport/b",
        ".ſandport",
        "．ｓａｎｄｐｏｒｔ",
        "\u{2024}sandport",
        ".ｓandport",
        "．\u{FE00}sandport",
        ".sandport.",
        ".sandport ",
        ".sandport. .",
        ".𝐬𝐚𝐧𝐝𝐩𝐨𝐫𝐭",
        ".ⓢⓐⓝⓓⓟⓞⓡⓣ",
    ] {
        assert_eq!(EntryName::parse(text), Err(NameError::Reserved), "{text:?}");
    }
}

#[test]
fn names_that_differ_in_what_nobody_sees_are_not_both_accepted() {
    // Latin, Arabic, Devanagari, an ideograph, an emoji.
    for (before, after) in
        [("re", "port"), ("کار", ".pdf"), ("क", ".txt"), ("実", "験"), ("👨", " a")]
    {
        let plain = EntryName::parse(&format!("{before}{after}"));
        assert!(plain.is_ok(), "{before}{after}");
        for c in "\u{AD}\u{34F}\u{115F}\u{17B4}\u{180E}\u{200B}\u{200C}\u{200D}\u{2060}\u{2064}\u{206A}\u{3164}\
                  \u{FEFF}\u{FFA0}\u{FFF9}\u{1D173}\u{E0001}\u{E0041}"
            .chars()
        {
            let text = format!("{before}{c}{after}");
            assert_eq!(EntryName::parse(&text), Err(NameError::Character(c)), "{text:?}");
        }
    }
}

#[test]
fn the_bounds_are_exact() {
    assert!(EntryName::parse(&"x".repeat(PART_BYTES_MAX)).is_ok());
    assert!(EntryName::parse(&["d"].repeat(NAME_DEPTH_MAX).join("/")).is_ok());
    assert_eq!(
        EntryName::parse(&["d"].repeat(NAME_DEPTH_MAX + 1).join("/")),
        Err(NameError::TooDeep)
    );
    let longest: String = "abcdefg/".repeat(NAME_BYTES_MAX / 8);
    assert_eq!(EntryName::parse(&longest[..OFFERED_NAME_BYTES_MAX]), Err(NameError::TooDeep));
    let parts = vec!["x".repeat(127); 16].join("/");
    assert!(parts.len() > OFFERED_NAME_BYTES_MAX);
    assert!(EntryName::parse(&parts[..OFFERED_NAME_BYTES_MAX]).is_ok());
    assert_eq!(
        EntryName::parse(&parts[..=OFFERED_NAME_BYTES_MAX]),
        Err(NameError::TooLong { bytes: OFFERED_NAME_BYTES_MAX + 1 })
    );
}

#[test]
fn a_name_knows_its_parts() {
    let name = EntryName::parse("a/b/c.txt").unwrap();
    assert_eq!(name.parent(), Some("a/b"));
    assert_eq!(name.leaf(), "c.txt");
    assert_eq!(name.parts().collect::<Vec<_>>(), ["a", "b", "c.txt"]);
    let name = EntryName::parse("c.txt").unwrap();
    assert_eq!((name.parent(), name.leaf()), (None, "c.txt"));
}

#[test]
fn the_reason_repeats_nothing_of_the_name() {
    let error = EntryName::parse("secret\u{202E}").unwrap_err();
    assert_eq!(error.to_string(), "the name has the character U+202E");
    let refusal = Refusal::from(error);
    assert_eq!(refusal.code, RefusalCode::NameInvalid);
}

/// Strings that are likely to touch a rule.
fn likely_names() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(".".to_string()),
        Just("..".to_string()),
        Just("/".to_string()),
        Just("\0".to_string()),
        Just("\u{202E}".to_string()),
        Just(".sandport".to_string()),
        Just(".SandPort".to_string()),
        Just("a".to_string()),
        "[a-z.]{1,4}",
        "\\PC{0,3}",
        any::<char>().prop_map(String::from),
        Just("x".repeat(240)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_parsed_name_stays_beneath_the_inbox(text in likely_names()) {
        let Ok(name) = EntryName::parse(&text) else { return Ok(()) };
        prop_assert_eq!(name.as_str(), text.as_str());
        prop_assert!(text.len() <= OFFERED_NAME_BYTES_MAX && !text.starts_with('/'));
        prop_assert!(!text.chars().any(char::is_control));
        let parts: Vec<&str> = name.parts().collect();
        prop_assert!(!parts.is_empty() && parts.len() <= NAME_DEPTH_MAX);
        for part in parts {
            prop_assert!(!part.is_empty() && part.len() <= PART_BYTES_MAX);
            prop_assert!(!part.chars().all(|c| c == '.'));
            prop_assert!(!part.eq_ignore_ascii_case(RESERVED_NAME));
        }
    }

    #[test]
    fn letters_and_digits_are_never_refused(
        parts in prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..10),
    ) {
        prop_assert!(EntryName::parse(&parts.join("/")).is_ok());
    }

    #[test]
    fn what_is_below_a_refused_directory_is_refused(text in likely_names()) {
        if EntryName::parse(&text).is_err() && !text.is_empty() {
            let below = text + "/x";
            prop_assert!(EntryName::parse(&below).is_err());
        }
    }
}
