//! Fields of requests, with any value: digests, names, dates, ranges, credentials, and what proxies add.

use std::net::{IpAddr, SocketAddr};

use sandport_protocol::Limits;

use crate::cutting::choice;
use crate::http_end::HttpEnd;

/// The fields that are read.
const NAMES: [&str; 26] = [
    "Repr-Digest",
    "Content-Digest",
    "Want-Repr-Digest",
    "Want-Content-Digest",
    "Content-Disposition",
    "Content-Type",
    "Content-MD5",
    "Authorization",
    "Accept",
    "Expect",
    "Range",
    "Content-Range",
    "Host",
    "Origin",
    "X-OC-Mtime",
    "Last-Modified",
    "If-None-Match",
    "Connection",
    "Transfer-Encoding",
    "Upload-Metadata",
    "Upload-Checksum",
    "Upload-Concat",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Complete",
    "Content-Encoding",
];

pub(crate) const WORDS: &[&[u8]] = &[
    b"sha-256=:",
    b":",
    b"=",
    b", ",
    b"; ",
    b"\"",
    b"\\\"",
    b"?1",
    b"?0",
    b"(a b)",
    b"-999999999999999",
    b"@1",
    b"%\"%c3%bc\"",
    b"filename*=UTF-8''",
    b"%C3",
    b"AAAA",
    b"YQ==",
    b"for=",
    b"for=\"[2001:db8::7]:4711\"",
    b"host=",
    b"proto=https",
    b"192.0.2.7",
    b"::ffff:192.0.2.7",
    b"unknown",
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"1700000000.5",
    b"bytes=0-",
    b"Basic YTpi",
    b"Bearer ",
    b"http://h",
    b"null",
];

fn answered(bytes: &[u8], is_of_trusted_proxy: bool) -> HttpEnd {
    let limits = Limits { hosts: vec!["h".into()], ..Limits::default() };
    let mut end = HttpEnd::with(limits);
    end.is_of_trusted_proxy = is_of_trusted_proxy;
    end.unix_s = Some(784_111_777);
    let end = end.send_and_end(bytes);
    assert!(end.end.is_some());
    end
}

/// A value is one line: what breaks lines is another field, and not what is tried here.
fn one_line(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect()
}

/// A request with one field of any value, and its answer.
pub(crate) fn run(data: &[u8]) {
    let (which, value) = choice(data);
    let name = NAMES[usize::from(which) % NAMES.len()];
    let line = [b"PUT /a", b"POST /"][usize::from(which >> 7)];
    let request = [
        line,
        b" HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n".as_slice(),
        name.as_bytes(),
        b": ",
        &one_line(value),
        b"\r\n\r\nhello",
    ]
    .concat();
    let end = answered(&request, false);
    let answers = end.answers();
    assert!(!answers.is_empty(), "no answer");
    // What was stored is what was sent, whatever else was said of it.
    for (name, content) in &end.wire.inbox.published {
        assert!(content == b"hello" || name == "a" || content.len() <= 5, "{name}");
        assert!(!name.split('/').any(|part| part == ".."), "{name}");
    }
}

/// Requests behind a trusted proxy, whose clients say anything in `Forwarded` and `X-Forwarded-For`.
pub(crate) fn run_forwarded(data: &[u8]) {
    let (which, value) = choice(data);
    let value = one_line(value);
    let of_client = match which & 3 {
        0 => "Forwarded",
        1 => "X-Forwarded-For",
        2 => "X-Forwarded-Host",
        _ => "X-Forwarded-Proto",
    };
    let request = |of_proxy: &str| {
        [
            b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n",
            of_client.as_bytes(),
            b": ",
            &value,
            b"\r\n",
            of_proxy.as_bytes(),
            b"\r\nhello",
        ]
        .concat()
    };
    // What is told is an address, and nothing is told of who is not trusted.
    for told in &answered(&request(""), true).wire.forwarded {
        let is_address = told.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || told.parse::<SocketAddr>().is_ok();
        assert!(is_address, "{told:?}");
    }
    assert!(answered(&request(""), false).wire.forwarded.is_empty());
    // What the proxy adds at the end counts, or nothing does.
    let added = match which & 3 {
        0 => "Forwarded: for=192.0.2.99\r\n",
        _ => "X-Forwarded-For: 192.0.2.99\r\n",
    };
    for told in &answered(&request(added), true).wire.forwarded {
        assert_eq!(told, "192.0.2.99");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let values: [(u8, &str); 20] = [
        (
            0,
            "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:, md5=:XUFAKrxLKna5cZ2REBfFkg==:",
        ),
        (1, "blake3=:AAAA:;a=1, unixsum=5"),
        (2, "md5=10, sha-512=3, sha-256=7, sha=0"),
        (4, "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%BC.txt"),
        (5 | 0x80, "multipart/form-data; boundary=\"b\""),
        (6, "XUFAKrxLKna5cZ2REBfFkg=="),
        (7, "Basic YTpi"),
        (7, "Bearer correct horse"),
        (8, "text/html;q=0.5, application/json"),
        (9, "100-continue"),
        (10, "bytes=0-4"),
        (11, "bytes 0-4/5"),
        (12, "[::1]:80"),
        (13, "http://h"),
        (14, "1700000000.25"),
        (15, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (18, "chunked"),
        (19, "filename YQ==,empty,type dGV4dA=="),
        (20, "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        (24, "?1;a"),
    ];
    values.map(|(which, value)| [&[which], value.as_bytes()].concat()).to_vec()
}

pub(crate) fn seeds_forwarded() -> Vec<Vec<u8>> {
    let values: [(u8, &str); 8] = [
        (0, "for=10.0.0.1, for=192.0.2.7;proto=https;host=h"),
        (0, "for=\"[2001:db8::7]:4711\""),
        (0, "for=\"10.0.0.1"),
        (0, "for=unknown, for=_hidden"),
        (1, "10.0.0.1, 192.0.2.7:80"),
        (1, "[2001:db8::7]"),
        (2, "files.example, h"),
        (3, "https"),
    ];
    values.map(|(which, value)| [&[which], value.as_bytes()].concat()).to_vec()
}
