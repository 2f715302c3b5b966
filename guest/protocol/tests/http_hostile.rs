//! Bytes without sense, and requests with a few bytes changed: no panic, always either something to wait for or an end,
//! and nothing left open. The driver, the inbox and the parser of answers check the rest.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::{HttpEnd, cut};
use proptest::collection::vec;
use proptest::prelude::*;
use sandport_protocol::{Limits, RefusalCode};

const SEEDS: [&str; 6] = [
    "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n\
     --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n0123456789012345678901",
    "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    "PUT http://[::1]:80/%C3%BC/b?c HTTP/1.1\r\nHost: [::1]:80\r\nRepr-Digest: sha-256=:AAAA:\r\n\r\n",
    "POST /a HTTP/1.0\r\nAuthorization: Basic YTpi\r\nContent-Length: 1\r\nX-OC-Mtime: 5\r\n\r\nx",
];

/// A change of some bytes: what, where, and by what.
type Change = (u8, usize, u8);

fn change(bytes: &mut Vec<u8>, (what, place, by): Change) {
    if bytes.is_empty() {
        return;
    }
    let at = place % bytes.len();
    let special = b"\r\n:;, \t\0\"-%/0=\xff";
    match what % 6 {
        0 => bytes[at] = special[usize::from(by) % special.len()],
        1 => bytes.insert(at, special[usize::from(by) % special.len()]),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        4 => bytes[at] = by,
        _ => {
            let end = (at + 1 + usize::from(by)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
    }
}

fn survive(bytes: &[u8], places: &[usize], ends: bool, inbox: u8) {
    let limits = Limits {
        max_file_size: (inbox & 1 > 0).then_some(4),
        max_uploads_ahead: u32::from(inbox & 3),
        idle_timeout_ms: 500,
        ..Limits::default()
    };
    let mut end = HttpEnd::with(limits);
    end.wire.inbox.slowness = usize::from(inbox >> 2 & 1);
    end.wire.inbox.fault_at = (inbox & 8 > 0).then_some(2);
    if inbox & 16 > 0 {
        end.wire.inbox.commit_fails = Some(RefusalCode::Io.into());
    }
    if inbox & 32 > 0 {
        end.wire.inbox.refused.insert(String::new(), RefusalCode::QuotaExceeded.into());
    }
    let pieces = cut(bytes, places);
    let end = if ends { end.send_pieces_and_end(pieces) } else { end.send_pieces(pieces) };
    assert!(end.end.is_some());
    if bytes.first().is_some_and(u8::is_ascii_uppercase) && !bytes.starts_with(b"HEAD") {
        http_answers::parse(&end.wire.sent, |_| false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_requests_never_panic(
        seeds in vec(0..SEEDS.len(), 1..3),
        changes in vec(any::<Change>(), 1..6),
        places in vec(any::<usize>(), 0..8),
        ends in any::<bool>(),
        inbox in any::<u8>(),
    ) {
        let mut bytes: Vec<u8> = seeds.iter().flat_map(|&seed| SEEDS[seed].bytes()).collect();
        for one in changes {
            change(&mut bytes, one);
        }
        survive(&bytes, &places, ends, inbox);
    }

    #[test]
    fn bytes_without_sense_never_panic(
        first in b'A'..=b'Z',
        rest in vec(any::<u8>(), 0..300),
        places in vec(any::<usize>(), 0..8),
        ends in any::<bool>(),
    ) {
        survive(&[&[first], rest.as_slice()].concat(), &places, ends, 0);
    }

    #[test]
    fn forms_without_sense_never_panic(
        words in vec(prop_oneof![
            Just("--b"), Just("\r\n--b"), Just("--"), Just("\r\n"), Just("\r"), Just("x"), Just("\""), Just("; "),
            Just("Content-Disposition: form-data"), Just("; filename=\"f\""), Just("; filename*=utf-8''%C3"),
            Just("\r\n\r\n"), Just("Content-Type: multipart/mixed"), Just("\\\""),
        ], 0..40),
        places in vec(any::<usize>(), 0..8),
        inbox in any::<u8>(),
    ) {
        let body = words.concat();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nContent-Type: multipart/form-data; \
             boundary=b\r\n\r\n{body}",
            body.len(),
        );
        survive(request.as_bytes(), &places, false, inbox);
    }

    #[test]
    fn targets_and_fields_without_sense_never_panic(
        target in "[ -~\u{e4}]{0,40}",
        name in "(Host|Origin|Authorization|Range|Accept|Repr-Digest|Want-Repr-Digest|Expect|X-OC-Mtime|Last-Modified)",
        value in "[ -~\u{e4}]{0,60}",
    ) {
        let request = format!("PUT {target} HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nContent-Length: 1\r\n\r\nx");
        survive(request.as_bytes(), &[], true, 0);
    }
}
