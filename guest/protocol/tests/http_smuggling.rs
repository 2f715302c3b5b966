//! Requests that two programs could understand in two ways. Each is refused, and the connection ends with the answer,
//! so that nothing after it is taken for a request.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::{End, HttpEnd};

/// What follows each: it would store a file, if it were taken for a request.
const SMUGGLED: &str = "PUT /smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";

fn refused(request: &str, status: u16) {
    for end in [
        HttpEnd::default().send(format!("{request}{SMUGGLED}")),
        HttpEnd::default().send_pieces([request.into(), SMUGGLED.into()]),
    ] {
        let answers = end.answers();
        assert_eq!(answers.len(), 1, "{request:?} got {answers:?}");
        assert_eq!(answers[0].status, status, "{request:?}");
        assert!(answers[0].closes(), "{request:?}");
        assert!(matches!(end.end, Some(End::Closed(Err(_)))), "{request:?} ended {:?}", end.end);
        assert!(end.names().is_empty(), "{request:?} stored something");
    }
}

/// A request for `/a` with these fields and this body.
fn put(fields: &str, body: &str) -> String {
    format!("PUT /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

#[test]
fn a_length_with_a_transfer_encoding() {
    refused(&put("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400);
    refused(&put("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400);
}

#[test]
fn two_lengths() {
    refused(&put("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400);
    refused(&put("Content-Length: 5, 6\r\n", "hello"), 400);
}

#[test]
fn a_length_twice() {
    refused(&put("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400);
    refused(&put("Content-Length: 5, 5\r\n", "hello"), 400);
}

#[test]
fn a_length_that_is_no_plain_number() {
    for length in ["", "+5", "-5", "5.0", "0x5", "5 5", "five", "5\u{a0}", "18446744073709551616"] {
        refused(&put(&format!("Content-Length: {length}\r\n"), "hello"), 400);
    }
}

#[test]
fn an_encoding_that_is_another() {
    for coding in ["gzip", "identity", "xchunked", "chunked-ish", "chunk", "\"chunked\"", ""] {
        refused(&put(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 501);
    }
}

#[test]
fn an_encoding_beside_chunked() {
    for codings in
        ["gzip, chunked", "chunked, identity", "chunked, chunked", "chunked;q=1", ", chunked"]
    {
        refused(&put(&format!("Transfer-Encoding: {codings}\r\n"), "0\r\n\r\n"), 501);
    }
}

#[test]
fn an_encoding_twice() {
    refused(&put("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400);
    refused(&put("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"), 400);
}

#[test]
fn an_encoding_in_a_request_of_http_1_0() {
    refused("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

#[test]
fn a_field_that_goes_on_in_the_next_line() {
    refused("PUT /a HTTP/1.1\r\nHost: h\r\nX: a\r\n Content-Length: 5\r\n\r\nhello", 400);
    refused("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n", 400);
    refused("PUT /a HTTP/1.1\r\n Host: h\r\nContent-Length: 5\r\n\r\nhello", 400);
}

#[test]
fn white_space_before_a_colon() {
    refused(&put("Content-Length : 5\r\n", "hello"), 400);
    refused(&put("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400);
}

#[test]
fn a_field_without_a_name_or_a_colon() {
    refused(&put(": 5\r\n", ""), 400);
    refused(&put("Content-Length\r\n", ""), 400);
    refused(&put("Content\u{fc}-Length: 5\r\n", ""), 400);
}

#[test]
fn a_carriage_return_by_itself() {
    refused(&put("X: a\rContent-Length: 5\r\n", "hello"), 400);
    refused("PUT /a HTTP/1.1\rHost: h\r\nContent-Length: 5\r\n\r\nhello", 400);
    refused(&put("Content-Length: 5\r\r\n", "hello"), 400);
}

#[test]
fn a_line_feed_by_itself() {
    refused("PUT /a HTTP/1.1\nHost: h\nContent-Length: 5\n\nhello", 400);
    refused(&put("X: a\nContent-Length: 5\r\n", "hello"), 400);
    refused("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\nhello", 400);
}

#[test]
fn a_nul_or_another_control_character_in_a_field() {
    for char in ['\0', '\u{1}', '\u{b}', '\u{7f}'] {
        refused(&put(&format!("X: a{char}b\r\nContent-Length: 5\r\n"), "hello"), 400);
    }
    refused(&put("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"), 400);
}

#[test]
fn http_0_9() {
    refused("GET /\r\n\r\n", 400);
    refused("GET /a b\r\n\r\n", 400);
}

#[test]
fn another_version_of_http() {
    refused("PUT /a HTTP/1.2\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 505);
    refused("PUT /a HTTP/2.0\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 505);
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused("PUT /a http/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn a_request_line_with_more_spaces() {
    refused("PUT  /a HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("PUT /a  HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("PUT /a HTTP/1.1 \r\nHost: h\r\n\r\n", 400);
    refused("PUT\t/a HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn a_chunk_with_long_extensions() {
    let extension = "x".repeat(300);
    refused(
        &put("Transfer-Encoding: chunked\r\n", &format!("5;{extension}\r\nhello\r\n0\r\n\r\n")),
        400,
    );
}

#[test]
fn a_chunk_whose_size_is_no_hexadecimal_number() {
    for size in
        ["", " 5", "5 ", "+5", "-5", "0x5", "5,5", "g", "5 ;x", "10000000000000000", "5;\u{1}"]
    {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        refused(&put("Transfer-Encoding: chunked\r\n", &body), 400);
    }
}

#[test]
fn a_chunk_line_that_ends_in_another_way() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
    ] {
        refused(&put("Transfer-Encoding: chunked\r\n", body), 400);
    }
}

#[test]
fn a_chunk_that_is_longer_or_shorter_than_it_says() {
    for body in ["4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n"] {
        refused(&put("Transfer-Encoding: chunked\r\n", body), 400);
    }
}

#[test]
fn trailers_that_are_no_fields() {
    for trailers in ["X : a\r\n\r\n", " X: a\r\n\r\n", "X: a\n\r\n", "X\r\n\r\n", "X: a\rb\r\n\r\n"]
    {
        let body = format!("5\r\nhello\r\n0\r\n{trailers}");
        refused(&put("Transfer-Encoding: chunked\r\n", &body), 400);
    }
    let long = format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    refused(&put("Transfer-Encoding: chunked\r\n", &long), 431);
}

#[test]
fn no_host_or_two_hosts_or_none_that_is_one() {
    let put = |fields: &str| format!("PUT /a HTTP/1.1\r\n{fields}Content-Length: 5\r\n\r\nhello");
    refused(&put(""), 400);
    refused(&put("Host: h\r\nHost: h\r\n"), 400);
    refused(&put("Host: h\r\nHost: i\r\n"), 400);
    for host in [
        "", "h, i", "u@h", "h/a", "h:port", "h:123456", "[::g]", "[::1", "h h", "\u{fc}", "h#",
        "h?",
    ] {
        refused(&put(&format!("Host: {host}\r\n")), 400);
    }
}

#[test]
fn a_target_that_names_another_host() {
    refused("PUT http://i/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 400);
    refused("PUT http://h@i/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 400);
    refused("PUT http://h:1/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 400);
}

#[test]
fn a_head_that_is_too_long_or_has_too_many_fields() {
    refused(&put(&format!("X: {}\r\n", "x".repeat(16 * 1024)), ""), 431);
    refused(&put(&"X: x\r\n".repeat(64), ""), 431);
    let end =
        HttpEnd::default().send(put(&("X: x\r\n".repeat(62) + "Content-Length: 5\r\n"), "hello"));
    assert_eq!(end.answer().status, 201);
    // It does not have to end for that.
    let end = HttpEnd::default().send("G".repeat(17_000));
    assert_eq!(end.answer().status, 431);
}

#[test]
fn a_tunnel_or_a_trace() {
    refused("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405);
    refused("TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 405);
    let post =
        "POST /a HTTP/1.1\r\nHost: h\r\nX-HTTP-Method-Override: TRACE\r\nContent-Length: 0\r\n\r\n";
    refused(post, 405);
}

#[test]
fn a_body_that_is_not_taken() {
    // The body of a request that is answered early is never taken for the next request.
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n", 204),
        ("DELETE / HTTP/1.1\r\nHost: h\r\n", 405),
        ("BREW / HTTP/1.1\r\nHost: h\r\n", 501),
        ("PATCH /files/AAAA HTTP/1.1\r\nHost: h\r\n", 415),
    ] {
        let length = SMUGGLED.len();
        let end =
            HttpEnd::default().send(format!("{head}Content-Length: {length}\r\n\r\n{SMUGGLED}"));
        let answer = end.answer();
        assert_eq!(answer.status, status, "{head}");
        assert!(answer.closes(), "{head}");
        assert!(end.names().is_empty(), "{head}");
        assert!(matches!(end.end, Some(End::Closed(_))));
    }
}

#[test]
fn another_dialect_after_a_request() {
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for next in
        ["5\nhello", "5\r\nhello", "\u{89}SNDPRT", "\u{16}\u{3}\u{1}", "\r\n\r\nGET", "\nGET"]
    {
        let end = HttpEnd::default().send(format!("{get}{next}"));
        let statuses: Vec<_> = end.answers().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 400], "{next:?}");
        assert!(end.names().is_empty(), "{next:?}");
    }
    let end = HttpEnd::default().send(format!("{get}\r\n{get}"));
    assert_eq!(end.answers().len(), 2, "one line end may come before a request");
}
