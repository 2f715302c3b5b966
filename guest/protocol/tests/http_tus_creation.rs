//! The extensions of tus 1.0.0 that begin uploads: creation, creation-with-upload, creation-defer-length.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::receiver::Lifetime;
use sandport_protocol::{Limits, Refusal, RefusalCode};
use url_uploads::tus::request;
use url_uploads::{End, Exchanged, Server, base64, chunked};

const MEDIA_TYPE: &str = "Content-Type: application/offset+octet-stream\r\n";

fn create(server: &Server, fields: &str) -> Exchanged {
    server.request(&request("POST /files/", fields), b"")
}

fn head(server: &Server, location: &str) -> Exchanged {
    server.request(&request(&format!("HEAD {location}"), ""), b"")
}

fn patch(server: &Server, location: &str, fields: &str, content: &[u8]) -> Exchanged {
    let length = content.len();
    let fields = format!("{MEDIA_TYPE}Content-Length: {length}\r\n{fields}");
    server.request(&request(&format!("PATCH {location}"), &fields), content)
}

fn named(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key} {}", base64(value.as_bytes())));
    format!("Upload-Length: 1\r\nUpload-Metadata: {}\r\n", pairs.collect::<Vec<_>>().join(","))
}

#[test]
fn a_creation_tells_where_the_upload_is() {
    let server = Server::default();
    let created = create(&server, "Upload-Length: 100\r\n");
    assert_eq!((created.status, &created.end), (201, &End::Next));
    assert_eq!(server.inbox().offers[0].1.lifetime, Lifetime::NewKey);
    assert_eq!(server.inbox().offers[0].0.size, Some(100));
    let other = create(&server, "Upload-Length: 100\r\n");
    assert_ne!(created.location(), other.location());
}

#[test]
fn exactly_one_of_length_and_deferred_length_is_said() {
    let server = Server::default();
    for fields in [
        "",
        "Upload-Length: 1\r\nUpload-Defer-Length: 1\r\n",
        "Upload-Defer-Length: 0\r\n",
        "Upload-Defer-Length: true\r\n",
        "Upload-Length: 1\r\nUpload-Length: 1\r\n",
        "Upload-Length: one\r\n",
    ] {
        assert_eq!(create(&server, fields).status, 400, "{fields:?}");
    }
    assert!(server.inbox().offers.is_empty());
}

#[test]
fn what_is_too_large_is_refused_at_its_creation() {
    let server = Server::with(Limits { max_file_size: Some(1_000), ..Limits::default() });
    let refused = create(&server, "Upload-Length: 1001\r\n");
    assert_eq!(refused.status, 413);
    assert!(server.inbox().offers.is_empty());
    assert_eq!(create(&server, "Upload-Length: 1000\r\n").status, 201);
}

#[test]
fn an_empty_file_is_stored_at_once() {
    let server = Server::default();
    let created = create(&server, &named(&[("filename", "empty")]).replace(": 1", ": 0"));
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("0")));
    assert_eq!(server.file("empty").unwrap(), b"");
    let found = head(&server, &created.location());
    assert_eq!(
        (found.field("upload-offset"), found.field("upload-length")),
        (Some("0"), Some("0"))
    );
}

#[test]
fn metadata_is_told_again_as_it_came() {
    let server = Server::default();
    let metadata = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential, x";
    let created = create(&server, &format!("Upload-Length: 4\r\nUpload-Metadata: {metadata}\r\n"));
    let found = head(&server, &created.location());
    assert_eq!(found.field("upload-metadata"), Some(metadata));
    patch(&server, &created.location(), "Upload-Offset: 0\r\n", b"plan");
    let found = head(&server, &created.location());
    assert_eq!(found.field("upload-metadata"), Some(metadata));
    assert_eq!(server.file("world_domination_plan.pdf").unwrap(), b"plan");
    let without = create(&server, "Upload-Length: 4\r\nUpload-Metadata: \r\n");
    assert_eq!(head(&server, &without.location()).field("upload-metadata"), None);
}

