//! Files as the bodies of requests: `PUT`, and `POST` of what is no form.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::HttpEnd;
use http_end::inbox::blake3;
use sandport_protocol::{Limits, Refusal, RefusalCode};

fn put(target: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!("PUT {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n{content}")
}

#[test]
fn curl_t_stores_a_file_and_says_so_in_a_line() {
    let end =
        HttpEnd::default().send(put("/a.txt", "User-Agent: curl/8\r\nAccept: */*\r\n", "hello"));
    let answer = end.answer();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, format!("stored: a.txt, 5 bytes, blake3:{}\n", blake3(b"hello")));
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert!(!answer.closes());
    assert_eq!(end.file("a.txt"), Some(b"hello".as_slice()));
    assert!(end.is_idle());
}

#[test]
fn json_is_given_to_who_asks_for_it() {
    let accept = "Accept: text/html;q=0.5, application/json\r\n";
    let answer = HttpEnd::default().send(put("/a.txt", accept, "hello")).answer();
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let expected = serde_json::json!({
        "result": "stored",
        "name": "a.txt",
        "size": 5,
        "digest": format!("blake3:{}", blake3(b"hello")),
    });
    assert_eq!(answer.json(), expected);
    let not = HttpEnd::default().send(put("/a", "Accept: application/json;q=0, */*\r\n", "x"));
    assert!(not.answer().body.starts_with("stored: a, 1 byte,"));
}

#[test]
fn a_file_in_chunks_is_stored_whatever_their_sizes() {
    let request = "PUT /dir/a%20b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                   1\r\nh\r\n003;x=\"y\"\r\nell\r\n1\r\no\r\n0\r\nTrailer: t\r\n\r\n";
    let end = HttpEnd::default().send(request);
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.file("dir/a b"), Some(b"hello".as_slice()));
    assert!(end.is_idle());
}

#[test]
fn a_large_body_is_spliced_and_not_read() {
    let content = vec![b'x'; 1_000_000];
    let head = format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", content.len());
    let end = HttpEnd::default().send([head.as_bytes(), &content].concat());
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.file("a"), Some(content.as_slice()));
    assert!(end.wire.written <= 65_536, "{} bytes were read", end.wire.written);
}

#[test]
fn large_chunks_are_spliced_and_the_lines_between_are_read() {
    let mut request = b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        request.extend_from_slice(b"10000\r\n");
        request.extend(vec![b'x'; 0x10000]);
        request.extend_from_slice(b"\r\n");
    }
    let end = HttpEnd::default().send([&request, b"0\r\n\r\n".as_slice()].concat());
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.file("a").map(<[u8]>::len), Some(20 * 0x10000));
    assert!(end.wire.written <= 65_536 + 100, "{} bytes were read", end.wire.written);
}

#[test]
fn an_empty_file_is_a_file() {
    let chunked = "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let end = HttpEnd::default().send(put("/a", "", "")).send(chunked);
    assert_eq!(end.names(), ["a", "b"]);
    assert!(end.is_idle());
}

#[test]
fn a_body_of_no_length_is_refused_and_not_an_empty_file() {
    let end = HttpEnd::default().send("PUT /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(end.answer().status, 411);
    assert!(end.names().is_empty());
    assert!(end.is_idle());
}

#[test]
fn a_file_without_a_name_gets_one() {
    let end = HttpEnd::default().send(put("/", "", "hello"));
    assert_eq!(end.file("unnamed-1"), Some(b"hello".as_slice()));
    assert!(end.answer().body.starts_with("stored: unnamed-1, 5 bytes"));
}

#[test]
fn what_is_renamed_is_told_with_both_names() {
    let mut end = HttpEnd::default().with_file("a", b"another");
    end.wire.inbox.renames = Some("-1".into());
    let end = end.send(put("/a", "", "hello")).send(put("/a", "Accept: application/json\r\n", "x"));
    let answers = end.answers();
    assert!(answers[0].body.starts_with("stored: a-1 (offered as a), 5 bytes"));
    assert_eq!(answers[1].json()["offered"], "a");
    assert_eq!(answers[1].json()["name"], "a-1");
}

#[test]
fn a_put_of_a_known_name_and_size_is_taken_all_the_same() {
    let end = HttpEnd::default().with_file("a", b"HELLO").send(put("/a", "", "hello"));
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.file("a"), Some(b"hello".as_slice()));
    let sizes: Vec<_> = end.wire.inbox.offers.iter().map(|(offer, _)| offer.size).collect();
    assert_eq!(sizes, [Some(5), None]);
}

