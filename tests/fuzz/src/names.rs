//! Names, the names that the conflict rule makes of them, and texts that are shown.

use std::path::{Component, Path};

use sandport_protocol::text::sanitize;
use sandport_protocol::{
    CONFLICT_NUMBER_MAX, CONFLICT_SUFFIX_BYTES_MAX, EntryName, NAME_DEPTH_MAX, NameError,
    OFFERED_NAME_BYTES_MAX, PART_BYTES_MAX, RESERVED_NAME, Refusal, RefusalCode, free_number,
};

use crate::cutting::choice;

/// Most characters of a text that is shown.
const CHARS_MAX: usize = 100;

pub(crate) const WORDS: &[&[u8]] = &[
    b"/",
    b"..",
    b".",
    b"\\",
    b".sandport",
    b".SANDPORT ",
    b"\0",
    b"\x1b[31m",
    b"\n",
    "\u{202e}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{ad}".as_bytes(),
    "\u{fe0f}".as_bytes(),
    "\u{e0061}".as_bytes(),
    "\u{ff0e}".as_bytes(),
    "\u{17f}".as_bytes(),
    "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/".as_bytes(),
    b".tar.gz",
];

pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let text = String::from_utf8_lossy(rest);
    shown(&text);
    match EntryName::parse(&text) {
        Ok(name) => accepted(&name, &text, choice),
        Err(error) => {
            let refusal = Refusal::from(error);
            assert_eq!(refusal.code, RefusalCode::NameInvalid);
            // It repeats nothing of the name.
            assert!(sanitize(&format!("{error}"), usize::MAX) == format!("{error}"));
            if !matches!(error, NameError::TooLong { .. } | NameError::PartTooLong { .. }) {
                assert!(EntryName::parse_stored(&text).is_err());
            }
        }
    }
}

fn accepted(name: &EntryName, text: &str, choice: u8) {
    assert_eq!(name.as_str(), text, "nothing is changed");
    assert_eq!(EntryName::parse_stored(text).as_ref(), Ok(name));
    is_beneath(name);
    assert!(text.len() <= OFFERED_NAME_BYTES_MAX);
    assert!(name.parts().all(|part| (1..=PART_BYTES_MAX).contains(&part.len())));
    assert_eq!(sanitize(text, usize::MAX), text, "what is accepted is shown as it is");
    let number = 1 + u32::from(choice) * (CONFLICT_NUMBER_MAX - 1) / 255;
    let renamed = name.renamed(number).unwrap();
    is_beneath(&renamed);
    assert_eq!(EntryName::parse_stored(renamed.as_str()).as_ref(), Ok(&renamed));
    assert!(renamed.as_str().len() <= text.len() + CONFLICT_SUFFIX_BYTES_MAX);
    assert_eq!(renamed.parent(), name.parent());
    assert!(name.renamed(0).is_none() && name.renamed(CONFLICT_NUMBER_MAX + 1).is_none());
    let free = free_number(|asked| Ok::<_, ()>(asked >= number));
    assert_eq!(free, Ok(Some(number)));
}

/// Whatever system joins it to a directory, it stays beneath that.
fn is_beneath(name: &EntryName) {
    let path = Path::new(name.as_str());
    assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
    assert!((1..=NAME_DEPTH_MAX).contains(&path.components().count()));
    assert!(!name.as_str().chars().any(char::is_control));
    let reserved =
        |part: &str| part.trim_end_matches(['.', ' ']).eq_ignore_ascii_case(RESERVED_NAME);
    assert!(!name.parts().any(reserved));
    let joined = name.parts().collect::<Vec<_>>().join("/");
    assert_eq!(joined, name.as_str());
    assert_eq!(name.parts().next_back(), Some(name.leaf()));
}

/// What is shown moves no cursor, begins no line, and has a bound.
fn shown(text: &str) {
    let clean = sanitize(text, CHARS_MAX);
    assert!(!clean.chars().any(char::is_control), "{clean:?}");
    assert!(
        !clean
            .chars()
            .any(|char| matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    );
    assert!(clean.chars().count() <= CHARS_MAX * "\\u{10ffff}".len() + 1);
    assert_eq!(sanitize(&clean, usize::MAX), clean, "shown twice it is the same");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "report.pdf",
        "dir/sub/archive.tar.gz",
        ".bashrc",
        "../etc/passwd",
        "/etc/passwd",
        "a//b",
        "a/.sandport/b",
        "\u{ff0e}\u{ff53}andport",
        "Übung 実験.txt",
        "می\u{200C}خواهم",
        "👨\u{200D}👩\u{200D}👧",
        "gpj\u{202e}exe",
        "re\u{ad}port",
        "a\u{1b}[31mb\nc",
        "C:\\x",
        "nul",
        "...",
        "a. ",
    ];
    let mut seeds: Vec<Vec<u8>> =
        names.iter().map(|name| [&[1], name.as_bytes()].concat()).collect();
    seeds.push([vec![0xff], vec![b'a'; PART_BYTES_MAX]].concat());
    seeds.push([vec![0xff], "d/".repeat(NAME_DEPTH_MAX - 1).into_bytes(), vec![b'f']].concat());
    seeds
}
