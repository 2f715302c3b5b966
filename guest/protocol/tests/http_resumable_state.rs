//! How resumable uploads of the IETF are asked for, go on and are ended, and that each has one writer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::{Refusal, RefusalCode};
use url_uploads::{End, Exchanged, Server, base64, chunked};

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\nUpload-Draft-Interop-Version: 8\r\n{fields}\r\n")
}

fn begin(server: &Server, fields: &str, content: &[u8]) -> String {
    let fields = format!("Upload-Complete: ?0\r\n{fields}Content-Length: {}\r\n", content.len());
    server.request(&request("PUT /a", &fields), content).location()
}

fn head(server: &Server, location: &str) -> Exchanged {
    server.request(&request(&format!("HEAD {location}"), ""), b"")
}

fn patch(location: &str, offset: usize, completes: &str, length: usize) -> String {
    let fields = format!(
        "Content-Type: application/partial-upload\r\nUpload-Offset: {offset}\r\n\
         Upload-Complete: {completes}\r\nContent-Length: {length}\r\n"
    );
    request(&format!("PATCH {location}"), &fields)
}

#[test]
fn who_asks_for_the_offset_does_not_tell_it() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    for field in ["Upload-Offset: 5\r\n", "Upload-Complete: ?0\r\n", "Upload-Complete: x\r\n"] {
        for method in ["HEAD", "GET"] {
            let head = request(&format!("{method} {location}"), field);
            let answer = server.request(&head, b"");
            assert_eq!((answer.status, answer.field("upload-offset")), (400, None), "{field}");
        }
    }
    let old = format!("DELETE {location} HTTP/1.1\r\nHost: h\r\nUpload-Offset: 5\r\n");
    let old = format!("{old}Upload-Draft-Interop-Version: 5\r\n\r\n");
    assert_eq!(server.request(&old, b"").status, 400);
    assert_eq!(head(&server, &location).status, 204);
}

#[test]
fn an_offset_is_durable_before_it_is_told() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    server.cut(&patch(&location, 5, "?0", 10), b" wor");
    assert_eq!(server.kept(&location).durable, 5);
    assert_eq!(head(&server, &location).field("upload-offset"), Some("9"));
    assert_eq!(server.kept(&location).durable, 9);
}

#[test]
fn a_wrong_offset_is_told_the_right_one_and_the_upload_goes_on() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    for (provided, content) in [(4, "xx"), (6, "xx"), (0, "")] {
        let head = patch(&location, provided, "?1", content.len());
        let answer = server.request(&head, content.as_bytes());
        assert_eq!((answer.status, answer.field("upload-offset")), (409, Some("5")));
        assert_eq!(answer.field("upload-complete"), Some("?0"));
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        let kind = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
        assert_eq!(problem["type"], kind);
        assert_eq!(problem["expected-offset"], 5);
        assert_eq!(problem["provided-offset"], provided);
        assert_eq!(problem["code"], "offset-mismatch");
    }
    assert_eq!(head(&server, &location).field("upload-offset"), Some("5"));
    assert_eq!(server.request(&patch(&location, 5, "?1", 2), b"xx").status, 201);
}

#[test]
fn an_offset_equal_to_the_length_is_not_complete() {
    let server = Server::default();
    let location = begin(&server, "Upload-Length: 5\r\n", b"hello");
    let found = head(&server, &location);
    assert_eq!(
        (found.field("upload-offset"), found.field("upload-length")),
        (Some("5"), Some("5"))
    );
    assert_eq!(found.field("upload-complete"), Some("?0"));
    assert_eq!(server.file("a"), None);
    let last = server.request(&patch(&location, 5, "?1", 0), b"");
    assert_eq!((last.status, last.field("upload-complete")), (201, Some("?1")));
    assert_eq!(server.file("a").unwrap(), b"hello");
    assert_eq!(head(&server, &location).field("upload-complete"), Some("?1"));
}

