//! A request, as exchanges see it.

use alloc::string::String;

use super::audience::Audience;
use super::fields::Fields;
use super::target::Target;

/// What is asked for (RFC 9110, section 9; RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "documented in RFC 9110")]
pub(in crate::receiver::http) enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
    /// One that is nowhere allowed here: `TRACE`, `CONNECT`.
    Refused,
    /// One that this program does not know.
    Unknown,
}

/// The version of HTTP that the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) enum Version {
    /// HTTP/1.0: no interim answers, no chunks, one request.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How long the body is (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) enum Content {
    /// The request has none.
    None,
    /// So many bytes.
    Length(u64),
    /// It ends where it says so.
    Chunked,
}

/// The head of a request. It has passed what is checked of every request: framing, `Host`, `Origin`, credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) struct Request {
    /// What is asked for: what `X-HTTP-Method-Override` says, where a `POST` has it.
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) version: Version,
    pub(super) fields: Fields,
    pub(super) content: Content,
    /// Host and port that the client sent it to, as they came. Empty: a client of HTTP/1.0 did not say.
    pub(super) authority: String,
    /// Whom its answers are for.
    pub(super) audience: Audience,
}

impl Method {
    /// The method of this name. Names are case-sensitive.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "TRACE" | "CONNECT" => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

impl Content {
    /// The length, where it is known before the body.
    pub(super) fn length(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Length(length) => Some(length),
            Self::Chunked => None,
        }
    }
}

impl Request {
    /// The media type of the body in lower case, without parameters. Empty: it does not say.
    pub(super) fn media_type(&self) -> String {
        let value = self.fields.get("content-type").unwrap_or_default();
        let media_type = value.split(';').next().unwrap_or_default();
        media_type.trim().to_ascii_lowercase()
    }
}
