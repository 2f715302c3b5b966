//! How much of what is under way may come from one address.

use sandport_protocol::{Resume, ResumeMode};

use super::*;

/// What may be under way from one address, in bytes.
const MOST: u64 = 4 << 20;

fn bench() -> Bench {
    let options = InboxOptions { max_place_bytes: Some(MOST), ..InboxOptions::default() };
    Bench::in_memory(options)
}

/// Makes an offer from an address; an empty text is nowhere.
fn from(bench: &Bench, place: &str, offer: &Offer) -> Result<Upload, Refusal> {
    let options = OfferOptions { place: place.parse().ok(), ..OfferOptions::default() };
    let answer = bench.inbox().offer_with(&Identity::ANONYMOUS, offer, &options);
    match block_on("the answer to an offer", answer)? {
        OfferResponse::Accepted(upload) => Ok(upload),
        other => panic!("{offer:?} got {other:?}"),
    }
}

fn of_size(name: &str, size: impl Into<Option<u64>>) -> Offer {
    Offer { size: size.into(), ..offer(name, b"") }
}

fn resumable(number: u8, size: u64) -> Offer {
    let resume = Some(Resume { key: [number; 32], epoch: 1, mode: ResumeMode::TakeOver });
    Offer { resume, ..of_size(&format!("large-{number}"), size) }
}

#[test]
fn an_address_has_no_more_under_way_than_it_may() {
    let bench = bench();
    let first = from(&bench, "192.0.2.7", &of_size("first", MOST - 10)).unwrap();
    let refusal = from(&bench, "192.0.2.7", &of_size("second", 11)).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooMany);
    assert!(refusal.detail.unwrap().contains("4194304 bytes"), "it says how many");
    from(&bench, "192.0.2.8", &of_size("other", MOST)).unwrap();
    from(&bench, "", &of_size("nowhere", 10 * MOST)).unwrap();
    // What is stored is under way no more.
    let small = from(&bench, "192.0.2.7", &of_size("small", 10)).unwrap();
    small.body(ALL).unwrap().write(b"0123456789");
    wait(&small.commit(10, None)).unwrap();
    drop(first);
    from(&bench, "192.0.2.7", &of_size("all", MOST)).unwrap();
}

#[test]
fn what_alone_is_more_than_may_be_under_way_is_refused() {
    let bench = bench();
    let refused = from(&bench, "192.0.2.7", &of_size("huge", MOST + 1));
    assert_eq!(code(refused), RefusalCode::QuotaExceeded);
}

#[test]
fn all_of_a_network_and_both_forms_of_an_address_are_one() {
    for (first, second) in [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.7", "::ffff:192.0.2.7")]
    {
        let bench = bench();
        let _first = from(&bench, first, &of_size("first", MOST)).unwrap();
        let refused = from(&bench, second, &of_size("second", 1));
        assert_eq!(code(refused), RefusalCode::TooMany, "{second}");
        from(&bench, "2001:db8:0:1::1", &of_size("other", 1)).unwrap();
    }
}

#[test]
fn a_stream_counts_with_what_came_of_it() {
    let bench = bench();
    let stream = from(&bench, "192.0.2.7", &of_size("stream", None)).unwrap();
    let mut body = stream.body(ALL).unwrap();
    body.write(&vec![7; 3 << 20]);
    assert!(stream.fault().is_none());
    body.write(&vec![7; (1 << 20) + 1]);
    assert_eq!(stream.fault().unwrap().code, RefusalCode::TooMany);
    drop((body, stream));
    from(&bench, "192.0.2.7", &of_size("all", MOST)).unwrap();
}

#[test]
fn what_waits_to_be_resumed_counts_as_what_it_holds() {
    let bench = bench();
    let offer = resumable(1, 3 << 20);
    let upload = from(&bench, "192.0.2.7", &offer).unwrap();
    upload.body(ALL).unwrap().write(&vec![7; 2 << 20]);
    drop(upload);
    let all = |size| from(&bench, "192.0.2.7", &of_size("next", size));
    until("the upload to wait", || all(MOST - (2 << 20)).is_ok());
    assert_eq!(code(all(MOST - (2 << 20) + 1)), RefusalCode::TooMany);
    // It is resumed from there, or from elsewhere, and counts as all of it.
    let upload = from(&bench, "192.0.2.9", &offer).unwrap();
    all(MOST).unwrap();
    upload.body(Extent { offset: 2 << 20, length: None }).unwrap().write(&vec![7; 1 << 20]);
    wait(&upload.commit(3 << 20, None)).unwrap();
    from(&bench, "192.0.2.9", &of_size("all", MOST)).unwrap();
}

#[test]
fn an_upload_that_finds_no_room_to_go_on_waits_on() {
    let bench = bench();
    let offer = resumable(1, MOST);
    let upload = from(&bench, "192.0.2.7", &offer).unwrap();
    upload.body(ALL).unwrap().write(&vec![7; 1 << 20]);
    drop(upload);
    let other = |size| from(&bench, "192.0.2.7", &of_size("other", size));
    until("the upload to wait", || other(3 << 20).is_ok());
    let held = other(1).unwrap();
    until("there to be no room to go on", || {
        from(&bench, "192.0.2.7", &offer).is_err_and(|it| it.code == RefusalCode::TooMany)
    });
    assert_eq!(code(other(3 << 20)), RefusalCode::TooMany, "it counts on");
    drop(held);
    let upload = from(&bench, "192.0.2.7", &offer).unwrap();
    assert_eq!(upload.missing(), [Extent { offset: 1 << 20, length: Some(3 << 20) }]);
}

#[test]
fn nothing_counts_anywhere_without_a_limit() {
    let bench = Bench::in_memory(InboxOptions::default());
    from(&bench, "192.0.2.7", &of_size("large", 5 * MOST)).unwrap();
    assert!(bench.inbox().handle.core.usage.is_none());
}
