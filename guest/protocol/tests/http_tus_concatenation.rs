//! Uploads of tus that are put together out of others: the extensions concatenation and concatenation-unfinished.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::{CONCATENATED_MAX, Limits, Refusal, RefusalCode};
use url_uploads::tus::{head, patch, request};
use url_uploads::{Exchanged, Server, base64};

fn post(server: &Server, concat: &str, fields: &str) -> Exchanged {
    let fields = format!("Upload-Concat: {concat}\r\n{fields}");
    server.request(&request("POST /files/", &fields), b"")
}

/// A part of this length; the path of its URL.
fn part(server: &Server, length: usize) -> String {
    let created = post(server, "partial", &format!("Upload-Length: {length}\r\n"));
    assert_eq!(created.status, 201);
    created.location()
}

/// A part with this content.
fn whole_part(server: &Server, content: &[u8]) -> String {
    let location = part(server, content.len());
    bring(server, &location, 0, content);
    location
}

fn bring(server: &Server, location: &str, offset: usize, content: &[u8]) {
    let brought = server.request(&patch(location, offset, content.len()), content);
    assert_eq!(brought.status, 204);
}

fn named(name: &str) -> String {
    format!("Upload-Metadata: filename {}\r\n", base64(name.as_bytes()))
}

fn is_there(server: &Server, location: &str) -> bool {
    server.request(&head(location), b"").status == 200
}

#[test]
fn both_extensions_are_listed() {
    let server = Server::default();
    let options = server.request(&request("OPTIONS /files/", ""), b"");
    let extensions: Vec<_> = options.field("tus-extension").unwrap().split(',').collect();
    assert!(extensions.contains(&"concatenation"));
    assert!(extensions.contains(&"concatenation-unfinished"));
}

#[test]
fn a_part_is_an_upload_like_any_other_and_is_never_published() {
    let server = Server::default();
    let location = part(&server, 10);
    bring(&server, &location, 0, b"hello");
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-concat"), Some("partial"));
    assert_eq!(found.field("upload-offset"), Some("5"));
    assert_eq!(found.field("upload-length"), Some("10"));
    bring(&server, &location, 5, b"world");
    let found = server.request(&head(&location), b"");
    assert_eq!((found.status, found.field("upload-offset")), (200, Some("10")));
    // Who does not say by which protocol it asks does not complete it either.
    let found = server.request(&format!("HEAD {location} HTTP/1.1\r\nHost: h\r\n\r\n"), b"");
    assert_eq!(found.field("upload-concat"), Some("partial"));
    assert_eq!(found.field("upload-complete"), Some("?0"));
    assert_eq!(server.request(&patch(&location, 10, 0), b"").status, 204);
    assert_eq!(server.request(&patch(&location, 10, 1), b"x").status, 413);
    assert!(server.inbox().published.is_empty());
    assert_eq!(server.kept(&location).durable, 10);
    let ended = server.request(&request(&format!("DELETE {location}"), ""), b"");
    assert_eq!(ended.status, 204);
    assert!(!is_there(&server, &location));
}

#[test]
fn a_part_may_come_with_its_creation_or_get_its_length_later() {
    let server = Server::default();
    let fields = "Upload-Concat: partial\r\nUpload-Length: 2\r\nContent-Length: 2\r\n\
                  Content-Type: application/offset+octet-stream\r\n";
    let created = server.request(&request("POST /files/", fields), b"ab");
    assert_eq!((created.status, created.field("upload-offset")), (201, Some("2")));
    let empty = part(&server, 0);
    let deferred = post(&server, "partial", "Upload-Defer-Length: 1\r\n").location();
    let fields = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                  Upload-Length: 1\r\nContent-Length: 1\r\n";
    let brought = server.request(&request(&format!("PATCH {deferred}"), fields), b"c");
    assert_eq!(brought.status, 204);
    assert!(server.inbox().published.is_empty());
    let parts = format!("final;{} {empty} {deferred}", created.location());
    assert_eq!(post(&server, &parts, &named("abc")).status, 201);
    assert_eq!(server.file("abc").unwrap(), b"abc");
}

