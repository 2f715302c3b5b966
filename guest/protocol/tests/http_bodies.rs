//! Bodies that end early, stop or go on for too long, in each kind of request that has one: what is answered, and what
//! is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;
mod url_uploads;

use http_end::HttpEnd;
use sandport_protocol::{Limits, RefusalCode};
use url_uploads::tus::{create, patch, request};
use url_uploads::{Server, chunked};

const FORM: &str = "Content-Type: multipart/form-data; boundary=B\r\n";
const FILE_OF_FORM: &str =
    "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n";

/// Requests that bring one file `a` of the content `hello`: what comes before the framing of each, and its body.
fn files() -> [(&'static str, String); 3] {
    [
        ("PUT /a HTTP/1.1\r\nHost: h\r\n", "hello".into()),
        ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n", "hello".into()),
        ("POST / HTTP/1.1\r\nHost: h\r\n", format!("{FILE_OF_FORM}hello\r\n--B--\r\n")),
    ]
}

/// The same with its framing: by length, and in chunks.
fn framed(head: &str, body: &str) -> [(String, Vec<u8>); 2] {
    let form = if body.len() > 5 { FORM } else { "" };
    [
        (format!("{head}{form}Content-Length: {}\r\n\r\n", body.len()), body.into()),
        (format!("{head}{form}Transfer-Encoding: chunked\r\n\r\n"), chunked(body.as_bytes(), "")),
    ]
}

fn requests() -> impl Iterator<Item = (String, Vec<u8>)> {
    files().into_iter().flat_map(|(head, body)| framed(head, &body))
}

#[test]
fn a_body_that_is_cut_leaves_nothing_wherever_it_ends() {
    for (head, body) in requests() {
        for end in 0..body.len() {
            let sent = [head.as_bytes(), &body[..end]].concat();
            for (ended, status, code) in [
                (HttpEnd::default().send_and_end(&sent), 400, RefusalCode::Cancelled),
                (HttpEnd::default().send(&sent), 408, RefusalCode::Timeout),
            ] {
                let of = format!("{head}{end}");
                // A form whose last boundary is here has stored its file, though not its own end.
                let is_stored = ended.answer().body.starts_with("stored: a, 5 bytes");
                assert!(!is_stored || head.contains("multipart"), "{of}");
                assert_eq!(ended.answer().status, status, "{of}");
                assert!(ended.answer().closes(), "{of}");
                assert_eq!(ended.code(), Some(code), "{of}");
                assert_eq!(ended.names().len(), usize::from(is_stored), "{of}");
            }
        }
        let whole = HttpEnd::default().send([head.as_bytes(), &body].concat());
        assert_eq!((whole.answer().status, whole.file("a")), (201, Some(&b"hello"[..])), "{head}");
    }
}

#[test]
fn what_comes_behind_a_body_is_no_part_of_it() {
    let smuggled = "PUT /smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    for (head, body) in requests() {
        // No request: refused, and the file before it is whole.
        let end = HttpEnd::default().send([head.as_bytes(), &body, b" world"].concat());
        let statuses: Vec<_> = end.answers().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [201, 400], "{head}");
        assert_eq!(end.file("a"), Some(&b"hello"[..]), "{head}");
        // A request is one.
        let end = HttpEnd::default().send([head.as_bytes(), &body, smuggled.as_bytes()].concat());
        assert_eq!(end.names(), ["a", "smuggled"], "{head}");
    }
}

#[test]
fn a_file_above_the_largest_size_is_refused_and_leaves_nothing() {
    for (head, body) in requests() {
        let limits = Limits { max_file_size: Some(4), ..Limits::default() };
        let end = HttpEnd::with(limits).send([head.as_bytes(), &body].concat());
        // Whoever tells the size to the inbox hears it from that.
        if !is_of_known_size(&head) {
            assert_eq!(end.answer().status, 413, "{head}");
            assert!(end.names().is_empty(), "{head}");
            assert_eq!(end.wire.inbox.discarded.len(), 1, "{head}");
        }
    }
}

/// Whether it says before its body how large its file is.
fn is_of_known_size(head: &str) -> bool {
    head.contains("Content-Length") && !head.contains("multipart")
}

/// Who was told the URL goes on where the bytes end; of what nobody knows the URL, nothing stays.
#[test]
fn a_cut_upload_with_a_url_stays_and_one_without_leaves_nothing() {
    const OFFSET_STREAM: &str = "Content-Type: application/offset+octet-stream\r\n";
    let tus = format!("Upload-Length: 10\r\n{OFFSET_STREAM}Content-Length: 10\r\n");
    let put =
        |fields: &str| format!("PUT /a HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: 10\r\n\r\n");
    for (head, is_told) in [
        (request("POST /files/", &tus), false),
        (put("Upload-Complete: ?1\r\n"), false),
        (put("Upload-Complete: ?1\r\nUpload-Draft-Interop-Version: 99\r\n"), false),
        (put("Upload-Incomplete: ?0\r\nUpload-Draft-Interop-Version: 3\r\n"), true),
        (put("Upload-Complete: ?1\r\nUpload-Draft-Interop-Version: 6\r\n"), true),
    ] {
        let server = Server::default();
        let answers = server.cut(&head, b"hello");
        assert_eq!(answers.iter().any(|answer| answer.status == 104), is_told, "{head}");
        assert_eq!(server.unfinished(), usize::from(is_told), "{head} {answers:?}");
        assert!(server.inbox().published.is_empty(), "{head}");
    }
    for (begin, append) in [
        (begin_tus as fn(&Server) -> String, append_tus as fn(&str) -> String),
        (begin_ietf, append_ietf),
    ] {
        for sent in 0..10 {
            let server = Server::default();
            let location = begin(&server);
            let head = append(&location);
            let answers = server.cut(&head, &b"hello worl"[..sent]);
            assert!(answers.iter().all(|answer| answer.status >= 400), "{head}");
            assert_eq!(server.kept(&location).content, &b"hello worl"[..sent], "{head}");
            assert!(server.inbox().published.is_empty(), "{head}");
        }
    }
}

fn begin_tus(server: &Server) -> String {
    create(server, 10)
}

fn append_tus(location: &str) -> String {
    patch(location, "0", 10)
}

fn begin_ietf(server: &Server) -> String {
    let head = "PUT /a HTTP/1.1\r\nHost: h\r\nUpload-Complete: ?0\r\nContent-Length: 0\r\n\r\n";
    server.request(head, b"").location()
}

fn append_ietf(location: &str) -> String {
    format!(
        "PATCH {location} HTTP/1.1\r\nHost: h\r\nContent-Type: application/partial-upload\r\n\
         Upload-Complete: ?1\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\n"
    )
}
