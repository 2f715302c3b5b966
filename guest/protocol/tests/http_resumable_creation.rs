//! How resumable uploads of the IETF begin: any method and target, lengths, names, digests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use http_answers::digest_of;
use sandport_protocol::{Algorithm, Limits, Refusal, RefusalCode};
use url_uploads::{Answered, End, Exchanged, Server, base64, chunked};

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\nUpload-Draft-Interop-Version: 8\r\n{fields}\r\n")
}

fn send(server: &Server, line: &str, fields: &str, content: &[u8]) -> Exchanged {
    let fields = format!("{fields}Content-Length: {}\r\n", content.len());
    server.request(&request(line, &fields), content)
}

fn head(server: &Server, location: &str) -> Exchanged {
    server.request(&request(&format!("HEAD {location}"), ""), b"")
}

fn patch(server: &Server, location: &str, fields: &str, content: &[u8]) -> Exchanged {
    let fields = format!("Content-Type: application/partial-upload\r\n{fields}");
    send(server, &format!("PATCH {location}"), &fields, content)
}

fn kind(answer: &Answered) -> String {
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    answer.json()["type"].as_str().unwrap().to_owned()
}

const INCONSISTENT: &str =
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";

fn digest(algorithm: Algorithm, name: &str, content: &[u8]) -> String {
    format!("{name}=:{}:", base64(&digest_of(algorithm, content).value))
}

#[test]
fn any_method_with_content_begins_an_upload() {
    let server = Server::default();
    for method in ["POST", "PUT", "PATCH"] {
        let line = format!("{method} /{method}");
        let stored = send(&server, &line, "Upload-Complete: ?1\r\n", b"hello");
        assert_eq!((stored.status, stored.interims[0].status), (201, 104), "{method}");
        assert_eq!(server.file(method).unwrap(), b"hello");
    }
}

#[test]
fn the_name_is_the_target_or_else_what_the_disposition_says() {
    let server = Server::default();
    let disposition = "Content-Disposition: inline; filename=\"file name.jpg\"; \
                       filename*=UTF-8''file%20name.jpg\r\n";
    for (line, fields, name) in [
        ("PUT /dir/a%20b", "", Some("dir/a b")),
        ("POST /dir/a", disposition, Some("dir/a")),
        ("POST /", disposition, Some("file name.jpg")),
        ("POST /files/", disposition, Some("file name.jpg")),
        ("POST /files", "", None),
        // tus-js-client gives the name so in each protocol.
        ("POST /files/", "Upload-Metadata: filename YQ==\r\n", Some("a")),
        ("POST /files/", "Upload-Metadata: !\r\n", None),
        ("PUT /files/a", "", Some("files/a")),
    ] {
        let fields = format!("Upload-Complete: ?0\r\n{fields}");
        assert_eq!(send(&server, line, &fields, b"").status, 201, "{line}");
        let offer = server.inbox().offers.pop().unwrap().0;
        assert_eq!(offer.name.as_deref(), name, "{line}");
    }
    assert_eq!(send(&server, "POST /dir/", "Upload-Complete: ?0\r\n", b"").status, 400);
    assert_eq!(send(&server, "PUT /a?b", "Upload-Complete: ?0\r\n", b"").status, 400);
    assert!(server.inbox().offers.is_empty());
}

#[test]
fn an_empty_request_gets_a_url_or_stores_an_empty_file() {
    let server = Server::default();
    let begun = send(&server, "POST /later", "Upload-Complete: ?0\r\n", b"");
    assert_eq!((begun.status, begun.field("upload-complete")), (201, Some("?0")));
    assert_eq!(begun.location(), begun.interims[0].location());
    assert_eq!(begun.field("upload-offset"), Some("0"));
    assert_eq!(server.file("later"), None);
    let stored = send(&server, "POST /empty", "Upload-Complete: ?1\r\n", b"");
    assert_eq!((stored.status, stored.field("upload-complete")), (201, Some("?1")));
    assert_eq!(server.file("empty").unwrap(), b"");
}