#[test]
fn an_empty_append_without_a_length_completes_an_upload() {
    for comes_at_once in [true, false] {
        let server = Server::default();
        let location = begin(&server, "Upload-Length: 5\r\n", b"hello");
        let length = "Content-Length: 0";
        let head = patch(&location, 5, "?1", 0).replace(length, "Transfer-Encoding: chunked");
        let mut connection = server.connect();
        connection.send(head.as_bytes());
        if !comes_at_once {
            connection.run();
        }
        connection.send(&chunked(b"", ""));
        connection.run();
        assert_eq!(connection.exchanged(false).status, 201, "{comes_at_once}");
        assert_eq!(server.file("a").unwrap(), b"hello");
    }
}

#[test]
fn an_append_without_a_length_to_all_of_a_file_is_too_much() {
    let server = Server::default();
    let location = begin(&server, "Upload-Length: 5\r\n", b"hello");
    let length = "Content-Length: 0";
    let head = patch(&location, 5, "?1", 0).replace(length, "Transfer-Encoding: chunked");
    assert_eq!(server.request(&head, &chunked(b"!", "")).status, 400);
    assert_eq!(server.file("a"), None);
}

#[test]
fn an_unknown_upload_is_not_found() {
    let server = Server::default();
    for location in ["/files/AAAA", "/files/no-key!", "/files/AAAA/b"] {
        assert_eq!(head(&server, location).status, 404, "{location}");
        assert_eq!(server.request(&patch(location, 0, "?0", 0), b"").status, 404);
        let delete = request(&format!("DELETE {location}"), "");
        assert_eq!(server.request(&delete, b"").status, 404);
    }
    // What goes on somewhere where there are no uploads.
    assert_eq!(server.request(&patch("/a", 5, "?1", 0), b"").status, 404);
    assert!(server.inbox().offers.is_empty());
}

#[test]
fn an_upload_is_ended_with_who_is_at_it() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    let mut stale = server.connect();
    stale.send(patch(&location, 5, "?1", 10).as_bytes());
    stale.send(b" wor");
    stale.run();
    let ended = server.request(&request(&format!("DELETE {location}"), ""), b"");
    assert_eq!((ended.status, &ended.end), (204, &End::Next));
    stale.run();
    assert_eq!(stale.exchanged(false).status, 503);
    assert_eq!(head(&server, &location).status, 404);
    assert_eq!((server.unfinished(), server.file("a")), (0, None));
}

#[test]
fn a_newer_request_ends_an_older_one_and_its_bytes_are_kept() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    let mut stale = server.connect();
    stale.send(patch(&location, 5, "?1", 6).as_bytes());
    stale.send(b" wor");
    stale.run();
    assert_eq!(head(&server, &location).field("upload-offset"), Some("9"));
    stale.run();
    let ended = stale.exchanged(false);
    assert_eq!((ended.status, &ended.end), (423, &End::Closed));
    assert_eq!(server.request(&patch(&location, 9, "?1", 2), b"ld").status, 201);
    assert_eq!(server.file("a").unwrap(), b"hello world");
}

#[test]
fn an_older_creation_is_ended_too() {
    let server = Server::default();
    let mut stale = server.connect();
    let fields = "Upload-Complete: ?1\r\nContent-Length: 11\r\n";
    stale.send(request("PUT /a", fields).as_bytes());
    stale.send(b"hello");
    stale.run();
    let location = stale.answers(false)[0].location();
    assert_eq!(head(&server, &location).field("upload-offset"), Some("5"));
    stale.run();
    assert_eq!(stale.exchanged(false).status, 423);
    assert_eq!(server.request(&patch(&location, 5, "?1", 6), b" world").status, 201);
    assert_eq!(server.file("a").unwrap(), b"hello world");
}

#[test]
fn an_upload_that_is_being_stored_for_long_is_asked_for_again() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    server.inbox().is_busy = true;
    let mut connection = server.connect();
    connection.send(request(&format!("HEAD {location}"), "").as_bytes());
    connection.run();
    server.pass(10_000);
    connection.run();
    let answer = connection.exchanged(true);
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").is_some());
}

