//! Journals of uploads, whatever has become of them.

use sandport_protocol::Metadata;
use sandport_protocol::journal::{
    BEGINNING_BYTES_MAX, Begun, Entry, GROUP_BYTES, JournalId, Kept, MAGIC, Notes, Recovered,
    Recovery, Tail, VERSION, Writer, beginning, inspect, recover,
};

use crate::cutting::{choice, pieces};

const ID: JournalId = [3; 16];
const BOOT: u64 = 77;

/// Bytes of the length and the check before a payload.
const HEAD_BYTES: usize = 20;

/// How long the data file is.
const DATA_BYTES: [u64; 4] = [0, GROUP_BYTES + 7, 6 * GROUP_BYTES, u64::MAX];

/// Makes frames of payloads, with checks that hold: each is a length of two bytes, and that many bytes.
fn sealed(mut payloads: &[u8]) -> Vec<u8> {
    let mut journal = MAGIC.to_vec();
    journal.push(VERSION);
    let mut check = ID;
    while let Some((length, rest)) = payloads.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&check).update(payload);
        check.copy_from_slice(&hasher.finalize().as_bytes()[..ID.len()]);
        journal.extend((length as u32).to_le_bytes());
        journal.extend(check);
        journal.extend(payload);
        payloads = rest;
    }
    journal
}

/// The other way round: the payloads of a journal that is whole.
fn unsealed(journal: &[u8]) -> Vec<u8> {
    let mut rest = &journal[MAGIC.len() + 1..];
    let mut payloads = vec![];
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        let (frame, later) = rest.split_at(HEAD_BYTES + length as usize);
        payloads.extend(u16::try_from(length).unwrap().to_le_bytes());
        payloads.extend(&frame[HEAD_BYTES..]);
        rest = later;
    }
    payloads
}

/// All that can be compared.
fn outline(recovered: &Recovered) -> String {
    let Recovered { begun, notes, tree, kept, tail, is_of_boot, is_being_synced, end, .. } =
        recovered;
    format!("{begun:?}{notes:?}{tree:?}{kept:?}{tail:?}{is_of_boot}{is_being_synced}{end}")
}

pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let journal = if choice & 1 > 0 { rest.to_vec() } else { sealed(rest) };
    let data_bytes = DATA_BYTES[usize::from(choice >> 1) % DATA_BYTES.len()];
    let inspected = inspect(&journal, BOOT, data_bytes);
    let head = &journal[..journal.len().min(BEGINNING_BYTES_MAX)];
    let begun = beginning(head);
    let found = recover(ID, &journal, BOOT, data_bytes);
    let mut by_pieces = Recovery::new(ID, BOOT, data_bytes);
    for piece in pieces(&journal) {
        if !by_pieces.push(&piece) {
            break;
        }
    }
    let by_pieces = by_pieces.finish();
    let recovered = match (found, by_pieces) {
        (Ok(found), Ok(by_pieces)) => {
            assert_eq!(outline(&by_pieces), outline(&found), "in pieces");
            found
        }
        (Err(error), by_pieces) => {
            assert_eq!(by_pieces.map(|_| ()), Err(error));
            return;
        }
        (Ok(_), Err(error)) => panic!("in pieces it is none: {error}"),
    };
    check(&journal, &recovered, data_bytes);
    // Who does not know the key finds the same.
    assert_eq!(inspected, Ok(recovered.clone().inspected()));
    if let Ok(begun) = begun {
        assert_eq!(begun.name, recovered.begun.name);
    }
    goes_on(&journal, recovered, data_bytes);
}

fn check(journal: &[u8], recovered: &Recovered, data_bytes: u64) {
    let Recovered { begun, kept, tail, tree, end, .. } = recovered;
    assert!(*end <= journal.len() as u64);
    assert!(kept.end() <= data_bytes, "bytes that the data file does not have");
    assert!(begun.size.is_none_or(|size| kept.end() <= size), "bytes that the file has not");
    if let Some(tail) = tail {
        let start = tail.group * GROUP_BYTES;
        assert!((1..GROUP_BYTES).contains(&tail.length) && !kept.contains(start));
        assert!(start + tail.length <= data_bytes);
    }
    if let Some(size) = begun.size {
        let is_whole = size > GROUP_BYTES && kept.is_whole(size);
        assert_eq!(tree.root(size).is_some(), is_whole, "{size} bytes");
    }
    let cut = recover(ID, &journal[..*end as usize], BOOT, data_bytes).unwrap();
    assert_eq!(outline(&cut), outline(recovered), "what lies behind its end says nothing");
}

/// A journal that is cut where it ends can be written on, and says then what it said, and more.
fn goes_on(journal: &[u8], mut recovered: Recovered, data_bytes: u64) {
    let mut more = journal[..recovered.end as usize].to_vec();
    for entry in recovered.to_say_again() {
        assert!(entry.boot.is_none());
        recovered.writer.push(&mut more, &Entry::Kept(entry));
    }
    recovered.writer.push(&mut more, &Entry::Kept(Kept::synced()));
    let again = recover(ID, &more, BOOT, data_bytes).unwrap();
    assert_eq!(again.end, more.len() as u64, "what was appended is read");
    assert_eq!((&again.kept, again.tail), (&recovered.kept, recovered.tail));
    assert!(!again.is_being_synced && !again.is_of_boot);
    // After another boot of the system too.
    let later = recover(ID, &more, BOOT + 1, data_bytes).unwrap();
    let is_lost = |range| !later.kept.gaps_within(range).is_empty();
    assert!(!recovered.kept.iter().any(is_lost), "what was said again is lost");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let begun = |size| Begun { name: "a/b".into(), size, identity: None, begun_s: 1_700_000_000 };
    let size = 6 * GROUP_BYTES;
    let value = [9; 32];
    let tail = |group, length| Some(Tail { group, length, value });
    let kept = |boot, first, groups: usize, tail| {
        Entry::Kept(Kept { boot, first, groups: vec![value; groups], tail })
    };
    let metadata = Metadata::new(vec![("type".into(), b"text/plain".to_vec())]).unwrap();
    let notes = Entry::Noted(Notes { metadata, keeps_empty: true });
    let journals: [(Option<u64>, Vec<Entry>); 5] = [
        (
            Some(size),
            vec![kept(None, 0, 2, tail(2, 5)), kept(None, 4, 2, None), kept(None, 2, 1, None)],
        ),
        (Some(size), vec![kept(Some(BOOT), 0, 6, None), Entry::Kept(Kept::syncing(BOOT))]),
        (None, vec![notes, kept(None, 0, 1, None), Entry::Sized(GROUP_BYTES + 7)]),
        (
            Some(size),
            vec![
                kept(Some(BOOT), 1, 1, tail(3, 100)),
                Entry::Kept(Kept::syncing(BOOT)),
                Entry::Kept(Kept::synced()),
                kept(Some(BOOT + 1), 4, 1, None),
            ],
        ),
        (Some(100), vec![kept(None, 0, 0, tail(0, 50)), kept(None, u64::MAX, 1, None)]),
    ];
    let mut seeds = vec![];
    for (size, entries) in journals {
        let (mut writer, mut journal) = Writer::begin(ID, begun(size));
        for entry in &entries {
            writer.push(&mut journal, entry);
        }
        assert_eq!(sealed(&unsealed(&journal)), journal);
        seeds.push([vec![4], unsealed(&journal)].concat());
        seeds.push([vec![5], journal].concat());
    }
    seeds
}
