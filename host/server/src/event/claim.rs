//! What a resident component says that happened.

use serde::Deserialize;

/// What a resident component says that happened. Nobody has checked it; names and words may come from
/// a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Claim {
    /// A file is stored.
    Stored {
        /// Its name in the inbox.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The digest of its content, in words: `blake3:` and hexadecimal digits.
        digest: Option<String>,
        /// Who sent it.
        peer: Option<String>,
    },
    /// An upload or a connection was refused.
    Refused {
        /// Who it was.
        peer: Option<String>,
        /// The name in the offer.
        name: Option<String>,
        /// The refusal code.
        code: String,
        /// Words for a person.
        detail: Option<String>,
    },
}
