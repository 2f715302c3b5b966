//! The core protocol of tus 1.0.0.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::{Algorithm, Limits, Refusal, RefusalCode};
use url_uploads::tus::{create, head, patch, request};
use url_uploads::{End, Server, base64, chunked};

#[test]
fn an_upload_goes_on_where_it_ends_until_it_is_stored() {
    let server = Server::default();
    let location = create(&server, 10);
    let found = server.request(&head(&location), b"");
    assert_eq!((found.status, found.field("upload-offset")), (200, Some("0")));
    assert_eq!(found.end, End::Next);
    let appended = server.request(&patch(&location, "0", 4), b"hell");
    assert_eq!((appended.status, appended.field("upload-offset")), (204, Some("4")));
    assert_eq!(appended.end, End::Next);
    assert!(server.inbox().published.is_empty());
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("4"));
    assert_eq!(found.field("upload-length"), Some("10"));
    assert_eq!(found.field("cache-control"), Some("no-store"));
    let last = server.request(&patch(&location, "4", 6), b"o worl");
    assert_eq!((last.status, last.field("upload-offset")), (204, Some("10")));
    assert_eq!(server.inbox().published.values().next().unwrap(), b"hello worl");
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("10"));
    assert_eq!(found.field("upload-length"), Some("10"));
}

#[test]
fn every_answer_says_the_version() {
    let server = Server::default();
    let location = create(&server, 10);
    for head in [
        request("POST /files/", "Upload-Length: 1\r\n"),
        request("POST /files/", ""),
        request("PUT /files/", "Content-Length: 0\r\n").replace("PUT", "PATCH"),
        head(&location),
        head("/files/AAAA"),
        patch(&location, "0", 0),
        patch(&location, "5", 0),
        patch(&location, "x", 0),
        request(&format!("POST {location}"), ""),
        request("POST /elsewhere", "Upload-Length: 1\r\n"),
        request(&format!("DELETE {location}"), ""),
        "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n\r\n".into(),
    ] {
        let answer = server.request(&head, b"");
        assert_eq!(answer.field("tus-resumable"), Some("1.0.0"), "{head} {answer:?}");
    }
}

