//! What every inbox does, as tests: [`inbox_suite!`](crate::inbox_suite) runs them against one.
//!
//! The inboxes differ in what their systems can do (locks, mode bits, free space), and that is tested
//! with each. Whatever the rules of [`super`] say is tested here, once.
#![allow(missing_docs, reason = "the names of the tests say what they test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::boxed::Box;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::string::{String, ToString as _};
use std::time::{Duration, SystemTime};
use std::vec::Vec;
use std::{format, vec};

mod resume;

use super::Conflict;
use crate::{Digest, EntryKind, Extent, Offer, Receipt, Refusal, RefusalCode};
pub use resume::*;

/// The settings of an inbox under test.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub conflict: Conflict,
    /// Whether receipts promise that files survive a power cut.
    pub durable: bool,
    pub size_max: Option<u64>,
    pub classic_name: Option<String>,
}

/// An inbox under test, in a folder of its own.
pub trait Subject {
    /// Where files appear.
    fn dir(&self) -> &Path;

    /// Ends the server and starts another on the same folder.
    fn restart(&mut self);

    /// Answers an offer.
    fn answer(&self, offer: &Offer) -> Result<Verdict, Refusal>;

    /// Waits until nothing is under way that nobody waits for.
    fn wait_idle(&self);
}

/// What becomes of a commit: it is waited for.
pub type Finished = Box<dyn FnOnce() -> Result<Receipt, Refusal>>;

/// What became of an offer. Folders that are on their way are waited for.
pub enum Verdict {
    Stored(Receipt),
    Accepted(Box<dyn Begun>),
    DigestFirst,
}

/// An upload.
pub trait Begun {
    fn missing(&self) -> Vec<Extent>;

    /// Begins a body.
    fn body(&mut self, extent: Extent) -> Result<(), Refusal>;

    /// Writes into it.
    fn write(&mut self, bytes: &[u8]);

    fn fault(&self) -> Option<Refusal>;

    /// Commits.
    fn finish(self: Box<Self>, size: u64, digest: Option<Digest>) -> Finished;

    /// Commits, and waits for the outcome.
    fn commit(self: Box<Self>, size: u64, digest: Option<Digest>) -> Result<Receipt, Refusal> {
        self.finish(size, digest)()
    }

    /// Gives it up.
    fn discard(self: Box<Self>);
}

/// Makes an inbox.
pub type Make<'a> = &'a dyn Fn(&Settings) -> Box<dyn Subject>;

/// Defines a test for each rule. The argument makes an inbox: `fn(&Settings) -> Box<dyn Subject>`.
#[macro_export]
macro_rules! inbox_suite {
    ($make:expr) => {
        $crate::inbox_suite! { $make;
            a_file_appears_when_it_is_committed_and_not_before
            what_is_dropped_leaves_nothing
            a_wrong_digest_publishes_nothing
            a_wrong_size_publishes_nothing
            bytes_come_in_order_and_not_beyond_the_size
            more_bytes_than_announced_are_a_fault_that_stays
            files_over_the_limit_are_refused_when_announced_and_when_they_grow
            bad_names_are_refused_and_nothing_is_made
            folders_are_made_on_the_way_and_by_themselves
            a_file_in_the_way_of_a_folder_is_said_to_be
            no_link_is_followed
            rename_finds_a_free_name_and_leaves_what_is_there
            refuse_refuses_early_and_late
            replace_replaces_files_and_links_but_no_folder
            the_same_file_again_is_stored_already
            an_offer_without_a_digest_is_asked_for_one
            a_file_that_was_changed_or_moved_is_not_vouched_for
            what_was_stored_is_remembered_across_a_restart
            the_same_content_at_once_is_one_file
            a_made_up_name_is_of_time_and_chance
            a_fixed_name_for_files_without_one_follows_the_conflict_rule
            modification_times_are_kept
            a_size_that_is_not_known_before
            what_an_earlier_run_left_in_staging_is_removed
            an_upload_goes_on_where_its_connection_was_cut
            an_upload_goes_on_after_a_restart_and_another
            what_is_kept_of_a_journal_that_was_cut_anywhere_goes_on
            ranges_come_in_any_order_at_chunk_groups_and_once
            a_later_run_takes_an_upload_over_and_an_earlier_one_does_not
            two_connections_bring_one_file_and_both_get_its_receipt
            a_connection_that_leaves_before_its_part_is_here_fails_the_commit_of_others
            an_upload_that_begins_anew_has_nothing_of_the_old_one
            a_key_stands_for_one_file
            nothing_stays_of_what_is_not_what_was_to_be_sent
            an_upload_that_is_given_up_leaves_nothing
            what_is_left_of_a_file_that_came_otherwise_is_removed
            a_short_file_with_a_key_is_as_one_without
            a_stream_whose_receipt_was_lost_is_found_again_by_its_key
            a_resumed_upload_follows_the_conflict_rule
        }
    };
    ($make:expr; $($name:ident)*) => {
        $(#[test]
        fn $name() {
            for durable in [true, false] {
                $crate::inbox::suite::$name(&$make, durable);
            }
        })*
    };
}

