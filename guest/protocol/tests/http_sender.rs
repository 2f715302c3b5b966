//! The sending end over HTTP, against a server in memory: what is stored is what was sent, whatever goes wrong, and
//! nothing that a server does keeps it going for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_sender_world;

use http_sender_world::{ALL, Fate, Kind, RESUMABLE, Speaks, World, answer, run, url};
use proptest::prelude::*;
use sandport_protocol::RefusalCode;
use sandport_protocol::sender::http::{
    APPEND_BYTES_MAX, Anew, Content, HttpEvent, HttpStep, HttpUpload, KeptUrl, Method, Offered,
    Outcome, Said, WHOLE_BYTES_MAX,
};

/// More than is sent in the request that begins an upload. Bytes.
const LARGE: usize = WHOLE_BYTES_MAX as usize + 1_000;

fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn stored() -> Option<Outcome> {
    Some(Outcome::Stored(Said::default()))
}

#[track_caller]
fn refusal(outcome: Option<Outcome>) -> RefusalCode {
    match outcome {
        Some(Outcome::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

fn methods(world: &World) -> Vec<Method> {
    world.requests.iter().map(|request| request.method).collect()
}

#[test]
fn files_and_streams_of_every_size_arrive() {
    for speaks in ALL {
        for length in [0, 1, 1_000, WHOLE_BYTES_MAX as usize, LARGE] {
            for kind in [Kind::File, Kind::Stream { block: 1 << 19 }] {
                let mut world = World::new(speaks);
                let content = content(length);
                let ran = run(&mut world, &content, kind, None, [], 0);
                assert_eq!(ran.outcome, stored(), "{speaks:?} {length} {kind:?}");
                assert!(world.stored == [content], "{speaks:?} {length} {kind:?}");
                assert_eq!(ran.url(), None, "there is nothing left to go on with");
            }
        }
    }
}

#[test]
fn small_files_are_one_request_and_large_ones_can_be_resumed() {
    let mut world = World::new(Speaks::Resumable);
    run(&mut world, &content(100), Kind::File, None, [], 0);
    assert_eq!(methods(&world), [Method::Put]);
    let mut world = World::new(Speaks::Resumable);
    run(&mut world, &content(LARGE), Kind::File, None, [], 0);
    assert_eq!(methods(&world), [Method::Put, Method::Patch]);
    assert_eq!(world.requests[0].target, "/in/a/b");
    assert_eq!(world.requests[0].content, Content::None);
}

#[test]
fn a_server_gets_no_more_at_once_than_it_takes() {
    let mut world = World::new(Speaks::Resumable);
    world.max_append_size = Some(300_000);
    let content = content(LARGE);
    let ran = run(&mut world, &content, Kind::File, None, [], 0);
    assert_eq!(ran.outcome, stored());
    assert!(world.stored == [content]);
    assert_eq!(methods(&world).len(), 1 + LARGE.div_ceil(300_000));
}

#[test]
fn requests_are_small_enough_for_proxies_that_buffer_them() {
    let mut world = World::new(Speaks::Tus);
    let server = world.discovered(&url());
    let size = Some(3 * APPEND_BYTES_MAX + 1);
    let offered = Offered { name: None, size, modified_ns: None };
    let kept = KeptUrl { url: "/files/1".to_owned(), changed: false };
    let mut upload = HttpUpload::new(&server, &url(), offered, Some(kept));
    let HttpStep::Send(_) = upload.poll_step() else { panic!("it is asked how far it is") };
    upload.handle_answer(&answer(200, &[("Upload-Offset", "0".into())]));
    let HttpStep::Send(request) = upload.poll_step() else { panic!("a part is sent") };
    assert_eq!(request.content, Content::Part { offset: 0, length: APPEND_BYTES_MAX });
    assert!(!request.completes);
}

#[test]
fn a_limit_that_is_told_late_is_kept_from_then_on() {
    let mut world = World::new(Speaks::Resumable);
    let content = content(LARGE);
    let limit = answer(413, &[("Upload-Limit", "max-append-size=500000".into())]);
    let fates = [Fate::Passes, Fate::Answered(limit)];
    let ran = run(&mut world, &content, Kind::File, None, fates, 0);
    assert_eq!(ran.outcome, stored());
    assert!(world.stored == [content]);
}

#[test]
fn what_was_cut_goes_on_where_the_server_has_it() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let content = content(LARGE);
        let fates = [Fate::Passes, Fate::Cut(700_000), Fate::Passes, Fate::Cut(10)];
        let ran = run(&mut world, &content, Kind::File, None, fates, 2);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert!(world.stored == [content], "{speaks:?}");
        assert_eq!(world.received, LARGE as u64, "nothing is sent twice");
        assert!(ran.events.contains(&HttpEvent::Resumed { kept: 700_000 }), "{:?}", ran.events);
    }
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_ended() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let content = content(LARGE);
        let first =
            run(&mut world, &content, Kind::File, None, [Fate::Passes, Fate::Cut(9_000)], 0);
        assert_eq!(first.outcome, None);
        let kept = Some(KeptUrl { url: first.url().unwrap(), changed: false });
        let second = run(&mut world, &content, Kind::File, kept, [], 0);
        assert_eq!(second.outcome, stored(), "{speaks:?}");
        assert_eq!(
            second.events[..2],
            [HttpEvent::Safe { bytes: 9_000 }, HttpEvent::Resumed { kept: 9_000 }]
        );
        assert!(world.stored == [content], "{speaks:?}");
        assert_eq!(world.received, LARGE as u64, "nothing is sent twice");
    }
}

