//! One request after the other on a connection, and what is said before a body comes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use bytes::Bytes;
use http_end::{End, HttpEnd};
use sandport_protocol::receiver::{Output, Receiver};
use sandport_protocol::{Limits, Refusal, RefusalCode};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn put(name: &str, content: &str) -> String {
    let length = content.len();
    format!("PUT /{name} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{content}")
}

#[test]
fn each_request_on_a_kept_connection_has_a_receiver_of_its_own() {
    let end = HttpEnd::default().send(put("a", "1")).send(put("b", "22")).send(GET);
    let statuses: Vec<_> = end.answers().iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 201, 200]);
    assert_eq!(end.receivers, 3);
    assert!(end.is_idle());
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let chunked =
        "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nccc\r\n0\r\n\r\n";
    let end = HttpEnd::default().send([&put("a", "1"), chunked, GET, &put("b", "22")].concat());
    let answers = end.answers();
    assert!(answers[0].body.starts_with("stored: a,"));
    assert!(answers[1].body.starts_with("stored: c,"));
    assert!(answers[2].body.contains("curl -T"));
    assert!(answers[3].body.starts_with("stored: b,"));
    assert_eq!(answers.len(), 4);
}

#[test]
fn a_connection_ends_when_the_client_says_so() {
    for fields in
        ["Connection: close", "Connection: keep-alive, Close", "connection: x\r\nConnection:close"]
    {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{GET}");
        let end = HttpEnd::default().send(request);
        assert!(end.answer().closes(), "{fields}");
        assert_eq!(end.end, Some(End::Closed(Ok(()))));
    }
}

#[test]
fn a_client_that_ends_its_side_between_requests_is_no_fault() {
    let end = HttpEnd::default().send_and_end(put("a", "1"));
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.end, Some(End::Closed(Ok(()))));
    let within = HttpEnd::default().send_and_end("GET / HT");
    assert_eq!(within.code(), Some(RefusalCode::Cancelled));
    assert!(within.answers().is_empty());
}

#[test]
fn a_client_that_waits_may_continue_once_the_inbox_has_accepted() {
    let head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";
    for slowness in [0, 3] {
        let mut end = HttpEnd::default();
        end.wire.inbox.slowness = slowness;
        let end = end.send_expecting(head, b"hello");
        let answers = end.answers();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [100, 201]);
        assert_eq!(end.file("a"), Some(b"hello".as_slice()));
        assert!(end.is_idle());
    }
}

#[test]
fn what_is_refused_is_refused_before_the_client_continues() {
    let head = |fields: &str| {
        format!(
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n{fields}\r\n"
        )
    };
    let mut end = HttpEnd::default();
    end.wire.inbox.refused.insert("a".into(), RefusalCode::Exists.into());
    let mut unknown = HttpEnd::default();
    unknown.wire.inbox.wants_identity = true;
    for (end, fields, status) in [
        (end, "", 409),
        (unknown, "", 401),
        (HttpEnd::default(), "Authorization: Bearer wrong\r\n", 401),
        (HttpEnd::default(), "Origin: http://evil\r\n", 403),
        (HttpEnd::default(), "Content-Encoding: gzip\r\n", 415),
    ] {
        let end = end.send_expecting(&head(fields), b"hello");
        assert_eq!(end.answer().status, status, "{fields}");
        assert!(end.answer().closes());
        assert!(end.names().is_empty());
    }
}

#[test]
fn a_client_that_does_not_wait_is_not_told_to_continue() {
    let request =
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    assert_eq!(HttpEnd::default().send(request).answer().status, 201);
    let empty = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(HttpEnd::default().send(empty).answer().status, 201);
}

#[test]
fn nothing_else_can_be_expected() {
    let request = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\nhello";
    let end = HttpEnd::default().send(request);
    assert_eq!(end.answer().status, 417);
    assert!(end.answer().closes());
}

#[test]
fn http_1_0_gets_one_answer_and_no_interim_one() {
    let request = "PUT /a HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
                   Content-Length: 5\r\n\r\nhello";
    let end = HttpEnd::default().send([request, GET].concat());
    assert_eq!(end.answer().status, 201);
    assert!(end.answer().closes());
    assert_eq!(end.end, Some(End::Closed(Ok(()))));
}

