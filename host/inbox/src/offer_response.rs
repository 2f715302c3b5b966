//! The answer to an offer.

use sandport_protocol::Receipt;

use super::comparison::Comparison;
use super::completion::CommitHandle;
use super::upload::Upload;

/// The answer to an offer.
#[derive(Debug)]
pub enum OfferResponse {
    /// It is here already.
    Stored(Receipt),
    /// It is on its way: a directory that the thread that syncs makes, or a file that another connection
    /// commits just now. The answer is `stored`, with the receipt that comes of this, or its refusal.
    Committing(CommitHandle),
    /// A file that may be the one is here, but inode number and time do not tell on its file system: its content
    /// is being compared. Offer again when that is [ready](Comparison::ready).
    Comparing(Comparison),
    /// Send it.
    Accepted(Upload),
    /// A file of this name and size is here, and the offer had no digest: ask again with one.
    DigestFirst,
}
