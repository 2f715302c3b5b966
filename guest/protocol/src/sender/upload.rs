//! An upload on its way, as its sender sees it.

use crate::extents::Cursor;
use crate::{Digest, EntryKind, Offer};

/// An upload whose outcome, or whose verdict, is to come.
pub(super) struct Upload {
    pub(super) offer: Offer,
    pub(super) state: State,
    /// The size and the digest that were announced at the end.
    pub(super) finished: Option<(u64, Digest)>,
    /// How much of it is durable, by what the receiver said. Bytes.
    pub(super) durable: u64,
    /// How much of that has counted as progress. Bytes.
    pub(super) durable_counted: u64,
}

impl Upload {
    pub(super) fn new(offer: Offer) -> Self {
        let state = State::offered(&offer);
        Self { offer, state, finished: None, durable: 0, durable_counted: 0 }
    }

    /// Whether it waits for the receiver, and not for its own content.
    pub(super) fn is_receivers_turn(&self) -> bool {
        match self.state {
            State::Offered { .. } | State::Cancelled { .. } | State::Doomed => true,
            State::DigestFirst => false,
            State::Accepted { .. } => self.finished.is_some(),
        }
    }
}

/// How far it has come.
pub(super) enum State {
    /// There is no verdict yet. `sent` bytes of payload were announced.
    Offered { cursor: Cursor, sent: u64 },
    /// Given up before its verdict, which will still come.
    Cancelled { sent: u64 },
    /// It has to be offered again with its digest.
    DigestFirst,
    /// The receiver has accepted it.
    Accepted { cursor: Cursor },
    /// What was sent ahead is not what the receiver misses: it is about to refuse.
    Doomed,
}

impl State {
    fn offered(offer: &Offer) -> Self {
        let size = match offer.kind {
            EntryKind::File => offer.size,
            EntryKind::Directory => Some(0),
        };
        Self::Offered { cursor: Cursor::whole(size), sent: 0 }
    }
}
