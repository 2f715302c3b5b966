//! The receipt log: what an older version wrote is read, and what an older version can read is written as
//! it wrote it; and whatever has become of a log, its frames are found.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use sandport_protocol::inbox::{
    Compaction, LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, LogEntry, LogItem, LogReader, LoggedFile,
    Record, Session, push_frame,
};

/// Of 300 bytes, an inode and a time whose encodings are easily written down.
const RECORD: Record = Record { digest: [0xab; 32], size: 300, inode: 7, modified: (-1, 5) };

/// What is said of a file that is called `a/b` and was renamed to number 2, after the kind of the entry.
fn named() -> Vec<u8> {
    let mut bytes = vec![3, b'a', b'/', b'b', 2];
    bytes.extend([0xab; 32]);
    bytes.extend([0xac, 2, 7, 1, 5]);
    bytes
}

fn stored(identity: Option<&'static str>) -> LogEntry<'static> {
    let identity = identity.map(Cow::Borrowed);
    LogEntry::Stored(LoggedFile {
        identity,
        offered: Cow::Borrowed("a/b"),
        number: 2,
        record: RECORD,
    })
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(&blake3::hash(payload).as_bytes()[..8]);
    frame.extend(payload);
    frame
}

#[track_caller]
fn assert_is(entry: &LogEntry<'_>, payload: &[u8]) {
    let mut written = Vec::new();
    push_frame(&mut written, entry);
    assert_eq!(written, frame(payload));
    let mut found = 0;
    let mut reader = LogReader::default();
    reader.handle_bytes(&written, |item| {
        assert!(matches!(&item, LogItem::Entry(it) if it == entry), "{item:?}");
        found += 1;
    });
    assert_eq!((found, reader.end()), (1, written.len() as u64));
}

/// What a reader finds in a log that comes in pieces of this size, as text, and where the last frame ends.
fn read(log: &[u8], piece_bytes: usize) -> (Vec<String>, u64) {
    let mut reader = LogReader::default();
    let mut found = Vec::new();
    let mut each = |item: LogItem<'_>| {
        found.push(match item {
            LogItem::Entry(LogEntry::Session(_)) => "session".to_owned(),
            LogItem::Entry(LogEntry::Stored(stored)) => stored.offered.into_owned(),
            LogItem::Entry(LogEntry::Closed) => "closed".to_owned(),
            LogItem::Unknown(frame) => format!("unknown {}", frame.len()),
            LogItem::Damaged(range) => format!("damage {range:?}"),
        });
    };
    log.chunks(piece_bytes).for_each(|piece| reader.handle_bytes(piece, &mut each));
    reader.handle_end(&mut each);
    (found, reader.end())
}