#[test]
fn the_length_is_said_or_counted_and_both_agree() {
    let server = Server::default();
    let counted = "Upload-Complete: ?1\r\n";
    send(&server, "PUT /a", counted, b"hello");
    assert_eq!(server.inbox().offers.pop().unwrap().0.size, Some(5));
    let said = "Upload-Complete: ?0\r\nUpload-Length: 9\r\n";
    let begun = send(&server, "PUT /a", said, b"hello");
    assert_eq!(head(&server, &begun.location()).field("upload-length"), Some("9"));
    let unknown = send(&server, "PUT /a", "Upload-Complete: ?0\r\n", b"hello");
    assert_eq!(head(&server, &unknown.location()).field("upload-length"), None);
    let contradicts = "Upload-Complete: ?1\r\nUpload-Length: 9\r\n";
    let refused = send(&server, "PUT /a", contradicts, b"hello");
    assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT));
    let exceeds = "Upload-Complete: ?0\r\nUpload-Length: 4\r\n";
    let refused = send(&server, "PUT /a", exceeds, b"hello");
    assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT));
}

#[test]
fn lengths_of_several_requests_agree() {
    let server = Server::default();
    let said = "Upload-Complete: ?0\r\nUpload-Length: 9\r\n";
    let location = send(&server, "PUT /a", said, b"hello").location();
    for fields in [
        "Upload-Offset: 5\r\nUpload-Complete: ?0\r\nUpload-Length: 10\r\n",
        "Upload-Offset: 5\r\nUpload-Complete: ?1\r\n",
        "Upload-Offset: 5\r\nUpload-Complete: ?1\r\nUpload-Length: 9\r\n",
    ] {
        let refused = patch(&server, &location, fields, b" wo");
        assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT), "{fields}");
    }
    let found = head(&server, &location);
    assert_eq!(found.field("upload-offset"), Some("5"));
    let last = "Upload-Offset: 5\r\nUpload-Complete: ?1\r\nUpload-Length: 9\r\n";
    assert_eq!(patch(&server, &location, last, b" wor").status, 201);
    assert_eq!(server.file("a").unwrap(), b"hello wor");
}

#[test]
fn a_length_may_be_said_late() {
    let server = Server::default();
    let location = send(&server, "PUT /a", "Upload-Complete: ?0\r\n", b"hello").location();
    let late = "Upload-Offset: 5\r\nUpload-Complete: ?0\r\nUpload-Length: 9\r\n";
    assert_eq!(patch(&server, &location, late, b" w").status, 204);
    assert_eq!(head(&server, &location).field("upload-length"), Some("9"));
    let short = "Upload-Offset: 7\r\nUpload-Complete: ?0\r\nUpload-Length: 3\r\n";
    assert_eq!(patch(&server, &location, short, b"").status, 400);
}

#[test]
fn a_file_whose_length_nobody_knows_is_taken_in_chunks() {
    let server = Server::default();
    let fields = "Upload-Complete: ?1\r\nTransfer-Encoding: chunked\r\n";
    let stored = server.request(&request("PUT /a", fields), &chunked(b"hello", ""));
    assert_eq!((stored.status, stored.field("upload-offset")), (201, Some("5")));
    assert_eq!(server.file("a").unwrap(), b"hello");
    let fields = "Upload-Complete: ?1\r\nUpload-Length: 9\r\nTransfer-Encoding: chunked\r\n";
    let short = server.request(&request("PUT /b", fields), &chunked(b"hello", ""));
    assert_eq!((short.status, kind(&short).as_str()), (400, INCONSISTENT));
    // What came is here, and the upload goes on.
    let location = short.interims[0].location();
    assert_eq!(head(&server, &location).field("upload-offset"), Some("5"));
}

