//! Requests of tus.

use std::fmt::Display;

use super::Server;

/// A request with `Tus-Resumable`: its line without the version, and its other fields.
pub fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n{fields}\r\n")
}

/// Begins an upload of this length; the path of its URL.
pub fn create(server: &Server, length: u64) -> String {
    let fields = format!("Upload-Length: {length}\r\n");
    let created = server.request(&request("POST /files/", &fields), b"");
    assert_eq!(created.status, 201);
    created.location()
}

/// A request that brings content of this length.
pub fn patch(location: &str, offset: impl Display, length: usize) -> String {
    let fields = format!(
        "Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n\
         Content-Length: {length}\r\n"
    );
    request(&format!("PATCH {location}"), &fields)
}

/// A request that asks how far an upload is.
pub fn head(location: &str) -> String {
    request(&format!("HEAD {location}"), "")
}
