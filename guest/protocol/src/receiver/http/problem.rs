//! Refusals as answers: RFC 9457 for programs, a line for people.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{Answer, reason};
use super::audience::Audience;
use crate::text::sanitize;
use crate::{DETAIL_BYTES_MAX, Refusal, RefusalCode};

/// The media type of RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

/// When to come again, where a refusal passes by itself. Seconds. Long enough that many clients at once are no storm,
/// short enough for a person who waits.
const RETRY_AFTER_S: &str = "5";

/// What proves who a client is. The password of `Basic` is the token, its user name means nothing.
const CHALLENGE_BEARER: &str = r#"Bearer realm="sandport""#;
const CHALLENGES: &str = r#"Bearer realm="sandport", Basic realm="sandport", charset="UTF-8""#;

/// A refusal on its way to be an answer.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::receiver::http) struct Problem {
    status: u16,
    /// Whether the inbox has refused it: its host has told the operator then.
    is_of_inbox: bool,
    /// The `type` of it, where a specification has given it one. Clients look for it.
    kind: Option<&'static str>,
    refusal: Refusal,
    /// Apart: few have any, and where other crates have it keep their order it is large.
    extensions: Box<Map<String, Value>>,
    fields: Vec<(&'static str, Cow<'static, str>)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    temporary: bool,
    #[serde(flatten)]
    extensions: &'a Map<String, Value>,
}

impl Problem {
    /// The problem of a refusal by the inbox or the gate, with the status code that fits its code.
    pub(super) fn of(refusal: Refusal) -> Self {
        Self {
            status: status_of(refusal.code),
            is_of_inbox: true,
            kind: None,
            refusal,
            extensions: Box::default(),
            fields: Vec::new(),
        }
    }

    /// A problem with words of ours.
    pub(super) fn new(status: u16, code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { status, is_of_inbox: false, ..Self::of(Refusal::new(code, detail)) }
    }

    /// The problem of a refusal that the inbox knows nothing of, with the status code that fits its code.
    pub(super) fn ours(refusal: Refusal) -> Self {
        Self { is_of_inbox: false, ..Self::of(refusal) }
    }

    /// One that the operator hears of from the inbox, for instance by the reason of a discard.
    pub(super) fn heard_of(self) -> Self {
        Self { is_of_inbox: true, ..self }
    }

    /// With another status code.
    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With a `type`, a URI that a specification has given it. Such a problem is always told in JSON.
    pub(super) fn kind(self, kind: &'static str) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// With a member of its own.
    pub(super) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(String::from(name), value.into());
        self
    }

    /// With a field in the head of the answer.
    pub(super) fn field(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// What is refused.
    pub(super) fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The answer to this client. To one that has shown no credential, `not-permitted` of the inbox is a question for
    /// one.
    pub(super) fn answer(self, audience: Audience) -> Answer {
        let code = self.refusal.code;
        let asks = self.is_of_inbox && self.status == 403;
        let status = if asks && !audience.is_authenticated { 401 } else { self.status };
        let detail = self.refusal.detail.as_deref().map(|text| sanitize(text, DETAIL_BYTES_MAX));
        let mut answer = if audience.wants_json || self.kind.is_some() {
            let body = Body {
                r#type: self.kind.unwrap_or("about:blank"),
                title: reason(status),
                status,
                code: code.as_str(),
                detail,
                temporary: code.is_temporary(),
                extensions: &self.extensions,
            };
            Answer::json(status, PROBLEM_JSON, &body)
        } else {
            Answer::text(status, refused_line(code, detail.as_deref()))
        };
        if status == 401 {
            let challenges = if audience.is_browser { CHALLENGE_BEARER } else { CHALLENGES };
            answer = answer.with("WWW-Authenticate", challenges);
        }
        if matches!(status, 423 | 429 | 503) {
            answer = answer.with("Retry-After", RETRY_AFTER_S);
        }
        answer.fields.extend(self.fields);
        answer.refusal = Some(self.refusal);
        answer.is_heard_of = self.is_of_inbox;
        answer
    }
}

/// A refusal in a line for a person.
pub(in crate::receiver::http) fn refused_line(code: RefusalCode, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("refused: {code}: {detail}\n"),
        None => format!("refused: {code}\n"),
    }
}

/// The status code for a refusal that no specification gives another one.
const fn status_of(code: RefusalCode) -> u16 {
    match code {
        RefusalCode::Malformed | RefusalCode::NameInvalid | RefusalCode::DigestMismatch => 400,
        RefusalCode::NotPermitted => 403,
        RefusalCode::Timeout => 408,
        RefusalCode::Exists | RefusalCode::OffsetMismatch | RefusalCode::InvalidState => 409,
        RefusalCode::TooLarge => 413,
        RefusalCode::Locked => 423,
        RefusalCode::TooMany => 429,
        RefusalCode::Io | RefusalCode::Other => 500,
        RefusalCode::UnsupportedVersion => 501,
        RefusalCode::Cancelled => 503,
        RefusalCode::QuotaExceeded | RefusalCode::InsufficientSpace => 507,
    }
}
