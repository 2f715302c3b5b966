//! Storage of one's own: files that go somewhere else than into a directory.

mod ending;
mod inbox;
mod upload;

use std::pin::Pin;

use sandport_protocol::{Digest, EntryName, Refusal};

use crate::Identity;

pub(super) use inbox::Answer;
pub(crate) use inbox::StorageInbox;
pub(super) use upload::{StorageBody, StorageUpload};

/// Keeps the files of a server, in the place of an [`Inbox`](super::Inbox).
///
/// What a sender says is checked before it gets here, and what it sends too: names are parsed, bytes
/// counted against what was announced and against the limit, digests computed and compared. What is
/// left to do is to keep bytes, and to decide which name a file gets. Uploads cannot be resumed.
///
/// ```
/// use sandport_inbox::{Announced, Arrived, EntryName, Incoming, Publishing, Refusal, Storage};
///
/// /// Counts what it gets, and keeps nothing.
/// struct Counting;
///
/// struct Counted(EntryName, u64);
///
/// impl Storage for Counting {
///     fn begin(&self, file: &Announced) -> Result<Box<dyn Incoming>, Refusal> {
///         Ok(Box::new(Counted(file.name.clone(), 0)))
///     }
/// }
///
/// impl Incoming for Counted {
///     fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
///         self.1 += bytes.len() as u64;
///         Ok(())
///     }
///
///     fn publish(self: Box<Self>, file: Arrived) -> Publishing {
///         assert_eq!(self.1, file.size);
///         Box::pin(async { Ok(self.0) })
///     }
/// }
/// ```
///
/// Methods are called on threads of the runtime, for many connections at once. They may take as long
/// as a disk does. What takes longer belongs into the future that [`Incoming::publish`] returns.
pub trait Storage: Send + Sync + 'static {
    /// Begins a file. Nothing of it should be visible before it is published.
    ///
    /// # Errors
    ///
    /// Why the file is not taken. The sender hears the code and the words.
    fn begin(&self, file: &Announced) -> Result<Box<dyn Incoming>, Refusal>;

    /// The power to know what is stored already. Without it each file is sent again.
    fn lookup(&self) -> Option<&dyn Lookup> {
        None
    }

    /// The power to make empty directories. Without it they are refused; files in directories are not.
    fn directories(&self) -> Option<&dyn Directories> {
        None
    }
}

/// One file on its way into a [`Storage`]. Dropped before it is published, it was never there.
pub trait Incoming: Send + 'static {
    /// Takes the next bytes of the file: in ascending order, without gaps.
    ///
    /// # Errors
    ///
    /// Why the file is not taken after all. The upload fails with that, and no more bytes come.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal>;

    /// Makes the file durable and visible, and says under which name. All of it is here, and it is
    /// what the sender announced. The sender gets its receipt when the future is ready, and not
    /// before those of the files that it completed before over the same connection.
    fn publish(self: Box<Self>, file: Arrived) -> Publishing;
}

/// The end of an upload, on its way.
pub type Publishing = Pin<Box<dyn Future<Output = Result<EntryName, Refusal>> + Send>>;

/// What a sender says of a file before it sends it, and who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// Who sends it. This is no word of the sender's.
    pub identity: Identity,
    /// The name: the sender's, or one that was made up where it gave none.
    pub name: EntryName,
    /// Size in bytes; `None`: not known yet.
    pub size: Option<u64>,
    /// Modification time in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified_ns: Option<i64>,
    /// Whether the sender's file is executable. A stranger's word.
    pub executable: bool,
}

/// What arrived. It was counted and computed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 of the content.
    pub digest: Digest,
}

/// Knows what a [`Storage`] has.
pub trait Lookup {
    /// The file that `identity` stored under `name` or under a name that was made of it, and that has this
    /// size and this digest, as far as they are given. At least one of them is.
    ///
    /// A sender that shows the digest of such a file gets a receipt for it, and does not send it. So a file
    /// of another identity is not to be found: the answer would tell strangers what is there.
    fn find(
        &self,
        identity: &Identity,
        name: &EntryName,
        size: Option<u64>,
        digest: Option<Digest>,
    ) -> Option<Found>;
}

/// A file that is stored already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The name that it has.
    pub name: EntryName,
    /// What it is.
    pub file: Arrived,
}

impl Found {
    /// A file of this name, which [arrived](Incoming::publish) as this.
    pub fn new(name: EntryName, file: Arrived) -> Self {
        Self { name, file }
    }
}

/// Makes directories in a [`Storage`].
pub trait Directories {
    /// Makes an empty directory for `identity`, with those above it. One that exists is no error.
    ///
    /// # Errors
    ///
    /// Why there can be none of this name.
    fn make(&self, identity: &Identity, name: &EntryName) -> Result<(), Refusal>;
}

#[cfg(test)]
mod tests;