#[test]
fn the_root_says_how_to_upload_and_nothing_is_served() {
    let get =
        |target: &str| HttpEnd::default().send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let root = get("/").answer();
    assert_eq!(root.status, 200);
    assert_eq!(root.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(root.body.contains("curl -T FILE"), "{}", root.body);
    for target in ["/a", "/favicon.ico", "/files/", "/files/AAAA", "/.sandport"] {
        let end = get(target);
        assert_eq!(end.answer().status, 404, "{target}");
        assert!(end.is_idle());
    }
    let end =
        HttpEnd::default().with_file("a", b"secret").send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(end.answer().status, 404);
}

#[test]
fn answers_have_a_date_where_there_is_a_clock() {
    let end = HttpEnd { unix_s: Some(784_111_777), ..HttpEnd::default() };
    let end = end.send([GET, "GET / HTTP/1.1\r\n\r\n"].concat());
    for answer in end.answers() {
        assert_eq!(answer.field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    }
    assert_eq!(HttpEnd::default().send(GET).answer().field("date"), None);
}

#[test]
fn the_answer_to_head_has_no_body_and_the_length_of_one() {
    let head = GET.replace("GET", "HEAD");
    let end = HttpEnd::default().send([&head, GET].concat());
    let answers = http_answers::parse(&end.wire.sent, |number| number == 0);
    assert_eq!(answers[0].field("content-length"), answers[1].field("content-length"));
    assert_eq!((answers[0].status, answers[1].status), (200, 200));
}

#[test]
fn options_are_told_for_the_server_and_for_any_target() {
    for target in ["*", "/", "/a/b", "/files/"] {
        let end = HttpEnd::default().send(format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = end.answer();
        assert_eq!(answer.status, 204, "{target}");
        assert!(answer.field("allow").unwrap().contains("PUT"));
        assert!(end.is_idle());
    }
}

#[test]
fn methods_that_are_not_served_are_named() {
    for (method, status) in [("PATCH", 405), ("DELETE", 405), ("PROPFIND", 501), ("Put", 501)] {
        let end = HttpEnd::default().send(format!("{method} /a HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(end.answer().status, status, "{method}");
        assert_eq!(end.answer().field("allow").is_some(), status == 405);
        assert!(end.is_idle(), "{method}");
        assert_eq!(end.wire.logs.len(), 1, "the operator hears of it");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_has_as_long_as_a_silent_one() {
    let limits = Limits { idle_timeout_ms: 1_000, ..Limits::default() };
    let mut receiver = Receiver::new(limits, vec![], String::new(), 0);
    // Each byte comes well before the timeout, and none of them puts the end off.
    for (number, byte) in (0..).zip(GET.bytes()).take(4) {
        receiver.handle_input(number * 300, Bytes::copy_from_slice(&[byte]));
        assert_eq!(receiver.poll_timeout(), Some(1_000), "after byte {number}");
    }
    receiver.handle_timeout(999);
    assert_eq!(receiver.poll_output(), None);
    receiver.handle_timeout(1_000);
    let Some(Output::Send(sent)) = receiver.poll_output() else { panic!("no answer") };
    assert!(sent.starts_with(b"HTTP/1.1 408 "), "{sent:?}");
    assert!(matches!(receiver.poll_output(), Some(Output::Close(Err(_)))));
}

#[test]
fn where_http_is_not_served_it_says_so_to_the_first_byte() {
    for request in [GET, "P", "OPTIONS"] {
        let end = HttpEnd::with(Limits { http: false, ..Limits::default() }).send(request);
        let answer = end.answer();
        assert_eq!(answer.status, 501);
        assert!(answer.closes());
        assert!(answer.body.contains("sandport send FILE HOST"));
        let refusal = Refusal::new(RefusalCode::NotPermitted, "HTTP is not served here");
        assert_eq!(end.end, Some(End::Closed(Err(refusal))));
    }
}
