//! The journal of an upload: groups in any order come to the digest of the whole, and whatever happens
//! to the file, nothing is believed that was not written.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blake3::hazmat::HasherExt;
use proptest::prelude::*;
use sandport_protocol::journal::{
    Begun, ChainingValue, Entry, GROUP_BYTES, JournalError, JournalId, Kept, Notes, Ranges, Tail,
    Tree, Writer, group_hasher, inspect, recover,
};
use sandport_protocol::{Digest, Extent, Metadata};

const ID: JournalId = [3; 16];
const BOOT: u64 = 77;

fn content(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

fn values(content: &[u8]) -> Vec<ChainingValue> {
    let groups = content.chunks(GROUP_BYTES as usize).zip(0..);
    groups.map(|(bytes, group)| group_hasher(group).update(bytes).finalize_non_root()).collect()
}

fn begun(size: Option<u64>) -> Begun {
    Begun { name: "a/b".into(), size, identity: None, begun_s: 1_700_000_000 }
}

/// A journal with some entries, and where each of its frames ends.
fn journal(size: u64, entries: &[Kept]) -> (Vec<u8>, Vec<usize>) {
    let (mut writer, mut bytes) = Writer::begin(ID, begun(Some(size)));
    let mut ends = vec![bytes.len()];
    for entry in entries {
        writer.push(&mut bytes, &Entry::Kept(entry.clone()));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Five groups in three entries, with a tail that is taken back by the group.
fn entries() -> Vec<Kept> {
    let values = values(&content(6 * GROUP_BYTES as usize));
    let tail = Tail { group: 2, length: 5, value: [9; 32] };
    vec![
        Kept { boot: None, first: 0, groups: values[..2].to_vec(), tail: Some(tail) },
        Kept { boot: None, first: 4, groups: values[4..].to_vec(), tail: None },
        Kept { boot: None, first: 2, groups: values[2..3].to_vec(), tail: None },
    ]
}

const SIZE: u64 = 6 * GROUP_BYTES;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn groups_in_any_order_come_to_the_digest_of_the_whole(
        groups in 1_usize..12,
        last in prop_oneof![Just(0_usize), Just(1), Just(1023), Just(1024), Just(1025), 0..1_048_576_usize],
        order in prop::collection::vec(any::<u32>(), 12),
    ) {
        let content = content(groups * GROUP_BYTES as usize + last);
        let mut numbered: Vec<_> = (0_u64..).zip(values(&content)).collect();
        numbered.sort_by_key(|(group, _)| (order[*group as usize % 12], *group));
        let mut tree = Tree::default();
        let size = content.len() as u64;
        for (group, value) in numbered {
            if size > GROUP_BYTES {
                prop_assert_eq!(tree.root(size), None);
            }
            tree.insert(group, value);
        }
        let whole = Digest::Blake3(*blake3::hash(&content).as_bytes());
        prop_assert_eq!(tree.root(size), (size > GROUP_BYTES).then_some(whole));
    }

    #[test]
    fn ranges_are_what_a_bitmap_is(
        pieces in prop::collection::vec((0_u64..60, 0_u64..20), 0..20),
        size in 60_u64..90,
    ) {
        let (mut ranges, mut bitmap) = (Ranges::default(), [false; 100]);
        for (start, length) in pieces {
            ranges.insert(start, start + length);
            bitmap[start as usize..(start + length) as usize].fill(true);
        }
        for at in 0..90 {
            prop_assert_eq!(ranges.contains(at), bitmap[at as usize]);
            let end = (at + 7).min(99);
            let any = bitmap[at as usize..end as usize].contains(&true);
            prop_assert_eq!(ranges.overlaps(at, end), any);
        }
        prop_assert_eq!(ranges.prefix() as usize, bitmap.iter().take_while(|&&here| here).count());
        prop_assert_eq!(ranges.bytes() as usize, bitmap.iter().filter(|&&here| here).count());
        let mut missing = [false; 100];
        for Extent { offset, length } in ranges.gaps(Some(size)) {
            missing[offset as usize..(offset + length.unwrap()) as usize].fill(true);
        }
        for at in 0..size as usize {
            prop_assert_eq!(missing[at], !bitmap[at]);
        }
    }

    #[test]
    fn what_is_taken_out_of_ranges_is_what_a_bitmap_loses(
        steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..40),
        last in 0_u64..40,
    ) {
        let (mut ranges, mut bitmap) = (Ranges::default(), [false; 100]);
        for (is_taken_in, start, length) in steps {
            let end = start + length;
            if is_taken_in { ranges.insert(start, end) } else { ranges.remove(start, end) }
            bitmap[start as usize..end as usize].fill(is_taken_in);
        }
        let set = |ranges: &Ranges| {
            let mut set = [false; 100];
            ranges.iter().for_each(|(start, end)| set[start as usize..end as usize].fill(true));
            set
        };
        prop_assert_eq!(set(&ranges), bitmap);
        prop_assert_eq!(ranges.is_empty(), !bitmap.contains(&true));
        prop_assert_eq!(ranges.first(), (0..).zip(bitmap).find(|(_, here)| *here).map(|(at, _)| at));
        for at in 0..100_u64 {
            let (here, change) = ranges.run_at(at);
            prop_assert_eq!(here, bitmap[at as usize]);
            let next = (at as usize..100).find(|&next| bitmap[next] != here);
            prop_assert_eq!(next.map_or(u64::MAX, |next| next as u64), change);
            prop_assert_eq!(ranges.range_at(at).is_some(), here);
            let within: u64 = ranges.within((at, 100)).map(|(start, end)| end - start).sum();
            prop_assert_eq!(within as usize, bitmap[at as usize..].iter().filter(|&&it| it).count());
        }
        let (mut rest, before) = (ranges.clone(), ranges.bytes());
        let taken = rest.take_last(last);
        prop_assert_eq!(taken.bytes(), last.min(before));
        prop_assert!(rest.last().zip(taken.first()).is_none_or(|(low, high)| low < high));
        rest.absorb(&taken);
        prop_assert_eq!(&rest, &ranges);
        let mut popped = 0;
        while let Some(first) = rest.pop_first() {
            prop_assert!(bitmap[first as usize]);
            popped += 1;
        }
        prop_assert_eq!(popped, before);
    }

    #[test]
    fn a_changed_byte_is_never_believed(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (whole, ends) = journal(SIZE, &entries());
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        match recover(ID, &bytes, BOOT, SIZE) {
            Err(_) => prop_assert!(at < ends[0]),
            Ok(recovered) => {
                let intact = ends.iter().take_while(|&&end| end <= at).last().unwrap();
                prop_assert_eq!(recovered.end, *intact as u64);
                let expected = recover(ID, &whole[..*intact], BOOT, SIZE).unwrap();
                prop_assert_eq!(recovered.kept, expected.kept);
                prop_assert_eq!(recovered.tail, expected.tail);
            }
        }
    }

    #[test]
    fn bytes_without_sense_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut journal, _) = journal(SIZE, &[]);
        journal.extend(&bytes);
        let recovered = recover(ID, &journal, BOOT, SIZE).unwrap();
        prop_assert_eq!(recovered.kept.bytes(), 0);
        prop_assert!(recover(ID, &bytes, BOOT, SIZE).is_err());
    }
}