fn settings(durable: bool) -> Settings {
    Settings { durable, ..Settings::default() }
}

fn with_conflict(durable: bool, conflict: Conflict) -> Settings {
    Settings { durable, conflict, ..Settings::default() }
}

fn offer(name: &str, content: &[u8]) -> Offer {
    Offer::of_file(Some(name.to_string()), Some(content.len() as u64))
}

fn with_digest(name: &str, content: &[u8]) -> Offer {
    Offer { digest: Some(digest(content)), ..offer(name, content) }
}

fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

fn accept(subject: &dyn Subject, offer: &Offer) -> Box<dyn Begun> {
    match subject.answer(offer).unwrap() {
        Verdict::Accepted(begun) => begun,
        _ => panic!("{offer:?} is not accepted"),
    }
}

const ALL: Extent = Extent { offset: 0, length: None };

/// An upload that has received `content`, in two pieces.
fn arrived(subject: &dyn Subject, offer: &Offer, content: &[u8]) -> Box<dyn Begun> {
    let mut begun = accept(subject, offer);
    if !content.is_empty() {
        begun.body(ALL).unwrap();
        let (first, second) = content.split_at(content.len() / 2);
        begun.write(first);
        begun.write(second);
    }
    begun
}

/// Sends a file as a sender does that knows its size but not its digest.
fn send(subject: &dyn Subject, name: &str, content: &[u8]) -> Result<Receipt, Refusal> {
    let verdict = match subject.answer(&offer(name, content))? {
        Verdict::DigestFirst => subject.answer(&with_digest(name, content))?,
        verdict => verdict,
    };
    match verdict {
        Verdict::Stored(receipt) => Ok(receipt),
        Verdict::Accepted(mut begun) => {
            if !content.is_empty() {
                begun.body(ALL)?;
                begun.write(content);
            }
            begun.commit(content.len() as u64, Some(digest(content)))
        }
        Verdict::DigestFirst => panic!("asked for a digest that was given"),
    }
}

#[track_caller]
fn code<T>(result: Result<T, Refusal>) -> RefusalCode {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(refusal) => refusal.code,
    }
}

/// All that is published: `/` behind folders, `@` behind what is neither folder nor file.
fn published(subject: &dyn Subject) -> Vec<(String, Vec<u8>)> {
    fn list(dir: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if name == ".sandport" {
                continue;
            } else if kind.is_dir() {
                found.push((format!("{name}/"), Vec::new()));
                list(&entry.path(), &format!("{name}/"), found);
            } else if kind.is_file() {
                found.push((name, fs::read(entry.path()).unwrap()));
            } else {
                found.push((format!("{name}@"), Vec::new()));
            }
        }
    }
    let mut found = Vec::new();
    list(subject.dir(), "", &mut found);
    found.sort();
    found
}

fn names(subject: &dyn Subject) -> Vec<String> {
    published(subject).into_iter().map(|(name, _)| name).collect()
}

fn staged(subject: &dyn Subject) -> usize {
    fs::read_dir(subject.dir().join(".sandport/staging")).unwrap().count()
}

