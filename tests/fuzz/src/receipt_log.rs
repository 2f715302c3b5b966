//! Receipt logs, whatever has become of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{
    Compaction, Index, LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, LogEntry, LogItem, LogReader,
    LoggedFile, Record, Session, push_frame,
};

use crate::cutting::{choice, pieces};

/// How many records an index remembers.
const RECORDS_MAX: usize = 8;

/// Something in a log, without anything borrowed.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Session(Session),
    Stored(LoggedFile<'static>),
    Closed,
    Unknown(Vec<u8>),
    Damaged(std::ops::Range<u64>),
}

impl From<LogItem<'_>> for Item {
    fn from(item: LogItem<'_>) -> Self {
        match item {
            LogItem::Entry(LogEntry::Session(session)) => Self::Session(session),
            LogItem::Entry(LogEntry::Stored(stored)) => Self::Stored(stored.into_owned()),
            LogItem::Entry(LogEntry::Closed) => Self::Closed,
            LogItem::Unknown(frame) => Self::Unknown(frame.to_vec()),
            LogItem::Damaged(range) => Self::Damaged(range),
        }
    }
}

fn read(pieces: &[Vec<u8>]) -> (Vec<Item>, u64) {
    let mut reader = LogReader::default();
    let mut found = vec![];
    for piece in pieces {
        reader.handle_bytes(piece, |item| found.push(item.into()));
    }
    reader.handle_end(|item| found.push(item.into()));
    (found, reader.end())
}

/// Makes frames of payloads, with checksums that hold: each is a length of two bytes, and that many bytes. A length
/// with its highest bit is of bytes that are no frame.
fn sealed(mut payloads: &[u8]) -> Vec<u8> {
    let mut log = vec![];
    while let Some((length, rest)) = payloads.split_first_chunk::<2>() {
        let length = u16::from_le_bytes(*length);
        let (payload, rest) = rest.split_at(usize::from(length & 0x7fff).min(rest.len()));
        if length & 0x8000 == 0 {
            log.extend((payload.len() as u32).to_le_bytes());
            log.extend(&blake3::hash(payload).as_bytes()[..8]);
        }
        log.extend(payload);
        payloads = rest;
    }
    log
}

pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let log = if choice & 1 > 0 { rest.to_vec() } else { sealed(rest) };
    let (whole, end) = read(std::slice::from_ref(&log));
    assert_eq!(read(&pieces(&log)), (whole.clone(), end), "in pieces");
    assert!(end <= log.len() as u64);
    let (mut damaged_up_to, mut index) = (0, Index::with_max_records(RECORDS_MAX));
    for item in &whole {
        match item {
            Item::Damaged(range) => {
                assert!(damaged_up_to <= range.start && range.start < range.end, "{range:?}");
                assert!(range.end < end, "a frame follows");
                damaged_up_to = range.end;
            }
            Item::Unknown(frame) => {
                assert!(frame.len() <= LOG_HEAD_BYTES + LOG_PAYLOAD_BYTES_MAX);
            }
            Item::Stored(stored) => {
                let Some(published) = stored.published() else { continue };
                index.insert(stored, published.as_str());
                let known = index.get(published.as_str());
                let is_known = known.is_some_and(|known| known.is(stored));
                assert_eq!(is_known, stored.record != Record::NONE);
            }
            Item::Session(_) | Item::Closed => {}
        }
    }
    assert!(index.len() <= RECORDS_MAX);
    compacted(&whole, &log);
}

/// A log that is written anew has no damage, and says of each name what was said last.
fn compacted(found: &[Item], log: &[u8]) {
    let mut last = BTreeMap::new();
    for item in found {
        if let Item::Stored(stored) = item
            && let Some(published) = stored.published()
        {
            last.insert(published.as_str().to_owned(), stored.clone());
        }
    }
    let mut compaction = Compaction::default();
    let mut anew = vec![];
    let mut reader = LogReader::default();
    let is_live = |published: &EntryName, stored: &LoggedFile<'_>| {
        last.get(published.as_str()).is_some_and(|last| last == stored)
    };
    reader.handle_bytes(log, |item| compaction.handle_item(&item, is_live, &mut anew));
    reader.handle_end(|item| compaction.handle_item(&item, is_live, &mut anew));
    let count = compaction.finish(&mut anew);
    let (items, end) = read(std::slice::from_ref(&anew));
    assert_eq!(end, anew.len() as u64);
    assert!(!items.iter().any(|item| matches!(item, Item::Damaged(_))));
    let stored: Vec<_> = items
        .iter()
        .filter_map(|item| if let Item::Stored(stored) = item { Some(stored) } else { None })
        .collect();
    let expected = last.values().filter(|stored| stored.record != Record::NONE).count();
    assert_eq!((stored.len(), count), (expected, expected as u64));
    for stored in stored {
        let published = stored.published().unwrap();
        assert_eq!(last.get(published.as_str()), Some(stored));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let record = Record { digest: [0xab; 32], size: 300, inode: 7, modified: (-1, 5) };
    let stored = |identity: Option<&'static str>, offered: &'static str, number, record| {
        let (identity, offered) = (identity.map(Cow::Borrowed), Cow::Borrowed(offered));
        LogEntry::Stored(LoggedFile { identity, offered, number, record })
    };
    let session = LogEntry::Session(Session { boot: 1, durable: true });
    let other = Record { size: 5, ..record };
    let logs: [Vec<LogEntry<'_>>; 3] = [
        vec![session.clone(), stored(None, "a/b", 2, record), LogEntry::Closed],
        vec![
            session,
            stored(Some("uid:1"), "a", 0, record),
            stored(None, "a", 0, other),
            stored(None, "b", 0, record),
            stored(None, "b", 0, Record::NONE),
        ],
        vec![stored(None, "../x", 0, record), stored(None, "c", u32::MAX, record)],
    ];
    let mut seeds = vec![];
    for entries in logs {
        let (mut log, mut payloads) = (vec![], vec![]);
        for entry in &entries {
            let start = log.len();
            push_frame(&mut log, entry);
            let payload = &log[start + LOG_HEAD_BYTES..];
            payloads.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
            payloads.extend(payload);
        }
        // Damage, and a frame behind it.
        payloads.extend([0x83, 0x80, 1, 2, 3]);
        payloads.extend([3, 0, 0x7f, 1, 2]);
        seeds.push([vec![1], log].concat());
        seeds.push([vec![0], payloads].concat());
    }
    seeds
}