#[test]
fn a_part_has_no_name_whatever_its_metadata_says() {
    let server = Server::default();
    let location =
        post(&server, "partial", "Upload-Length: 1\r\nUpload-Metadata: filename Li4=\r\n");
    assert_eq!(location.status, 201);
    assert_eq!(server.inbox().offers.last().unwrap().0.name, None);
    let found = server.request(&head(&location.location()), b"");
    assert_eq!(found.field("upload-metadata"), Some("filename Li4="));
}

#[test]
fn a_final_upload_has_the_content_of_its_parts_which_go() {
    let server = Server::default();
    let (b, a) = (whole_part(&server, b"world"), whole_part(&server, b"hello "));
    let key = a.strip_prefix("/files/").unwrap();
    for url in [format!("/files/{key}"), format!("https://h:1/below/files/{key}"), key.into()] {
        let a = whole_part(&server, b"hello ");
        let url = url.replace(key, a.strip_prefix("/files/").unwrap());
        let b = whole_part(&server, b"world");
        let concat = format!("final;{url} {b}");
        let created = post(&server, &concat, &named("greeting"));
        assert_eq!((created.status, created.field("upload-offset")), (201, Some("11")));
        assert_eq!(server.file("greeting").unwrap(), b"hello world");
        assert!(!is_there(&server, &a) && !is_there(&server, &b));
        let found = server.request(&head(&created.location()), b"");
        assert_eq!(found.status, 200);
        assert_eq!(found.field("upload-concat"), Some(&*concat));
        assert_eq!(found.field("upload-offset"), Some("11"));
        assert_eq!(found.field("upload-length"), Some("11"));
    }
    assert!(is_there(&server, &a) && is_there(&server, &b));
    let last = server.inbox().offers.iter().rfind(|(offer, _)| offer.name.is_some()).cloned();
    assert_eq!(last.unwrap().0.size, Some(11));
}

#[test]
fn a_part_may_come_twice() {
    let server = Server::default();
    let part = whole_part(&server, b"ab");
    assert_eq!(post(&server, &format!("final;{part} {part}"), &named("f")).status, 201);
    assert_eq!(server.file("f").unwrap(), b"abab");
    assert!(!is_there(&server, &part));
}

#[test]
fn a_final_upload_takes_no_content() {
    let server = Server::default();
    let whole = whole_part(&server, b"ab");
    let done = post(&server, &format!("final;{whole}"), "").location();
    let unfinished = part(&server, 2);
    let waits = post(&server, &format!("final;{unfinished}"), "").location();
    for location in [done, waits] {
        for (offset, content) in [(0, &b"x"[..]), (2, b""), (0, b"")] {
            let refused = server.request(&patch(&location, offset, content.len()), content);
            assert_eq!(refused.status, 403);
        }
    }
    assert!(is_there(&server, &unfinished));
    let other = part(&server, 1);
    for (fields, content) in [
        ("Upload-Length: 2\r\n", ""),
        ("Upload-Defer-Length: 1\r\n", ""),
        ("Content-Type: application/offset+octet-stream\r\nContent-Length: 1\r\n", "x"),
    ] {
        let fields = format!("Upload-Concat: final;{other}\r\n{fields}");
        let refused = server.request(&request("POST /files/", &fields), content.as_bytes());
        assert_eq!(refused.status, 400, "{fields}");
    }
}

#[test]
fn a_part_that_is_no_part_of_this_sender_is_refused() {
    let server = Server::default();
    let ours = whole_part(&server, b"ab");
    let foreign = "/files/".to_owned() + &"A".repeat(43);
    let file = url_uploads::tus::create(&server, 2);
    let before = server.unfinished();
    for (parts, status) in [
        (format!("{ours} {foreign}"), 404),
        (format!("{ours} /files/no+key"), 404),
        (format!("{ours} /files/"), 404),
        (format!("{ours} {file}"), 400),
        ("A ".repeat(CONCATENATED_MAX + 1), 400),
        (String::new(), 400),
    ] {
        let refused = post(&server, &format!("final;{parts}"), "Accept: application/json\r\n");
        assert_eq!(refused.status, status, "{parts}");
    }
    assert_eq!(server.unfinished(), before);
    assert!(is_there(&server, &ours));
    // A stored file is no part.
    bring(&server, &file, 0, b"xy");
    assert_eq!(post(&server, &format!("final;{file}"), "").status, 404);
    assert!(server.inbox().published.len() == 1);
}

