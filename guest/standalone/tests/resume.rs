//! What the standalone component's inbox does with uploads to resume that the native one does not: without locks, on
//! one thread, and over a disk that fails or ends at any step.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod std_disk;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sandport_protocol::journal::{GROUP_BYTES, ResumableId};
use sandport_protocol::{
    Digest, EntryKind, Extent, Offer, Refusal, RefusalCode, Resume, ResumeMode,
};
use sandport_standalone::inbox::{Durability, Inbox, OfferResponse, Options, Published, Upload};
use std_disk::{NOW_MS, StdDirectory, TRIAL, Trial, ambient};

const GROUP: usize = GROUP_BYTES as usize;
const HOUR_MS: u64 = 3_600_000;
const DAY_S: u64 = 24 * 3_600;
/// Most turns of an inbox until it has done what it has to do.
const TURNS_MAX: usize = 100;

fn options() -> Options {
    Options { watermark_bytes: GROUP_BYTES, watermark_interval_ms: 1_000, ..Options::default() }
}

fn open(dir: &Path) -> Inbox<StdDirectory> {
    Inbox::open(StdDirectory::new(dir), options(), ambient()).unwrap()
}

fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    content
}

fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

const RESUME: Resume = Resume { key: [7; 32], epoch: 1, mode: ResumeMode::TakeOver };

fn offer(content: &[u8]) -> Offer {
    Offer {
        name: Some("big".to_owned()),
        kind: EntryKind::File,
        size: Some(content.len() as u64),
        digest: None,
        modified_ns: Some(1_500_000_000_000_000_000),
        executable: false,
        resume: Some(RESUME),
    }
}

#[track_caller]
fn accept(inbox: &Inbox<StdDirectory>, offer: &Offer) -> Upload<StdDirectory> {
    match inbox.answer(offer) {
        Ok(OfferResponse::Accepted(upload)) => upload,
        Ok(OfferResponse::Stored(_)) => panic!("it is stored"),
        Ok(OfferResponse::DigestFirst) => panic!("a digest is asked for"),
        Err(refusal) => panic!("{refusal}"),
    }
}

const ALL: Extent = Extent { offset: 0, length: None };

fn write(upload: &mut Upload<StdDirectory>, content: &[u8]) {
    content.chunks(300_007).for_each(|piece| upload.write(piece));
}

fn bring(upload: &mut Upload<StdDirectory>, content: &[u8]) -> Result<(), Refusal> {
    for extent in upload.missing() {
        let start = usize::try_from(extent.offset).unwrap();
        let end = start + usize::try_from(extent.length.unwrap()).unwrap();
        upload.body(extent)?;
        write(upload, &content[start..end]);
    }
    Ok(())
}

fn commit(
    inbox: &Inbox<StdDirectory>,
    upload: Upload<StdDirectory>,
    content: &[u8],
) -> Result<Published, Refusal> {
    let commit = upload.commit(content.len() as u64, Some(digest(content)));
    for _ in 0..TURNS_MAX {
        if let Some(outcome) = commit.outcome() {
            return outcome.clone();
        }
        inbox.turn();
    }
    panic!("{TURNS_MAX} turns of the inbox, and no outcome of a commit");
}

fn code<T>(result: Result<T, Refusal>) -> Option<RefusalCode> {
    result.err().map(|refusal| refusal.code)
}

fn names(dir: &Path, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(dir.join(directory)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn partials(dir: &Path) -> Vec<String> {
    names(dir, ".sandport/partials")
}

#[track_caller]
fn assert_only(dir: &Path, content: &[u8]) {
    assert!(fs::read(dir.join("big")).unwrap() == content, "other content");
    assert_eq!(names(dir, ""), [".sandport", "big"]);
    assert_eq!((partials(dir), names(dir, ".sandport/staging")), (vec![], vec![]));
}

#[test]
fn watermarks_come_by_the_bytes_and_by_the_clock_and_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = open(directory.path());
    let content = content(4 * GROUP);
    let mut upload = accept(&inbox, &offer(&content));
    upload.body(ALL).unwrap();
    write(&mut upload, &content[..GROUP + GROUP / 4]);
    // Half of a step, and no more since.
    let told = upload.progress().unwrap();
    assert!((GROUP_BYTES / 2..=GROUP_BYTES + GROUP_BYTES / 4).contains(&told), "{told}");
    assert_eq!(upload.progress(), None);
    let due = inbox.next_turn().unwrap();
    let before = inbox.news();
    NOW_MS.set(HOUR_MS.max(due));
    inbox.turn();
    assert_ne!(inbox.news(), before);
    assert!(upload.has_news());
    assert_eq!(upload.progress(), Some(GROUP_BYTES + GROUP_BYTES / 4));
    assert!(upload.room(usize::MAX) > 0);
}

#[test]
fn a_second_server_takes_an_upload_over_and_the_first_finds_out() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let content = content(4 * GROUP);
    let first = open(dir);
    let mut old = accept(&first, &offer(&content));
    old.body(ALL).unwrap();
    write(&mut old, &content[..2 * GROUP]);

    let second = open(dir);
    let mut new = accept(&second, &offer(&content));
    let told = old.progress().unwrap();
    assert!(told >= GROUP_BYTES, "{told}");
    assert_eq!(new.missing()[0].offset, told);
    // The first one still has the file, and a sender that says something else than it said.
    write(&mut old, &vec![0xee; 2 * GROUP]);
    assert_eq!(old.fault().unwrap().code, RefusalCode::Io);
    assert_eq!(code(commit(&first, old, &content)), Some(RefusalCode::Io));
    bring(&mut new, &content).unwrap();
    commit(&second, new, &content).unwrap();
    drop(first);
    assert_only(dir, &content);
}

