//! What is known of a file once it is accepted.

use sandport_protocol::{Digest, EntryName};

/// What was accepted, as far as it matters after the answer.
#[derive(Clone)]
pub(super) struct AcceptedOffer {
    pub(super) name: EntryName,
    /// Nobody knows the name.
    pub(super) is_made_up: bool,
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    pub(super) modified_ns: Option<i64>,
}
