//! The rules of uploads that can be resumed.

use std::boxed::Box;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{fs, vec};

use super::subject::{
    ALL, BegunUpload, Make, Response, Settings, Subject, accept, code, digest, names, offer,
    published, send, settings, staged, with_digest,
};
use crate::journal::GROUP_BYTES;
use crate::{Extent, Offer, RefusalCode, Resume, ResumeMode};

const GROUP: usize = GROUP_BYTES as usize;

/// Bytes that are nowhere alike.
fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    content
}

fn resume(epoch: u64, mode: ResumeMode) -> Option<Resume> {
    Some(Resume { key: [7; 32], epoch, mode })
}

/// An offer of the first run.
fn with_key(content: &[u8]) -> Offer {
    Offer { resume: resume(1, ResumeMode::TakeOver), ..offer("big", content) }
}

fn extent(offset: usize, length: usize) -> Extent {
    Extent { offset: offset as u64, length: Some(length as u64) }
}

/// Writes in pieces that end nowhere in particular.
fn write(begun: &mut dyn BegunUpload, content: &[u8]) {
    content.chunks(300_007).for_each(|piece| begun.write(piece));
}

/// Brings what is missing.
fn bring(begun: &mut dyn BegunUpload, content: &[u8]) {
    for Extent { offset, length } in begun.missing() {
        let start = usize::try_from(offset).unwrap();
        let end = length.map_or(content.len(), |it| start + usize::try_from(it).unwrap());
        begun.body(Extent { offset, length }).unwrap();
        write(begun, &content[start..end]);
    }
}

fn commit(begun: Box<dyn BegunUpload>, content: &[u8]) -> String {
    begun.commit(content.len() as u64, Some(digest(content))).unwrap().name
}

/// What an upload leaves that was cut after these bytes.
fn cut(subject: &dyn Subject, content: &[u8], bytes: usize) {
    let mut begun = accept(subject, &with_key(content));
    begun.body(ALL).unwrap();
    write(&mut *begun, &content[..bytes]);
    assert_eq!(begun.fault(), None);
}

fn partials(subject: &dyn Subject) -> Vec<String> {
    let directory = fs::read_dir(subject.dir().join(".sandport/partials")).unwrap();
    let mut names: Vec<_> =
        directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// That the file is here, and nothing else of it.
#[track_caller]
fn assert_only(subject: &dyn Subject, content: &[u8]) {
    assert_eq!(names(subject), ["big"]);
    assert!(published(subject) == [("big".to_string(), content.to_vec())], "other content");
    assert_eq!((partials(subject), staged(subject)), (vec![], 0));
}

pub fn an_upload_goes_on_where_its_connection_was_cut(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(3 * GROUP + 77);
    let from = GROUP + 5_000;
    cut(&*subject, &content, from);
    assert_eq!((names(&*subject), staged(&*subject)), (vec![], 0));
    let mut begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(from, content.len() - from)]);
    bring(&mut *begun, &content);
    assert_eq!(begun.missing(), []);
    assert_eq!(commit(begun, &content), "big");
    assert_only(&*subject, &content);
}

pub fn an_upload_goes_on_after_a_restart_and_another(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    let content = content(4 * GROUP);
    cut(&*subject, &content, GROUP + GROUP / 2);
    for half in 3..6 {
        subject.restart();
        let mut begun = accept(&*subject, &with_key(&content));
        let from = half * GROUP / 2;
        assert_eq!(begun.missing(), [extent(from, content.len() - from)]);
        begun.body(extent(from, GROUP / 2)).unwrap();
        write(&mut *begun, &content[from..from + GROUP / 2]);
    }
    subject.restart();
    let mut begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(3 * GROUP, GROUP)]);
    bring(&mut *begun, &content);
    assert_eq!(commit(begun, &content), "big");
    assert_only(&*subject, &content);
    // And it is remembered as any other file is.
    let again = Offer { digest: Some(digest(&content)), ..with_key(&content) };
    assert!(matches!(subject.answer(&again).unwrap(), Response::Stored(_)));
}