#[test]
fn a_final_upload_that_would_be_too_large_is_refused() {
    let server = Server::with(Limits { max_file_size: Some(3), ..Limits::default() });
    let part = whole_part(&server, b"ab");
    assert_eq!(post(&server, &format!("final;{part} {part}"), "").status, 413);
    assert_eq!(server.inbox().concatenations, 0);
    assert!(is_there(&server, &part));
    let metadata = format!("Upload-Metadata: a {}\r\n", "A".repeat(2_800));
    let many = "/files/".to_owned() + &"A".repeat(43) + " ";
    assert_eq!(post(&server, &format!("final;{}", many.repeat(40)), &metadata).status, 431);
}

#[test]
fn refused_parts_stay_and_the_request_can_come_again() {
    let server = Server::default();
    let part = whole_part(&server, b"ab");
    let concat = format!("final;{part}");
    let before = server.unfinished();
    let full = Refusal::new(RefusalCode::InsufficientSpace, "");
    server.inbox().refuse_concatenations = Some(full.clone());
    assert_eq!(post(&server, &concat, &named("f")).status, 507);
    assert_eq!(server.unfinished(), before, "nobody was told its URL");
    server.inbox().refuse_concatenations = None;
    server.inbox().refuse_commits = Some(full);
    assert_eq!(post(&server, &concat, &named("f")).status, 507);
    assert_eq!(server.unfinished(), before);
    server.inbox().refuse_commits = None;
    assert_eq!(post(&server, &concat, &named("f")).status, 201);
    assert_eq!(server.file("f").unwrap(), b"ab");
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn a_final_upload_may_be_begun_before_its_parts_are_whole() {
    let server = Server::default();
    let (a, b) = (whole_part(&server, b"hello "), part(&server, 5));
    let concat = format!("final;{a} {b}");
    let created = post(&server, &concat, &named("greeting"));
    assert_eq!((created.status, created.field("upload-offset")), (201, None));
    let location = created.location();
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-concat"), Some(&*concat));
    assert_eq!(found.field("upload-offset"), None);
    assert_eq!(found.field("upload-length"), Some("11"));
    bring(&server, &b, 0, b"world");
    assert!(server.inbox().published.is_empty());
    // Asking by GET changes nothing.
    let asked = server.request(&request(&format!("GET {location}"), ""), b"");
    assert_eq!((asked.status, asked.field("upload-offset")), (200, None));
    assert!(server.inbox().published.is_empty());
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("11"));
    assert_eq!(found.field("upload-length"), Some("11"));
    assert_eq!(server.file("greeting").unwrap(), b"hello world");
    assert!(!is_there(&server, &a) && !is_there(&server, &b) && is_there(&server, &location));
}

#[test]
fn the_length_of_a_final_upload_is_told_once_it_is_known() {
    let server = Server::default();
    let part = post(&server, "partial", "Upload-Defer-Length: 1\r\n").location();
    let location = post(&server, &format!("final;{part}"), "").location();
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-length"), None);
    assert_eq!(found.field("upload-defer-length"), None);
    let fields = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\
                  Upload-Length: 2\r\nContent-Length: 1\r\n";
    assert_eq!(server.request(&request(&format!("PATCH {part}"), fields), b"a").status, 204);
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-length"), Some("2"));
}

#[test]
fn a_final_upload_whose_part_is_gone_says_so() {
    let server = Server::default();
    let part = part(&server, 2);
    let location = post(&server, &format!("final;{part}"), "").location();
    server.request(&request(&format!("DELETE {part}"), ""), b"");
    assert_eq!(server.request(&head(&location), b"").status, 410);
    let ended = server.request(&request(&format!("DELETE {location}"), ""), b"");
    assert_eq!(ended.status, 204);
}
