//! Keys of uploads as URLs have them.
//!
//! Whoever has the URL of an upload can go on with it, within its identity, so a key is written in full and in one
//! way only.

use alloc::string::String;
use alloc::vec::Vec;

use crate::http::base64;

/// Where the URLs of uploads begin, and where uploads are begun.
pub(super) const FILES: &str = "/files/";

/// Longest key. Bytes: as of `upload.key` of the WIT package.
pub(super) const KEY_BYTES_MAX: usize = 64;

/// The path of the upload with this key.
pub(super) fn path(key: &[u8]) -> String {
    String::from(FILES) + &segment(key)
}

/// The last segment of that path: the URL of the upload relative to the one where uploads are begun.
pub(super) fn segment(key: &[u8]) -> String {
    base64::encode_url(key)
}

/// The key that the last segment of such a path spells; `None`: no key is spelled so.
pub(super) fn parse(segment: &str) -> Option<Vec<u8>> {
    let key = base64::decode_url(segment)?;
    (1..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        for length in 1..=KEY_BYTES_MAX {
            let key: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            let path = path(&key);
            let segment = path.strip_prefix(FILES).unwrap_or_default();
            assert_eq!(parse(segment), Some(key));
        }
        for bad in ["", "a", "AA==", "A+", "A/", "AB", "A A", "\u{e4}A", "%41A"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse(&base64::encode_url(&[0; KEY_BYTES_MAX + 1])), None);
    }
}
