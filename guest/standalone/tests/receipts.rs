//! The receipt log of the standalone component's inbox, on a disk of std's.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod std_disk;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sandport_protocol::inbox::{
    Conflict, LogEntry, LogItem, LogReader, LoggedFile, Record, Session, push_frame,
};
use sandport_protocol::{EntryKind, Extent, Offer, Refusal, RefusalCode};
use sandport_standalone::inbox::{Durability, Inbox, Look, OfferResponse, Options};
use std_disk::{LINKS_FAIL, StdDirectory, ambient};

fn open(dir: &Path, durability: Durability, conflict: Conflict) -> Inbox<StdDirectory> {
    let options = Options { conflict, durability, ..Options::default() };
    Inbox::open(StdDirectory::new(dir), options, ambient()).unwrap()
}

fn send(inbox: &Inbox<StdDirectory>, name: &str, content: &[u8]) -> Result<bool, Refusal> {
    let offer = Offer {
        name: Some(name.to_owned()),
        kind: EntryKind::File,
        size: Some(content.len() as u64),
        digest: Some(sandport_protocol::Digest::Blake3(*blake3::hash(content).as_bytes())),
        modified_ns: None,
        executable: false,
        resume: None,
    };
    match inbox.answer(&offer)? {
        OfferResponse::Accepted(mut upload) => {
            upload.body(Extent { offset: 0, length: None })?;
            upload.write(content);
            upload.commit(content.len() as u64, None).outcome().unwrap().clone().map(|_| true)
        }
        OfferResponse::Stored(_) => Ok(false),
        OfferResponse::DigestFirst => unreachable!("the offer has a digest"),
    }
}

/// What the log says of each name that has a record.
fn recorded(dir: &Path) -> BTreeMap<String, Record> {
    let mut records = BTreeMap::new();
    let mut reader = LogReader::default();
    reader.handle_bytes(&fs::read(dir.join(".sandport/receipts")).unwrap(), |item| {
        if let LogItem::Entry(LogEntry::Stored(stored)) = item {
            records.insert(stored.published().unwrap().as_str().to_owned(), stored.record);
        }
    });
    records.retain(|_, record| *record != Record::NONE);
    records
}

#[test]
fn the_log_is_written_anew_in_use_and_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let log = dir.join(".sandport/receipts");
    send(&open(dir, Durability::Commit, Conflict::Replace), "kept", b"kept").unwrap();
    let inbox = open(dir, Durability::None, Conflict::Replace);
    let mut largest = 0;
    for n in 0..9_000_u32 {
        send(&inbox, "replaced", &n.to_le_bytes()).unwrap();
        largest = largest.max(fs::metadata(&log).unwrap().len());
    }
    // An entry has some 75 bytes.
    assert!(largest < 80 * (4_096 + 1_000), "{largest}");
    drop(inbox);
    // As a version that never compacted leaves it.
    let mut long = fs::read(&log).unwrap();
    let record = Record { digest: [0; 32], size: 1, inode: 1, modified: (0, 0) };
    for _ in 0..5_000 {
        let stored = LoggedFile { identity: None, offered: "gone".into(), number: 0, record };
        push_frame(&mut long, &LogEntry::Stored(stored));
    }
    fs::write(&log, long).unwrap();
    let inbox = open(dir, Durability::None, Conflict::Replace);
    let rewritten = fs::metadata(&log).unwrap().len();
    assert!(rewritten < 1_000, "{rewritten}");
    assert!(!dir.join(".sandport/receipts.new").exists());
    assert!(!send(&inbox, "kept", b"kept").unwrap(), "it is known still");
}

#[test]
fn a_file_that_cannot_be_published_leaves_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    for durability in [Durability::Commit, Durability::None] {
        let inbox = open(dir, durability, Conflict::Rename);
        LINKS_FAIL.set(true);
        let refusal = send(&inbox, "file", b"content").unwrap_err();
        LINKS_FAIL.set(false);
        assert_eq!(refusal.code, RefusalCode::InsufficientSpace);
        assert!(recorded(dir).is_empty());
    }
    let inbox = open(dir, Durability::Commit, Conflict::Rename);
    assert!(send(&inbox, "file", b"content").unwrap());
    assert_eq!(recorded(dir).len(), 1);
}

#[test]
fn a_crash_before_a_file_got_its_name_leaves_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let inbox = open(dir, Durability::Commit, Conflict::Rename);
    send(&inbox, "whole", b"whole").unwrap();
    drop(inbox);
    let staged = dir.join(".sandport/staging/0");
    fs::write(&staged, b"staged").unwrap();
    let staging = StdDirectory::new(staged.parent().unwrap());
    let look: Look = sandport_standalone::inbox::Directory::look(&staging, "0").unwrap().unwrap();
    let Look { size, identity: inode, modified, .. } = look;
    let record = Record { digest: [7; 32], size, inode, modified };
    let mut log = fs::read(dir.join(".sandport/receipts")).unwrap();
    push_frame(&mut log, &LogEntry::Session(Session { boot: 0, durable: true }));
    for name in ["new", "whole"] {
        let stored = LoggedFile { identity: None, offered: name.into(), number: 0, record };
        push_frame(&mut log, &LogEntry::Stored(stored));
    }
    fs::write(dir.join(".sandport/receipts"), log).unwrap();
    let inbox = open(dir, Durability::Commit, Conflict::Rename);
    assert_eq!(recorded(dir).keys().collect::<Vec<_>>(), ["whole"]);
    assert!(!send(&inbox, "whole", b"whole").unwrap(), "it is known as it was before");
}
