//! The requests and answers of each protocol.

use alloc::string::{String, ToString};

use super::answer::HttpAnswer;
use super::offered::Offered;
use super::request::{Content, Method, Request};
use super::server::{PARTIAL_UPLOAD, Protocol, Server, TUS_VERSION};
use crate::http::structured;

/// The media type of what tus appends.
const TUS_CONTENT: &str = "application/offset+octet-stream";

/// The media type of a file of which nothing is known.
const ANY_CONTENT: &str = "application/octet-stream";

/// Results and problems of ours.
const ACCEPT: (&str, &str) = ("Accept", "application/json, application/problem+json");

/// The digests that can be compared here, the one first that costs nothing (RFC 9530, section 4).
const WANT_DIGEST: (&str, &str) = ("Want-Repr-Digest", "blake3=10, sha-256=5, sha-512=4");

/// How far an upload is, by an answer to `HEAD` or `PATCH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes that are safe. `None`: it is not said, or not in a way that is understood.
    pub(super) offset: Option<u64>,
    /// Whether the file is whole and stored; of a server that says so.
    pub(super) is_complete: Option<bool>,
    /// How long the upload is.
    pub(super) size: Option<u64>,
}

/// Begins an upload, with all of the content (`is_whole`) or with none.
pub(super) fn create(server: &Server, target: &str, file: &Offered, is_whole: bool) -> Request {
    let content = match file.size {
        _ if !is_whole => Content::None,
        Some(0) => Content::None,
        Some(length) => Content::Part { offset: 0, length },
        None => Content::Stream,
    };
    match server.protocol {
        Protocol::Resumable => {
            let completes = structured::write_boolean(is_whole);
            let request = file.describe(Request::new(method(file, target), target));
            Request { content, completes: is_whole, ..request }
                .with("Content-Type", ANY_CONTENT)
                .with("Upload-Complete", completes)
                .with_some("Upload-Length", file.size.map(structured::write_unsigned))
                .with(ACCEPT.0, ACCEPT.1)
                .with(WANT_DIGEST.0, WANT_DIGEST.1)
        }
        Protocol::Tus => {
            let request = tus(Method::Post, target);
            let request = match file.size {
                Some(size) => request.with("Upload-Length", size.to_string()),
                None => request.with("Upload-Defer-Length", "1"),
            };
            let media_type = (content != Content::None).then(|| String::from(TUS_CONTENT));
            Request { content, completes: is_whole || file.size == Some(0), ..request }
                .with_some("Upload-Metadata", file.metadata())
                .with_some("Content-Type", media_type)
        }
        Protocol::Plain => {
            let request = file.describe(Request::new(method(file, target), target));
            Request { content, completes: true, ..request }
                .with("Content-Type", ANY_CONTENT)
                .with(ACCEPT.0, ACCEPT.1)
                .with(WANT_DIGEST.0, WANT_DIGEST.1)
        }
    }
}

/// A name is put, and what has none is posted.
fn method(file: &Offered, target: &str) -> Method {
    let is_named = file.name.is_some() || !target.ends_with('/');
    if is_named { Method::Put } else { Method::Post }
}

/// Asks how far an upload is.
pub(super) fn ask(server: &Server, url: &str) -> Request {
    match server.protocol {
        Protocol::Tus => tus(Method::Head, url),
        _ => Request::new(Method::Head, url),
    }
}

/// Brings a part. `size`: of the whole, where it has just become known.
pub(super) fn append(
    server: &Server,
    url: &str,
    (offset, length): (u64, u64),
    completes: bool,
    size: Option<u64>,
) -> Request {
    let content = if length > 0 { Content::Part { offset, length } } else { Content::None };
    let request = match server.protocol {
        Protocol::Tus => tus(Method::Patch, url)
            .with("Content-Type", TUS_CONTENT)
            .with("Upload-Offset", offset.to_string())
            .with_some("Upload-Length", size.map(|size| size.to_string())),
        _ => Request::new(Method::Patch, url)
            .with("Content-Type", PARTIAL_UPLOAD)
            .with("Upload-Offset", structured::write_unsigned(offset))
            .with("Upload-Complete", structured::write_boolean(completes))
            .with_some("Upload-Length", size.map(structured::write_unsigned))
            .with(ACCEPT.0, ACCEPT.1)
            .with(WANT_DIGEST.0, WANT_DIGEST.1),
    };
    Request { content, completes, ..request }
}

/// Ends an upload of which nothing is to stay.
pub(super) fn cancel(server: &Server, url: &str) -> Request {
    match server.protocol {
        Protocol::Tus => tus(Method::Delete, url),
        _ => Request::new(Method::Delete, url),
    }
}

fn tus(method: Method, target: &str) -> Request {
    Request::new(method, target).with("Tus-Resumable", TUS_VERSION)
}

/// What an answer says of an upload.
pub(super) fn state(protocol: Protocol, answer: &HttpAnswer) -> State {
    match protocol {
        Protocol::Tus => State {
            offset: answer.number("upload-offset"),
            is_complete: None,
            size: answer.number("upload-length"),
        },
        _ => State {
            offset: answer.integer("upload-offset"),
            is_complete: answer.boolean("upload-complete"),
            size: answer.integer("upload-length"),
        },
    }
}