#[test]
fn refusals_before_a_request_is_understood_say_the_version_too() {
    let fields = "Host: h\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\n";
    let long = format!("Upload-Metadata: filename {}\r\n", "YQ".repeat(9_000));
    let many: String = (0..64).map(|number| format!("X-{number}: y\r\n")).collect();
    for (line, more, status) in [
        ("POST /files/ HTTP/1.1", long.as_str(), 431),
        ("POST /files/ HTTP/1.1", many.as_str(), 431),
        ("POST /files/ HTTP/1.1", "X: a\r\n b\r\n", 400),
        ("POST /files/ HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        ("POST /files/ HTTP/1.1", "Host: other\r\n", 400),
        ("POST /files/%2F HTTP/1.1", "", 400),
        ("POST /files/ HTTP/1.1", "Expect: more\r\n", 417),
        ("POST /files/ HTTP/1.1", "Origin: http://elsewhere.example\r\n", 403),
        ("POST /files/ HTTP/1.1", "Authorization: Other x\r\n", 401),
        ("POST /files/ HTTP/1.1", "X-HTTP-Method-Override: TRACE\r\n", 405),
        ("TRACE /files/ HTTP/1.1", "", 405),
        ("BREW /files/ HTTP/1.1", "", 501),
    ] {
        let answer = Server::default().request(&format!("{line}\r\n{fields}{more}\r\n"), b"");
        assert_eq!(answer.status, status, "{line} {more} {answer:?}");
        assert_eq!(answer.field("tus-resumable"), Some("1.0.0"), "{line} {more}");
    }
    let other = Server::default().request("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", b"");
    assert_eq!(other.field("tus-resumable"), None, "it does not speak tus");
}

#[test]
fn a_digest_of_the_whole_file_is_told_when_it_is_whole() {
    let sum = http_answers::digest_of(Algorithm::Sha256, b"hello world").value;
    let sha256 = &*format!("sha-256=:{}:", base64(&sum));
    let want = "Want-Repr-Digest: sha-256=1\r\n";
    let wanting = |head: String| head.replacen("\r\n\r\n", &format!("\r\n{want}\r\n"), 1);
    let server = Server::default();
    let location = create(&server, 11);
    let part = server.request(&wanting(patch(&location, "0", 5)), b"hello");
    assert_eq!((part.status, part.field("repr-digest")), (204, None));
    let last = server.request(&wanting(patch(&location, "5", 6)), b" world");
    assert_eq!((last.status, last.field("repr-digest")), (204, Some(sha256)));
    let blake3 = wanting(patch(&location, "11", 0)).replace("sha-256", "blake3");
    let again = server.request(&blake3, b"");
    assert!(again.field("repr-digest").is_some_and(|digest| digest.starts_with("blake3=:")));

    let fields = "Upload-Length: 11\r\nContent-Type: application/offset+octet-stream\r\n\
                  Content-Length: 11\r\n";
    let whole = server.request(&wanting(request("POST /files/", fields)), b"hello world");
    assert_eq!((whole.status, whole.field("repr-digest")), (201, Some(sha256)));
    let unasked = server.request(&request("POST /files/", fields), b"hello world");
    assert_eq!((unasked.status, unasked.field("repr-digest")), (201, None));
}

#[test]
fn another_version_is_refused_before_anything_is_done() {
    let server = Server::default();
    let location = create(&server, 10);
    let delete = format!("DELETE {location} HTTP/1.1\r\nHost: h\r\n");
    let create = "POST /files/ HTTP/1.1\r\nHost: h\r\nUpload-Length: 5\r\n";
    for head in [
        format!("{delete}Tus-Resumable: 0.2.2\r\n\r\n"),
        format!("{delete}Tus-Resumable: 1.0.0\r\nTus-Resumable: 1.0.0\r\n\r\n"),
        format!("{create}Tus-Resumable: 2.0.0\r\n\r\n"),
        format!("{create}\r\n"),
        patch(&location, "0", 0).replace("Tus-Resumable: 1.0.0\r\n", ""),
    ] {
        let answer = server.request(&head, b"");
        assert_eq!(answer.status, 412, "{head}");
        assert_eq!(answer.field("tus-version"), Some("1.0.0"));
    }
    assert_eq!(server.unfinished(), 1);
    assert!(server.inbox().looks.is_empty());
}

#[test]
fn options_tell_what_is_served_whatever_the_version() {
    let server = Server::with(Limits { max_file_size: Some(5_000), ..Limits::default() });
    for version in ["", "Tus-Resumable: 0.1.0\r\n"] {
        let head = format!("OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n{version}\r\n");
        let answer = server.request(&head, b"");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("tus-version"), Some("1.0.0"));
        let extensions = "creation,creation-with-upload,creation-defer-length,expiration,\
                          termination,concatenation,concatenation-unfinished,checksum,checksum-trailer";
        assert_eq!(answer.field("tus-extension"), Some(extensions));
        assert_eq!(answer.field("tus-max-size"), Some("5000"));
        let algorithms = "blake3,sha256,sha512,sha1,md5,crc32";
        assert_eq!(answer.field("tus-checksum-algorithm"), Some(algorithms));
    }
    let server = Server::default();
    let answer = server.request("OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n\r\n", b"");
    assert_eq!(answer.field("tus-max-size"), None);
}

#[test]
fn the_method_may_be_in_a_field() {
    let server = Server::default();
    let location = create(&server, 4);
    let over = |line: String, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n{fields}\r\n")
    };
    let head = over(
        format!("POST {location}"),
        "X-HTTP-Method-Override: PATCH\r\nContent-Type: application/offset+octet-stream\r\n\
         Upload-Offset: 0\r\nContent-Length: 2\r\n",
    );
    assert_eq!(server.request(&head, b"ab").status, 204);
    let head = over(format!("POST {location}"), "X-HTTP-Method-Override: DELETE\r\n");
    assert_eq!(server.request(&head, b"").status, 204);
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn an_unknown_upload_has_no_offset() {
    let server = Server::default();
    for location in ["/files/AAAA", "/files/not-a-key!", "/files/AAAA/AAAA"] {
        let found = server.request(&head(location), b"");
        assert_eq!(found.status, 404, "{location}");
        assert_eq!(found.field("upload-offset"), None);
        assert_eq!(found.field("cache-control"), Some("no-store"));
        assert_eq!(server.request(&patch(location, "0", 0), b"").status, 404);
        let delete = request(&format!("DELETE {location}"), "");
        assert_eq!(server.request(&delete, b"").status, 404);
    }
}

#[test]
fn an_upload_that_was_refused_at_its_end_is_gone() {
    let server = Server::default();
    let location = create(&server, 4);
    server.inbox().kept.values_mut().for_each(|kept| {
        kept.outcome = Some(Err(Refusal::from(RefusalCode::DigestMismatch)));
    });
    let found = server.request(&head(&location), b"");
    assert_eq!((found.status, found.field("upload-offset")), (410, None));
    assert_eq!(server.request(&patch(&location, "0", 0), b"").status, 410);
}