#[test]
fn more_than_the_length_is_refused_at_once_and_ends_the_upload() {
    let server = Server::default();
    let fields = "Upload-Complete: ?0\r\nUpload-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let refused = server.request(&request("PUT /a", fields), &chunked(b"hello", ""));
    assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT));
    assert_eq!(server.unfinished(), 0);
    let begin = || {
        let said = "Upload-Complete: ?0\r\nUpload-Length: 4\r\n";
        send(&server, "PUT /a", said, b"he").location()
    };
    let location = begin();
    let more = "Upload-Offset: 2\r\nUpload-Complete: ?0\r\n";
    let refused = patch(&server, &location, more, b"llo");
    assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT));
    assert_eq!(head(&server, &location).status, 404);
    let location = begin();
    let fields = "Content-Type: application/partial-upload\r\nUpload-Offset: 2\r\n\
                  Upload-Complete: ?0\r\nTransfer-Encoding: chunked\r\n";
    let in_chunks = request(&format!("PATCH {location}"), fields);
    let refused = server.request(&in_chunks, &chunked(b"llo", ""));
    assert_eq!((refused.status, kind(&refused).as_str()), (400, INCONSISTENT));
    assert_eq!(head(&server, &location).status, 404);
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn what_is_too_large_is_refused_with_the_limits() {
    let limits =
        Limits { max_file_size: Some(100), max_append_size: Some(10), ..Limits::default() };
    let server = Server::with(limits);
    for (fields, content) in [
        ("Upload-Complete: ?0\r\nUpload-Length: 101\r\n", 0),
        ("Upload-Complete: ?1\r\n", 101),
        ("Upload-Complete: ?0\r\n", 11),
    ] {
        let refused = send(&server, "PUT /a", fields, &vec![0; content]);
        assert_eq!(refused.status, 413, "{fields}");
        let limit = refused.field("upload-limit");
        assert_eq!(limit, Some("max-size=100, max-append-size=10"), "{fields}");
    }
    assert!(server.inbox().offers.is_empty());
    let location = send(&server, "PUT /a", "Upload-Complete: ?0\r\n", b"hello").location();
    let fields = "Upload-Offset: 5\r\nUpload-Complete: ?0\r\n";
    let refused = patch(&server, &location, fields, &[0; 11]);
    assert_eq!(refused.status, 413);
    assert!(refused.field("upload-limit").is_some());
    assert_eq!(head(&server, &location).field("upload-offset"), Some("5"));
}

#[test]
fn an_append_in_chunks_is_refused_when_it_exceeds_the_length() {
    let server = Server::with(Limits { max_append_size: Some(10), ..Limits::default() });
    let begun = send(&server, "PUT /a", "Upload-Complete: ?0\r\n", b"hello");
    assert!(begun.field("upload-limit").unwrap().contains("max-append-size=10"));
    let location = begun.location();
    let fields = "Content-Type: application/partial-upload\r\nUpload-Offset: 5\r\n\
                  Upload-Complete: ?0\r\nTransfer-Encoding: chunked\r\n";
    let refused =
        server.request(&request(&format!("PATCH {location}"), fields), &chunked(&[0; 11], ""));
    assert_eq!((refused.status, &refused.end), (413, &End::Closed));
    assert_eq!(refused.field("upload-limit"), begun.field("upload-limit"));
    // The client hears how much of it is here, and goes on.
    let offset = head(&server, &location).field("upload-offset").unwrap().to_owned();
    let fields = format!("Upload-Offset: {offset}\r\nUpload-Complete: ?1\r\n");
    assert_eq!(patch(&server, &location, &fields, &[0; 10]).status, 201);
    // What begins no upload appends to none.
    assert_eq!(send(&server, "PUT /b", "", &[0; 50]).status, 201);
}

#[test]
fn what_an_offer_is_refused_for_is_told_before_any_content() {
    let server = Server::default();
    let words = "the inbox is full";
    server.inbox().refuse_offers = Some(Refusal::new(RefusalCode::QuotaExceeded, words));
    let fields = "Upload-Complete: ?1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
    let refused = server.request(&request("PUT /a", fields), b"");
    assert_eq!((refused.status, refused.interims.len()), (507, 0));
    assert_eq!(refused.body, "refused: quota-exceeded: the inbox is full\n");
}