#[test]
fn the_time_of_a_file_is_taken_as_clients_send_it() {
    let modified = |fields: &str| {
        let end = HttpEnd::default().send(put("/a", fields, "x"));
        let accepted = end.answer().field("x-oc-mtime").map(str::to_owned);
        (end.wire.inbox.offers[0].0.modified_ns, accepted)
    };
    let accepted = Some(String::from("accepted"));
    let s = 1_000_000_000;
    let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert_eq!(modified(date), (Some(784_111_777 * s), None));
    assert_eq!(modified("X-OC-Mtime: 1700000000\r\n"), (Some(1_700_000_000 * s), accepted.clone()));
    let both = format!("{date}X-OC-Mtime: -5.25\r\n");
    assert_eq!(modified(&both), (Some(-5 * s), accepted));
    for bad in ["X-OC-Mtime: x\r\n", "X-OC-Mtime: 1e9\r\n", "X-OC-Mtime: 99999999999999\r\n"] {
        assert_eq!(modified(bad), (None, None), "{bad}");
    }
    assert_eq!(modified("Last-Modified: yesterday\r\n"), (None, None));
}

#[test]
fn data_of_curl_is_a_file_whatever_curl_calls_it() {
    let post = |target: &str, fields: &str| {
        HttpEnd::default().send(format!(
            "POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n{fields}\r\nhello"
        ))
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(post("/a", form).file("a"), Some(b"hello".as_slice()));
    let named = "Content-Disposition: attachment; filename=\"dir/b\"\r\n";
    assert_eq!(post("/", named).file("dir/b"), Some(b"hello".as_slice()));
    assert_eq!(post("/", "").names(), ["unnamed-1"]);
    // A form that cannot carry a file, sent by a browser.
    let browser = format!("{form}Origin: http://h\r\nSec-Fetch-Site: same-origin\r\n");
    let limits = Limits { hosts: vec!["h".into()], ..Limits::default() };
    let end = HttpEnd::with(limits)
        .send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n{browser}\r\na=b&c"));
    assert_eq!(end.answer().status, 415);
}

#[test]
fn a_target_is_decoded_once_and_its_parts_stay_parts() {
    let good = [
        ("/%C3%BCbung/%E5%AE%9F%E9%A8%93", "übung/実験"),
        ("/a%2525", "a%25"),
        ("/a+b", "a+b"),
        ("/what%3F", "what?"),
        ("/files/x", "files/x"),
        ("http://h/a", "a"),
        ("HTTP://H/a/b", "a/b"),
    ];
    for (target, name) in good {
        let end = HttpEnd::default().send(put(target, "", "x"));
        assert_eq!(end.names(), [name], "{target}");
    }
    let bad = [
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a\\b",
        "/a%00",
        "/%FF",
        "/a//b",
        "//a",
        "//",
        "/a/",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a?b",
        "a",
        "*",
        "h:80",
        "ftp://h/a",
        "http://h?a",
        "/a#b",
    ];
    for target in bad {
        let end = HttpEnd::default().send(put(target, "", "x"));
        let status = end.answer().status;
        assert!(status == 400 || status == 405, "{target}: {status}");
        assert!(end.wire.inbox.offers.is_empty(), "{target}");
    }
}

#[test]
fn a_put_is_of_a_name_also_below_files() {
    for name in ["files/a", "files/AAAA", "files/a/b"] {
        let end = HttpEnd::default().send(put(&format!("/{name}"), "", "x"));
        assert_eq!(end.answer().status, 201);
        assert_eq!(end.names(), [name]);
    }
}

#[test]
fn a_part_of_a_file_is_no_file() {
    let refused = |fields: &str| {
        let end = HttpEnd::default().send(put("/a", fields, "x"));
        assert!(end.wire.inbox.offers.is_empty(), "{fields}");
        assert!(end.answer().closes());
        end.answer().status
    };
    assert_eq!(refused("Content-Range: bytes 0-0/5\r\n"), 400);
    assert_eq!(refused("Content-Encoding: gzip\r\n"), 415);
    assert_eq!(refused("If-Match: *\r\n"), 412);
    let identity = HttpEnd::default().send(put("/a", "Content-Encoding: identity\r\n", "x"));
    assert_eq!(identity.answer().status, 201);
}

#[test]
fn each_code_of_the_inbox_has_a_status() {
    let codes = [
        (RefusalCode::NameInvalid, 400),
        (RefusalCode::NotPermitted, 401),
        (RefusalCode::Exists, 409),
        (RefusalCode::TooLarge, 413),
        (RefusalCode::Locked, 423),
        (RefusalCode::TooMany, 429),
        (RefusalCode::Io, 500),
        (RefusalCode::UnsupportedVersion, 501),
        (RefusalCode::Cancelled, 503),
        (RefusalCode::QuotaExceeded, 507),
        (RefusalCode::InsufficientSpace, 507),
    ];
    for (code, status) in codes {
        let mut end = HttpEnd::default();
        end.wire.inbox.refused.insert("a".into(), Refusal::new(code, "why \u{1b}[31m\r\nnot"));
        let end = end.send(put("/a", "Accept: application/problem+json\r\n", "x"));
        let answer = end.answer();
        assert_eq!(answer.status, status, "{code}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code.as_str());
        assert_eq!(problem["temporary"], code.is_temporary());
        assert_eq!(problem["detail"], "why \\u{1b}[31m\\r\\nnot");
        assert_eq!(answer.field("retry-after").is_some(), [423, 429, 503].contains(&status));
        assert!(answer.closes(), "its body was not read");
        assert_eq!(end.code(), Some(code));
    }
}

#[test]
fn a_refusal_in_words_is_one_line() {
    let mut end = HttpEnd::default();
    end.wire.inbox.commit_fails = Some(Refusal::new(RefusalCode::Exists, "it is taken"));
    let end = end.send(put("/a", "", "x"));
    assert_eq!(end.answer().status, 409);
    assert_eq!(end.answer().body, "refused: exists: it is taken\n");
    assert!(end.is_idle(), "the body was read whole");
}

#[test]
fn a_body_that_fails_is_refused_at_once() {
    let head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n";
    let mut end = HttpEnd::default();
    end.wire.inbox.fault_at = Some(100);
    let end = end.send_pieces([head.into(), vec![b'x'; 200], vec![b'x'; 300]]);
    assert_eq!(end.answer().status, 507);
    assert!(end.answer().closes());
    assert_eq!(end.untaken(), 300);
    assert!(end.names().is_empty());
}

#[test]
fn a_body_that_cannot_be_begun_is_refused_and_not_committed() {
    let mut end = HttpEnd::default();
    end.wire.inbox.no_body = true;
    let end = end.send(put("/a", "", "hello"));
    assert_eq!(end.answer().status, 500);
    assert!(end.names().is_empty());
    let told = end.wire.inbox.discarded[0].as_ref().map(|refusal| refusal.code);
    assert_eq!(told, Some(RefusalCode::Io));
}

#[test]
fn a_stream_over_the_limit_is_refused_as_soon_as_it_is() {
    let limits = Limits { max_file_size: Some(10), ..Limits::default() };
    let head = "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let pieces = [head, "8\r\n12345678\r\n", "8\r\n12345678\r\n", "0\r\n\r\n"];
    let end = HttpEnd::with(limits).send_pieces(pieces.map(|piece| piece.into()));
    assert_eq!(end.answer().status, 413);
    assert!(end.answer().closes());
    assert!(end.names().is_empty());
}

#[test]
fn a_cut_body_stores_nothing() {
    let end = HttpEnd::default()
        .send_and_end("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello");
    assert_eq!(end.code(), Some(RefusalCode::Cancelled));
    assert_eq!(end.answer().status, 400, "it may have ended its side alone");
    let chunked = "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for cut in [chunked.len(), chunked.len() - 2, chunked.len() - 4] {
        let end = HttpEnd::default().send_and_end(&chunked[..cut]);
        assert_eq!(end.code(), Some(RefusalCode::Cancelled));
        assert!(end.names().is_empty());
        assert_eq!(end.wire.inbox.discarded, [None]);
    }
}

#[test]
fn who_sends_nothing_for_too_long_is_told_so() {
    let head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
    for sent in [format!("{head}hello"), String::from(head), String::from(&head[..20])] {
        let end = HttpEnd::default().send(&sent);
        assert_eq!(end.answer().status, 408, "{sent}");
        assert_eq!(end.code(), Some(RefusalCode::Timeout));
        assert!(end.names().is_empty());
    }
}
