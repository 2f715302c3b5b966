//! Answers, and how HTTP/1.1 writes them (RFC 9112, section 4).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::date;
use crate::Refusal;

/// Plain text, which no browser takes for anything else.
const TEXT: &str = "text/plain; charset=utf-8";

/// A final answer: `Content-Length`, `Connection`, and the fields of [`SAFE`] and of CORS are added by the
/// connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) struct Answer {
    pub(super) status: u16,
    /// Names as they are written, with values. A value that no field can have is left out with its name.
    pub(super) fields: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) body: Vec<u8>,
    /// The refusal that it tells of, for the operator.
    pub(super) refusal: Option<Refusal>,
    /// Whether the operator hears of that refusal from the inbox.
    pub(super) is_heard_of: bool,
    /// The connection ends with it, also where the body was whole.
    pub(super) closes: bool,
}

/// An interim answer (RFC 9110, section 15.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) struct Interim {
    pub(super) status: u16,
    pub(super) fields: Vec<(&'static str, Cow<'static, str>)>,
}

/// What every final answer has. An upload's state is nobody else's to keep; a browser shows no answer as anything
/// but what it is called; and a plain form sends its `Origin` (with `no-referrer` it would send `null`).
const SAFE: [(&str, &str); 3] = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
];

impl Answer {
    /// An answer without a body.
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Vec::new(),
            refusal: None,
            is_heard_of: false,
            closes: false,
        }
    }

    /// An answer in words. A line end follows each line of them.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        Self { body: text.into().into_bytes(), ..Self::new(status) }.with("Content-Type", TEXT)
    }

    /// An answer for programs. `media_type` is one of JSON.
    pub(super) fn json(status: u16, media_type: &'static str, value: &impl Serialize) -> Self {
        // A map whose keys are no strings would fail, and there is none.
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Self { body, ..Self::new(status) }.with("Content-Type", media_type)
    }

    /// With one more field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// With the time of day, in seconds since 1970-01-01T00:00:00Z, if there is a clock (RFC 9110, section 6.6.1).
    pub(super) fn dated(self, unix_s: Option<i64>) -> Self {
        match unix_s {
            Some(unix_s) => self.with("Date", date::format(unix_s)),
            None => self,
        }
    }

    /// The bytes of it. `more` are the fields that depend on the request alone, where the answer has not said them;
    /// `closes` says that the connection ends with it; the answer to `HEAD` has no body.
    pub(super) fn encode(
        &self,
        more: &[(&'static str, Cow<'static, str>)],
        closes: bool,
        is_head: bool,
    ) -> Vec<u8> {
        let mut bytes = head_line(self.status);
        for (name, value) in &self.fields {
            field(&mut bytes, name, value);
        }
        let safe = SAFE.iter().map(|(name, value)| (*name, *value));
        for (name, value) in more.iter().map(|(name, value)| (*name, value.as_ref())).chain(safe) {
            if !self.fields.iter().any(|(one, _)| *one == name) {
                field(&mut bytes, name, value);
            }
        }
        // An answer of this status has no content, and no length of it either (RFC 9110, section 8.6).
        if self.status != 204 {
            field(&mut bytes, "Content-Length", &format!("{}", self.body.len()));
        }
        if closes {
            field(&mut bytes, "Connection", "close");
        }
        bytes.extend_from_slice(b"\r\n");
        if !is_head && self.status != 204 {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl Interim {
    /// An interim answer without fields.
    pub(super) fn new(status: u16) -> Self {
        Self { status, fields: Vec::new() }
    }

    /// With one more field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The bytes of it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = head_line(self.status);
        for (name, value) in &self.fields {
            field(&mut bytes, name, value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

fn head_line(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes()
}

/// Adds a field, if its value can be one: a line end in it would begin another field.
fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
        return;
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

/// The words for a status code, as its specification has them.
pub(in crate::receiver::http) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        104 => "Upload Resumption Supported",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        423 => "Locked",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        // Of tus 1.0.0, its extension checksum.
        460 => "Checksum Mismatch",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}
