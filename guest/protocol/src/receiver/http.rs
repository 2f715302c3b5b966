//! The answer to HTTP, which is not spoken yet.

use alloc::format;
use alloc::string::String;

mod base64;
mod key;
mod structured;

const BODY: &str = "HTTP is not spoken here yet. To upload a file: sandport send FILE HOST\n";

/// A whole response, which ends the connection. It is given to the first byte of a request already:
/// what follows could not change it. `H` begins HEAD and no other method, and the response to that has
/// no body (RFC 9110, section 9.3.2).
pub(super) fn response(first: u8) -> String {
    let body = if first == b'H' { "" } else { BODY };
    format!(
        "HTTP/1.1 501 Not Implemented\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\
         \r\n\
         {body}",
        BODY.len(),
    )
}
