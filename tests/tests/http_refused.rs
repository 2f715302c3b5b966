//! What is refused of clients of HTTP beyond single heads, and that nothing of it is left behind: keys that lead
//! nowhere, forms that are none, large bodies of what was refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use sandport_tests::http::{BOUNDARY, FORM, form};
use sandport_tests::tus::{NAMED_A, OFFSET_STREAM, TUS, begin};
use sandport_tests::{Http, Server};

const MIB: usize = 1024 * 1024;

const PARTIAL_UPLOAD: (&str, &str) = ("Content-Type", "application/partial-upload");
const AT_0: (&str, &str) = ("Upload-Offset", "0");

/// What is there of uploads, stored or not.
fn left(server: &Server) -> (BTreeSet<String>, usize) {
    let partials = std::fs::read_dir(server.inbox().join(".sandport/partials")).unwrap();
    (server.published().into_keys().collect(), partials.count())
}

#[test]
fn urls_that_lead_to_no_upload_are_not_found_and_make_none() {
    let server = Server::start([]);
    let url = begin(&server, 10, NAMED_A);
    let (_, files) = left(&server);
    let key = url.strip_prefix("/files/").unwrap();
    let other = match key.as_bytes()[0] {
        b'A' => 'B',
        _ => 'A',
    };
    let unknown = format!("{other}{}", &key[1..]);
    let upper = key.to_ascii_uppercase();
    let cases = [
        // Another key, the same in another spelling, and what no key can be.
        unknown,
        format!("{key}="),
        format!("{key}/"),
        format!("{key}/a"),
        upper,
        "no-key!".to_owned(),
        // As a path would have it, of a file that is there.
        format!("x%2F..%2F{key}"),
        "..%2f..%2f.sandport%2flayout".to_owned(),
        "%2e%2e/%2e%2e/.sandport/layout".to_owned(),
        "../../.sandport/layout".to_owned(),
        "A".repeat(5_000),
    ];
    for key in cases.iter().filter(|one| one.as_str() != key) {
        let target = format!("/files/{key}");
        for (method, fields) in [
            ("HEAD", vec![TUS]),
            ("HEAD", vec![]),
            ("GET", vec![]),
            ("DELETE", vec![TUS]),
            ("DELETE", vec![]),
            ("PATCH", vec![TUS, OFFSET_STREAM, AT_0, ("Content-Length", "0")]),
            ("PATCH", vec![PARTIAL_UPLOAD, AT_0, ("Upload-Complete", "?1")]),
        ] {
            let answer = Http::open(&server).ask(method, &target, &fields);
            let shown = &target[..target.len().min(80)];
            assert!(matches!(answer.status, 400 | 404), "{method} {shown} {fields:?}: {answer:?}");
            assert!(answer.field("upload-offset").is_none(), "{method} {shown}");
        }
    }
    assert_eq!(left(&server), (BTreeSet::new(), files));
    let found = Http::open(&server).ask("HEAD", &url, &[TUS]);
    assert_eq!((found.status, found.number("upload-offset")), (200, 0));
}

/// Some proxies write their own name and path into `Location`, and pass on targets with a host.
#[test]
fn a_url_made_whole_by_a_proxy_leads_to_its_upload() {
    let server = Server::start([]);
    let url = begin(&server, 10, NAMED_A);
    let patch = [TUS, OFFSET_STREAM, AT_0];
    let below = Http::open(&server).send("PATCH", &format!("/proxied{url}"), &patch, b"01234");
    assert_eq!(below.status, 404);
    let elsewhere = format!("http://other.example{url}");
    let refused = Http::open(&server).send("PATCH", &elsewhere, &patch, b"01234");
    refused.expect_refused(400, "malformed");
    assert_eq!(Http::open(&server).ask("HEAD", &url, &[TUS]).number("upload-offset"), 0);
    let whole = format!("http://{}{url}", server.address());
    assert_eq!(Http::open(&server).send("PATCH", &whole, &patch, b"01234").status, 204);
    assert_eq!(Http::open(&server).ask("HEAD", &whole, &[TUS]).number("upload-offset"), 5);
}

