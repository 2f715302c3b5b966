//! Digests of files that come as the body of a request (RFC 9530).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_answers::digest_of;
use http_end::inbox::blake3;
use http_end::{End, HttpEnd};
use sandport_protocol::Algorithm;

fn put(target: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!("PUT {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n{content}")
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(bytes)
}

#[test]
fn a_file_that_is_here_by_its_digest_is_not_sent() {
    let digest = base64(blake3(b"hello").as_bytes());
    let head = format!(
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nRepr-Digest: blake3=:{digest}:\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let end = HttpEnd::default().with_file("a", b"hello").send_expecting(&head, b"hello");
    let answer = end.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("already stored: a, 5 bytes"), "{}", answer.body);
    assert!(answer.closes());
    assert_eq!(end.end, Some(End::Closed(Ok(()))));
}

#[test]
fn digests_are_checked_and_told() {
    let of = |content: &[u8]| base64(&digest_of(Algorithm::Sha256, content).value);
    let good = format!("Content-Digest: sha-256=:{}:, unixsum=:AA==:\r\n", of(b"hello"));
    let want = "Want-Repr-Digest: md5=10, sha-512=3, sha-256=7, sha=0\r\n";
    let end = HttpEnd::default().send(put("/a", &(good.clone() + want), "hello"));
    let answer = end.answer();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.field("repr-digest"), Some(format!("sha-256=:{}:", of(b"hello")).as_str()));

    for name in ["Content-Digest", "Repr-Digest"] {
        let bad = format!("{name}: sha-256=:{}:\r\n", of(b"hullo"));
        let end = HttpEnd::default().send(put("/a", &bad, "hello"));
        assert_eq!(end.answer().status, 400);
        assert!(end.answer().body.starts_with("refused: digest-mismatch"));
        assert!(end.names().is_empty());
        assert!(end.is_idle());
    }
    let blake3 = HttpEnd::default().send(put("/a", "Want-Repr-Digest: blake3=1\r\n", "hello"));
    assert!(blake3.answer().field("repr-digest").unwrap().starts_with("blake3=:"));
}

#[test]
fn a_digest_that_does_not_parse_is_refused_before_the_body() {
    for bad in ["sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "sha-256=5", "="] {
        let end = HttpEnd::default().send(put("/a", &format!("Repr-Digest: {bad}\r\n"), "hello"));
        assert_eq!(end.answer().status, 400, "{bad}");
        assert!(end.answer().closes());
        assert!(end.wire.inbox.offers.is_empty());
    }
}

#[test]
fn a_digest_in_a_trailer_is_checked() {
    let send = |content: &str| {
        let digest = base64(&digest_of(Algorithm::Sha512, b"hello").value);
        HttpEnd::default().send(format!(
            "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n\r\n\
             5\r\n{content}\r\n0\r\nContent-Digest: sha-512=:{digest}:\r\n\r\n"
        ))
    };
    assert_eq!(send("hello").answer().status, 201);
    let bad = send("hullo");
    assert_eq!(bad.answer().status, 400);
    assert!(bad.names().is_empty());
}

#[test]
fn a_trailer_that_contradicts_the_head_is_refused() {
    let digest = |content: &[u8]| base64(&digest_of(Algorithm::Sha256, content).value);
    let end = HttpEnd::default().send(format!(
        "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nRepr-Digest: sha-256=:{}:\r\n\r\n\
         5\r\nhello\r\n0\r\nContent-Digest: sha-256=:{}:\r\n\r\n",
        digest(b"hello"),
        digest(b"hullo"),
    ));
    assert_eq!(end.answer().status, 400);
    assert!(end.names().is_empty());
    assert_eq!(end.wire.inbox.discarded.len(), 1);
}
