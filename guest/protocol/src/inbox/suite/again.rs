//! The rules of files that are sent again: what is here already, and whether it is that.

use std::fs;
use std::string::ToString as _;

use super::subject::*;

pub fn the_same_file_again_is_stored_already(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    let first = send(&*subject, "a", b"hello").unwrap();
    let other = send(&*subject, "a", b"other").unwrap();
    assert_eq!(other.name, "a-1");
    for (content, receipt) in [(b"hello", &first), (b"other", &other)] {
        match subject.answer(&with_digest("a", content)).unwrap() {
            Response::Stored(again) => assert_eq!(again, *receipt),
            _ => panic!("it is stored"),
        }
    }
    assert_eq!(names(&*subject), ["a", "a-1"]);
}

pub fn an_offer_without_a_digest_is_asked_for_one(make: Make<'_>, durable: bool) {
    let subject = make(&settings(durable));
    send(&*subject, "a", b"hello").unwrap();
    assert!(matches!(subject.answer(&offer("a", b"HELLO")).unwrap(), Response::DigestFirst));
    // Of another size: it cannot be that file.
    assert!(matches!(subject.answer(&offer("a", b"hi")).unwrap(), Response::Accepted(_)));
    assert!(matches!(subject.answer(&with_digest("a", b"HELLO")).unwrap(), Response::Accepted(_)));
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
            Response::Accepted(_)
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
    assert!(matches!(subject.answer(&with_digest("d", b"hello")).unwrap(), Response::Accepted(_)));
}

pub fn what_was_stored_is_remembered_across_a_restart(make: Make<'_>, durable: bool) {
    let mut subject = make(&settings(durable));
    let receipt = send(&*subject, "dir/a", b"hello").unwrap();
    let other = send(&*subject, "dir/a", b"other").unwrap();
    subject.restart();
    // Without durability, some inboxes do not know that the system has not restarted meanwhile.
    if durable {
        assert!(matches!(
            subject.answer(&offer("dir/a", b"hello")).unwrap(),
            Response::DigestFirst
        ));
        for (content, receipt) in [(b"hello", &receipt), (b"other", &other)] {
            match subject.answer(&with_digest("dir/a", content)).unwrap() {
                Response::Stored(again) => assert_eq!(again, *receipt),
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
