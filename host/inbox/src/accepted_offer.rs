//! What is to become of an offer that was accepted.

use sandport_protocol::{Digest, EntryName};

use crate::Identity;

/// What was accepted, as far as it matters after the answer.
#[derive(Clone)]
pub(super) struct AcceptedOffer {
    pub(super) identity: Identity,
    pub(super) name: EntryName,
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    pub(super) modified_ns: Option<i64>,
    pub(super) executable: bool,
    /// What a copy of it takes of the disk beside it, where one is due on the same disk. Bytes.
    pub(super) copy: u64,
}

impl AcceptedOffer {
    /// What the disk needs of room for so many bytes that are to come, where it is known how many.
    pub(super) fn with_copy(&self, bytes: Option<u64>) -> Option<u64> {
        bytes.map(|bytes| bytes.saturating_add(self.copy))
    }
}
