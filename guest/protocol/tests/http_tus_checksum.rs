//! The extensions checksum and checksum-trailer of tus 1.0.0.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use http_answers::digest_of;
use sandport_protocol::{Algorithm, Limits};
use url_uploads::tus::request;
use url_uploads::{Exchanged, Server, base64, chunked};

const TYPED: &str = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n";

fn create(server: &Server) -> String {
    server.request(&request("POST /files/", "Upload-Length: 10\r\n"), b"").location()
}

fn checksum(name: &str, algorithm: Algorithm, content: &[u8]) -> String {
    format!("Upload-Checksum: {name} {}\r\n", base64(&digest_of(algorithm, content).value))
}

fn patch(server: &Server, location: &str, fields: &str, content: &[u8]) -> Exchanged {
    let fields = format!("{TYPED}Content-Length: {}\r\n{fields}", content.len());
    server.request(&request(&format!("PATCH {location}"), &fields), content)
}

fn patch_in_chunks(server: &Server, location: &str, content: &[u8], trailers: &str) -> Exchanged {
    let fields = format!("{TYPED}Transfer-Encoding: chunked\r\nTrailer: Upload-Checksum\r\n");
    let head = request(&format!("PATCH {location}"), &fields);
    server.request(&head, &chunked(content, trailers))
}

fn offset(server: &Server, location: &str) -> String {
    let found = server.request(&request(&format!("HEAD {location}"), ""), b"");
    found.field("upload-offset").unwrap().to_owned()
}

#[test]
fn content_counts_where_its_checksum_holds() {
    let server = Server::default();
    for (name, algorithm) in [
        ("sha1", Algorithm::Sha1),
        ("sha256", Algorithm::Sha256),
        ("sha512", Algorithm::Sha512),
        ("md5", Algorithm::Md5),
        ("crc32", Algorithm::Crc32),
        ("blake3", Algorithm::Blake3),
    ] {
        let location = create(&server);
        let right = checksum(name, algorithm, b"hell");
        let appended = patch(&server, &location, &right, b"hell");
        assert_eq!((appended.status, appended.field("upload-offset")), (204, Some("4")), "{name}");
        assert_eq!(offset(&server, &location), "4");
    }
}

#[test]
fn empty_content_has_the_checksum_of_nothing() {
    let server = Server::default();
    let location = create(&server);
    let nothing = base64(Algorithm::Sha1.digest_of_nothing());
    let right = format!("Upload-Checksum: sha1 {nothing}\r\n");
    assert_eq!(patch(&server, &location, &right, b"").status, 204);
    let wrong = checksum("sha1", Algorithm::Sha1, b"hell");
    assert_eq!(patch(&server, &location, &wrong, b"").status, 460);
    assert_eq!(offset(&server, &location), "0");
}

#[test]
fn content_whose_checksum_does_not_hold_was_never_here() {
    let server = Server::default();
    let location = create(&server);
    let wrong = checksum("sha1", Algorithm::Sha1, b"hall");
    assert_eq!(patch(&server, &location, &wrong, b"hell").status, 460);
    assert_eq!(offset(&server, &location), "0");
    assert!(server.kept(&location).content.is_empty());
    let right = checksum("sha1", Algorithm::Sha1, b"hell");
    assert_eq!(patch(&server, &location, &right, b"hell").status, 204);
}

