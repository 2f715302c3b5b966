//! What a sender hears who does not encrypt where it has to.
//!
//! The first byte says which of three languages to answer in. Nothing behind it is read to understand it.

use sandport_protocol::wire::{PREFACE, ReceiverMessage};
use sandport_protocol::{Dialect, Refusal, RefusalCode};

/// Why it is refused, for the sender and for the log.
const WORDS: &str = "this server takes encrypted connections only";

/// The refusal.
pub(super) fn refusal() -> Refusal {
    Refusal::new(RefusalCode::NotPermitted, WORDS)
}

/// What the sender is told. Empty: it speaks what has no words for it, and the connection is closed.
pub(super) fn answer(first: u8) -> Vec<u8> {
    match Dialect::of(first) {
        Some(Dialect::Http) => of_http(),
        Some(Dialect::Native) => of_native(),
        _ => Vec::new(),
    }
}

fn of_http() -> Vec<u8> {
    let code = RefusalCode::NotPermitted.as_str();
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"Upgrade Required\",\"status\":426,\"code\":\"{code}\",\"detail\":\"{WORDS}: \
         begin the address with https://\",\"temporary\":false}}\n"
    );
    // RFC 9110, section 15.5.22: it says to what, also where nobody upgrades a connection in place.
    let head = format!(
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: upgrade, close\r\n\
         Content-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

fn of_native() -> Vec<u8> {
    let mut answer = PREFACE.to_vec();
    // It is shorter than any message may be.
    if let Ok(frame) = ReceiverMessage::Goodbye(refusal()).encode_frame() {
        answer.extend_from_slice(&frame);
    }
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_dialect_is_refused_in_its_own_language() {
        let http = String::from_utf8(answer(b'P')).unwrap();
        let (head, body) = http.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&"not-permitted".into(), &426.into()));
        let native = answer(PREFACE[0]);
        assert!(native.starts_with(&PREFACE) && native.len() > PREFACE.len());
        for byte in [b'7', 0x16, 0, b'a', 0xff] {
            assert_eq!(answer(byte), b"", "{byte}");
        }
    }
}
