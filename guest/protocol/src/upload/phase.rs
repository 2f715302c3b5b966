//! Where an upload is in its life.

use super::owners::Barrier;
use crate::{Digest, Millis};

/// Where an upload is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Sessions come, bring bytes, and go.
    Open,
    /// No grants are given until all have come back.
    Settling(Next),
    /// All sessions are through and all is here.
    Committing {
        barrier: Barrier,
        /// `None`: it is being computed.
        digest: Option<Digest>,
        /// The journal says the name, or need not.
        is_marked: bool,
    },
    /// Nobody has it: what came is kept.
    Closing {
        tries: u32,
        /// When to try again.
        again_at: Option<Millis>,
    },
    /// Nobody gets it any more: it is being closed or removed.
    Leaving,
    /// It has ended.
    Gone,
}

/// What follows when it has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another session goes on.
    Open,
    /// It is published.
    Commit,
    /// It is removed.
    Remove,
    /// It is left as the journal knows it: the disk has failed.
    Abandon,
}