#[test]
fn a_patch_is_of_its_media_type() {
    let server = Server::default();
    let location = create(&server, 4);
    for media_type in
        ["", "Content-Type: application/octet-stream\r\n", "Content-Type: text/plain\r\n"]
    {
        let fields = format!("{media_type}Upload-Offset: 0\r\nContent-Length: 4\r\n");
        let head = request(&format!("PATCH {location}"), &fields);
        assert_eq!(server.request(&head, b"abcd").status, 415, "{media_type}");
    }
    assert!(server.kept(&location).content.is_empty());
    let fields = "content-type: Application/Offset+Octet-Stream; x=y\r\nUpload-Offset: 0\r\n\
                  Content-Length: 4\r\n";
    let head = request(&format!("PATCH {location}"), fields);
    assert_eq!(server.request(&head, b"abcd").status, 204);
}

#[test]
fn a_wrong_offset_changes_nothing_and_is_told_the_right_one() {
    let server = Server::default();
    let location = create(&server, 10);
    server.request(&patch(&location, "0", 4), b"hell");
    for offset in ["0", "3", "5", "10", "18446744073709551615"] {
        let answer = server.request(&patch(&location, offset, 2), b"xx");
        assert_eq!((answer.status, answer.field("upload-offset")), (409, Some("4")), "{offset}");
    }
    assert_eq!(server.kept(&location).content, b"hell");
}

#[test]
fn numbers_are_digits_and_there_once() {
    let server = Server::default();
    let location = create(&server, 10);
    for offset in ["", "-1", "+0", "0.0", "1e0", "0x0", "18446744073709551616", "0, 0", "zero"] {
        let answer = server.request(&patch(&location, offset, 2), b"xx");
        assert_eq!(answer.status, 400, "{offset:?}");
        let length = format!("Upload-Length: {offset}\r\n");
        let answer = server.request(&request("POST /files/", &length), b"");
        assert_eq!(answer.status, 400, "{offset:?}");
    }
    let twice = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                 Upload-Offset: 0\r\nContent-Length: 2\r\n";
    let head = request(&format!("PATCH {location}"), twice);
    assert_eq!(server.request(&head, b"xx").status, 400);
    let none = "Content-Type: application/offset+octet-stream\r\nContent-Length: 2\r\n";
    let head = request(&format!("PATCH {location}"), none);
    assert_eq!(server.request(&head, b"xx").status, 400);
    assert!(server.kept(&location).content.is_empty());
    assert_eq!(server.unfinished(), 1);
}

#[test]
fn what_came_before_a_cut_is_kept() {
    let server = Server::default();
    let location = create(&server, 10);
    assert!(server.cut(&patch(&location, "0", 10), b"hell").iter().all(|it| it.status >= 400));
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("4"));
    assert_eq!(server.kept(&location).durable, 4, "an offset is durable before it is told");
    assert_eq!(server.request(&patch(&location, "4", 6), b"o worl").status, 204);
    assert_eq!(server.inbox().published.values().next().unwrap(), b"hello worl");
}

#[test]
fn an_offset_that_cannot_be_kept_is_not_told() {
    let server = Server::default();
    let location = create(&server, 10);
    server.cut(&patch(&location, "0", 10), b"hell");
    server.inbox().refuse_keeps = Some(RefusalCode::Io.into());
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("0"));
    let appended = server.request(&patch(&location, "4", 2), b"o ");
    assert_eq!((appended.status, appended.field("upload-offset")), (500, None));
    server.inbox().refuse_keeps = None;
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("6"));
}

#[test]
fn a_patch_in_chunks_is_taken() {
    let server = Server::default();
    let location = create(&server, 10);
    let fields = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                  Transfer-Encoding: chunked\r\n";
    let head = request(&format!("PATCH {location}"), fields);
    let appended = server.request(&head, &chunked(b"hell", ""));
    assert_eq!((appended.status, appended.field("upload-offset")), (204, Some("4")));
    let again = server.request(&head.replace("Offset: 0", "Offset: 4"), &chunked(b"", ""));
    assert_eq!((again.status, again.field("upload-offset")), (204, Some("4")));
}

#[test]
fn more_than_the_length_is_refused_and_what_is_here_stays() {
    let server = Server::default();
    let location = create(&server, 4);
    let answer = server.request(&patch(&location, "0", 5), b"hello");
    assert_eq!((answer.status, &answer.end), (413, &End::Closed));
    assert!(server.kept(&location).content.is_empty());
    let fields = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                  Transfer-Encoding: chunked\r\n";
    let in_chunks = request(&format!("PATCH {location}"), fields);
    let mut body = chunked(b"hel", "");
    body.truncate(body.len() - b"0\r\n\r\n".len());
    body.extend(chunked(b"lo", ""));
    assert_eq!(server.request(&in_chunks, &body).status, 413);
    assert_eq!(server.kept(&location).content, b"hel");
    assert_eq!(server.request(&patch(&location, "3", 1), b"l").status, 204);
    assert_eq!(server.inbox().published.len(), 1);
}