#[test]
fn what_another_run_left_is_compared_before_it_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let content = content(3 * GROUP);
    let mut upload = accept(&open(dir), &offer(&content));
    upload.body(ALL).unwrap();
    write(&mut upload, &content[..2 * GROUP]);
    drop(upload);
    let data = partials(dir).into_iter().find(|name| name.ends_with(".data")).unwrap();
    let data = dir.join(".sandport/partials").join(data);
    fs::File::options().write(true).open(data).unwrap().write_all_at(b"x", 5).unwrap();

    let inbox = open(dir);
    let mut upload = accept(&inbox, &offer(&content));
    bring(&mut upload, &content).unwrap();
    let commit_now = upload.commit(content.len() as u64, Some(digest(&content)));
    // It is read a piece at a time, so that others are served meanwhile.
    assert!(commit_now.outcome().is_none() && inbox.next_turn().unwrap() <= NOW_MS.get());
    inbox.turn();
    assert!(commit_now.outcome().is_none());
    inbox.turn();
    inbox.turn();
    let refused = commit_now.outcome().unwrap().clone();
    assert_eq!(code(refused), Some(RefusalCode::DigestMismatch));
    assert_eq!(partials(dir), [""; 0]);

    let mut upload = accept(&inbox, &offer(&content));
    assert_eq!(upload.missing(), [Extent { offset: 0, length: Some(3 * GROUP_BYTES) }]);
    bring(&mut upload, &content).unwrap();
    commit(&inbox, upload, &content).unwrap();
    assert_only(dir, &content);
}

#[test]
fn an_offer_of_what_is_read_again_hears_what_became_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let content = content(3 * GROUP);
    let mut upload = accept(&open(dir), &offer(&content));
    upload.body(ALL).unwrap();
    write(&mut upload, &content[..2 * GROUP]);
    drop(upload);
    let inbox = open(dir);
    let mut upload = accept(&inbox, &offer(&content));
    bring(&mut upload, &content).unwrap();
    let first = upload.commit(content.len() as u64, Some(digest(&content)));
    assert!(first.outcome().is_none());
    assert!(matches!(inbox.answer(&offer(&content)).unwrap(), OfferResponse::DigestFirst));
    assert_eq!(first.outcome().unwrap().as_ref().unwrap().name, "big");
    assert!(first.is_news() && !first.is_news());
    assert_only(dir, &content);
}

#[test]
fn it_goes_on_with_what_the_native_inbox_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let content = content(3 * GROUP);
    let mut upload = accept(&open(dir), &offer(&content));
    upload.body(ALL).unwrap();
    write(&mut upload, &content[..2 * GROUP]);
    drop(upload);
    // Where files are locked, they are called by the ID alone.
    for name in partials(dir) {
        let suffix = name.split_once('.').unwrap().1;
        let partials = dir.join(".sandport/partials");
        let native = format!("{}.{suffix}", ResumableId::of(None, &RESUME.key));
        fs::rename(partials.join(&name), partials.join(native)).unwrap();
    }
    let inbox = open(dir);
    let mut upload = accept(&inbox, &offer(&content));
    assert_eq!(upload.missing()[0].offset, 2 * GROUP_BYTES);
    bring(&mut upload, &content).unwrap();
    commit(&inbox, upload, &content).unwrap();
    assert_only(dir, &content);
}

#[test]
fn an_abandoned_upload_is_removed_when_the_clock_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let inbox = open(dir);
    let content = content(3 * GROUP);
    let mut left = accept(&inbox, &offer(&content));
    left.body(ALL).unwrap();
    write(&mut left, &content[..2 * GROUP]);
    drop(left);
    let other = Offer { resume: Some(Resume { key: [8; 32], ..RESUME }), ..offer(&content) };
    let mut held = accept(&inbox, &other);
    held.body(ALL).unwrap();
    write(&mut held, &content[..2 * GROUP]);
    fs::write(dir.join(".sandport/partials/theirs.data"), b"x").unwrap();
    assert_eq!(partials(dir).len(), 5);
    // Looked at each hour, for eight days.
    for hour in 0..8 * 24 {
        NOW_MS.set(hour * HOUR_MS);
        inbox.turn();
        if hour * 3_600 == 7 * DAY_S {
            // When exactly the files were written decides about this hour.
            continue;
        }
        let is_over = hour * 3_600 > 7 * DAY_S;
        assert_eq!(partials(dir).len(), if is_over { 3 } else { 5 }, "hour {hour}");
    }
    assert_eq!(held.fault(), None);
    assert_eq!(accept(&inbox, &offer(&content)).missing()[0].offset, 0);
}