#[test]
fn a_file_that_changed_begins_anew_and_leaves_nothing_old() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let old = content(LARGE);
        let first = run(&mut world, &old, Kind::File, None, [Fate::Passes, Fate::Cut(9_000)], 0);
        let kept = Some(KeptUrl { url: first.url().unwrap(), changed: true });
        let new = vec![7; LARGE + 5];
        let second = run(&mut world, &new, Kind::File, kept, [], 0);
        assert_eq!(second.outcome, stored(), "{speaks:?}");
        assert_eq!(second.events[0], HttpEvent::Restarted(Anew::Changed));
        assert!(world.stored == [new] && world.uploads.len() == 1, "{speaks:?}");
    }
}

#[test]
fn an_answer_that_was_lost_is_no_second_file() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let content = content(LARGE);
        let fates = [Fate::Passes, Fate::AnswerLost];
        let ran = run(&mut world, &content, Kind::File, None, fates, 1);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert_eq!(world.stored.len(), 1, "{speaks:?}");
    }
}

#[test]
fn what_a_server_forgets_is_begun_anew() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let content = content(LARGE);
        let fates = [Fate::Passes, Fate::Forgets];
        let ran = run(&mut world, &content, Kind::File, None, fates, 0);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert!(ran.events.contains(&HttpEvent::Restarted(Anew::Gone)), "{:?}", ran.events);
        assert!(world.stored == [content]);
    }
}

#[test]
fn an_offset_that_goes_back_is_damage_and_not_gone_on_with() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let content = content(LARGE);
        // It says to have 9,000, and half of that later.
        let fates = [Fate::Passes, Fate::Cut(9_000), Fate::Passes, Fate::Cut(0), Fate::Loses];
        let ran = run(&mut world, &content, Kind::File, None, fates, 2);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert!(ran.events.contains(&HttpEvent::Restarted(Anew::Damaged)), "{:?}", ran.events);
        assert!(world.stored == [content]);
    }
}

#[test]
fn a_server_that_loses_everything_again_and_again_is_given_up() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let fates =
            (0..1_000).map(|number| if number % 2 == 0 { Fate::Passes } else { Fate::Forgets });
        let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 100);
        assert_eq!(refusal(ran.outcome), RefusalCode::OffsetMismatch, "{speaks:?}");
        assert!(world.requests.len() < 20, "{speaks:?}");
    }
}