#[track_caller]
fn assert_empty(subject: &dyn Subject) {
    assert_eq!((names(subject), staged(subject)), (vec![], 0));
}

pub fn a_file_appears_when_it_is_committed_and_not_before(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let begun = arrived(&*subject, &offer("report.pdf", b"hello"), b"hello");
    assert_eq!(published(&*subject), []);
    let receipt = begun.commit(5, Some(digest(b"hello"))).unwrap();
    assert_eq!((receipt.name.as_str(), receipt.size), ("report.pdf", 5));
    assert_eq!((receipt.digest, receipt.proof), (digest(b"hello"), None));
    assert_eq!(published(&*subject), [("report.pdf".to_string(), b"hello".to_vec())]);
    assert_eq!(staged(&*subject), 0);
    assert_eq!(send(&*subject, "empty", b"").unwrap().size, 0);
    assert_eq!(fs::read(subject.dir().join("empty")).unwrap(), b"");
}

pub fn what_is_dropped_leaves_nothing(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    drop(arrived(&*subject, &offer("a", b"hello"), b"hello"));
    drop(accept(&*subject, &offer("b", b"hello")));
    assert_empty(&*subject);
}

pub fn a_wrong_digest_publishes_nothing(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let begun = arrived(&*subject, &offer("a", b"hello"), b"hello");
    assert_eq!(code(begun.commit(5, Some(digest(b"HELLO")))), RefusalCode::DigestMismatch);
    let begun = arrived(&*subject, &with_digest("a", b"HELLO"), b"hello");
    assert_eq!(code(begun.commit(5, None)), RefusalCode::DigestMismatch);
    assert_empty(&*subject);
}

pub fn a_wrong_size_publishes_nothing(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    for (content, size) in [(&b"hell"[..], 5), (b"hello", 4), (b"", 5)] {
        let begun = arrived(&*subject, &offer("a", b"hello"), content);
        assert_eq!(code(begun.commit(size, None)), RefusalCode::DigestMismatch);
    }
    assert_empty(&*subject);
}

pub fn bytes_come_in_order_and_not_beyond_the_size(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let mut begun = accept(&*subject, &offer("a", b"hello"));
    assert_eq!(begun.missing(), [Extent { offset: 0, length: Some(5) }]);
    let extent = |offset, length| Extent { offset, length };
    for wrong in [extent(1, None), extent(0, Some(6)), extent(0, Some(u64::MAX)), extent(6, None)] {
        assert_eq!(code(begun.body(wrong)), RefusalCode::OffsetMismatch, "{wrong:?}");
    }
    begun.body(extent(0, Some(2))).unwrap();
    begun.write(b"he");
    assert_eq!(begun.missing(), [Extent { offset: 2, length: Some(3) }]);
    begun.body(extent(2, None)).unwrap();
    begun.write(b"llo");
    assert_eq!(begun.missing(), []);
    assert_eq!(code(begun.body(extent(5, None))), RefusalCode::OffsetMismatch);
    assert_eq!(begun.commit(5, Some(digest(b"hello"))).unwrap().name, "a");
}

pub fn more_bytes_than_announced_are_a_fault_that_stays(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let mut begun = accept(&*subject, &offer("a", b"hello"));
    begun.body(ALL).unwrap();
    begun.write(b"hello, world");
    assert_eq!(begun.fault().unwrap().code, RefusalCode::OffsetMismatch);
    begun.write(b"more is swallowed");
    assert_eq!(code(begun.body(ALL)), RefusalCode::OffsetMismatch);
    assert_eq!(code(begun.commit(5, None)), RefusalCode::OffsetMismatch);
    assert_empty(&*subject);
}

