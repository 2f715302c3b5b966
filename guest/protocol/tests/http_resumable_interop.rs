//! Resumable uploads of the IETF as each draft's own examples have them, by interop number.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::Limits;
use url_uploads::{Answered, Exchanged, Server};

/// A request with an interop number, or without.
fn request(line: &str, number: Option<u8>, fields: &str) -> String {
    let number = number.map(|number| format!("Upload-Draft-Interop-Version: {number}\r\n"));
    let number = number.unwrap_or_default();
    format!("{line} HTTP/1.1\r\nHost: example.com\r\n{number}{fields}\r\n")
}

const CONTENT: [u8; 200] = {
    let mut content = [0; 200];
    let mut at = 0;
    while at < content.len() {
        content[at] = at as u8;
        at += 1;
    }
    content
};

/// What only number 3 says the other way round.
fn complete(number: Option<u8>, is_complete: bool) -> String {
    match number {
        Some(3) => format!("Upload-Incomplete: ?{}\r\n", u8::from(!is_complete)),
        _ => format!("Upload-Complete: ?{}\r\n", u8::from(is_complete)),
    }
}

fn completeness(number: Option<u8>, answer: &Answered) -> Option<bool> {
    let (name, other, yes) = match number {
        Some(3) => ("upload-incomplete", "upload-complete", "?0"),
        _ => ("upload-complete", "upload-incomplete", "?1"),
    };
    assert_eq!(answer.field(other), None, "{answer:?}");
    answer.field(name).map(|value| value == yes)
}

fn media_type(number: Option<u8>) -> &'static str {
    match number {
        Some(3..=5) => "",
        _ => "Content-Type: application/partial-upload\r\n",
    }
}

const NUMBERS: [Option<u8>; 9] =
    [Some(3), Some(4), Some(5), Some(6), Some(7), Some(8), Some(9), Some(10), None];

fn begin(server: &Server, number: Option<u8>, is_complete: bool, content: &[u8]) -> Exchanged {
    let fields = format!("{}Content-Length: {}\r\n", complete(number, is_complete), content.len());
    server.request(&request("POST /upload", number, &fields), content)
}

fn append(
    server: &Server,
    number: Option<u8>,
    location: &str,
    offset: usize,
    is_complete: bool,
    content: &[u8],
) -> Exchanged {
    let fields = format!(
        "{}{}Upload-Offset: {offset}\r\nContent-Length: {}\r\n",
        complete(number, is_complete),
        media_type(number),
        content.len()
    );
    server.request(&request(&format!("PATCH {location}"), number, &fields), content)
}

fn head(server: &Server, number: Option<u8>, location: &str) -> Exchanged {
    server.request(&request(&format!("HEAD {location}"), number, ""), b"")
}

#[test]
fn a_whole_file_in_one_request_is_answered_as_its_target_does() {
    for number in NUMBERS {
        let server = Server::default();
        let created = begin(&server, number, true, &CONTENT[..100]);
        assert_eq!(created.status, 201, "{number:?}");
        assert_eq!(created.field("upload-offset"), Some("100"));
        assert_eq!(completeness(number, &created), Some(true), "{number:?}");
        assert!(created.body.starts_with("stored: upload, 100 bytes, blake3:"));
        assert_eq!(server.file("upload").unwrap(), &CONTENT[..100]);
        // The URL comes early, and is the same in all answers.
        match number {
            Some(number) => {
                let [interim] = created.interims.as_slice() else { panic!("{created:?}") };
                assert_eq!(interim.status, 104);
                let told = interim.field("upload-draft-interop-version");
                assert_eq!(told, Some(number.to_string().as_str()));
                assert_eq!(interim.location(), created.location());
                assert_eq!(interim.field("upload-limit").is_some(), number >= 6);
            }
            None => assert_eq!(created.interims, []),
        }
        let found = head(&server, number, &created.location());
        assert_eq!((found.status, found.field("upload-offset")), (204, Some("100")));
        assert_eq!(completeness(number, &found), Some(true));
    }
}

