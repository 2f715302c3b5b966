//! The answer where HTTP is not served.

use alloc::format;
use alloc::string::String;

use crate::{Refusal, RefusalCode};

const BODY: &str = "HTTP is not served here. To upload a file: sandport send FILE HOST\n";

/// A whole response, which ends the connection. It is given to the first byte of a request already:
/// what follows could not change it. `H` begins HEAD and no other method, and the response to that has
/// no body (RFC 9110, section 9.3.2).
pub(in crate::receiver) fn response(first: u8) -> String {
    let body = if first == b'H' { "" } else { BODY };
    format!(
        "HTTP/1.1 501 Not Implemented\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: same-origin\r\n\
         Connection: close\r\n\
         \r\n\
         {body}",
        BODY.len(),
    )
}

/// What the operator hears of it.
pub(in crate::receiver) fn refusal() -> Refusal {
    Refusal::new(RefusalCode::NotPermitted, "HTTP is not served here")
}
