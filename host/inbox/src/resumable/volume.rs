//! Where uploads that can be resumed lie: what the machine of an upload has done there.
//!
//! These calls wait for the disk, so only threads that do nothing else make them, but for [`Blob::write`].

use std::os::fd::OwnedFd;
use std::sync::Arc;

use sandport_protocol::journal::{Kept, Notes};
use sandport_protocol::upload::{Done, Found, Held};
use sandport_protocol::{Digest, EntryName, Refusal};

use super::Id;
use super::commit::Commit;
use crate::Identity;
use crate::space::Room;
use crate::stage::PublishEnd;
use crate::usage::{Reservation, Usage};

/// What an upload is.
pub(crate) struct Facts {
    pub(crate) id: Id,
    /// Who sends it.
    pub(crate) identity: Identity,
    /// What it was offered as, or the name that was made up.
    pub(crate) name: EntryName,
    /// Whether the sender chose the name, and finds the file by that when it has not heard of its end.
    pub(crate) is_named: bool,
    /// How long the file was to be when it was begun; `None`: that was not known. Bytes.
    pub(crate) size: Option<u64>,
    /// What else is known of it.
    pub(crate) notes: Notes,
}

/// What a key leads to.
#[expect(clippy::large_enum_variant, reason = "it is looked at once, where it is made")]
pub(crate) enum Loaded {
    /// An upload that goes on.
    ResumableUpload {
        name: EntryName,
        size: Option<u64>,
        notes: Notes,
        found: Found,
        blob: Arc<dyn Blob>,
    },
    /// One that was published, under this offered name.
    Published(EntryName),
    /// Nothing of it can be used. It is to be removed: its sender has the bytes still.
    Unusable,
}

/// A place for uploads.
pub(crate) trait Volume: Send + Sync {
    /// One of which nothing is there, and nothing that was there before comes back, whatever happens. It takes no
    /// room before its first byte.
    ///
    /// # Errors
    /// `io` and the like: what was there before may come back.
    fn begin(&self, id: Id) -> Result<Arc<dyn Blob>, Refusal>;

    /// Finds what is there of an upload that nobody has open.
    ///
    /// # Errors
    /// `io` and the like: it may be readable later.
    fn load(&self, id: Id) -> Result<Option<Loaded>, Refusal>;

    /// Removes what is there of an upload that nobody has open; whether there was any.
    fn remove(&self, id: Id) -> bool;

    /// Whether something is there of an upload, or of one that was published. It looks a name up, and waits for
    /// nothing else.
    fn is_there(&self, id: Id) -> bool;

    /// How long ago something of an upload arrived last, or was asked for. Seconds.
    fn idle_s(&self, id: Id) -> u64;

    /// The uploads that are kept though nothing of them came: whose, and what their files are called.
    fn empty_ones(&self) -> Vec<(Identity, String)>;

    /// How many bytes an upload holds whose files are called so; `None`: there is none.
    fn bytes_of(&self, name: &str) -> Option<u64>;

    /// Removes an upload whose files are called so, if nothing of it came and nobody is at it. Whether none of that
    /// kind is there: it may have bytes by now.
    fn remove_empty(&self, name: &str) -> bool;

    /// Its part of the quota, where there is one.
    ///
    /// # Errors
    /// `quota-exceeded`.
    fn reserve(&self, sender: &Identity, size: Option<u64>)
    -> Result<Option<Reservation>, Refusal>;

    /// The same for an upload that was found, and so far has counted as what it holds.
    ///
    /// # Errors
    /// `quota-exceeded`; then it goes on counting so.
    fn reserve_found(
        &self,
        sender: &Identity,
        id: Id,
        bytes: u64,
    ) -> Result<Option<Reservation>, Refusal>;

    /// The account of the quota, where there is one.
    fn usage(&self) -> Option<&Arc<Usage>> {
        None
    }

