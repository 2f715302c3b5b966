//! The receipt log: what an older version wrote is read, and what an older version can read is written as
//! it wrote it.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use sandport_protocol::inbox::{
    Entry, LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, Record, Session, Stored, frame_entry, frame_head,
    push_frame,
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

fn stored(identity: Option<&'static str>) -> Entry<'static> {
    let identity = identity.map(Cow::Borrowed);
    Entry::Stored(Stored { identity, offered: Cow::Borrowed("a/b"), number: 2, record: RECORD })
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(&blake3::hash(payload).as_bytes()[..8]);
    frame.extend(payload);
    frame
}

#[track_caller]
fn assert_is(entry: &Entry<'_>, payload: &[u8]) {
    let mut written = Vec::new();
    push_frame(&mut written, entry);
    assert_eq!(written, frame(payload));
    let (head, rest) = written.split_first_chunk::<LOG_HEAD_BYTES>().unwrap();
    let (length, check) = frame_head(*head).unwrap();
    assert_eq!(frame_entry(&rest[..length], check).as_ref(), Some(entry));
}

#[test]
fn what_anonymous_senders_sent_is_written_as_before_there_were_identities() {
    assert_is(&Entry::Session(Session { boot: 1, durable: true }), &[0, 1, 1]);
    assert_is(&stored(None), &[&[1][..], &named()].concat());
    assert_is(&Entry::Closed, &[2]);
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
        &Entry::Stored(Stored {
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