#[test]
fn a_file_in_parts_goes_on_where_it_ends() {
    for number in NUMBERS {
        let server = Server::default();
        let created = begin(&server, number, false, &CONTENT[..25]);
        assert_eq!((created.status, created.field("upload-offset")), (201, Some("25")));
        assert_eq!(completeness(number, &created), Some(false), "{number:?}");
        let location = created.location();
        let found = head(&server, number, &location);
        assert_eq!((found.status, found.field("upload-offset")), (204, Some("25")));
        assert_eq!(completeness(number, &found), Some(false));
        assert_eq!(found.field("cache-control"), Some("no-store"));
        let appended = append(&server, number, &location, 25, false, &CONTENT[25..100]);
        let status = if matches!(number, Some(3..=6)) { 201 } else { 204 };
        assert_eq!(appended.status, status, "{number:?}");
        assert_eq!(appended.field("upload-offset"), Some("100"));
        assert_eq!(completeness(number, &appended), Some(false));
        let last = append(&server, number, &location, 100, true, &CONTENT[100..]);
        assert_eq!(last.status, 201, "{number:?}");
        assert_eq!(completeness(number, &last), Some(true));
        assert!(last.body.starts_with("stored: upload, 200 bytes, blake3:"), "{}", last.body);
        assert_eq!(server.file("upload").unwrap(), CONTENT);
    }
}

#[test]
fn a_whole_file_that_was_cut_goes_on_as_ios_does_it() {
    for number in NUMBERS.into_iter().flatten() {
        let server = Server::default();
        let fields = format!("{}Content-Length: 200\r\n", complete(Some(number), true));
        let answers = server.cut(&request("POST /upload", Some(number), &fields), &CONTENT[..70]);
        assert_eq!(answers[0].status, 104);
        let location = answers[0].location();
        let found = head(&server, Some(number), &location);
        assert_eq!(found.field("upload-offset"), Some("70"));
        assert_eq!(completeness(Some(number), &found), Some(false));
        let last = append(&server, Some(number), &location, 70, true, &CONTENT[70..]);
        assert_eq!(last.status, 201);
        assert_eq!(server.file("upload").unwrap(), CONTENT);
    }
}

#[test]
fn who_was_not_told_a_url_leaves_nothing_behind() {
    let server = Server::default();
    let fields = "Upload-Complete: ?1\r\nContent-Length: 200\r\n";
    for number in
        ["", "Upload-Draft-Interop-Version: 2\r\n", "Upload-Draft-Interop-Version: 99\r\n"]
    {
        let head = request("POST /upload", None, &format!("{number}{fields}"));
        let answers = server.cut(&head, &CONTENT[..70]);
        assert!(answers.iter().all(|answer| answer.status != 104), "{number}");
        assert_eq!(server.unfinished(), 0, "{number}");
    }
    // A client of HTTP/1.0 takes no interim answers.
    let old = request("POST /upload", Some(8), fields).replace("HTTP/1.1", "HTTP/1.0");
    assert!(server.cut(&old, &CONTENT[..70]).iter().all(|answer| answer.status != 104));
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn the_example_of_01_says_nothing_of_a_file_that_is_whole() {
    let server = Server::default();
    let created = server
        .request(&request("POST /upload", Some(3), "Content-Length: 100\r\n"), &CONTENT[..100]);
    assert_eq!(created.interims[0].status, 104);
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("100")));
    let begun = begin(&server, Some(3), false, &CONTENT[..100]);
    let fields = "Upload-Offset: 100\r\nContent-Length: 100\r\n";
    let head = request(&format!("PATCH {}", begun.location()), Some(3), fields);
    let last = server.request(&head, &CONTENT[100..]);
    assert_eq!((last.status, last.field("upload-offset")), (201, Some("200")));
    assert_eq!(completeness(Some(3), &last), Some(true));
}

#[test]
fn the_examples_of_drafts_02_and_03_append() {
    for number in [Some(4), Some(5)] {
        let server = Server::default();
        let begun = begin(&server, number, false, &CONTENT[..100]);
        let fields = "Upload-Offset: 100\r\nContent-Length: 100\r\n";
        let head = request(&format!("PATCH {}", begun.location()), number, fields);
        let appended = server.request(&head, &CONTENT[100..]);
        assert_eq!((appended.status, appended.field("upload-offset")), (201, Some("200")));
        assert_eq!(completeness(number, &appended), Some(false));
    }
}

