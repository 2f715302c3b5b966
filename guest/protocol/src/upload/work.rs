//! What an upload asks of its volume and of those who wait for it, and what it is answered.

use alloc::vec::Vec;

use super::ids::{KeepId, SessionId};
use crate::journal::Kept;
use crate::{Digest, Millis, Refusal};

/// Something that is to be done where the bytes lie. An upload has one at a time under way, beside writes that
/// were granted. Each is answered by [`Upload::done`](super::Upload::done), once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Append these entries to the journal, which is made if there is none, and with `is_synced` make the data
    /// durable before and the entries after. Answered by [`Done::Checkpointed`], [`Done::Unsynced`] or
    /// [`Done::Unwritten`].
    Checkpoint {
        /// Bytes that were held back so far and are to be written before.
        held: Option<Held>,
        /// The size of the file, where it was set after the upload was begun: to be said before the entries.
        size: Option<u64>,
        /// Where empty: it is enough that there is a journal.
        entries: Vec<Kept>,
        /// Whether they are to outlive a power cut.
        is_synced: bool,
    },
    /// Write bytes that were held back so far. Answered by [`Done::Written`].
    Write(Held),
    /// Read a file of at most a chunk group. Answered by [`Done::Hashed`].
    Hash {
        /// Its size. Bytes.
        size: u64,
    },
    /// Give the file its name. Answered by [`Done::Published`], [`Done::NotPublished`], [`Done::Mismatched`] or
    /// [`Done::Lost`].
    Publish {
        /// Its size. Bytes.
        size: u64,
        /// Its digest.
        digest: Digest,
    },
    /// Remove what is there. Answered by [`Done::Removed`].
    Remove,
    /// Close it, so that it can be resumed. Answered by [`Done::Parked`].
    Park {
        /// How many of its bytes are in the journal.
        kept_bytes: u64,
        /// What was written and is not: first bytes, and ends. It is worth nothing, and may be freed.
        dirty: Vec<(u64, u64)>,
        /// Whether it was refused for want of space.
        is_starved: bool,
    },
}

/// Few bytes, and where in the file they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The first byte's offset.
    pub at: u64,
    /// At most two kilobytes.
    pub bytes: Vec<u8>,
}

/// How a [`Work`] has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The entries are in the journal.
    Checkpointed,
    /// The data could not be made durable. The system says so once, and may have given up what it could not
    /// write: nothing since the last entry is to be relied on.
    Unsynced(Refusal),
    /// The data is there, and the journal could not be written. It is as it was.
    Unwritten(Refusal),
    /// They are written, or why they cannot be.
    Written(Result<(), Refusal>),
    /// The digest of a short file, or why it cannot be read.
    Hashed(Result<Digest, Refusal>),
    /// The file has its name, or another is there that makes it superfluous. Nothing of the upload is left.
    Published,
    /// The file did not get a name. All is as it was.
    NotPublished,
    /// The file did not get a name, because it has not the digests that somebody has said that it has.
    Mismatched(Refusal),
    /// The file did not get a name, because the data could not be made durable.
    Lost(Refusal),
    /// Nothing is left.
    Removed,
    /// It is closed.
    Parked,
}

/// Something that others are to hear. It takes no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A session has met a fault, or lost the upload: it brings nothing more.
    Fault {
        /// Which one.
        session: SessionId,
        /// Why.
        refusal: Refusal,
    },
    /// So many bytes from the start are kept.
    Durable(u64),
    /// Bodies that found no room are to look again.
    Room,
    /// Whoever waits for [`Upload::is_settled`](super::Upload::is_settled), or to offer again, is to look again.
    Changed,
    /// The commit of all sessions that are through has failed.
    Refuse(Refusal),
    /// [`Upload::due`](super::Upload::due) is to be called then, if not before.
    Wake(Millis),
    /// What [`Upload::keep`](super::Upload::keep) was asked for has ended.
    Kept {
        /// Which one.
        keep: KeepId,
        /// All is kept that was here then, or why not.
        outcome: Result<(), Refusal>,
    },
    /// It has ended. Nothing comes of it any more.
    Gone(Ending),
}

/// What is left of an upload that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A file, under its name.
    Published,
    /// Nothing. With what is to be said to who asks for it later, if anything is.
    Removed(Option<Refusal>),
    /// What it takes to go on with it.
    Parked,
}
