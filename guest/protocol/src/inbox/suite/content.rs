//! The rules of what arrives: a file is whole, is what its digest says, and is there when it is committed.

use std::fs;
use std::string::ToString as _;
use std::time::{Duration, SystemTime};

use super::subject::*;
use crate::{Extent, Offer, RefusalCode};

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

pub fn files_over_the_limit_are_refused_announced_or_grown(make: Make<'_>, durable: bool) {
    let subject = make(&Settings { max_file_size: Some(4), ..settings(durable) });
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
