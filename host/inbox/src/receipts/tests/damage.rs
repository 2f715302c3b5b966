//! What is damaged or unknown in the log, and what of the rest is kept.

use super::*;
use crate::receipts::damage::TORN_BYTES_MAX;

/// Where each frame of a log ends.
fn frame_ends(log: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < log.len() {
        at += 12 + u32::from_le_bytes(log[at..at + 4].try_into().unwrap()) as usize;
        ends.push(at);
    }
    ends
}

#[test]
fn a_log_torn_at_any_byte_keeps_what_is_before_and_goes_on() {
    let bench = Bench::new();
    let files = ["one", "two", "three"].map(|name| bench.file(name));
    let later = bench.file("later");
    store(&bench, &bench.open().receipts, &files);
    let log = fs::read(bench.log()).unwrap();
    let ends = frame_ends(&log);
    // The session, and each of the files.
    assert_eq!((ends.len(), *ends.last().unwrap()), (4, log.len()));
    for cut in 0..=log.len() {
        fs::write(bench.log(), &log[..cut]).unwrap();
        let receipts = bench.open().receipts;
        for ((name, _), end) in files.iter().zip(&ends[1..]) {
            assert_eq!(bench.finds(&receipts, name), *end <= cut, "{name} at {cut}");
        }
        store(&bench, &receipts, std::slice::from_ref(&later));
        let receipts = bench.open().receipts;
        assert!(bench.finds(&receipts, &later.0), "after {cut}");
        for ((name, _), end) in files.iter().zip(&ends[1..]) {
            assert_eq!(bench.finds(&receipts, name), *end <= cut, "{name} after {cut}");
        }
    }
}

#[test]
fn damage_of_the_log_costs_the_entry_that_it_is_in_alone() {
    let files = ["one", "two", "three"];
    let bench = Bench::new();
    let files = files.map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files);
    let log = fs::read(bench.log()).unwrap();
    let starts: Vec<usize> = std::iter::once(0).chain(frame_ends(&log)).collect();
    let aside = bench.directory.path().join("receipts.damaged-1");
    for at in 0..log.len() {
        for damage in [0x01, 0x80, 0xFF] {
            let mut damaged = log.clone();
            damaged[at] ^= damage;
            fs::write(bench.log(), &damaged).unwrap();
            // Twice, since the first start writes the log anew.
            for start in ["first", "second"] {
                let receipts = bench.open().receipts;
                for ((name, _), frame) in files.iter().zip(starts[1..].windows(2)) {
                    let is_hit = (frame[0]..frame[1]).contains(&at);
                    assert_eq!(bench.finds(&receipts, name), !is_hit, "{name} at {at}, {start}");
                }
            }
            let hit = starts.windows(2).find(|frame| (frame[0]..frame[1]).contains(&at)).unwrap();
            // At the end it is what a crash leaves.
            if hit[1] < log.len() {
                assert_eq!(fs::read(&aside).unwrap(), damaged[hit[0]..hit[1]], "at {at}");
                fs::remove_file(&aside).unwrap();
            }
            assert!(!aside.exists());
        }
    }
}

#[test]
fn damage_is_set_aside_up_to_a_bound_and_stops_no_start() {
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files);
    let mut log = fs::read(bench.log()).unwrap();
    log[15] ^= 1;
    for _ in 0..20 {
        fs::write(bench.log(), &log).unwrap();
        assert!(bench.finds(&bench.open().receipts, &files[1].0));
    }
    let names = fs::read_dir(bench.directory.path()).unwrap().map(|it| it.unwrap().file_name());
    let aside = names.filter(|name| name.to_str().unwrap().starts_with("receipts.damaged-"));
    assert_eq!(aside.count(), 16);
}

#[test]
fn a_long_end_of_a_log_that_is_no_entry_is_set_aside() {
    let bench = Bench::new();
    let file = bench.file("one");
    store(&bench, &bench.open().receipts, std::slice::from_ref(&file));
    let mut log = fs::read(bench.log()).unwrap();
    let length = log.len();
    log.resize(length + TORN_BYTES_MAX as usize + 1, 0xEE);
    fs::write(bench.log(), &log).unwrap();
    assert!(bench.finds(&bench.open().receipts, &file.0));
    assert_eq!(fs::metadata(bench.log()).unwrap().len(), length as u64);
    let aside = fs::read(bench.directory.path().join("receipts.damaged-1")).unwrap();
    assert!(aside == log[length..]);
}

#[test]
fn entries_of_an_unknown_kind_are_skipped_and_kept() {
    let bench = Bench::new();
    let files = ["one", "two"].map(|name| bench.file(name));
    store(&bench, &bench.open().receipts, &files[..1]);
    let payload = b"\x7fwhat a later version says";
    let mut unknown = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    unknown.extend(&blake3::hash(payload).as_bytes()[..8]);
    unknown.extend(payload);
    let mut log = fs::read(bench.log()).unwrap();
    log.extend(&unknown);
    fs::write(bench.log(), &log).unwrap();
    store(&bench, &bench.open().receipts, &files[1..]);
    // Also when the log is written anew, as it is where it is damaged.
    let mut log = fs::read(bench.log()).unwrap();
    log.splice(0..0, [0; 5]);
    fs::write(bench.log(), &log).unwrap();
    let receipts = bench.open().receipts;
    assert!(files.iter().all(|(name, _)| bench.finds(&receipts, name)));
    let log = fs::read(bench.log()).unwrap();
    assert!(log.windows(unknown.len()).any(|bytes| bytes == unknown));
    assert!(log[0] != 0);
}

#[test]
fn what_is_no_log_at_all_is_cut_off() {
    let bench = Bench::new();
    for content in [vec![0; 10_000], vec![0xFF; 10_000], b"receipts\n".to_vec()] {
        fs::write(bench.log(), content).unwrap();
        bench.open();
        assert_eq!(fs::metadata(bench.log()).unwrap().len(), 0);
    }
}