#[test]
fn malformed_forms_store_what_came_before_and_nothing_else() {
    let mut server = Server::start([]);
    let head = |name: &str| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n"
        )
    };
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let first = form(&[("first", b"1")]);
    let first = std::str::from_utf8(&first).unwrap().strip_suffix(&format!("--{BOUNDARY}--\r\n"));
    let first = first.unwrap();
    let nested = "Content-Disposition: form-data; name=\"f\"\r\n\
                  Content-Type: multipart/mixed; boundary=x";
    for (of, body, status, code) in [
        ("no boundary", "hello".to_owned(), 400, "malformed"),
        ("no end", format!("{first}{}2", head("b")), 400, "malformed"),
        ("nested", format!("{first}--{BOUNDARY}\r\n{nested}\r\n\r\n--x--{end}"), 400, "malformed"),
        (
            "a huge head",
            format!("{first}--{BOUNDARY}\r\nX: {}\r\n\r\n2{end}", "y".repeat(MIB)),
            400,
            "malformed",
        ),
        ("a huge name", format!("{first}{}2{end}", head(&"n".repeat(8_000))), 400, "name-invalid"),
        (
            "two boundaries in a row",
            format!("{first}--{BOUNDARY}\r\n--{BOUNDARY}\r\n\r\n2{end}"),
            400,
            "malformed",
        ),
    ] {
        let answer = Http::open(&server).send("POST", "/", &[("Content-Type", FORM)], body);
        assert_eq!(answer.status, status, "{of}: {}", answer.text());
        let refused = answer.text().lines().last().unwrap().contains(&format!("refused: {code}"));
        assert!(refused, "{of}: {}", answer.text());
    }
    let two = "multipart/form-data; boundary=a; boundary=b";
    let endless = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for media_type in ["multipart/form-data", two, &endless] {
        let fields = [("Content-Type", media_type)];
        let answer = Http::open(&server).send("POST", "/", &fields, b"--a--");
        answer.expect_refused(400, "malformed");
    }
    assert_eq!(server.stop(), Some(0));
    let names: Vec<_> = server.published().into_keys().collect();
    // The same content under the same name is one file.
    assert_eq!(names, ["first"]);
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn the_same_name_twice_in_a_form_follows_the_conflict_rule() {
    for (rule, status, published) in [
        ("rename", 201, vec![("a", "1"), ("a-1", "22")]),
        ("replace", 201, vec![("a", "22")]),
        ("refuse", 409, vec![("a", "1")]),
    ] {
        let server = Server::start(["--conflict", rule]);
        let fields = [("Content-Type", FORM), ("Accept", "application/json")];
        let body = form(&[("a", b"1"), ("a", b"22")]);
        let answer = Http::open(&server).send("POST", "/", &fields, body);
        assert_eq!(answer.status, status, "{rule}: {}", answer.text());
        let files = answer.json()["files"].as_array().unwrap().clone();
        assert_eq!(files.len(), 2, "{rule}");
        assert_eq!(files[0]["result"], "stored", "{rule}");
        let second = if status == 201 { "stored" } else { "refused" };
        assert_eq!(files[1]["result"], second, "{rule}");
        let names: Vec<_> = server.published().into_keys().collect();
        assert_eq!(names, published.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{rule}");
        for (name, content) in published {
            assert_eq!(server.content(name), content.as_bytes(), "{rule}");
        }
    }
}

#[test]
fn a_form_that_falls_silent_tells_of_each_of_its_files() {
    let mut server = Server::start(["--idle-timeout", "1s"]);
    let body = form(&[("whole", b"1"), ("cut", &[7; 1_000])]);
    let mut client = Http::open(&server);
    let length = body.len().to_string();
    client.say_head("POST", "/", &[("Content-Length", &length), ("Content-Type", FORM)]);
    client.say(&body[..body.len() - 500]);
    let answer = client.answer();
    assert_eq!(answer.status, 408);
    let text = answer.text();
    let told: Vec<_> = text.lines().collect();
    assert!(told[0].starts_with("stored: whole, 1 byte"), "{text}");
    assert!(told[1].starts_with("cut: refused: timeout"), "{text}");
    client.expect_end();
    server.wait_refused("timeout");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().into_keys().collect::<Vec<_>>(), ["whole"]);
    assert_eq!(server.staged(), [""; 0]);
}

/// The server reads on for a while: else the end of the connection would take the answer with it.
#[test]
fn who_sends_a_large_body_to_what_is_refused_hears_why() {
    let mut server = Server::start(["--max-file", "1MiB"]);
    for (target, length, status, code) in [
        ("/../a", 3 * MIB, 400, "name-invalid"),
        ("/a", 3 * MIB, 413, "too-large"),
        ("/a?b", 3 * MIB, 400, "name-invalid"),
    ] {
        let mut client = Http::open(&server);
        client.say_head("PUT", target, &[("Content-Length", &length.to_string())]);
        client.say(vec![7; length]);
        let answer = client.answer();
        answer.expect_refused(status, code);
        assert_eq!(answer.field("connection"), Some("close"));
        // It ends all the same, and what is left of the body is no request.
        client.expect_end();
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!((server.published().len(), server.staged().len()), (0, 0));
}