#[test]
fn a_request_brings_no_more_than_it_may() {
    let server = Server::with(Limits { max_append_size: Some(3), ..Limits::default() });
    let location = create(&server, 10);
    assert_eq!(server.request(&patch(&location, "0", 4), b"hell").status, 413);
    let fields = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                  Transfer-Encoding: chunked\r\n";
    let head = request(&format!("PATCH {location}"), fields);
    assert_eq!(server.request(&head, &chunked(b"hell", "")).status, 413);
    let offset = server.kept(&location).content.len().to_string();
    assert_eq!(server.request(&patch(&location, &offset, 3), b"abc").status, 204);
}

#[test]
fn faults_are_told_so_that_clients_try_again_where_it_helps() {
    for (code, status) in [
        (RefusalCode::InsufficientSpace, 507),
        (RefusalCode::QuotaExceeded, 507),
        (RefusalCode::TooMany, 503),
        (RefusalCode::Locked, 423),
        (RefusalCode::Cancelled, 503),
        (RefusalCode::Io, 500),
        (RefusalCode::Exists, 400),
        (RefusalCode::NameInvalid, 400),
        (RefusalCode::InvalidState, 400),
        (RefusalCode::UnsupportedVersion, 400),
        (RefusalCode::TooLarge, 413),
        (RefusalCode::NotPermitted, 401),
    ] {
        let server = Server::default();
        server.inbox().refuse_offers = Some(code.into());
        let answer = server.request(&request("POST /files/", "Upload-Length: 5\r\n"), b"");
        assert_eq!(answer.status, status, "{code}");
        let comes_again = matches!(status, 423 | 503);
        assert_eq!(answer.field("retry-after").is_some(), comes_again, "{code}");
    }
}

#[test]
fn a_disk_that_is_full_ends_a_patch_and_keeps_what_came() {
    let server = Server::default();
    let location = create(&server, 10);
    server.inbox().fault_at = Some(3);
    let answer = server.request(&patch(&location, "0", 10), b"hello worl");
    assert_eq!(answer.status, 507);
    assert_eq!(server.unfinished(), 1);
}

#[test]
fn an_upload_whose_file_was_not_stored_is_not_called_complete() {
    let server = Server::default();
    let location = create(&server, 4);
    server.inbox().refuse_commits = Some(RefusalCode::Io.into());
    assert_eq!(server.request(&patch(&location, "0", 4), b"hell").status, 500);
    let found = server.request(&head(&location), b"");
    assert_eq!((found.status, found.field("upload-offset")), (500, None));
    server.inbox().refuse_commits = Some(RefusalCode::Exists.into());
    assert_eq!(server.request(&head(&location), b"").status, 400);
    // Whoever asks when it can be stored stores it.
    server.inbox().refuse_commits = None;
    let found = server.request(&head(&location), b"");
    assert_eq!((found.status, found.field("upload-offset")), (200, Some("4")));
    assert_eq!(server.inbox().published.len(), 1);
}

#[test]
fn a_finished_upload_takes_nothing_more() {
    let server = Server::default();
    let location = create(&server, 4);
    server.request(&patch(&location, "0", 4), b"hell");
    let again = server.request(&patch(&location, "4", 0), b"");
    assert_eq!((again.status, again.field("upload-offset")), (204, Some("4")));
    assert_eq!(server.request(&patch(&location, "4", 1), b"o").status, 413);
    let wrong = server.request(&patch(&location, "0", 4), b"hell");
    assert_eq!((wrong.status, wrong.field("upload-offset")), (409, Some("4")));
}

#[test]
fn tus_is_spoken_below_files_alone() {
    let server = Server::default();
    for target in ["/", "/upload", "/files/AAAA/x"] {
        let head = request(&format!("POST {target}"), "Upload-Length: 5\r\nContent-Length: 0\r\n");
        assert_eq!(server.request(&head, b"").status, 404, "{target}");
    }
    let head = request("PATCH /files/", "Content-Type: application/offset+octet-stream\r\n");
    assert_eq!(server.request(&head, b"").status, 405);
    assert_eq!(server.request(&request("POST /files", "Upload-Length: 5\r\n"), b"").status, 201);
    assert_eq!(server.inbox().offers.len(), 1);
}