#[test]
fn a_patch_says_where_and_whether_it_is_the_last() {
    for number in NUMBERS {
        let server = Server::default();
        let location = begin(&server, number, false, &CONTENT[..10]).location();
        let path = format!("PATCH {location}");
        let without_offset =
            format!("{}{}Content-Length: 0\r\n", media_type(number), complete(number, false));
        let answer = server.request(&request(&path, number, &without_offset), b"");
        assert_eq!(answer.status, 400, "{number:?}");
        if !matches!(number, Some(3..=5)) {
            let silent = format!("{}Upload-Offset: 10\r\n", media_type(number));
            let answer = server.request(&request(&path, number, &silent), b"");
            assert_eq!(answer.status, 400, "{number:?}");
            for media_type in ["", "Content-Type: application/octet-stream\r\n"] {
                let fields = format!("{media_type}Upload-Offset: 10\r\nUpload-Complete: ?0\r\n");
                let answer = server.request(&request(&path, number, &fields), b"");
                assert_eq!(answer.status, 415, "{number:?}");
                assert_eq!(answer.field("accept-patch"), Some("application/partial-upload"));
            }
        }
        let found = head(&server, number, &location);
        assert_eq!(found.field("upload-offset"), Some("10"));
    }
}

#[test]
fn fields_that_are_not_structured_are_as_if_they_were_not_there() {
    let server = Server::default();
    let location = begin(&server, None, false, &CONTENT[..10]).location();
    let path = format!("PATCH {location}");
    for bad in [
        "Upload-Offset: ten\r\nUpload-Complete: ?0\r\n",
        "Upload-Offset: -10\r\nUpload-Complete: ?0\r\n",
        "Upload-Offset: 10.0\r\nUpload-Complete: ?0\r\n",
        "Upload-Offset: 10\r\nUpload-Offset: 10\r\nUpload-Complete: ?0\r\n",
        "Upload-Offset: 10\r\nUpload-Complete: 0\r\n",
        "Upload-Offset: 10\r\nUpload-Complete: true\r\n",
    ] {
        let fields = format!("{bad}Content-Type: application/partial-upload\r\n");
        assert_eq!(server.request(&request(&path, None, &fields), b"").status, 400, "{bad}");
    }
    let parameters = "Upload-Offset: 10;a=b\r\nUpload-Complete: ?0;c\r\nUpload-Length: many\r\n\
                      Content-Type: application/partial-upload\r\n";
    assert_eq!(server.request(&request(&path, None, parameters), b"").status, 204);
    // Without the field it is a file like any other.
    let plain = "Upload-Complete: yes\r\nContent-Length: 5\r\n";
    let stored = server.request(&request("PUT /plain", None, plain), b"hello");
    assert_eq!((stored.status, stored.field("upload-offset")), (201, None));
}

#[test]
fn progress_is_told_from_number_five_on_at_most_each_second() {
    for number in NUMBERS {
        let server = Server::default();
        server.inbox().syncs_always = true;
        let location = begin(&server, number, false, b"").location();
        let fields = format!(
            "{}{}Upload-Offset: 0\r\nContent-Length: 200\r\n",
            complete(number, true),
            media_type(number),
        );
        let mut connection = server.connect();
        let head = request(&format!("PATCH {location}"), number, &fields);
        connection.send(head.as_bytes());
        for (at, until) in [(0, 50), (50, 60), (60, 70)] {
            connection.send(&CONTENT[at..until]);
            connection.run();
        }
        server.pass(999);
        connection.run();
        server.pass(1);
        connection.run();
        connection.send(&CONTENT[70..]);
        connection.run();
        let exchanged = connection.exchanged(false);
        assert_eq!(exchanged.status, 201);
        let told: Vec<_> =
            exchanged.interims.iter().map(|interim| interim.field("upload-offset")).collect();
        match number {
            Some(5..) => assert_eq!(told, [Some("50"), Some("70")], "{number:?}"),
            _ => assert_eq!(told, [], "{number:?}"),
        }
        for interim in &exchanged.interims {
            assert_eq!((interim.status, interim.field("location")), (104, None));
            let version = interim.field("upload-draft-interop-version");
            assert_eq!(version, number.map(|number| number.to_string()).as_deref());
        }
    }
}

