//! What tests ask of a server by tus 1.0.

use crate::http::{Answer, Http};
use crate::server::Server;

/// The field that every request of tus has.
pub const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

/// What the body of an append is.
pub const OFFSET_STREAM: (&str, &str) = ("Content-Type", "application/offset+octet-stream");

/// A file that is called `a`.
pub const NAMED_A: (&str, &str) = ("Upload-Metadata", "filename YQ==");

/// Begins an upload of this length, and of what else it is; its URL.
#[track_caller]
pub fn begin(server: &Server, length: usize, of: (&str, &str)) -> String {
    let length = length.to_string();
    let fields = [TUS, ("Upload-Length", length.as_str()), of];
    let answer = Http::open(server).send("POST", "/files/", &fields, b"");
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.location("/files/")
}

/// Appends to an upload on a connection of its own.
#[track_caller]
pub fn append(server: &Server, url: &str, offset: usize, content: &[u8]) -> Answer {
    let offset = offset.to_string();
    let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", offset.as_str())];
    Http::open(server).send("PATCH", url, &fields, content)
}