#[test]
fn long_metadata_comes_back_whole() {
    let server = Server::default();
    let long = base64("\u{20ac}".repeat(700).as_bytes());
    let created = create(&server, &format!("Upload-Length: 4\r\nUpload-Metadata: a {long}\r\n"));
    let found = head(&server, &created.location());
    assert_eq!(found.field("upload-metadata"), Some(format!("a {long}").as_str()));
    let longer = base64(&[b'a'; 2_400]);
    let refused = create(&server, &format!("Upload-Length: 4\r\nUpload-Metadata: a {longer}\r\n"));
    assert_eq!(refused.status, 431);
}

#[test]
fn metadata_that_does_not_parse_is_refused() {
    let server = Server::default();
    for metadata in ["filename", "filename d29ybGQ", "filename ", "a YQ==,b Yg==,c"] {
        let fields = format!("Upload-Length: 4\r\nUpload-Metadata: {metadata}\r\n");
        assert_eq!(create(&server, &fields).status, 201, "{metadata:?}");
    }
    for metadata in [
        ",",
        "filename d29ybGQ=,",
        "filename d29ybGQ=,filename d29ybGQ=",
        "filename not+base64!",
        "filename d29y bGQ=",
        "f\u{fc}r d29ybGQ=",
    ] {
        let fields = format!("Upload-Length: 4\r\nUpload-Metadata: {metadata}\r\n");
        assert_eq!(create(&server, &fields).status, 400, "{metadata:?}");
    }
}

#[test]
fn the_name_is_a_path_or_else_a_file_name() {
    let server = Server::default();
    for (pairs, name) in [
        (&[("filename", "a"), ("relativePath", "dir/a")][..], Some("dir/a")),
        (&[("filename", "a"), ("relativePath", "/dir/a")], Some("dir/a")),
        (&[("filename", "a"), ("relativePath", "null")], Some("a")),
        (&[("name", "b"), ("filename", "a")], Some("a")),
        (&[("name", "b"), ("type", "text/plain")], Some("b")),
        (&[("filetype", "text/plain")], None),
        // The inbox refuses these, and nobody repairs them.
        (&[("filename", "..\\a")], Some("..\\a")),
        (&[("filename", "../a")], Some("../a")),
        (&[("relativePath", "//a")], Some("/a")),
    ] {
        assert_eq!(create(&server, &named(pairs)).status, 201);
        let offer = server.inbox().offers.pop().unwrap().0;
        assert_eq!(offer.name.as_deref(), name, "{pairs:?}");
    }
    let not_text = "Upload-Length: 1\r\nUpload-Metadata: filename /w==\r\n";
    assert_eq!(create(&server, not_text).status, 400);
    let words = "the name has a backslash";
    server.inbox().refuse_offers = Some(Refusal::new(RefusalCode::NameInvalid, words));
    let refused = create(&server, &named(&[("filename", "a\\b")]));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body, "refused: name-invalid: the name has a backslash\n");
}

#[test]
fn the_time_of_the_file_is_taken() {
    let server = Server::default();
    create(&server, &named(&[("lastModified", "1700000000123")]));
    let modified = server.inbox().offers[0].0.modified_ns;
    assert_eq!(modified, Some(1_700_000_000_123_000_000));
    for other in ["", "yesterday", "9223372036854775807"] {
        create(&server, &named(&[("lastModified", other)]));
        assert_eq!(server.inbox().offers.pop().unwrap().0.modified_ns, None, "{other:?}");
    }
}

#[test]
fn an_upload_may_begin_with_content() {
    let server = Server::default();
    let fields = format!("{MEDIA_TYPE}Upload-Length: 10\r\nContent-Length: 4\r\n");
    let created = server.request(&request("POST /files/", &fields), b"hell");
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("4")));
    assert_eq!(server.kept(&created.location()).durable, 4);
    let all = format!("{MEDIA_TYPE}{}", named(&[("filename", "all")]).replace(": 1", ": 4"));
    let all = format!("{all}Content-Length: 4\r\n");
    let created = server.request(&request("POST /files/", &all), b"hell");
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("4")));
    assert_eq!(server.file("all").unwrap(), b"hell");
    let chunks = format!("{MEDIA_TYPE}Upload-Length: 10\r\nTransfer-Encoding: chunked\r\n");
    let created = server.request(&request("POST /files/", &chunks), &chunked(b"hello", ""));
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("5")));
}