#[test]
fn nobody_sees_content_before_its_checksum_is_known() {
    let server = Server::default();
    let location = create(&server);
    let fields =
        format!("{TYPED}Content-Length: 4\r\n{}", checksum("sha1", Algorithm::Sha1, b"hell"));
    let mut connection = server.connect();
    connection.send(request(&format!("PATCH {location}"), &fields).as_bytes());
    connection.send(b"hel");
    connection.run();
    let bare = format!("GET {location} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(server.request(&bare, b"").field("upload-offset"), Some("0"));
    connection.send(b"l");
    connection.run();
    assert_eq!(connection.exchanged(false).status, 204);
    assert_eq!(offset(&server, &location), "4");
}

#[test]
fn a_cut_before_the_end_leaves_nothing_of_checked_content() {
    let server = Server::default();
    let location = create(&server);
    let right = checksum("sha1", Algorithm::Sha1, b"hello worl");
    let fields = format!("{TYPED}Content-Length: 10\r\n{right}");
    server.cut(&request(&format!("PATCH {location}"), &fields), b"hell");
    assert_eq!(offset(&server, &location), "0");
}

#[test]
fn a_checksum_that_is_none_is_refused() {
    let server = Server::default();
    let location = create(&server);
    let sha1 = base64(&digest_of(Algorithm::Sha1, b"hell").value);
    for bad in [
        String::new(),
        "sha1".into(),
        "sha1 ".into(),
        format!("sha3 {sha1}"),
        format!("SHA1 {sha1}"),
        format!("sha256 {sha1}"),
        format!("sha1  {sha1}"),
        "sha1 !!!!".into(),
        format!("sha1 {sha1}\r\nUpload-Checksum: sha1 {sha1}"),
    ] {
        let fields = format!("Upload-Checksum: {bad}\r\n");
        assert_eq!(patch(&server, &location, &fields, b"hell").status, 400, "{bad:?}");
    }
    assert_eq!(offset(&server, &location), "0");
}

#[test]
fn a_checksum_may_come_behind_the_content() {
    let server = Server::default();
    let location = create(&server);
    let wrong = checksum("sha1", Algorithm::Sha1, b"hall");
    assert_eq!(patch_in_chunks(&server, &location, b"hell", &wrong).status, 460);
    assert_eq!(offset(&server, &location), "0");
    let right = checksum("sha1", Algorithm::Sha1, b"hell");
    assert_eq!(patch_in_chunks(&server, &location, b"hell", &right).status, 204);
    assert_eq!(offset(&server, &location), "4");
}

#[test]
fn content_whose_promised_checksum_does_not_come_was_never_here() {
    let server = Server::default();
    let location = create(&server);
    for trailers in [
        String::new(),
        "Upload-Checksum: sha1 !\r\n".into(),
        checksum("md5", Algorithm::Md5, b"hell"),
    ] {
        assert_eq!(patch_in_chunks(&server, &location, b"hell", &trailers).status, 400);
        assert_eq!(offset(&server, &location), "0", "{trailers}");
    }
}

#[test]
fn a_checksum_comes_before_or_behind_and_not_both() {
    let server = Server::default();
    let location = create(&server);
    let right = checksum("sha1", Algorithm::Sha1, b"hell");
    let fields =
        format!("{TYPED}{right}Transfer-Encoding: chunked\r\nTrailer: upload-checksum\r\n");
    let head = request(&format!("PATCH {location}"), &fields);
    assert_eq!(server.request(&head, &chunked(b"hell", &right)).status, 400);
    // One that was not promised means nothing.
    let fields = format!("{TYPED}Transfer-Encoding: chunked\r\n");
    let head = request(&format!("PATCH {location}"), &fields);
    let wrong = checksum("sha1", Algorithm::Sha1, b"hall");
    assert_eq!(server.request(&head, &chunked(b"hell", &wrong)).status, 204);
}

#[test]
fn content_that_begins_an_upload_is_checked_too() {
    let server = Server::default();
    let media_type = "Content-Type: application/offset+octet-stream\r\n";
    let fields = |content: &[u8]| {
        let checksum = checksum("sha256", Algorithm::Sha256, content);
        format!("{media_type}Upload-Length: 4\r\nContent-Length: 4\r\n{checksum}")
    };
    let refused = server.request(&request("POST /files/", &fields(b"hall")), b"hell");
    assert_eq!((refused.status, refused.field("location")), (460, None));
    assert_eq!(server.unfinished(), 0);
    let created = server.request(&request("POST /files/", &fields(b"hell")), b"hell");
    assert_eq!(created.status, 201);
    assert_eq!(server.inbox().published.len(), 1);
}

#[test]
fn checksums_that_are_not_computed_are_not_promised() {
    let mut server = Server::with(Limits::default());
    server.limits.algorithms = vec![Algorithm::Blake3];
    let answer = server.request("OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n\r\n", b"");
    assert!(!answer.field("tus-extension").unwrap().contains("checksum"));
    assert_eq!(answer.field("tus-checksum-algorithm"), None);
    let location = create(&server);
    let right = checksum("sha1", Algorithm::Sha1, b"hell");
    assert_eq!(patch(&server, &location, &right, b"hell").status, 400);
    assert_eq!(patch_in_chunks(&server, &location, b"hell", &right).status, 400);
}

#[test]
fn no_more_is_checked_at_once_than_an_inbox_checks() {
    let server = Server::default();
    let fields = format!("Upload-Length: {}\r\n", 1_u64 << 30);
    let location = server.request(&request("POST /files/", &fields), b"").location();
    let length = (256 << 20) + 1;
    let right = checksum("sha1", Algorithm::Sha1, b"hell");
    let fields = format!("{TYPED}Content-Length: {length}\r\n{right}");
    let refused = server.request(&request(&format!("PATCH {location}"), &fields), b"");
    assert_eq!(refused.status, 413);
    assert_eq!(offset(&server, &location), "0");
}
