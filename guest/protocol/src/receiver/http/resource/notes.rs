//! What is kept with an upload, for requests that come later on other connections.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::METADATA_VALUE_BYTES_MAX;

/// Names with values. A value that is longer than the inbox takes is kept in pieces, which have the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::receiver::http) struct Notes(Vec<(String, Vec<u8>)>);

impl Notes {
    /// The name under which is kept what has begun the upload.
    pub(in crate::receiver::http) const PROTOCOL: &'static str = "protocol";

    /// The name under which is kept when the file was modified: only the request that begins an upload says so.
    const MODIFIED: &'static str = "modified";

    pub(in crate::receiver::http) fn of(pairs: Vec<(String, Vec<u8>)>) -> Self {
        Self(pairs)
    }

    /// As the inbox takes them.
    pub(in crate::receiver::http) fn pairs(self) -> Vec<(String, Vec<u8>)> {
        self.0
    }

    /// With one more.
    pub(in crate::receiver::http) fn with(mut self, name: &str, value: &str) -> Self {
        let pieces = value.as_bytes().chunks(METADATA_VALUE_BYTES_MAX);
        self.0.extend(pieces.map(|piece| (name.to_owned(), piece.to_vec())));
        self
    }

    /// With when the file was modified, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) fn with_modified_ns(self, modified_ns: Option<i64>) -> Self {
        match modified_ns {
            Some(modified_ns) => self.with(Self::MODIFIED, &modified_ns.to_string()),
            None => self,
        }
    }

    /// When the file was modified.
    pub(super) fn modified_ns(&self) -> Option<i64> {
        self.get(Self::MODIFIED)?.parse().ok()
    }

    /// What is kept under a name. `None`: nothing is, or not text.
    pub(in crate::receiver::http) fn get(&self, name: &str) -> Option<String> {
        let mut pieces = self.0.iter().filter(|(known, _)| known == name).peekable();
        pieces.peek()?;
        String::from_utf8(pieces.flat_map(|(_, piece)| piece.iter().copied()).collect()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_comes_back_whole() {
        let long = "\u{20ac}".repeat(METADATA_VALUE_BYTES_MAX);
        let notes = Notes::default().with("a", &long).with("b", "short").with("c", "");
        assert!(notes.0.iter().all(|(_, value)| value.len() <= METADATA_VALUE_BYTES_MAX));
        let notes = Notes::of(notes.pairs());
        assert_eq!(notes.get("a"), Some(long));
        assert_eq!(notes.get("b").as_deref(), Some("short"));
        assert_eq!(notes.get("c"), None);
    }

    #[test]
    fn the_time_of_a_file_is_kept() {
        for time in [None, Some(0), Some(i64::MIN), Some(i64::MAX)] {
            let notes = Notes::default().with_modified_ns(time);
            assert_eq!(Notes::of(notes.pairs()).modified_ns(), time);
        }
    }
}