    /// What an upload is still to bring of the free space: `missing` bytes; `None`: not known.
    fn claim(&self, missing: Option<u64>) -> Arc<dyn Room>;
}

/// The bytes of one upload, and its journal. It has one user, who calls nothing while another call is under way
/// but [`write`](Self::write) and what reads.
pub(crate) trait Blob: Send + Sync {
    /// Writes bytes to their place, on the thread of a connection.
    ///
    /// # Errors
    /// `insufficient-space`, `io` and the like: nothing is to be relied on of these bytes.
    fn write(&self, facts: &Facts, at: u64, bytes: &[u8]) -> Result<(), Refusal>;

    /// The same for bytes that come right after some that were held back, without copying them together where that
    /// can be done.
    ///
    /// # Errors
    /// As of [`Self::write`].
    fn write_after(&self, facts: &Facts, held: &Held, bytes: &[u8]) -> Result<(), Refusal> {
        self.write(facts, held.at, &[&held.bytes, bytes].concat())
    }

    /// Reads bytes that are there, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// `io` and the like: not all of them are there any more.
    fn read(&self, facts: &Facts, at: u64, bytes: &mut [u8]) -> Result<(), Refusal>;

    /// Puts bytes that another upload has to their place in this one, and gives them, on a thread that may wait for the
    /// disk. What is given is what is here now.
    ///
    /// # Errors
    /// As of [`Self::read`] of that one, and of [`Self::write`].
    fn copy(
        &self,
        facts: &Facts,
        at: u64,
        source: &Source<'_>,
        from: u64,
        bytes: &mut [u8],
    ) -> Result<(), Refusal> {
        source.blob.read(source.facts, from, bytes)?;
        self.write(facts, at, bytes)
    }

    /// Finds out whether a write has failed that nobody has heard of: what is read then need not be what was written.
    /// On a thread that may wait for the disk.
    ///
    /// # Errors
    /// `io` and the like: one has failed.
    fn make_certain(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// The file that has its bytes, where one has.
    ///
    /// # Errors
    /// `io` and the like: it cannot be opened.
    fn file(&self) -> Result<Option<Arc<OwnedFd>>, Refusal> {
        Ok(None)
    }

    /// As [`Work::Checkpoint`](sandport_protocol::upload::Work::Checkpoint).
    fn keep(
        &self,
        facts: &Facts,
        held: Option<&Held>,
        size: Option<u64>,
        entries: Vec<Kept>,
        is_synced: bool,
    ) -> Done;

    /// The digest of a file of `size` bytes, at most a chunk group.
    ///
    /// # Errors
    /// `io`: it is not there any more.
    fn hash(&self, facts: &Facts, size: u64) -> Result<Digest, Refusal>;

    /// Has the file published, and everybody told, in a while.
    fn publish(&self, facts: &Facts, publication: Publication);

    /// Gives up what it has open: nothing is read or written any more.
    fn close(&self) {}

    /// The file has its name: nothing of the upload is needed any more.
    fn published(&self, facts: &Facts);

    /// Removes everything.
    fn remove(&self, facts: &Facts);

    /// Closes it. These `dirty` ranges are worth nothing. `kept_bytes` are, and the whole takes no less room.
    fn park(&self, facts: &Facts, dirty: &[(u64, u64)], kept_bytes: u64, is_starved: bool);
}

/// An upload whose bytes are copied.
pub(crate) struct Source<'a> {
    pub(crate) blob: &'a dyn Blob,
    pub(crate) facts: &'a Facts,
}

/// A file to be published, and who is to hear of it.
pub(crate) struct Publication {
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    pub(crate) commit: Commit,
    /// Its part of the quota, where there is one.
    pub(crate) reservation: Option<Reservation>,
    /// What it claims of the free space, until it is published.
    pub(crate) claim: Option<Arc<dyn Room>>,
    pub(crate) end: Box<dyn PublishEnd>,
}
