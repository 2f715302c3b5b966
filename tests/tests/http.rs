//! HTTP without a resumable upload: files by `PUT` and `POST`, forms, what is refused and in which words, and which
//! pages of the web may send anything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use sandport_tests::files::{Entry, Tree, file};
use sandport_tests::http::{FORM, chunked, form};
use sandport_tests::{Http, Random, Server};

const MIB: usize = 1024 * 1024;

fn digest(content: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(content).to_hex())
}

/// What is in the inbox, without its directories.
fn names(server: &Server) -> BTreeSet<String> {
    let published = server.published().into_iter();
    published.filter(|(_, entry)| matches!(entry, Entry::File(_))).map(|(name, _)| name).collect()
}

#[test]
fn a_put_file_lies_under_its_name_and_the_answer_says_which() {
    let mut server = Server::start([]);
    let content = Random::seeded().bytes(3 * MIB + 7);
    let mut client = Http::open(&server);
    let answer = client.send("PUT", "/dir/gr%C3%B6%C3%9Fer%20file", &[], &content);
    let line = format!("stored: dir/größer file, {} bytes, {}\n", content.len(), digest(&content));
    assert_eq!((answer.status, answer.text()), (201, line));
    assert_eq!(answer.need("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.need("x-content-type-options"), "nosniff");
    assert_eq!(server.wait_stored(), "dir/größer file");
    assert!(server.content("dir/größer file") == content);

    let json = [("Accept", "application/json")];
    let answer = client.send("PUT", "/empty", &json, b"");
    assert_eq!((answer.status, answer.need("content-type")), (201, "application/json"));
    let told = answer.json();
    assert_eq!((&told["result"], &told["name"]), (&"stored".into(), &"empty".into()));
    assert_eq!((&told["size"], &told["digest"]), (&0.into(), &digest(b"").into()));
    assert_eq!(server.content("empty"), b"");
}

#[test]
fn a_taken_name_is_told_with_the_one_that_was_offered() {
    let server = Server::start([]);
    let mut client = Http::open(&server);
    assert_eq!(client.send("PUT", "/a.txt", &[], b"one").status, 201);
    let answer = client.send("PUT", "/a.txt", &[], b"other");
    let line = format!("stored: a-1.txt (offered as a.txt), 5 bytes, {}\n", digest(b"other"));
    assert_eq!((answer.status, answer.text()), (201, line));
    drop(client);

    let server = Server::start(["--conflict", "refuse"]);
    let mut client = Http::open(&server);
    assert_eq!(client.send("PUT", "/a.txt", &[], b"one").status, 201);
    client.send("PUT", "/a.txt", &[], b"other").expect_refused(409, "exists");
    assert_eq!(server.content("a.txt"), b"one");
}

#[test]
fn a_body_in_chunks_of_any_size_is_a_file() {
    let server = Server::start([]);
    let mut random = Random::seeded();
    let mut client = Http::open(&server);
    let in_chunks = [("Transfer-Encoding", "chunked")];
    for (name, size, sizes) in [
        ("none", 0, &[1][..]),
        ("small", 1_000, &[1, 7, 300]),
        ("one", 100_000, &[100_000]),
        ("many", 2 * MIB, &[65_536, 1, 4_095]),
    ] {
        let content = random.bytes(size);
        client.say_head("PUT", &format!("/{name}"), &in_chunks);
        client.say(chunked(&content, sizes));
        let answer = client.answer();
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        assert!(server.content(name) == content, "{name}");
    }
    client.say_head("POST", "/posted", &in_chunks);
    client.say("5;extension=\"a\"\r\nhello\r\n0\r\nTrailer: a\r\n\r\n");
    assert_eq!(client.answer().status, 201);
    assert_eq!(server.content("posted"), b"hello");
}

#[test]
fn requests_on_one_connection_follow_without_waiting() {
    let server = Server::start([]);
    let mut client = Http::open(&server);
    let mut all = Vec::new();
    for number in 0..50 {
        let body = format!("content {number}");
        let length = body.len().to_string();
        all.extend(
            client.head("PUT", &format!("/{number}"), &[("Content-Length", &length)]).bytes(),
        );
        all.extend(body.bytes());
        // A refusal that has taken the whole request ends nothing.
        all.extend(client.head("GET", "/nothing", &[]).bytes());
    }
    client.say(&all);
    for number in 0..50 {
        assert_eq!(client.answer().status, 201, "{number}");
        client.answer().expect_refused(404, "other");
    }
    let answer = client.ask("GET", "/", &[("Connection", "close")]);
    assert!(answer.text().contains("curl -T"), "{}", answer.text());
    assert_eq!(answer.need("connection"), "close");
    client.expect_end();
    assert_eq!(names(&server).len(), 50);
    assert_eq!(server.content("49"), b"content 49");
}

#[test]
fn each_file_of_a_form_has_a_result_of_its_own() {
    let server = Server::start(["--max-file", "1MiB"]);
    let mut client = Http::open(&server);
    let large = Random::seeded().bytes(MIB + 1);
    let json = [("Content-Type", FORM), ("Accept", "application/json")];

    let body = form(&[("a.txt", b"hello"), ("b/c.txt", b""), ("d", b"--")]);
    let answer = client.send("POST", "/", &json, body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let names: Vec<_> =
        answer.json()["files"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names[0], "a.txt");
    assert_eq!(server.content("a.txt"), b"hello");

    let body = form(&[("first", b"1"), ("large", &large), ("../up", b"2"), ("last", b"3")]);
    let answer = client.send("POST", "/below", &json, body);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let told = answer.json();
    let results: Vec<_> = told["files"].as_array().unwrap().iter().collect();
    let of = |index: usize| (results[index]["result"].as_str(), results[index]["code"].as_str());
    assert_eq!(of(0), (Some("stored"), None));
    assert_eq!(of(1), (Some("refused"), Some("too-large")));
    assert_eq!(of(2), (Some("refused"), Some("name-invalid")));
    assert_eq!(of(3), (Some("stored"), None));
    assert_eq!(server.content("below/first"), b"1");
    assert_eq!(server.content("below/last"), b"3");
    server.wait_nothing_staged();
}

#[test]
fn what_is_refused_has_its_status_and_code_and_leaves_nothing() {
    let mut server = Server::start(["--max-file", "1000B", "--quota-bytes", "1500B"]);
    let length = |length: &'static str| ("Content-Length", length);
    let form_without_files = "application/x-www-form-urlencoded";
    for (method, target, fields, body, status, code) in [
        ("PUT", "/../a", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/.sandport/a", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a%2Fb", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a%00", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a%5Cb", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/%FF", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a//b", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a?b", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a/", vec![length("1")], "a", 400, "name-invalid"),
        ("PUT", "/a", vec![length("1001")], "", 413, "too-large"),
        ("PUT", "/a", vec![], "", 411, "malformed"),
        ("PUT", "/a", vec![length("1"), ("Content-Range", "bytes 0-0/9")], "a", 400, "malformed"),
        (
            "PUT",
            "/a",
            vec![length("1"), ("Content-Encoding", "gzip")],
            "a",
            415,
            "unsupported-version",
        ),
        ("PUT", "/a", vec![length("1"), ("Expect", "much")], "a", 417, "unsupported-version"),
        ("PUT", "/a", vec![length("+1")], "a", 400, "malformed"),
        ("PUT", "/a", vec![length("1"), length("2")], "a", 400, "malformed"),
        ("PUT", "/a", vec![length("1"), ("Transfer-Encoding", "chunked")], "a", 400, "malformed"),
        ("PUT", "/a", vec![("Transfer-Encoding", "gzip, chunked")], "", 501, "malformed"),
        ("PUT", "/a", vec![length("1"), ("Host", "a"), ("Host", "b")], "a", 400, "malformed"),
        (
            "POST",
            "/",
            vec![length("1"), ("Content-Type", "multipart/form-data")],
            "a",
            400,
            "malformed",
        ),
        ("POST", "/", vec![length("1"), ("Content-Type", FORM)], "a", 400, "malformed"),
        (
            "POST",
            "/",
            vec![
                length("1"),
                ("Content-Type", form_without_files),
                ("Sec-Fetch-Site", "same-origin"),
            ],
            "a",
            415,
            "unsupported-version",
        ),
        ("GET", "/a", vec![], "", 404, "other"),
        ("DELETE", "/a", vec![], "", 405, "other"),
        ("CONNECT", "a:80", vec![], "", 405, "not-permitted"),
        ("TRACE", "/", vec![], "", 405, "not-permitted"),
        ("PROPFIND", "/", vec![], "", 501, "unsupported-version"),
    ] {
        let mut client = Http::open(&server);
        client.say_head(method, target, &fields);
        // It may have been refused by its head already.
        client.try_say(body);
        client.finish();
        let answer = client.answer();
        assert_eq!((answer.status, method, target), (status, method, target), "{}", answer.text());
        answer.expect_refused(status, code);
        client.expect_end();
    }
    let mut client = Http::open(&server);
    assert_eq!(client.send("PUT", "/kept", &[], vec![7; 1000]).status, 201);
    client.send("PUT", "/a", &[], vec![7; 1000]).expect_refused(507, "quota-exceeded");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published(), Tree::from([("kept".to_owned(), file(vec![7; 1000]))]));
    assert_eq!(server.staged(), [""; 0], "nothing may be left in staging");
}

#[test]
fn a_program_gets_a_problem_in_json() {
    let server = Server::start([]);
    let mut client = Http::open(&server);
    let answer = client.send("PUT", "/..", &[("Accept", "application/problem+json")], b"a");
    assert_eq!((answer.status, answer.need("content-type")), (400, "application/problem+json"));
    let told = answer.json();
    assert_eq!((&told["status"], &told["code"]), (&400.into(), &"name-invalid".into()));
    assert_eq!(told["type"], "about:blank");
}

#[test]
fn who_waits_for_100_hears_of_a_refusal_before_the_body() {
    let server = Server::start(["--max-file", "2MiB"]);
    let expects = ("Expect", "100-continue");
    for (target, length, status) in [("/../a", "2097152", 400), ("/a", "2097153", 413)] {
        let mut client = Http::open(&server);
        client.say_head("PUT", target, &[("Content-Length", length), expects]);
        let answer = client.answer();
        assert_eq!((answer.status, answer.interim_statuses()), (status, vec![]));
        assert_eq!(answer.need("connection"), "close");
        client.expect_end();
    }
    let mut client = Http::open(&server);
    client.say_head("PUT", "/a", &[("Content-Length", "5"), expects]);
    assert_eq!(client.any_answer().status, 100);
    client.say("hello");
    assert_eq!(client.answer().status, 201);
    // One that does not wait needs no word.
    let head = client.head("PUT", "/b", &[("Content-Length", "5"), expects]);
    client.say(head + "hello");
    let answer = client.answer();
    assert_eq!((answer.status, answer.interim_statuses()), (201, vec![]));
}

#[test]
fn what_was_cut_leaves_nothing_and_what_was_stored_before_stays() {
    let mut server = Server::start([]);
    let whole = form(&[("stored", b"1"), ("cut", &[7; 100_000])]);
    for is_reset in [false, true] {
        let mut client = Http::open(&server);
        client.say_head("PUT", "/put", &[("Content-Length", "100000")]);
        client.say([7; 50_000]);
        let mut chunks = Http::open(&server);
        chunks.say_head("PUT", "/chunks", &[("Transfer-Encoding", "chunked")]);
        chunks.say("c350\r\nhello");
        let mut posted = Http::open(&server);
        let length = whole.len().to_string();
        posted.say_head("POST", "/", &[("Content-Length", &length), ("Content-Type", FORM)]);
        posted.say(&whole[..50_000]);
        server.wait_stored();
        for mut client in [client, chunks, posted] {
            match is_reset {
                true => client.reset(),
                false => {
                    client.finish();
                    assert_eq!(client.answer().status, 400);
                    client.expect_end();
                }
            }
            server.wait_refused("cancelled");
        }
    }
    assert_eq!(server.stop(), Some(0));
    assert!(server.published().keys().all(|name| name.starts_with("stored")));
    assert_eq!(server.staged(), [""; 0], "nothing may be left in staging");
}

#[test]
fn a_page_of_another_site_may_send_only_if_it_is_allowed() {
    let server = Server::start(["--http-origin", "https://files.example"]);
    let here = format!("http://{}", server.address());
    let put = |fields: &[(&str, &str)]| Http::open(&server).send("PUT", "/a", fields, b"hello");
    for fields in [
        vec![("Origin", "https://other.example")],
        vec![("Origin", "null")],
        vec![("Origin", "https://files.example"), ("Origin", "https://files.example")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
    ] {
        let answer = put(&fields);
        answer.expect_refused(403, "not-permitted");
        assert_eq!(answer.field("access-control-allow-origin"), None);
    }
    // A name that a stranger has led here, and loaded a page under (DNS rebinding).
    put(&[("Origin", "http://rebound.example"), ("Host", "rebound.example")])
        .expect_refused(421, "not-permitted");
    assert_eq!(server.published(), Tree::default());

    let answer = put(&[("Origin", "https://files.example")]);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.need("access-control-allow-origin"), "https://files.example");
    assert_eq!(answer.field("access-control-allow-credentials"), None);
    for exposed in ["Location", "Upload-Offset", "Tus-Resumable"] {
        assert!(answer.need("access-control-expose-headers").contains(exposed));
    }
    for fields in [vec![("Origin", here.as_str())], vec![("Host", "files.example")], vec![]] {
        assert_eq!(put(&fields).status, 201, "{fields:?}");
    }
    let preflight = [
        ("Origin", "https://files.example"),
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "tus-resumable,upload-offset"),
    ];
    let answer = Http::open(&server).ask("OPTIONS", "/files/", &preflight);
    assert_eq!(answer.status, 204);
    assert!(answer.need("access-control-allow-methods").contains("PATCH"));
    for allowed in ["Authorization", "Tus-Resumable", "Upload-Offset", "Upload-Complete"] {
        assert!(answer.need("access-control-allow-headers").contains(allowed));
    }
}

#[test]
fn http_that_is_switched_off_is_answered_in_words() {
    let mut server = Server::start(["--http", "off"]);
    for (method, target) in [("GET", "/"), ("PUT", "/a"), ("POST", "/files/")] {
        let mut client = Http::open(&server);
        client.say_head(method, target, &[("Content-Length", "0")]);
        let answer = client.answer();
        assert_eq!(answer.status, 501, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains("HTTP is not served") && text.contains("sandport send"), "{text}");
        client.expect_end();
        server.wait_refused("not-permitted");
    }
    server.stop_and_expect_nothing();
}
