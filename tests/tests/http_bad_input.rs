//! What clients of HTTP should not do: heads and bodies that stop, many at one upload, uploads that nobody fills.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::thread;

use sandport_tests::deadline::{Deadline, joined};
use sandport_tests::files::Tree;
use sandport_tests::http::Answer;
use sandport_tests::tus::{NAMED_A, OFFSET_STREAM, TUS, begin};
use sandport_tests::{Http, Native, Random, Server};

const MIB: usize = 1024 * 1024;

fn head_of_patch<'a>(offset: &'a str, length: &'a str) -> [(&'a str, &'a str); 4] {
    [TUS, OFFSET_STREAM, ("Upload-Offset", offset), ("Content-Length", length)]
}

#[test]
fn heads_that_are_too_long_or_no_http_cost_one_connection() {
    let mut server = Server::start([]);
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(17_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(65));
    let endless = format!("GET /{}", "x".repeat(17_000));
    for (request, status, code) in [
        (long.as_str(), 431, "too-large"),
        (&many, 431, "too-large"),
        (&endless, 431, "too-large"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported-version"),
        ("GET / HTTP/3.0\r\n\r\n", 505, "unsupported-version"),
        ("GET /\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400, "malformed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400, "malformed"),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "malformed"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed"),
        (
            "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
            400,
            "malformed",
        ),
        (
            "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            400,
            "malformed",
        ),
        (
            "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            400,
            "malformed",
        ),
        ("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed"),
    ] {
        let mut client = Http::open(&server);
        client.try_say(request);
        let answer = client.answer();
        let shown = &request[..request.len().min(60)];
        assert_eq!((answer.status, shown), (status, shown), "{}", answer.text());
        answer.expect_refused(status, code);
        assert_eq!(answer.field("connection"), Some("close"));
        client.expect_end();
    }
    server.stop_and_expect_nothing();
}

#[test]
fn who_falls_silent_is_told_so_and_what_came_of_an_upload_stays() {
    let mut server = Server::start(["--idle-timeout", "2s"]);
    let url = begin(&server, 2 * MIB, NAMED_A);
    let content = Random::seeded().bytes(2 * MIB);
    let mut head = Http::open(&server);
    head.say("PUT /a HTTP/1.1\r\nHo");
    let mut body = Http::open(&server);
    body.say_head("PUT", "/a", &[("Content-Length", "10")]);
    body.say("hello");
    let mut chunk = Http::open(&server);
    chunk.say_head("PUT", "/a", &[("Transfer-Encoding", "chunked")]);
    chunk.say("5\r\nhello\r\n5");
    let mut patch = Http::open(&server);
    patch.say_head("PATCH", &url, &head_of_patch("0", "2097152"));
    patch.say(&content[..MIB]);
    for mut client in [head, body, chunk, patch] {
        client.answer().expect_refused(408, "timeout");
        client.expect_end();
        server.wait_refused("timeout");
    }
    // Between two requests nothing is owed to anybody.
    let mut idle = Http::open(&server);
    assert_eq!(idle.ask("GET", "/", &[]).status, 200);
    idle.expect_end();
    let answer = Http::open(&server).ask("HEAD", &url, &[TUS]);
    assert_eq!(answer.number("upload-offset"), MIB as u64);
    let mut rest = Http::open(&server);
    rest.say_head("PATCH", &url, &head_of_patch("1048576", "1048576"));
    rest.say(&content[MIB..]);
    assert_eq!(rest.answer().status, 204);
    assert_eq!(server.stop(), Some(0));
    assert!(server.content("a") == content);
    assert_eq!((server.published().len(), server.staged().len()), (1, 0));
}

/// A head that comes byte by byte is as slow as one that does not come.
#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let mut server = Server::start(["--idle-timeout", "1s"]);
    let mut slow = Http::open(&server);
    slow.say("GET / HTTP/1.1\r\nHost: a\r\nA: ");
    let patience = Deadline::new();
    while slow.try_say("x") {
        patience.check("the end of a connection whose head has no end");
        // Another client is served meanwhile, and that takes some time.
        assert_eq!(Http::open(&server).ask("GET", "/", &[]).status, 200);
    }
    server.wait_refused("timeout");
    server.stop_and_expect_nothing();
}

