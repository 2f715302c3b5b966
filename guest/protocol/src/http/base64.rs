//! Base64 (RFC 4648) as fields and targets have it.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding};

/// With padding, of the usual alphabet (RFC 4648, section 4).
pub(crate) fn encode(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Of the usual alphabet. Padding may be left away, as RFC 9651 (section 4.2.7) wants it to be taken; where there is
/// some, it is as long as it has to be.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    Base64Unpadded::decode_vec(bare).ok()
}

/// Without padding, of the alphabet for URLs (RFC 4648, section 5).
pub(crate) fn encode_url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The other way round. Padding is an error: each key has one spelling.
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}
