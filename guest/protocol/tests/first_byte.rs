//! What the first byte of a connection decides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use pair::play;
use pair::receiver_end::ReceiverEnd;
use sandport_protocol::{Dialect, Limits, RefusalCode};

fn first(bytes: &[u8]) -> ReceiverEnd {
    play(ReceiverEnd::new(Limits::default(), 0), 0, &[(0, bytes.to_vec())], None)
}

#[test]
fn each_byte_has_its_dialect() {
    for byte in 0..=u8::MAX {
        let dialect = match byte {
            b'0'..=b'9' => Some(Dialect::Classic),
            0x89 => Some(Dialect::Native),
            b'A'..=b'Z' => Some(Dialect::Http),
            0x16 => Some(Dialect::Tls),
            _ => None,
        };
        assert_eq!(Dialect::of(byte), dialect, "{byte:#x}");
    }
}

#[test]
fn a_byte_of_no_dialect_is_malformed_and_named() {
    for byte in (0..=u8::MAX).filter(|&byte| Dialect::of(byte).is_none()) {
        let receiver = first(&[byte]);
        assert!(receiver.sent.is_empty());
        assert_eq!(receiver.code(), Some(RefusalCode::Malformed));
        let detail = receiver.closed.unwrap().unwrap_err().detail.unwrap();
        assert!(detail.contains(&format!("0x{byte:02x}")), "{detail}");
    }
}

#[test]
fn http_that_is_off_gets_a_response_that_says_what_to_use() {
    for request in ["GET / HTTP/1.1\r\nHost: here\r\n\r\n", "P", "OPTIONS"] {
        let limits = Limits { http: false, ..Limits::default() };
        let pieces = [(0, request.as_bytes().to_vec())];
        let receiver = play(ReceiverEnd::new(limits, 0), 0, &pieces, None);
        assert_eq!(receiver.code(), Some(RefusalCode::NotPermitted));
        let response = String::from_utf8(receiver.sent).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        assert_eq!(lines.next(), Some("HTTP/1.1 501 Not Implemented"));
        let fields: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        assert!(fields.contains(&("Content-Length", body.len().to_string().as_str())));
        assert!(fields.contains(&("Connection", "close")));
        assert!(
            fields.iter().any(|(name, value)| {
                *name == "Content-Type" && value.starts_with("text/plain")
            })
        );
        assert!(body.contains("sandport send FILE HOST"), "{body}");
    }
}

#[test]
fn tls_is_closed_without_a_byte() {
    let receiver = first(&[0x16, 3, 1]);
    assert!(receiver.sent.is_empty());
    assert_eq!(receiver.code(), Some(RefusalCode::UnsupportedVersion));
}

#[test]
fn a_connection_on_which_nothing_arrives_times_out() {
    let receiver = play(ReceiverEnd::new(Limits::default(), 0), 0, &[], None);
    assert!(receiver.sent.is_empty());
    assert_eq!(receiver.code(), Some(RefusalCode::Timeout));
}

#[test]
fn a_connection_that_closes_without_a_byte_is_nobodys_fault() {
    let receiver = play(ReceiverEnd::new(Limits::default(), 0), 0, &[], Some(5));
    assert!(receiver.sent.is_empty());
    assert_eq!(receiver.closed, Some(Ok(())));
}