pub fn what_is_kept_of_a_journal_that_was_cut_anywhere_goes_on(make: Make<'_>, durable: bool) {
    let content = content(2 * GROUP + 9);
    for cut_off in [1, 10, 40] {
        let mut subject = make(&settings(durable));
        cut(&*subject, &content, GROUP + GROUP / 2);
        subject.wait_idle();
        let journal = partials(&*subject).pop().unwrap();
        assert!(journal.ends_with(".journal"), "{journal}");
        let path = subject.dir().join(".sandport/partials").join(journal);
        let length = fs::metadata(&path).unwrap().len();
        subject.restart();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - cut_off).unwrap();
        let mut begun = accept(&*subject, &with_key(&content));
        assert_eq!(begun.missing().len(), 1);
        bring(&mut *begun, &content);
        commit(begun, &content);
        assert_only(&*subject, &content);
    }
}

pub fn ranges_come_in_any_order_at_chunk_groups_and_once(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(3 * GROUP + 9);
    let mut begun = accept(&*subject, &with_key(&content));
    begun.body(extent(2 * GROUP, GROUP)).unwrap();
    write(&mut *begun, &content[2 * GROUP..3 * GROUP]);
    for wrong in [
        extent(2 * GROUP, GROUP),
        extent(GROUP + 1, 9),
        extent(content.len(), 1),
        Extent { offset: u64::MAX, length: None },
    ] {
        assert_eq!(code(begun.body(wrong)), RefusalCode::OffsetMismatch, "{wrong:?}");
    }
    assert_eq!(begun.missing(), [extent(0, 2 * GROUP), extent(3 * GROUP, 9)]);
    bring(&mut *begun, &content);
    commit(begun, &content);
    assert_only(&*subject, &content);
}

pub fn a_later_run_takes_an_upload_over_and_an_earlier_one_does_not(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    let mut older = accept(&*subject, &with_key(&content));
    older.body(ALL).unwrap();
    write(&mut *older, &content[..GROUP]);
    let later = Offer { resume: resume(2, ResumeMode::TakeOver), ..with_key(&content) };
    let mut newer = accept(&*subject, &later);
    assert_eq!(newer.missing(), [extent(GROUP, GROUP)]);
    assert_eq!(older.fault().unwrap().code, RefusalCode::Locked);
    write(&mut *older, &[0xee; 5_000]);
    assert_eq!(code(older.commit(content.len() as u64, None)), RefusalCode::Locked);
    assert_eq!(code(subject.answer(&with_key(&content))), RefusalCode::Locked);
    bring(&mut *newer, &content);
    commit(newer, &content);
    assert_only(&*subject, &content);
}

pub fn two_connections_bring_one_file_and_both_get_its_receipt(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(3 * GROUP + 5);
    let mut first = accept(&*subject, &with_key(&content));
    let joins = Offer { resume: resume(1, ResumeMode::Join), ..with_key(&content) };
    let mut second = accept(&*subject, &joins);
    second.body(extent(GROUP, 2 * GROUP + 5)).unwrap();
    write(&mut *second, &content[GROUP..]);
    let size = content.len() as u64;
    let second = second.finish(size, Some(digest(&content)));
    assert_eq!(names(&*subject), [""; 0]);
    first.body(extent(0, GROUP)).unwrap();
    write(&mut *first, &content[..GROUP]);
    let first = first.finish(size, Some(digest(&content)));
    assert_eq!(first().unwrap(), second().unwrap());
    assert_only(&*subject, &content);
}

pub fn a_connection_that_leaves_without_its_part_fails_the_commit(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    let mut first = accept(&*subject, &with_key(&content));
    let joins = Offer { resume: resume(1, ResumeMode::Join), ..with_key(&content) };
    let second = accept(&*subject, &joins);
    first.body(extent(0, GROUP)).unwrap();
    write(&mut *first, &content[..GROUP]);
    let first = first.finish(content.len() as u64, None);
    drop(second);
    assert_eq!(code(first()), RefusalCode::Cancelled);
    let mut begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(GROUP, GROUP)]);
    bring(&mut *begun, &content);
    commit(begun, &content);
    assert_only(&*subject, &content);
}

pub fn an_upload_that_begins_anew_has_nothing_of_the_old_one(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    let old = content(3 * GROUP);
    cut(&*subject, &old, 2 * GROUP);
    for is_restarted in [false, true] {
        if is_restarted {
            subject.restart();
        }
        let new: Vec<u8> = old.iter().map(|byte| !byte).take(2 * GROUP + 1).collect();
        let anew = Offer { resume: resume(2, ResumeMode::Restart), ..with_key(&new) };
        let mut begun = accept(&*subject, &anew);
        assert_eq!(begun.missing(), [extent(0, new.len())]);
        begun.body(ALL).unwrap();
        write(&mut *begun, &new[..GROUP]);
        if is_restarted {
            bring(&mut *begun, &new);
            commit(begun, &new);
            assert_only(&*subject, &new);
        }
    }
}