#[test]
fn content_of_another_type_begins_no_upload() {
    let server = Server::default();
    for media_type in ["", "Content-Type: text/plain\r\n"] {
        let fields = format!("{media_type}Upload-Length: 10\r\nContent-Length: 4\r\n");
        assert_eq!(server.request(&request("POST /files/", &fields), b"hell").status, 415);
    }
    assert!(server.inbox().offers.is_empty());
    assert_eq!(create(&server, "Content-Type: text/plain\r\nUpload-Length: 1\r\n").status, 201);
}

#[test]
fn a_creation_that_was_cut_leaves_nothing() {
    let server = Server::default();
    let fields = format!("{MEDIA_TYPE}Upload-Length: 10\r\nContent-Length: 8\r\n");
    server.cut(&request("POST /files/", &fields), b"hell");
    assert_eq!(server.unfinished(), 0, "nobody knows its URL");
    let more = format!("{MEDIA_TYPE}Upload-Length: 2\r\nContent-Length: 4\r\n");
    assert_eq!(server.request(&request("POST /files/", &more), b"hell").status, 413);
    let more = format!("{MEDIA_TYPE}Upload-Length: 2\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(server.request(&request("POST /files/", &more), &chunked(b"hell", "")).status, 413);
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn a_deferred_length_is_said_once() {
    let server = Server::default();
    let created = create(&server, "Upload-Defer-Length: 1\r\n");
    let location = created.location();
    let found = head(&server, &location);
    assert_eq!(found.field("upload-defer-length"), Some("1"));
    assert_eq!(found.field("upload-length"), None);
    assert_eq!(patch(&server, &location, "Upload-Offset: 0\r\n", b"hell").status, 204);
    assert_eq!(head(&server, &location).field("upload-defer-length"), Some("1"));
    let short = "Upload-Offset: 4\r\nUpload-Length: 3\r\n";
    assert_eq!(patch(&server, &location, short, b"").status, 400);
    let said = "Upload-Offset: 4\r\nUpload-Length: 10\r\n";
    assert_eq!(patch(&server, &location, said, b"o ").status, 204);
    let found = head(&server, &location);
    assert_eq!(found.field("upload-defer-length"), None);
    assert_eq!(found.field("upload-length"), Some("10"));
    let other = "Upload-Offset: 6\r\nUpload-Length: 11\r\n";
    assert_eq!(patch(&server, &location, other, b"worl").status, 400);
    let same = "Upload-Offset: 6\r\nUpload-Length: 10\r\n";
    assert_eq!(patch(&server, &location, same, b"worl").status, 204);
    assert_eq!(server.inbox().published.values().next().unwrap(), b"hello worl");
}

#[test]
fn an_upload_ends_when_its_length_is_said_at_last() {
    let server = Server::default();
    let location = create(&server, "Upload-Defer-Length: 1\r\n").location();
    assert_eq!(patch(&server, &location, "Upload-Offset: 0\r\n", b"hell").status, 204);
    let said = "Upload-Offset: 4\r\nUpload-Length: 4\r\n";
    assert_eq!(patch(&server, &location, said, b"").status, 204);
    assert_eq!(server.inbox().published.values().next().unwrap(), b"hell");
}

/// A proxy may have `/files/` under another path, and aiotus takes no path that begins with a slash.
#[test]
fn the_url_is_told_relative_to_that_of_its_creation() {
    let server = Server::default();
    let of = |target: &str| {
        let created =
            server.request(&request(&format!("POST {target}"), "Upload-Length: 1\r\n"), b"");
        created.field("location").expect("a URL").to_owned()
    };
    assert!(!of("/files/").contains('/'));
    assert!(of("/files").starts_with("/files/"));
}