#[test]
fn what_is_in_the_way_for_a_while_is_waited_for() {
    for speaks in ALL {
        for status in [408, 423, 429, 500, 502, 503, 504] {
            let mut world = World::new(speaks);
            let content = content(LARGE);
            let fates = [
                Fate::Answered(answer(status, &[])),
                Fate::Passes,
                Fate::Answered(answer(status, &[])),
            ];
            let ran = run(&mut world, &content, Kind::File, None, fates, 2);
            assert_eq!(ran.outcome, stored(), "{speaks:?} {status}");
            assert_eq!(world.stored.len(), 1, "{speaks:?} {status}");
            assert!(ran.pauses > 0, "{speaks:?} {status}");
        }
    }
}

#[test]
fn what_will_not_change_is_final() {
    use RefusalCode as Code;
    for speaks in ALL {
        for (status, code) in [
            (400, Code::Malformed),
            (401, Code::NotPermitted),
            (403, Code::NotPermitted),
            (412, Code::UnsupportedVersion),
            (413, Code::TooLarge),
            (415, Code::UnsupportedVersion),
            (460, Code::DigestMismatch),
            (501, Code::UnsupportedVersion),
            (507, Code::InsufficientSpace),
        ] {
            let requests = if speaks == Speaks::Nothing { 1 } else { 2 };
            for number in 0..requests {
                let mut fates = vec![Fate::Passes; number];
                fates.push(Fate::Answered(answer(status, &[])));
                let mut world = World::new(speaks);
                let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 0);
                assert_eq!(refusal(ran.outcome), code, "{speaks:?} {status} to {number}");
                assert_eq!(world.requests.len(), number + 1);
            }
        }
    }
}

#[test]
fn a_conflict_of_offsets_is_asked_about_one_of_names_is_final() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let fates = [Fate::Passes, Fate::Answered(answer(409, &[]))];
        let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 0);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert_eq!(methods(&world)[2], Method::Head);

        let mut problem = answer(409, &[("Content-Type", "application/problem+json".into())]);
        problem.content = br#"{"code":"exists","detail":"taken"}"#.to_vec();
        let mut world = World::new(speaks);
        let fates = [Fate::Passes, Fate::Answered(problem)];
        let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 0);
        assert_eq!(refusal(ran.outcome), RefusalCode::Exists, "{speaks:?}");
    }
}

#[test]
fn a_server_that_never_agrees_on_the_offset_is_asked_slowly() {
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let fates = (0..1_000).map(|number| match number % 2 {
            1 => Fate::Answered(answer(409, &[])),
            _ => Fate::Passes,
        });
        let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 8);
        assert_eq!((ran.outcome, ran.pauses), (None, 9), "{speaks:?}");
        assert!(world.requests.len() < 30, "{speaks:?}");
    }
}

#[test]
fn nothing_goes_to_another_server() {
    for speaks in ALL {
        for (status, location) in
            [(307, "http://evil/in/"), (302, "/in/x"), (301, "https://h/in/"), (308, "")]
        {
            let elsewhere = answer(status, &[("Location", location.into())]);
            let mut world = World::new(speaks);
            let fates = [Fate::Answered(elsewhere)];
            let ran = run(&mut world, &content(10), Kind::File, None, fates, 0);
            assert_eq!(refusal(ran.outcome), RefusalCode::Other, "{speaks:?} {status}");
        }
        let here = answer(308, &[("Location", "/other/".into())]);
        let mut world = World::new(speaks);
        let fates = [Fate::Answered(here)];
        let ran = run(&mut world, &content(10), Kind::File, None, fates, 0);
        assert_eq!(ran.outcome, stored(), "{speaks:?}");
        assert_eq!(world.requests[1].target, "/other/");
        let here = answer(308, &[("Location", "/other/".into())]);
        let mut world = World::new(speaks);
        let ran = run(&mut world, &content(10), Kind::File, None, vec![Fate::Answered(here); 9], 0);
        assert_eq!(refusal(ran.outcome), RefusalCode::Other, "{speaks:?}: in a circle");
    }
    for location in ["http://evil/files/1", "", "https://h/files/1"] {
        for speaks in RESUMABLE {
            let mut world = World::new(speaks);
            let elsewhere = answer(201, &[("Location", location.into())]);
            let fates = [Fate::Answered(elsewhere)];
            let ran = run(&mut world, &content(LARGE), Kind::File, None, fates, 0);
            assert_eq!(refusal(ran.outcome), RefusalCode::Malformed, "{speaks:?} {location}");
        }
    }
}

