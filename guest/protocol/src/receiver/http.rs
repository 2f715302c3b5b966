//! The answer to HTTP, which is not spoken yet.

use alloc::format;
use alloc::string::String;

const BODY: &str = "HTTP is not spoken here yet. To upload a file: sandport send FILE HOST\n";

/// A whole response, which ends the connection. It is given to the first byte of a request already:
/// no part of the request could change it.
pub(super) fn response() -> String {
    format!(
        "HTTP/1.1 501 Not Implemented\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\
         \r\n\
         {BODY}",
        BODY.len(),
    )
}