#[test]
fn metadata_of_the_representation_is_told_again() {
    let server = Server::default();
    let fields = "Upload-Complete: ?0\r\nContent-Type: image/jpeg\r\n\
                  Content-Disposition: inline; filename=\"a.jpg\"\r\n";
    let location = send(&server, "POST /", fields, b"hello").location();
    let found = head(&server, &location);
    assert_eq!(found.field("content-type"), Some("image/jpeg"));
    assert_eq!(found.field("content-disposition"), Some("inline; filename=\"a.jpg\""));
}

#[test]
fn the_time_of_the_file_is_taken() {
    let server = Server::default();
    let fields = "Upload-Complete: ?0\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    send(&server, "PUT /a", fields, b"");
    let modified = server.inbox().offers[0].0.modified_ns;
    assert_eq!(modified, Some(784_111_777_000_000_000));
}

#[test]
fn parts_and_encodings_begin_no_upload() {
    let server = Server::default();
    for (field, status) in
        [("Content-Range: bytes 0-4/10\r\n", 400), ("Content-Encoding: gzip\r\n", 415)]
    {
        let fields = format!("Upload-Complete: ?1\r\n{field}");
        assert_eq!(send(&server, "PUT /a", &fields, b"hello").status, status, "{field}");
    }
    assert!(server.inbox().offers.is_empty());
}

#[test]
fn a_digest_of_the_whole_file_is_checked_at_its_end() {
    let server = Server::default();
    let right = digest(Algorithm::Sha256, "sha-256", b"hello");
    let fields = format!("Upload-Complete: ?1\r\nRepr-Digest: {right}\r\n");
    assert_eq!(send(&server, "PUT /a", &fields, b"hello").status, 201);
    let refused = send(&server, "PUT /b", &fields, b"hallo");
    assert_eq!((refused.status, refused.field("upload-complete")), (400, Some("?1")));
    assert_eq!(server.file("b"), None);
    // It is kept for the request that ends the upload.
    let fields = format!("Upload-Complete: ?0\r\nRepr-Digest: {right}\r\n");
    for (rest, status) in [(b"llo", 201), (b"xxx", 400)] {
        let location = send(&server, "PUT /c", &fields, b"he").location();
        let last = "Upload-Offset: 2\r\nUpload-Complete: ?1\r\n";
        assert_eq!(patch(&server, &location, last, rest).status, status);
    }
    assert_eq!(server.file("c").unwrap(), b"hello");
}

#[test]
fn a_digest_that_is_wanted_is_told_at_the_end() {
    let server = Server::default();
    let want = "Want-Repr-Digest: sha-256=3, sha-512=9\r\n";
    let expected = digest(Algorithm::Sha512, "sha-512", b"hello");
    let fields = format!("Upload-Complete: ?1\r\n{want}");
    let stored = send(&server, "PUT /a", &fields, b"hello");
    assert_eq!(stored.field("repr-digest"), Some(expected.as_str()));
    let fields = format!("Upload-Complete: ?0\r\n{want}");
    let location = send(&server, "PUT /b", &fields, b"he").location();
    let last = "Upload-Offset: 2\r\nUpload-Complete: ?1\r\n";
    let stored = patch(&server, &location, last, b"llo");
    assert_eq!(stored.field("repr-digest"), Some(expected.as_str()));
    assert_eq!(send(&server, "PUT /c", "Upload-Complete: ?1\r\n", b"x").field("repr-digest"), None);
}

