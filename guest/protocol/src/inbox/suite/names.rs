//! The rules of names: which are taken, which a file gets, and what is in the way.

use std::os::unix::fs::symlink;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, fs, vec};

use super::subject::*;
use crate::inbox::Conflict;
use crate::{EntryKind, Offer, RefusalCode};

pub fn bad_names_are_refused_and_nothing_is_made(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    for name in ["", "/a", "../a", "a/../b", "a//b", "a/", ".", "a\nb", ".SandPort/x", "a\u{202e}b"]
    {
        assert_eq!(code(subject.answer(&offer(name, b"x"))), RefusalCode::NameInvalid, "{name:?}");
        let directory = Offer { kind: EntryKind::Directory, size: None, ..offer(name, b"") };
        assert_eq!(code(subject.answer(&directory)), RefusalCode::NameInvalid, "{name:?}");
    }
    let nameless = Offer { name: None, kind: EntryKind::Directory, size: None, ..offer("", b"") };
    assert_eq!(code(subject.answer(&nameless)), RefusalCode::NameInvalid);
    assert_empty(&*subject);
}

pub fn directories_are_made_on_the_way_and_by_themselves(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    assert_eq!(send(&*subject, "a/b/c.txt", b"x").unwrap().name, "a/b/c.txt");
    let directory = Offer { kind: EntryKind::Directory, size: None, ..offer("a/d", b"") };
    for _ in 0..2 {
        match subject.answer(&directory).unwrap() {
            Response::Stored(receipt) => {
                assert_eq!((receipt.name.as_str(), receipt.size), ("a/d", 0));
                assert_eq!(receipt.digest, digest(b""));
            }
            _ => panic!("a directory is made at once"),
        }
    }
    assert_eq!(names(&*subject), ["a/", "a/b/", "a/b/c.txt", "a/d/"]);
}

pub fn a_file_in_the_way_of_a_directory_is_said_to_be(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    send(&*subject, "a", b"x").unwrap();
    let directory = Offer { kind: EntryKind::Directory, size: None, ..offer("a", b"") };
    assert_eq!(code(subject.answer(&directory)), RefusalCode::Exists);
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

pub fn replace_replaces_files_and_links_but_no_directory(make: Make<'_>, durable: bool) {
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
