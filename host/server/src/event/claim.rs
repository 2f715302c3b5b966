//! What a resident component says that happened.

use std::borrow::Cow;

use sandport_protocol::report::Report;

/// What a resident component says that happened. Nobody has checked it; names and words may come from
/// a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Claim {
    /// What a component reports that has happened; `None`: it is something else.
    pub(crate) fn of(report: Report<'_>) -> Option<Self> {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Some(match report {
            Report::Stored { name, size, digest, peer, .. } => Self::Stored {
                name: name.into_owned(),
                size,
                digest: owned(digest),
                peer: owned(peer),
            },
            Report::Refused { peer, name, code, detail, .. } => Self::Refused {
                peer: owned(peer),
                name: owned(name.flatten()),
                code: code.into_owned(),
                detail: owned(detail),
            },
            _ => return None,
        })
    }
}