#[test]
fn a_start_removes_data_without_a_journal_and_leaves_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    drop(open(dir));
    let id = ResumableId::of(None, &RESUME.key);
    let other = ResumableId::of(None, &[8; 32]);
    for (name, bytes) in [
        (format!("{id}.data"), &b"x"[..]),
        (format!("{other}.data"), b"x"),
        (format!("{other}.journal"), b""),
        (format!("{id}.journal.old"), b""),
        ("theirs.data".to_owned(), b""),
    ] {
        fs::write(dir.join(".sandport/partials").join(name), bytes).unwrap();
    }
    drop(open(dir));
    assert_eq!(partials(dir), [format!("{id}.journal.old"), "theirs.data".to_owned()]);
}

/// Sends a file in three goes: one is cut, the next one is to a second run of the component. What was told to be
/// kept, whatever happens.
fn send_in_goes(dir: &Path, content: &[u8], told: &mut u64) -> Result<Published, Refusal> {
    let failed = |_| Refusal::from(RefusalCode::Io);
    for end in [2 * GROUP + 9_000, 3 * GROUP, content.len()] {
        let inbox = Inbox::open(StdDirectory::new(dir), options(), ambient()).map_err(failed)?;
        let mut upload = match inbox.answer(&offer(content))? {
            OfferResponse::Accepted(upload) => upload,
            _ => return Err(RefusalCode::Exists.into()),
        };
        let from = upload.missing()[0].offset;
        upload.body(Extent { offset: from, length: None })?;
        let from = usize::try_from(from).unwrap();
        if from < end {
            write(&mut upload, &content[from..end]);
        }
        *told = (*told).max(upload.progress().unwrap_or(0));
        if let Some(fault) = upload.fault() {
            return Err(fault.clone());
        }
        if end == content.len() {
            return commit(&inbox, upload, content);
        }
    }
    unreachable!("the last go commits")
}

/// Each step of the disk fails once, and at each step the program is killed once. Whatever comes of that, what was told
/// to be kept is, the next try succeeds, and nothing is left.
#[test]
fn whatever_step_fails_or_is_the_last_the_next_try_goes_on() {
    let content = content(4 * GROUP + 5);
    for trial in [Trial::Fails, Trial::Dies] {
        for number in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path();
            let mut told = 0;
            TRIAL.set(Some((trial, number)));
            let first = send_in_goes(dir, &content, &mut told);
            let is_through = TRIAL.take().is_some_and(|(_, left)| left > 0);
            if is_through {
                assert!(number > 30, "only {number} steps");
                first.unwrap();
                break;
            }
            let inbox = open(dir);
            let published = match inbox.answer(&offer(&content)).unwrap() {
                OfferResponse::Accepted(mut upload) => {
                    let missing = upload.missing();
                    let here = missing.first().map_or(content.len() as u64, |it| it.offset);
                    assert!(here >= told || first.is_ok(), "{trial:?} {number}: {here} of {told}");
                    bring(&mut upload, &content).unwrap();
                    commit(&inbox, upload, &content).unwrap().name
                }
                OfferResponse::DigestFirst => {
                    let shown = Offer { digest: Some(digest(&content)), ..offer(&content) };
                    match inbox.answer(&shown).unwrap() {
                        OfferResponse::Stored(receipt) => receipt.name,
                        _ => panic!("{trial:?} {number}: it is stored"),
                    }
                }
                OfferResponse::Stored(_) => panic!("the offer has no digest"),
            };
            assert!(fs::read(dir.join(&published)).unwrap() == content, "{trial:?} {number}");
            drop(inbox);
            // What could not be removed in the trial is by now.
            drop(open(dir));
            let left = (partials(dir), names(dir, ".sandport/staging"));
            assert_eq!(left, (vec![], vec![]), "{trial:?} {number}");
        }
    }
}

#[test]
fn without_durability_what_a_killed_run_left_is_resumed_too() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let options = || Options { durability: Durability::None, ..options() };
    let content = content(3 * GROUP);
    let inbox = Inbox::open(StdDirectory::new(dir), options(), ambient()).unwrap();
    let mut upload = accept(&inbox, &offer(&content));
    upload.body(ALL).unwrap();
    write(&mut upload, &content[..2 * GROUP]);
    let told = upload.progress().unwrap();
    TRIAL.set(Some((Trial::Dies, 0)));
    drop((upload, inbox));
    TRIAL.set(None);
    let inbox = Inbox::open(StdDirectory::new(dir), options(), ambient()).unwrap();
    let mut upload = accept(&inbox, &offer(&content));
    assert!(upload.missing()[0].offset >= told);
    bring(&mut upload, &content).unwrap();
    commit(&inbox, upload, &content).unwrap();
    assert_only(dir, &content);
}
