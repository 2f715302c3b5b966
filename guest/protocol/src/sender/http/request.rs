//! What is to be sent.

use alloc::string::String;
use alloc::vec::Vec;

/// What is asked for (RFC 9110, section 9; RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "documented in RFC 9110")]
pub enum Method {
    Options,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request of this kind has content, though it may be empty.
    pub const fn has_content(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// What of the file a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    None,
    /// So many bytes, from an offset on.
    Part {
        /// The first byte, from 0.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// All of a stream, up to its end: in chunks (RFC 9112, section 7.1).
    Stream,
}

impl Content {
    /// How long it is. `None`: that is not known before.
    pub const fn length(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Part { length, .. } => Some(length),
            Self::Stream => None,
        }
    }
}

/// A request, but for what every request of a connection has: `Host`, `User-Agent` and the framing of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Of what: a path, with a query where the server gave one.
    pub target: String,
    /// Fields, with their names as they are written.
    pub fields: Vec<(&'static str, String)>,
    /// What it brings.
    pub content: Content,
    /// Whether the file is whole at the server when the request is answered well.
    pub completes: bool,
}

impl Request {
    pub(super) fn new(method: Method, target: &str) -> Self {
        let target = String::from(target);
        Self { method, target, fields: Vec::new(), content: Content::None, completes: false }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// A field, where there is a value for it.
    pub(super) fn with_some(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}