#[test]
fn who_could_not_be_stored_hears_whether_to_come_again() {
    for (code, status, complete) in [
        (RefusalCode::Exists, 409, "?1"),
        (RefusalCode::Io, 500, "?0"),
        (RefusalCode::InsufficientSpace, 507, "?0"),
        (RefusalCode::Locked, 423, "?0"),
    ] {
        let server = Server::default();
        let location = begin(&server, "", b"hello");
        server.inbox().refuse_commits = Some(code.into());
        let answer = server.request(&patch(&location, 5, "?1", 0), b"");
        assert_eq!((answer.status, answer.field("upload-complete")), (status, Some(complete)));
        assert_eq!(head(&server, &location).field("upload-complete"), Some("?0"), "{code}");
        server.inbox().refuse_commits = None;
        assert_eq!(server.request(&patch(&location, 5, "?1", 0), b"").status, 201);
    }
}

#[test]
fn an_upload_that_was_refused_at_its_end_is_gone() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    server.inbox().kept.values_mut().for_each(|kept| {
        kept.outcome = Some(Err(Refusal::from(RefusalCode::DigestMismatch)));
    });
    let found = head(&server, &location);
    assert_eq!((found.status, found.field("upload-complete")), (410, None));
    assert_eq!(server.request(&patch(&location, 5, "?1", 0), b"").status, 410);
}

#[test]
fn each_protocol_goes_on_with_its_own_uploads() {
    let server = Server::default();
    let location = begin(&server, "Upload-Length: 10\r\n", b"hello");
    let of_tus = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 5\r\n\
                  Content-Length: 5\r\nTus-Resumable: 1.0.0\r\n";
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: h\r\n{of_tus}\r\n");
    assert_eq!(server.request(&head, b" worl").status, 400);
    let create = "POST /files/ HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n";
    let create = format!("{create}Upload-Length: 5\r\n\r\n");
    let location = server.request(&create, b"").location();
    assert_eq!(server.request(&patch(&location, 0, "?1", 5), b"hello").status, 400);
    assert!(server.inbox().published.is_empty());
}

#[test]
fn who_does_not_say_a_protocol_gets_the_fields_of_both() {
    let server = Server::default();
    let ours = begin(&server, "Upload-Length: 10\r\n", b"hello");
    let create = "POST /files/ HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n";
    let metadata = format!("filename {}", base64(b"b"));
    let create = format!("{create}Upload-Length: 5\r\nUpload-Metadata: {metadata}\r\n\r\n");
    let theirs = server.request(&create, b"").location();
    for method in ["HEAD", "GET"] {
        let bare = |location: &str| {
            let head = format!("{method} {location} HTTP/1.1\r\nHost: h\r\n\r\n");
            server.request(&head, b"")
        };
        let found = bare(&ours);
        assert_eq!((found.status, found.field("upload-offset")), (204, Some("5")));
        assert_eq!(found.field("upload-complete"), Some("?0"));
        assert_eq!(found.field("upload-length"), Some("10"));
        assert_eq!(found.field("upload-limit"), Some("min-size=0"));
        let found = bare(&theirs);
        assert_eq!((found.status, found.field("upload-offset")), (204, Some("0")));
        assert_eq!(found.field("upload-metadata"), Some(metadata.as_str()));
    }
    let delete = format!("DELETE {ours} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(server.request(&delete, b"").status, 204);
    assert_eq!(server.request(&delete, b"").status, 404);
    assert_eq!(server.unfinished(), 1);
}

#[test]
fn what_is_no_upload_is_not_begun_by_posting_to_one() {
    let server = Server::default();
    let location = begin(&server, "", b"hello");
    let head = request(&format!("POST {location}"), "Upload-Complete: ?1\r\nContent-Length: 2\r\n");
    assert_eq!(server.request(&head, b"xx").status, 405);
    let bare = "POST /files/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(server.request(bare, b"xx").status, 412);
    assert_eq!(server.inbox().offers.len(), 1);
}
