//! The target of a request: the name of a file, or the URL of an upload.

use alloc::string::String;
use alloc::vec::Vec;

use percent_encoding::percent_decode_str;

use super::key;
use crate::{Refusal, RefusalCode};

/// The first segment of the URLs of uploads, as other servers of tus have it.
const UPLOADS: &str = "files";

/// The path and the query of a target. Each segment of the path is decoded once, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) enum Target {
    /// `*`: the server as a whole.
    Server,
    /// A path.
    Path {
        /// Its segments. None of them is empty.
        segments: Vec<String>,
        /// Whether it ends in a `/`, or is nothing else.
        is_directory: bool,
        /// What follows the `?`, as it came.
        query: Option<String>,
    },
}

/// What a target is in the part of the URL space that is for uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) enum UploadTarget {
    /// `/files` or `/files/`: where uploads are made.
    Collection,
    /// `/files/KEY`.
    Key(Vec<u8>),
    /// Below `/files/`, and no key. No upload has such a URL.
    Unknown,
}

impl Target {
    /// Parses the path and query of a request, in origin form or `*` (RFC 9112, section 3.2).
    ///
    /// # Errors
    /// `malformed` for another form; `name-invalid` for a segment that is empty, not UTF-8, or has a character that
    /// separates segments or ends texts on some system.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Ok(Self::Server);
        }
        let Some(path) = text.strip_prefix('/') else {
            let detail = "the target of the request is neither a path nor a URL";
            return Err(Refusal::new(RefusalCode::Malformed, detail));
        };
        if path.contains('#') {
            let detail = "the target of the request has a fragment";
            return Err(Refusal::new(RefusalCode::Malformed, detail));
        }
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(String::from(query))),
            None => (path, None),
        };
        let is_directory = path.is_empty() || path.ends_with('/');
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments = match path {
            "" if is_directory && text.starts_with("//") => return Err(empty_segment()),
            "" => Vec::new(),
            path => path.split('/').map(decoded).collect::<Result<_, _>>()?,
        };
        Ok(Self::Path { segments, is_directory, query })
    }

    /// The name that the path is, with `/` between its parts. `None`: `/`, or the server.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Path { segments, .. } if !segments.is_empty() => Some(segments.join("/")),
            _ => None,
        }
    }

    /// Whether it is `/`.
    pub(super) fn is_root(&self) -> bool {
        matches!(self, Self::Path { segments, .. } if segments.is_empty())
    }

    /// Whether it ends in a `/`, so that what is relative to it lies below it.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Path { is_directory: true, .. })
    }

    /// What it is among the URLs of uploads. `None`: not one of them.
    pub(super) fn upload(&self) -> Option<UploadTarget> {
        let Self::Path { segments, is_directory, .. } = self else { return None };
        match segments.as_slice() {
            [first] if first == UPLOADS => Some(UploadTarget::Collection),
            [first, key] if first == UPLOADS && !is_directory => {
                Some(key::parse(key).map_or(UploadTarget::Unknown, UploadTarget::Key))
            }
            [first, ..] if first == UPLOADS => Some(UploadTarget::Unknown),
            _ => None,
        }
    }
}

fn decoded(segment: &str) -> Result<String, Refusal> {
    if segment.is_empty() {
        return Err(empty_segment());
    }
    let mut rest = segment.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return Err(invalid("the target has a % that is not followed by two digits")),
        }
    }
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| invalid("the target is not UTF-8 when it is decoded"))?;
    if decoded.contains(['/', '\\', '\0']) {
        return Err(invalid("a part of the target has a slash, a backslash or a NUL in it"));
    }
    Ok(decoded.into_owned())
}

fn empty_segment() -> Refusal {
    invalid("the target has an empty part")
}

fn invalid(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::NameInvalid, detail)
}