#[test]
fn a_stream_that_cannot_be_sent_again_is_lost_and_told_so() {
    let stream = Kind::Stream { block: 1_000 };
    let mut world = World::new(Speaks::Nothing);
    let ran = run(&mut world, &content(5_000), stream, None, [Fate::Cut(10)], 5);
    assert_eq!(ran.outcome, Some(Outcome::Lost));
    for speaks in RESUMABLE {
        let mut world = World::new(speaks);
        let fates = [Fate::Passes, Fate::Passes, Fate::Passes, Fate::Forgets];
        let ran = run(&mut world, &content(5_000), stream, None, fates, 5);
        assert_eq!(ran.outcome, Some(Outcome::Lost), "{speaks:?}");
    }
}

#[test]
fn what_a_server_says_of_itself_saves_requests_in_vain() {
    let mut world = World::new(Speaks::Resumable);
    let mut server = world.discovered(&url());
    server.max_file_size = Some(5);
    let offered = Offered { name: None, size: Some(6), modified_ns: None };
    let mut upload = HttpUpload::new(&server, &url(), offered, None);
    let HttpStep::Over(Outcome::Refused(refusal)) = upload.poll_step() else {
        panic!("it is too large")
    };
    assert_eq!(refusal.code, RefusalCode::TooLarge);
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Passes),
        4 => (0..2_000_000u64).prop_map(Fate::Cut),
        2 => Just(Fate::AnswerLost),
        2 => prop_oneof![Just(409), Just(423), Just(500), Just(503)]
            .prop_map(|status| Fate::Answered(answer(status, &[]))),
        1 => Just(Fate::Forgets),
        1 => Just(Fate::Loses),
    ]
}

proptest! {
    /// Whatever goes wrong, a file that is said to be stored is the one that was sent.
    #[test]
    fn what_is_said_to_be_stored_is_what_was_sent(
        speaks in prop::sample::select(RESUMABLE.to_vec()),
        length in 0..2_000_000usize,
        block in prop::option::of(100_000..600_000usize),
        max_append_size in prop::option::of(200_000..900_000u64),
        fates in prop::collection::vec(fate(), 0..24),
    ) {
        let mut world = World::new(speaks);
        // tus has no such limit.
        world.max_append_size = max_append_size.filter(|_| speaks == Speaks::Resumable);
        let content = content(length);
        let kind = block.map_or(Kind::File, |block| Kind::Stream { block });
        let ran = run(&mut world, &content, kind, None, fates, 100);
        match ran.outcome {
            Some(Outcome::Stored(_)) => {
                prop_assert!(!world.stored.is_empty());
                prop_assert!(world.stored.iter().all(|stored| *stored == content));
            }
            Some(Outcome::Lost) => prop_assert!(kind != Kind::File),
            Some(Outcome::Refused(refusal)) => {
                // To what begins an upload, 409 says that the name is taken.
                let codes = [RefusalCode::OffsetMismatch, RefusalCode::Exists];
                prop_assert!(codes.contains(&refusal.code), "{:?}", refusal);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