pub fn files_over_the_limit_are_refused_when_announced_and_when_they_grow(
    make: Make<'_>,
    durable: bool,
) {
    let subject = make(&Settings { size_max: Some(4), ..settings(durable) });
    assert_eq!(code(subject.answer(&offer("a", b"hello"))), RefusalCode::TooLarge);
    let mut begun = accept(&*subject, &Offer { size: None, ..offer("a", b"") });
    begun.body(ALL).unwrap();
    begun.write(b"hell");
    assert_eq!(begun.fault(), None);
    begun.write(b"o");
    assert_eq!(begun.fault().unwrap().code, RefusalCode::TooLarge);
    assert_eq!(code(begun.commit(5, None)), RefusalCode::TooLarge);
    assert_empty(&*subject);
    assert_eq!(send(&*subject, "a", b"hell").unwrap().size, 4);
}

pub fn bad_names_are_refused_and_nothing_is_made(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    for name in ["", "/a", "../a", "a/../b", "a//b", "a/", ".", "a\nb", ".SandPort/x", "a\u{202e}b"]
    {
        assert_eq!(code(subject.answer(&offer(name, b"x"))), RefusalCode::NameInvalid, "{name:?}");
        let folder = Offer { kind: EntryKind::Directory, size: None, ..offer(name, b"") };
        assert_eq!(code(subject.answer(&folder)), RefusalCode::NameInvalid, "{name:?}");
    }
    let nameless = Offer { name: None, kind: EntryKind::Directory, size: None, ..offer("", b"") };
    assert_eq!(code(subject.answer(&nameless)), RefusalCode::NameInvalid);
    assert_empty(&*subject);
}

pub fn folders_are_made_on_the_way_and_by_themselves(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    assert_eq!(send(&*subject, "a/b/c.txt", b"x").unwrap().name, "a/b/c.txt");
    let folder = Offer { kind: EntryKind::Directory, size: None, ..offer("a/d", b"") };
    for _ in 0..2 {
        match subject.answer(&folder).unwrap() {
            Verdict::Stored(receipt) => {
                assert_eq!((receipt.name.as_str(), receipt.size), ("a/d", 0));
                assert_eq!(receipt.digest, digest(b""));
            }
            _ => panic!("a folder is made at once"),
        }
    }
    assert_eq!(names(&*subject), ["a/", "a/b/", "a/b/c.txt", "a/d/"]);
}

pub fn a_file_in_the_way_of_a_folder_is_said_to_be(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    send(&*subject, "a", b"x").unwrap();
    let folder = Offer { kind: EntryKind::Directory, size: None, ..offer("a", b"") };
    assert_eq!(code(subject.answer(&folder)), RefusalCode::Exists);
    // Some inboxes look at the path when the file is offered, some when it is published.
    assert_eq!(code(send(&*subject, "a/b", b"y")), RefusalCode::Exists);
    assert_eq!((names(&*subject), staged(&*subject)), (vec!["a".to_string()], 0));
}