#[test]
fn a_digest_of_the_content_decides_whether_it_was_here() {
    let server = Server::default();
    let wrong = digest(Algorithm::Sha256, "sha-256", b"hallo");
    let fields = format!("Upload-Complete: ?0\r\nContent-Digest: {wrong}\r\n");
    let refused = send(&server, "PUT /a", &fields, b"hello");
    assert_eq!(refused.status, 400);
    let location = refused.interims[0].location();
    assert_eq!(head(&server, &location).field("upload-offset"), Some("0"));
    let wrong = digest(Algorithm::Sha512, "sha-512", b"hallo");
    let fields = format!("Upload-Offset: 0\r\nUpload-Complete: ?0\r\nContent-Digest: {wrong}\r\n");
    let refused = patch(&server, &location, &fields, b"hello");
    assert_eq!((refused.status, refused.field("upload-complete")), (400, Some("?0")));
    assert_eq!(head(&server, &location).field("upload-offset"), Some("0"));
    let right = digest(Algorithm::Sha512, "sha-512", b"hello");
    let fields = format!("Upload-Offset: 0\r\nUpload-Complete: ?1\r\nContent-Digest: {right}\r\n");
    assert_eq!(patch(&server, &location, &fields, b"hello").status, 201);
    assert_eq!(server.file("a").unwrap(), b"hello");
}

#[test]
fn a_content_digest_is_one_of_the_file_where_that_is_all_of_it() {
    let server = Server::default();
    let wrong = digest(Algorithm::Sha256, "sha-256", b"hallo");
    let fields = format!("Upload-Complete: ?1\r\nContent-Digest: {wrong}\r\n");
    assert_eq!(send(&server, "PUT /a", &fields, b"hello").status, 400);
    let right = digest(Algorithm::Sha256, "sha-256", b"hello");
    let both = format!("Content-Digest: {right}\r\nRepr-Digest: {wrong}\r\n");
    let fields = format!("Upload-Complete: ?1\r\n{both}");
    assert_eq!(send(&server, "PUT /a", &fields, b"hello").status, 400);
    assert_eq!(server.file("a"), None);
    let both = format!("Content-Digest: {right}\r\nRepr-Digest: {right}\r\n");
    let fields = format!("Upload-Complete: ?1\r\n{both}");
    assert_eq!(send(&server, "PUT /a", &fields, b"hello").status, 201);
}

#[test]
fn a_part_is_never_taken_for_a_file() {
    let server = Server::default();
    for (number, fields, status) in [
        ("8", "Upload-Incomplete: ?1\r\n", 400),
        ("x", "Upload-Incomplete: ?1\r\n", 400),
        ("3", "Upload-Incomplete: ?1\r\n", 201),
        ("3", "Upload-Complete: ?0\r\n", 201),
        ("8", "Upload-Complete: ?0\r\nUpload-Offset: 0\r\n", 201),
        ("8", "Upload-Complete: ?0\r\nUpload-Offset: 5\r\n", 400),
        ("8", "Upload-Complete: ?1\r\nUpload-Offset: 5\r\n", 400),
    ] {
        for method in ["PUT", "POST"] {
            let head = format!(
                "{method} /a HTTP/1.1\r\nHost: h\r\nUpload-Draft-Interop-Version: {number}\r\n\
                 {fields}Content-Length: 5\r\n\r\n"
            );
            let answer = server.request(&head, b"hello");
            assert_eq!(answer.status, status, "{head}");
        }
    }
    assert!(server.inbox().published.is_empty());
}

#[test]
fn without_resuming_a_whole_file_is_stored_and_a_part_refused() {
    let server = Server::default();
    server.inbox().has_no_keys = true;
    let right = digest(Algorithm::Sha256, "sha-256", b"hello");
    let fields = format!("Upload-Complete: ?1\r\nContent-Digest: {right}\r\n");
    let stored = send(&server, "PUT /a", &fields, b"hello");
    assert_eq!((stored.status, stored.field("upload-complete")), (201, Some("?1")));
    assert_eq!((stored.interims.len(), stored.field("location")), (0, None));
    assert_eq!(server.file("a").unwrap(), b"hello");
    assert_eq!(send(&server, "PUT /b", &fields, b"hallo").status, 400);
    assert_eq!(send(&server, "PUT /b", "Upload-Complete: ?0\r\n", b"hello").status, 409);
    let fields = "Upload-Complete: ?1\r\nUpload-Length: 9\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(server.request(&request("PUT /b", fields), &chunked(b"hello", "")).status, 400);
    assert_eq!(server.file("b"), None);
}