#[test]
fn a_journal_that_is_cut_says_what_its_whole_frames_say() {
    let (bytes, ends) = journal(SIZE, &entries());
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        match recover(ID, &bytes[..cut], BOOT, SIZE) {
            Err(_) => assert_eq!(whole, 0, "cut at {cut}"),
            Ok(recovered) => {
                assert_eq!(recovered.end as usize, ends[whole - 1], "cut at {cut}");
                let groups = [0, 2, 4, 5][whole - 1];
                assert_eq!(recovered.kept.bytes(), groups * GROUP_BYTES, "cut at {cut}");
                assert_eq!(recovered.tail.is_some(), (2..4).contains(&whole), "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_cut_journal_goes_on_where_it_was_cut() {
    let (bytes, ends) = journal(SIZE, &entries()[..2]);
    let mut cut = bytes[..ends[2] - 1].to_vec();
    let mut recovered = recover(ID, &cut, BOOT, SIZE).unwrap();
    cut.truncate(recovered.end as usize);
    let rest = &entries()[1..];
    for entry in rest {
        recovered.writer.push(&mut cut, &Entry::Kept(entry.clone()));
    }
    assert_eq!(recover(ID, &cut, BOOT, SIZE).unwrap().kept.bytes(), 5 * GROUP_BYTES);
}

#[test]
fn a_journal_counts_for_its_own_upload() {
    let (bytes, ends) = journal(SIZE, &entries());
    assert_eq!(recover([4; 16], &bytes, BOOT, SIZE).unwrap_err(), JournalError::NoBeginning);
    // Nor do frames of another: moved, left out or doubled.
    let frame = |number: usize| &bytes[ends[number - 1]..ends[number]];
    for frames in [[frame(2), frame(1)], [frame(1), frame(1)], [frame(1), frame(3)]] {
        let mixed = [&bytes[..ends[0]], frames[0], frames[1]].concat();
        let believed = recover(ID, &mixed, BOOT, SIZE).unwrap().kept.bytes();
        assert!(believed <= 2 * GROUP_BYTES, "{believed}");
    }
}

#[test]
fn a_later_version_and_other_files_are_told_apart() {
    let (mut bytes, _) = journal(SIZE, &entries());
    bytes[7] = 2;
    assert_eq!(recover(ID, &bytes, BOOT, SIZE).unwrap_err(), JournalError::FutureVersion(2));
    for other in [&b""[..], b"\x89SPJ", b"#!/bin/sh\nexit\n"] {
        assert_eq!(recover(ID, other, BOOT, SIZE).unwrap_err(), JournalError::NotAJournal);
    }
}

#[test]
fn what_was_not_durable_counts_until_the_system_is_started_anew() {
    let mut entries = entries();
    entries[1].boot = Some(BOOT);
    let (bytes, _) = journal(SIZE, &entries);
    let kept = |boot| recover(ID, &bytes, boot, SIZE).unwrap().kept.bytes() / GROUP_BYTES;
    assert_eq!((kept(BOOT), kept(BOOT + 1), kept(0)), (5, 3, 3));
}

#[test]
fn bytes_that_the_data_file_does_not_have_do_not_count() {
    let (bytes, _) = journal(SIZE, &entries());
    let recovered = recover(ID, &bytes, BOOT, 2 * GROUP_BYTES + 4).unwrap();
    assert_eq!(recovered.kept.bytes(), 2 * GROUP_BYTES);
    assert_eq!(recovered.tail, None, "four bytes of five");
}

#[test]
fn an_entry_about_bytes_beyond_the_file_ends_the_journal() {
    let value = [1; 32];
    let beyond = [
        Kept { first: 6, groups: vec![value], ..Kept::default() },
        Kept { first: u64::MAX, groups: vec![value; 2], ..Kept::default() },
        Kept { tail: Some(Tail { group: 6, length: 1, value }), ..Kept::default() },
        Kept { tail: Some(Tail { group: u64::MAX, length: 1, value }), ..Kept::default() },
        Kept { tail: Some(Tail { group: 0, length: 0, value }), ..Kept::default() },
        Kept { tail: Some(Tail { group: 0, length: GROUP_BYTES, value }), ..Kept::default() },
    ];
    for entry in beyond {
        let (bytes, ends) = journal(SIZE, &[entries()[0].clone(), entry.clone()]);
        let recovered = recover(ID, &bytes, BOOT, u64::MAX).unwrap();
        assert_eq!(recovered.end as usize, ends[1], "{entry:?}");
    }
}

#[test]
fn a_journal_tells_its_upload_and_progress_without_the_key() {
    let (journal, ends) = journal(SIZE, &entries());
    let found = inspect(&journal, BOOT, SIZE).unwrap();
    assert_eq!(found.begun, begun(Some(SIZE)));
    assert_eq!(found.kept_bytes, 5 * GROUP_BYTES);
    // Cut behind the first entry: its two groups, and the tail.
    assert_eq!(inspect(&journal[..ends[1]], BOOT, SIZE).unwrap().kept_bytes, 2 * GROUP_BYTES + 5);
    assert_eq!(inspect(&journal, BOOT, 2 * GROUP_BYTES).unwrap().kept_bytes, 2 * GROUP_BYTES);
    for cut in 0..ends[0] {
        assert!(inspect(&journal[..cut], BOOT, SIZE).is_err(), "{cut}");
    }
    // Damage behind the first entry ends it there, as it does for who has the key.
    for at in ends[0]..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 1;
        let recovered = recover(ID, &damaged, BOOT, SIZE).unwrap();
        let kept = recovered.kept.bytes() + recovered.tail.map_or(0, |tail| tail.length);
        assert_eq!(inspect(&damaged, BOOT, SIZE).unwrap().kept_bytes, kept, "{at}");
    }
}

#[test]
fn what_is_known_beside_the_bytes_is_found_again() {
    let metadata = Metadata::new(vec![("type".into(), b"text/plain".to_vec())]).unwrap();
    let notes = Notes { metadata, keeps_empty: true };
    let (mut writer, mut bytes) = Writer::begin(ID, begun(None));
    writer.push(&mut bytes, &Entry::Noted(notes.clone()));
    writer.push(&mut bytes, &Entry::Kept(entries()[0].clone()));
    writer.push(&mut bytes, &Entry::Sized(SIZE));
    writer.push(&mut bytes, &Entry::Kept(entries()[1].clone()));
    let found = recover(ID, &bytes, BOOT, SIZE).unwrap();
    assert_eq!((found.notes, found.begun.size), (notes, Some(SIZE)));
    assert_eq!(found.kept.bytes(), 4 * GROUP_BYTES);
    assert_eq!(found.end, bytes.len() as u64);
}

#[test]
fn a_size_that_contradicts_an_earlier_entry_ends_the_journal() {
    let (mut writer, mut bytes) = Writer::begin(ID, begun(None));
    writer.push(&mut bytes, &Entry::Kept(entries()[0].clone()));
    let end = bytes.len() as u64;
    for size in [2 * GROUP_BYTES - 1, 2 * GROUP_BYTES + 4] {
        let (mut ahead, mut longer) = (writer.clone(), bytes.clone());
        ahead.push(&mut longer, &Entry::Sized(size));
        let found = recover(ID, &longer, BOOT, SIZE).unwrap();
        assert_eq!((found.begun.size, found.end), (None, end));
    }
    let (mut writer, mut bytes) = Writer::begin(ID, begun(Some(SIZE)));
    let end = bytes.len() as u64;
    writer.push(&mut bytes, &Entry::Sized(SIZE + 1));
    let found = recover(ID, &bytes, BOOT, SIZE).unwrap();
    assert_eq!((found.begun.size, found.end), (Some(SIZE), end));
}

#[test]
fn entries_of_an_unknown_kind_that_hold_together_are_skipped() {
    let (bytes, ends) = journal(SIZE, &entries());
    let known = recover(ID, &bytes, BOOT, SIZE).unwrap();
    let (start, payload) = (ends[0], ends[0] + 20);
    // The frame of the second entry becomes one of kind 100, and what follows is chained to that.
    let mut unknown = bytes[payload..ends[1]].to_vec();
    unknown[0] = 100;
    let before: [u8; 16] = bytes[start - begun_bytes(&bytes) + 4..][..16].try_into().unwrap();
    let mut check = blake3::Hasher::new();
    check.update(&before).update(&unknown);
    let check = check.finalize();
    let mut other = bytes[..start].to_vec();
    other.extend_from_slice(&bytes[start..start + 4]);
    other.extend_from_slice(&check.as_bytes()[..16]);
    other.extend_from_slice(&unknown);
    let end = other.len() as u64;
    let found = recover(ID, &other, BOOT, SIZE).unwrap();
    assert_eq!((found.kept.bytes(), found.end), (0, end));
    let mut writer = found.writer;
    writer.push(&mut other, &Entry::Kept(entries()[0].clone()));
    let found = recover(ID, &other, BOOT, SIZE).unwrap();
    assert_eq!(found.kept.bytes(), 2 * GROUP_BYTES);
    assert!(known.kept.bytes() > found.kept.bytes());
    // Damaged, it ends the journal.
    other[start + 25] ^= 1;
    let found = recover(ID, &other, BOOT, SIZE).unwrap();
    assert_eq!(found.end, start as u64);
}

/// How long the first frame of a journal is.
fn begun_bytes(journal: &[u8]) -> usize {
    let length = u32::from_le_bytes(journal[8..12].try_into().unwrap());
    20 + length as usize
}

#[test]
fn a_sync_that_was_begun_is_open_until_an_entry_outlives_a_cut() {
    let values = values(&content(2 * GROUP_BYTES as usize));
    let kept = |boot, first: u64| {
        let groups = vec![values[first as usize]];
        Kept { boot, first, groups, tail: None }
    };
    let of_boot = kept(Some(BOOT), 0);
    let cases = [
        (vec![], false),
        (vec![Kept::syncing(BOOT)], true),
        (vec![Kept::syncing(BOOT), Kept::synced()], false),
        (vec![Kept::syncing(BOOT), kept(None, 1)], false),
        // What came beside it says nothing of it.
        (vec![Kept::syncing(BOOT), kept(Some(BOOT), 1)], true),
        (vec![Kept::syncing(BOOT), Kept::synced(), Kept::syncing(BOOT)], true),
        // What it was to make durable is lost in any case.
        (vec![Kept::syncing(BOOT + 1)], false),
    ];
    for (later, is_open) in cases {
        let entries = [vec![of_boot.clone()], later].concat();
        let (journal, _) = journal(SIZE, &entries);
        let recovered = recover(ID, &journal, BOOT, SIZE).unwrap();
        assert_eq!(recovered.is_being_synced, is_open, "{entries:?}");
        assert!(recovered.kept.contains(0));
    }
}

#[test]
fn what_holds_for_this_boot_alone_is_said_again_once_after_it() {
    let content = content(3 * GROUP_BYTES as usize);
    let values = values(&content);
    let hash = |length| group_hasher(3).update(&content[..length]).finalize_non_root();
    let tail = |length: usize| Tail { group: 3, length: length as u64, value: hash(length) };
    let kept = |boot, first: u64| {
        let groups = vec![values[first as usize]];
        Kept { boot, first, groups, tail: None }
    };
    let begun = |boot, length| Kept { boot, tail: Some(tail(length)), ..Kept::default() };
    let boot = Some(BOOT);
    let all = Kept { boot: None, first: 0, groups: values.clone(), tail: Some(tail(9)) };
    let cases = [
        (vec![], vec![]),
        (vec![kept(None, 0), begun(None, 7)], vec![]),
        (vec![kept(boot, 0), kept(None, 1)], vec![kept(None, 0)]),
        (vec![kept(boot, 0), kept(boot, 2)], vec![kept(None, 0), kept(None, 2)]),
        // That all was synced does not say it.
        (vec![kept(boot, 0), Kept::syncing(BOOT), Kept::synced()], vec![kept(None, 0)]),
        (vec![begun(None, 7), begun(boot, 9)], vec![begun(None, 9)]),
        (vec![begun(boot, 7), begun(None, 9)], vec![]),
        (vec![kept(boot, 2), kept(boot, 0), kept(boot, 1), begun(boot, 9)], vec![all]),
        // Of an earlier boot, which says nothing.
        (vec![kept(Some(BOOT + 1), 0)], vec![]),
    ];
    for (before, expected) in cases {
        let (mut journal, _) = journal(SIZE, &before);
        let recovered = recover(ID, &journal, BOOT, SIZE).unwrap();
        let said = recovered.to_say_again();
        assert_eq!(said, expected, "{before:?}");
        let mut writer = recovered.writer;
        said.into_iter().for_each(|kept| writer.push(&mut journal, &Entry::Kept(kept)));
        let here = recover(ID, &journal, BOOT, SIZE).unwrap();
        assert!(here.to_say_again().is_empty(), "{before:?}");
        let later = recover(ID, &journal, BOOT + 2, SIZE).unwrap();
        assert_eq!((later.kept, later.tail), (here.kept, here.tail), "{before:?}");
    }
}
