//! What an upload is put together out of.

use alloc::vec::Vec;

/// What is known of the parts of an upload.
pub(super) struct Parts {
    /// Their keys, in the order of their contents.
    pub(super) keys: Vec<Vec<u8>>,
    /// How many of them were looked at, or removed.
    pub(super) done: usize,
    /// How many bytes all that were looked at will have; `None`: not known.
    pub(super) size: Option<u64>,
    /// All of those are whole.
    pub(super) are_whole: bool,
}