fn stored_as(name: &'static str, record: Record) -> LogEntry<'static> {
    LogEntry::Stored(LoggedFile { identity: None, offered: Cow::Borrowed(name), number: 0, record })
}

/// A log of a session with files of these names, and where each frame begins.
fn log(names: &[&'static str]) -> (Vec<u8>, Vec<usize>) {
    let mut log = Vec::new();
    push_frame(&mut log, &LogEntry::Session(Session { boot: 1, durable: true }));
    let mut starts = vec![0];
    for name in names {
        starts.push(log.len());
        push_frame(&mut log, &stored_as(name, RECORD));
    }
    (log, starts)
}

#[test]
fn a_log_is_read_alike_however_its_bytes_come() {
    let (mut log, starts) = log(&["a", "b", "c"]);
    log[starts[2] + 20] ^= 1;
    log.extend(frame(&[0x7f, 1, 2]));
    log.extend([1, 2, 3]);
    let damage = format!("damage {}..{}", starts[2], starts[3]);
    let expected = ["session", "a", &damage, "c", "unknown 15"];
    for piece_bytes in [1, 2, 7, 64, log.len()] {
        let (found, end) = read(&log, piece_bytes);
        assert_eq!(found, expected, "{piece_bytes}");
        assert_eq!(end, log.len() as u64 - 3);
    }
}

#[test]
fn damage_of_any_kind_hides_no_frame_behind_it() {
    let (log, starts) = log(&["a", "b", "c"]);
    let (before, behind) = (starts[1], starts[2]);
    for rubbish in [
        vec![0; 5_000],
        vec![0xff; 5_000],
        // The head of a frame that is longer than what is left.
        [&4_096_u32.to_le_bytes()[..], &[0; 8]].concat(),
        // One frame in the place of another, begun and not finished.
        log[before..behind - 1].to_vec(),
    ] {
        let damaged = [&log[..before], &rubbish, &log[behind..]].concat();
        let (found, end) = read(&damaged, 100);
        let damage = format!("damage {before}..{}", before + rubbish.len());
        assert_eq!(found, ["session", &damage, "b", "c"]);
        assert_eq!(end, damaged.len() as u64);
    }
}

#[test]
fn a_compacted_log_has_the_last_entry_of_each_name() {
    let mut old = Vec::new();
    let other = Record { size: 1, ..RECORD };
    let durable = |durable| LogEntry::Session(Session { boot: 1, durable });
    for entry in [
        durable(true),
        stored_as("a", RECORD),
        stored_as("b", RECORD),
        durable(false),
        stored_as("a", other),
        stored_as("c", RECORD),
        // Taken back: the one by nothing, the other by what was true before.
        stored_as("c", Record::NONE),
        stored_as("b", other),
        stored_as("b", RECORD),
        LogEntry::Closed,
    ] {
        push_frame(&mut old, &entry);
    }
    let live = [("a", other), ("b", RECORD)];
    let mut compaction = Compaction::default();
    let mut new = Vec::new();
    LogReader::default().handle_bytes(&old, |item| {
        let is_live =
            |_: &_, stored: &LoggedFile<'_>| live.contains(&(&stored.offered, stored.record));
        compaction.handle_item(&item, is_live, &mut new);
    });
    assert_eq!(compaction.finish(&mut new), 2);
    let mut expected = Vec::new();
    for entry in [
        durable(true),
        stored_as("b", RECORD),
        durable(false),
        stored_as("a", other),
        LogEntry::Closed,
    ] {
        push_frame(&mut expected, &entry);
    }
    assert_eq!(new, expected);
}

#[test]
fn an_entry_is_taken_back_by_a_kind_that_every_version_knows() {
    let mut bytes = vec![1, 1, b'a', 0];
    bytes.extend([0; 32]);
    bytes.extend([0, 0]);
    // The smallest time in zigzag, and the largest number of nanoseconds.
    bytes.extend([0xff; 9]);
    bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_is(&stored_as("a", Record::NONE), &bytes);
}

#[test]
fn anonymous_entries_are_written_as_before_identities() {
    assert_is(&LogEntry::Session(Session { boot: 1, durable: true }), &[0, 1, 1]);
    assert_is(&stored(None), &[&[1][..], &named()].concat());
    assert_is(&LogEntry::Closed, &[2]);
}

#[test]
fn what_others_sent_has_an_entry_of_its_own_kind() {
    assert_is(&stored(Some("uid:7")), &[&b"\x03\x05uid:7"[..], &named()].concat());
}

#[test]
fn the_longest_name_of_the_longest_identity_fits() {
    let mut written = Vec::new();
    push_frame(
        &mut written,
        &LogEntry::Stored(LoggedFile {
            identity: Some("i".repeat(255).into()),
            offered: "n".repeat(sandport_protocol::NAME_BYTES_MAX).into(),
            number: u32::MAX,
            record: Record {
                size: u64::MAX,
                inode: u64::MAX,
                modified: (i64::MIN, u32::MAX),
                ..RECORD
            },
        }),
    );
    assert!(written.len() < LOG_HEAD_BYTES + LOG_PAYLOAD_BYTES_MAX, "{}", written.len());
}