pub fn a_key_stands_for_one_file(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    cut(&*subject, &content, GROUP);
    let other_name = Offer { name: Some("other".to_string()), ..with_key(&content) };
    for other in [other_name, with_key(&content[1..])] {
        assert_eq!(code(subject.answer(&other)), RefusalCode::InvalidState, "{other:?}");
    }
    let begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(GROUP, GROUP)]);
}

pub fn nothing_stays_of_what_is_not_what_was_to_be_sent(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    let mut begun = accept(&*subject, &with_key(&content));
    bring(&mut *begun, &content);
    let other = Some(digest(&content[1..]));
    assert_eq!(code(begun.commit(content.len() as u64, other)), RefusalCode::DigestMismatch);
    let mut begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(0, content.len())]);
    bring(&mut *begun, &content);
    commit(begun, &content);
    assert_only(&*subject, &content);
}

pub fn an_upload_that_is_given_up_leaves_nothing(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    let mut begun = accept(&*subject, &with_key(&content));
    begun.body(ALL).unwrap();
    write(&mut *begun, &content[..GROUP + 9]);
    begun.discard();
    subject.wait_idle();
    assert_eq!((names(&*subject), partials(&*subject)), (vec![], vec![]));
    let begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(0, content.len())]);
}

pub fn what_is_left_of_a_file_that_came_otherwise_is_removed(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(2 * GROUP);
    cut(&*subject, &content, GROUP);
    send(&*subject, "big", &content).unwrap();
    let again = Offer { digest: Some(digest(&content)), ..with_key(&content) };
    assert!(matches!(subject.answer(&again).unwrap(), Response::Stored(_)));
    subject.wait_idle();
    assert_only(&*subject, &content);
}

pub fn a_short_file_with_a_key_is_as_one_without(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let content = content(GROUP);
    cut(&*subject, &content, GROUP / 2);
    let begun = accept(&*subject, &with_key(&content));
    assert_eq!(begun.missing(), [extent(0, GROUP)]);
    drop(begun);
    assert_eq!((partials(&*subject), staged(&*subject)), (vec![], 0));
}

pub fn a_stream_whose_receipt_was_lost_is_found_again_by_its_key(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    let content = content(GROUP + 9);
    let stream = Offer { name: None, size: None, ..with_key(&content) };
    let mut begun = accept(&*subject, &stream);
    begun.body(ALL).unwrap();
    write(&mut *begun, &content[..GROUP / 2]);
    drop(begun);
    let mut begun = accept(&*subject, &stream);
    assert_eq!(begun.missing(), [Extent { offset: GROUP_BYTES / 2, length: None }]);
    bring(&mut *begun, &content);
    let name = commit(begun, &content);
    for is_restarted in [false, true] {
        // Without durability, some inboxes do not know after a restart what was stored.
        if is_restarted && durable {
            subject.restart();
        }
        let again = Offer { size: Some(content.len() as u64), ..stream.clone() };
        assert!(matches!(subject.answer(&again).unwrap(), Response::DigestFirst));
        let again = Offer { digest: Some(digest(&content)), ..again };
        match subject.answer(&again).unwrap() {
            Response::Stored(receipt) => assert_eq!(receipt.name, name),
            _ => panic!("it is stored"),
        }
    }
    assert_eq!(names(&*subject), [name]);
}

pub fn a_resumed_upload_follows_the_conflict_rule(make: Make<'_>, durable: bool) {
    let content = content(2 * GROUP);
    let mut subject =
        make(&Settings { conflict: crate::inbox::Conflict::Rename, ..settings(durable) });
    cut(&*subject, &content, GROUP);
    fs::write(subject.dir().join("big"), b"theirs").unwrap();
    subject.restart();
    let mut begun = accept(&*subject, &with_key(&content));
    bring(&mut *begun, &content);
    assert_eq!(commit(begun, &content), "big-1");
    assert_eq!(fs::read(subject.dir().join("big")).unwrap(), b"theirs");
    let same = with_digest("big", &content);
    assert!(matches!(subject.answer(&same).unwrap(), Response::Stored(_)));
}