pub fn no_link_is_followed(make: Make<'_>, durable: bool) {
    for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
        let subject = make(&with_conflict(durable, conflict));
        let outside = subject.dir().parent().unwrap().join("outside");
        fs::create_dir_all(&outside).unwrap();
        symlink("../outside", subject.dir().join("out")).unwrap();
        symlink(".", subject.dir().join("in")).unwrap();
        for name in ["out/a", "in/a"] {
            assert_eq!(code(send(&*subject, name, b"x")), RefusalCode::Exists, "{name}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!((names(&*subject), staged(&*subject)), (vec!["in@".into(), "out@".into()], 0));
    }
}

pub fn rename_finds_a_free_name_and_leaves_what_is_there(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    fs::write(subject.dir().join("a.tar.gz"), b"theirs").unwrap();
    fs::create_dir(subject.dir().join("b.txt")).unwrap();
    symlink("nowhere", subject.dir().join("c.txt")).unwrap();
    assert_eq!(send(&*subject, "a.tar.gz", b"ours").unwrap().name, "a-1.tar.gz");
    assert_eq!(send(&*subject, "b.txt", b"ours").unwrap().name, "b-1.txt");
    assert_eq!(send(&*subject, "c.txt", b"ours").unwrap().name, "c-1.txt");
    for number in 2..12_u8 {
        let receipt = send(&*subject, "c.txt", &[number]).unwrap();
        assert_eq!(receipt.name, format!("c-{number}.txt"));
    }
    assert_eq!(fs::read(subject.dir().join("a.tar.gz")).unwrap(), b"theirs");
}

pub fn refuse_refuses_early_and_late(make: Make<'_>, durable: bool) {
    let subject = make(&with_conflict(durable, Conflict::Refuse));
    let begun = arrived(&*subject, &offer("a", b"ours"), b"ours");
    fs::write(subject.dir().join("a"), b"theirs").unwrap();
    assert_eq!(code(begun.commit(4, None)), RefusalCode::Exists);
    assert_eq!(code(subject.answer(&offer("a", b"ours"))), RefusalCode::Exists);
    assert_eq!(published(&*subject), [("a".to_string(), b"theirs".to_vec())]);
    assert_eq!(staged(&*subject), 0);
}

pub fn replace_replaces_files_and_links_but_no_folder(make: Make<'_>, durable: bool) {
    let subject = make(&with_conflict(durable, Conflict::Replace));
    let outside = subject.dir().parent().unwrap().join("target");
    fs::write(&outside, b"theirs").unwrap();
    fs::write(subject.dir().join("a"), b"theirs").unwrap();
    symlink("../target", subject.dir().join("b")).unwrap();
    fs::create_dir(subject.dir().join("c")).unwrap();
    for content in [b"one", b"two"] {
        assert_eq!(send(&*subject, "a", content).unwrap().name, "a");
        assert_eq!(send(&*subject, "b", content).unwrap().name, "b");
    }
    assert_eq!(code(send(&*subject, "c", b"one")), RefusalCode::Exists);
    assert_eq!(fs::read(&outside).unwrap(), b"theirs");
    let two = |name: &str| (name.to_string(), b"two".to_vec());
    assert_eq!(published(&*subject), [two("a"), two("b"), ("c/".to_string(), vec![])]);
    assert_eq!(staged(&*subject), 0);
}

pub fn the_same_file_again_is_stored_already(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let first = send(&*subject, "a", b"hello").unwrap();
    let other = send(&*subject, "a", b"other").unwrap();
    assert_eq!(other.name, "a-1");
    for (content, receipt) in [(b"hello", &first), (b"other", &other)] {
        match subject.answer(&with_digest("a", content)).unwrap() {
            Verdict::Stored(again) => assert_eq!(again, *receipt),
            _ => panic!("it is stored"),
        }
    }
    assert_eq!(names(&*subject), ["a", "a-1"]);
}

pub fn an_offer_without_a_digest_is_asked_for_one(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    send(&*subject, "a", b"hello").unwrap();
    assert!(matches!(subject.answer(&offer("a", b"HELLO")).unwrap(), Verdict::DigestFirst));
    // Of another size: it cannot be that file.
    assert!(matches!(subject.answer(&offer("a", b"hi")).unwrap(), Verdict::Accepted(_)));
    assert!(matches!(subject.answer(&with_digest("a", b"HELLO")).unwrap(), Verdict::Accepted(_)));
}

pub fn a_file_that_was_changed_or_moved_is_not_vouched_for(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    send(&*subject, "a", b"hello").unwrap();
    send(&*subject, "b", b"hello").unwrap();
    fs::write(subject.dir().join("a"), b"longer than before").unwrap();
    fs::rename(subject.dir().join("b"), subject.dir().join("c")).unwrap();
    for name in ["a", "b"] {
        assert!(matches!(
            subject.answer(&with_digest(name, b"hello")).unwrap(),
            Verdict::Accepted(_)
        ));
    }
    // Another file of the same size and time has taken the name.
    send(&*subject, "d", b"hello").unwrap();
    let time = fs::metadata(subject.dir().join("d")).unwrap().modified().unwrap();
    fs::rename(subject.dir().join("d"), subject.dir().join("e")).unwrap();
    fs::write(subject.dir().join("d"), b"HELLO").unwrap();
    fs::File::options()
        .write(true)
        .open(subject.dir().join("d"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert!(matches!(subject.answer(&with_digest("d", b"hello")).unwrap(), Verdict::Accepted(_)));
}

pub fn what_was_stored_is_remembered_across_a_restart(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    let receipt = send(&*subject, "dir/a", b"hello").unwrap();
    let other = send(&*subject, "dir/a", b"other").unwrap();
    subject.restart();
    // Without durability, some inboxes do not know that the system has not restarted meanwhile.
    if durable {
        assert!(matches!(subject.answer(&offer("dir/a", b"hello")).unwrap(), Verdict::DigestFirst));
        for (content, receipt) in [(b"hello", &receipt), (b"other", &other)] {
            match subject.answer(&with_digest("dir/a", content)).unwrap() {
                Verdict::Stored(again) => assert_eq!(again, *receipt),
                _ => panic!("it is stored"),
            }
        }
    }
    assert_eq!(send(&*subject, "dir/a", b"third").unwrap().name, "dir/a-2");
}

pub fn the_same_content_at_once_is_one_file(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let one = arrived(&*subject, &offer("a", b"hello"), b"hello");
    let two = arrived(&*subject, &offer("a", b"hello"), b"hello");
    let one = one.commit(5, None).unwrap();
    assert_eq!(two.commit(5, None).unwrap(), one);
    assert_eq!((names(&*subject), staged(&*subject)), (vec!["a".to_string()], 0));
}

pub fn a_made_up_name_is_of_time_and_chance(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let nameless = Offer { name: None, ..offer("", b"hello") };
    let mut made = Vec::new();
    for _ in 0..3 {
        let receipt = arrived(&*subject, &nameless, b"hello").commit(5, None).unwrap();
        assert_eq!(fs::read(subject.dir().join(&receipt.name)).unwrap(), b"hello");
        let shape: String = receipt
            .name
            .chars()
            .map(|c| match c {
                '0'..='9' | 'a'..='f' => '#',
                c => c,
            })
            .collect();
        assert_eq!(shape, "uplo##-########T######Z-########");
        made.push(receipt.name);
    }
    made.sort();
    assert_eq!(names(&*subject), made);
}

pub fn a_fixed_name_for_files_without_one_follows_the_conflict_rule(make: Make<'_>, durable: bool) {
    for (conflict, second) in [(Conflict::Rename, "in/x-1.bin"), (Conflict::Replace, "in/x.bin")] {
        let classic_name = Some("in/x.bin".to_string());
        let subject = make(&Settings { classic_name, ..with_conflict(durable, conflict) });
        let nameless = Offer { name: None, ..offer("", b"hello") };
        let commit = |content| arrived(&*subject, &nameless, content).commit(5, None).unwrap().name;
        assert_eq!(commit(b"hello"), "in/x.bin");
        assert_eq!(commit(b"other"), second);
    }
}

pub fn modification_times_are_kept(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let modified_ns = Some(1_500_000_000_123_456_789);
    let offer = Offer { modified_ns, ..offer("a", b"hello") };
    arrived(&*subject, &offer, b"hello").commit(5, None).unwrap();
    let modified = fs::metadata(subject.dir().join("a")).unwrap().modified().unwrap();
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // What the file system keeps of it.
    assert_eq!(since.as_secs(), 1_500_000_000);
    assert!(since.subsec_nanos() == 0 || since == Duration::new(1_500_000_000, 123_456_789));
}

pub fn a_size_that_is_not_known_before(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let unsized_offer = Offer { size: None, ..offer("a", b"") };
    let mut begun = accept(&*subject, &unsized_offer);
    assert_eq!(begun.missing(), [ALL]);
    begun.body(ALL).unwrap();
    begun.write(b"hello");
    assert_eq!(begun.commit(5, Some(digest(b"hello"))).unwrap().size, 5);
    assert_eq!(published(&*subject), [("a".to_string(), b"hello".to_vec())]);
}

pub fn what_an_earlier_run_left_in_staging_is_removed(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    fs::write(subject.dir().join(".sandport/staging/7"), b"half of a file").unwrap();
    subject.restart();
    assert_empty(&*subject);
    assert_eq!(send(&*subject, "a", b"hello").unwrap().name, "a");
}
