//! What a dialect asks of an inbox beyond what the native one does, and what it hears.

use alloc::string::String;
use alloc::vec::Vec;

#[cfg(doc)]
use super::{Output, Receiver};
use crate::{Algorithm, ContentDigest, Extent, Receipt, Refusal};

/// What an offer wants besides what [`Offer`](crate::Offer) says: the rest of `types.offer` of the WIT package. By
/// default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How long the upload lasts.
    pub lifetime: Lifetime,
    /// Digests that the commit has to check, besides the one of the offer.
    pub digests: Vec<ContentDigest>,
    /// Digests that the receipt shall have besides BLAKE3.
    pub want: Vec<Algorithm>,
    /// What is kept with an upload that outlives its connection: see [`Metadata`](crate::Metadata) for its bounds.
    pub metadata: Vec<(String, Vec<u8>)>,
}

/// How long an upload lasts: `types.lifetime` of the WIT package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As the offer says: by its resume key, or as long as the connection.
    #[default]
    AsOffered,
    /// Under a key that the host makes up: [`Opened::Begun`](super::Opened::Begun) tells it.
    NewKey,
    /// It has this key already. None is begun where there is none.
    Existing(Vec<u8>),
}

/// How far an upload has come: `inbox.status` of the WIT package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The size, where it is known. Bytes.
    pub size: Option<u64>,
    /// How many bytes from the start are here, durable or not.
    pub received: u64,
    /// How many of them are kept whatever happens now.
    pub durable: u64,
    /// What is not here, in ascending order.
    pub missing: Vec<Extent>,
    /// How it has ended, for a while after it did. `None`: it has not.
    pub outcome: Option<Result<Receipt, Refusal>>,
    /// How long it is kept where nobody comes for it. Seconds. `None`: while somebody holds it, or for ever.
    pub expires_in_s: Option<u64>,
    /// As the first offer had it.
    pub metadata: Vec<(String, Vec<u8>)>,
}

/// What came of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The receipt, with the digest of BLAKE3.
    pub receipt: Receipt,
    /// The other digests that were wanted or checked.
    pub digests: Vec<ContentDigest>,
}

impl From<Receipt> for Committed {
    fn from(receipt: Receipt) -> Self {
        Self { receipt, digests: Vec::new() }
    }
}
