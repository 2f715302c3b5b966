//! What a client reads and computes.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::{Algorithm, ContentDigest};

/// An answer, final or interim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    pub body: String,
}

impl Answered {
    /// A field, which is there once at most.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(one, _)| one == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }

    /// The path of an upload, which is told relative to `/files/` or as a path.
    pub fn location(&self) -> String {
        let location = self.field("location").expect("a location");
        match location.starts_with('/') {
            true => location.to_owned(),
            false => format!("/files/{location}"),
        }
    }

    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Parses all that was sent. `is_head` says whether the final answer of this number is to a `HEAD`.
pub fn parse(sent: &[u8], is_head: impl Fn(usize) -> bool) -> Vec<Answered> {
    let mut rest = std::str::from_utf8(sent).expect("answers are UTF-8");
    let mut answers = vec![];
    let mut finals = 0;
    while !rest.is_empty() {
        let (head, after) = rest.split_once("\r\n\r\n").expect("a whole head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status: u16 = status.and_then(|line| line.get(..3)?.parse().ok()).expect("a status");
        let fields: Vec<(String, String)> = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").expect("a field");
                assert!(!line.contains(['\r', '\n']), "{line:?}");
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        let mut answer = Answered { status, fields, body: String::new() };
        rest = after;
        if status >= 200 {
            assert_eq!(answer.field("transfer-encoding"), None);
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.field("referrer-policy"), Some("same-origin"));
            let length = answer.field("content-length").map(|length| length.parse().unwrap());
            assert_eq!(length.is_none(), status == 204, "{answer:?}");
            if let (Some(length), false) = (length, is_head(finals)) {
                let (body, after) = rest.split_at(length);
                answer.body = body.to_owned();
                rest = after;
            }
            finals += 1;
        }
        answers.push(answer);
    }
    answers
}

/// The digest of any algorithm. Only the one of BLAKE3 is real: nothing here knows how the others are computed.
pub fn digest_of(algorithm: Algorithm, content: &[u8]) -> ContentDigest {
    let value = match algorithm {
        Algorithm::Blake3 => blake3::hash(content).as_bytes().to_vec(),
        other => {
            let mut value = vec![0; other.digest_bytes()];
            let mut hasher = blake3::Hasher::new_derive_key(other.name());
            hasher.update(content).finalize_xof().fill(&mut value);
            value
        }
    };
    ContentDigest { algorithm, value }
}