#[test]
fn of_two_clients_at_one_upload_the_later_has_it() {
    let server = Server::start([]);
    let content = Random::seeded().bytes(2 * MIB);
    let url = begin(&server, content.len(), NAMED_A);
    let mut earlier = Http::open(&server);
    earlier.say_head("PATCH", &url, &head_of_patch("0", "2097152"));
    earlier.say(&content[..MIB]);
    // A GET takes the upload from nobody, and tells what is durable; a HEAD does take it.
    let here = Http::open(&server).ask("GET", &url, &[TUS]).number("upload-offset");
    let answer = Http::open(&server).ask("HEAD", &url, &[TUS]);
    let settled = answer.number("upload-offset");
    assert!(here <= settled && settled <= MIB as u64, "{here} {settled}");
    let settled = settled as usize;
    let mut later = Http::open(&server);
    let (offset, length) = (settled.to_string(), (content.len() - settled).to_string());
    later.say_head("PATCH", &url, &head_of_patch(&offset, &length));
    later.say(&content[settled..]);
    let answer = later.answer();
    // Where the earlier request had not been read when it was asked, it was the later one.
    if answer.status == 204 {
        assert!(server.content("a") == content);
        earlier.try_say(&content[MIB..]);
        let status = earlier.answer().status;
        assert!(matches!(status, 404 | 409 | 410 | 413 | 423), "{status}");
    } else {
        assert!(matches!(answer.status, 409 | 423), "{answer:?}");
    }
}

/// Each append takes the upload from the one before, so it may be that none of them is told that it has come through.
#[test]
fn a_storm_of_appends_at_one_offset_leaves_the_bytes_of_one() {
    const BYTES: usize = 1_000;
    let server = Server::start([]);
    let url = begin(&server, 4 * BYTES, NAMED_A);
    let mut ends = vec![0];
    for part in 1..=4 {
        let offset = ends[ends.len() - 1];
        let clients: Vec<_> = (b'a'..b'a' + 20)
            .map(|byte| {
                let (address, url) = (server.address().to_owned(), url.clone());
                thread::spawn(move || append(&mut Http::to(&address), &url, offset, &[byte; BYTES]))
            })
            .collect();
        let mut statuses = BTreeMap::new();
        for client in clients {
            let answer = joined("an answer to each append", client);
            assert!(matches!(answer.status, 204 | 409 | 413 | 423), "{answer:?} {}", answer.text());
            *statuses.entry(answer.status).or_insert(0) += 1;
        }
        assert!(statuses.get(&204).is_none_or(|count| *count == 1), "{statuses:?}");
        let here = Http::open(&server).ask("HEAD", &url, &[TUS]).number("upload-offset") as usize;
        assert!((offset..=part * BYTES).contains(&here), "{offset} {here}");
        ends.push(here);
        // After the storm, whoever comes alone comes through.
        if here < part * BYTES {
            let rest = vec![b'z'; part * BYTES - here];
            let answer = append(&mut Http::open(&server), &url, here, &rest);
            assert_eq!(answer.status, 204, "{answer:?} {}", answer.text());
            ends.push(part * BYTES);
        }
    }
    let content = server.content("a");
    assert_eq!(content.len(), 4 * BYTES);
    for part in ends.windows(2).map(|ends| &content[ends[0]..ends[1]]) {
        assert!(part.iter().all(|byte| byte == &part[0]), "bytes of two appends are mixed");
    }
}

fn append(client: &mut Http, url: &str, offset: usize, content: &[u8]) -> Answer {
    let (offset, length) = (offset.to_string(), content.len().to_string());
    client.say_head("PATCH", url, &head_of_patch(&offset, &length));
    client.try_say(content);
    client.answer()
}

#[test]
fn uploads_that_nobody_fills_are_bounded_and_others_are_served() {
    let server = Server::start(["--durability", "none"]);
    let mut statuses = BTreeMap::new();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let address = server.address().to_owned();
            thread::spawn(move || {
                let mut client = Http::to(&address);
                let fields = [TUS, ("Upload-Length", "1000000")];
                let create = |_| client.send("POST", "/files/", &fields, b"").status;
                (0..500).map(create).collect::<Vec<_>>()
            })
        })
        .collect();
    for client in clients {
        for status in joined("the answers to creations", client) {
            *statuses.entry(status).or_insert(0) += 1;
        }
    }
    assert_eq!(statuses, BTreeMap::from([(201, 2_000)]));
    let files = std::fs::read_dir(server.inbox().join(".sandport/partials")).unwrap().count();
    assert!(files <= 2 * 1_024, "{files} files of uploads of which nothing came");
    assert_eq!(Http::open(&server).send("PUT", "/other", &[], b"hello").status, 201);
    let mut native = Native::open(&server);
    native.send(0, "native", b"hello");
    assert_eq!(native.outcome(0).unwrap().name, "native");
    assert_ne!(server.published(), Tree::default());
}