#[test]
fn no_interim_answer_takes_the_place_of_100() {
    let server = Server::default();
    let fields = "Upload-Complete: ?1\r\nContent-Length: 200\r\nExpect: 100-continue\r\n";
    let mut connection = server.connect();
    connection.send(request("POST /upload", Some(8), fields).as_bytes());
    connection.run();
    let told: Vec<_> = connection.answers(false).iter().map(|answer| answer.status).collect();
    assert_eq!(told, [104, 100]);
    connection.send(&CONTENT);
    connection.run();
    assert_eq!(connection.exchanged(false).status, 201);
}

#[test]
fn limits_are_told_as_each_draft_has_them() {
    let limits = Limits {
        max_file_size: Some(1_000),
        max_append_size: Some(500),
        expires_s: Some(3_600),
        ..Limits::default()
    };
    for number in NUMBERS {
        let server = Server::with(limits.clone());
        let created = begin(&server, number, false, &CONTENT[..10]);
        let expected = match number {
            Some(3..=5) => None,
            Some(6) => Some("max-size=1000, max-append-size=500, expires=3600"),
            _ => Some("max-size=1000, max-append-size=500, max-age=3600"),
        };
        assert_eq!(created.field("upload-limit"), expected, "{number:?}");
        server.inbox().kept.values_mut().for_each(|kept| kept.expires_in_s = Some(50));
        let found = head(&server, number, &created.location());
        let expected = expected.map(|limit| limit.replace("3600", "50"));
        assert_eq!(found.field("upload-limit"), expected.as_deref(), "{number:?}");
    }
    let server = Server::default();
    let created = begin(&server, Some(8), false, b"");
    assert_eq!(created.field("upload-limit"), Some("min-size=0"), "there is no limit");
}

#[test]
fn options_tell_that_uploads_can_go_on() {
    let server = Server::with(Limits { max_file_size: Some(1_000), ..Limits::default() });
    for target in ["/", "/any/name", "/files/", "*"] {
        let answer = server.request(&request(&format!("OPTIONS {target}"), Some(8), ""), b"");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("accept-patch"), Some("application/partial-upload"), "{target}");
        assert_eq!(answer.field("upload-limit"), Some("max-size=1000"));
    }
    let server = Server::default();
    let answer = server.request(&request("OPTIONS /", None, ""), b"");
    assert_eq!(answer.field("upload-limit"), Some("min-size=0"));
}

#[test]
fn an_append_to_what_is_complete_is_refused_or_answered_again() {
    for number in NUMBERS {
        let server = Server::default();
        let location = begin(&server, number, true, &CONTENT).location();
        let empty = append(&server, number, &location, 200, true, b"");
        let more = append(&server, number, &location, 200, true, b"x");
        let elsewhere = append(&server, number, &location, 100, true, b"");
        let kind = |answer: &Answered| {
            let kind = answer.json()["type"].as_str().unwrap().to_owned();
            kind.split_once('#').unwrap().1.to_owned()
        };
        match number {
            Some(3..=8) => {
                for answer in [&empty, &more, &elsewhere] {
                    assert_eq!(answer.status, 400, "{number:?}");
                    assert_eq!(kind(answer), "completed-upload");
                }
            }
            _ => {
                assert_eq!(empty.status, 201, "{number:?}");
                assert!(empty.body.starts_with("stored: upload, 200 bytes"));
                assert_eq!(
                    (more.status, kind(&more).as_str()),
                    (400, "inconsistent-upload-length")
                );
                assert_eq!(elsewhere.status, 409);
            }
        }
        assert_eq!(completeness(number, &empty), Some(true));
        assert_eq!(server.file("upload").unwrap(), CONTENT);
    }
}
