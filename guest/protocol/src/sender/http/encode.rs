//! Names and paths as requests have them (RFC 3986, section 2.1).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what never needs it (RFC 3986, section 2.3).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path that somebody has written cannot have in a request.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A name, part by part.
pub(super) fn name(name: &str) -> String {
    let parts: Vec<String> =
        name.split('/').map(|part| utf8_percent_encode(part, NAME).to_string()).collect();
    parts.join("/")
}

/// A path in which what is encoded already stays as it is.
pub(super) fn path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn is_encoding_sound(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
