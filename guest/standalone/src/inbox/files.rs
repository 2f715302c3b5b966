//! What the inbox needs of a file system, and how that fails.

use std::fmt;

use sandport_protocol::Refusal;
use sandport_protocol::inbox::{Failure, Record, no_directory};

/// A directory, opened. Names are single parts of a path.
pub trait Directory: Clone + 'static {
    /// A file in it.
    type File: File;

    /// Opens a directory in it, never through a symbolic link.
    ///
    /// # Errors
    /// [`Trouble::NotFound`]; [`Trouble::NotADirectory`], for a link too.
    fn directory(&self, name: &str) -> Result<Self, DiskError>;

    /// Makes a directory in it.
    ///
    /// # Errors
    /// [`Trouble::Exists`], whatever has the name.
    fn make_directory(&self, name: &str) -> Result<(), DiskError>;

    /// What has a name, links not followed; `None`: nothing.
    ///
    /// # Errors
    /// Those of the disk.
    fn look(&self, name: &str) -> Result<Option<Look>, DiskError>;

    /// Makes a file.
    ///
    /// # Errors
    /// [`Trouble::Exists`], whatever has the name.
    fn create(&self, name: &str) -> Result<Self::File, DiskError>;

    /// Opens a file to read and write, never through a link; made if it is missing.
    ///
    /// # Errors
    /// Those of the disk.
    fn open(&self, name: &str) -> Result<Self::File, DiskError>;

    /// Opens a regular file to read and write, never through a link; `None`: there is none, or something else has the
    /// name.
    ///
    /// # Errors
    /// Those of the disk.
    fn find(&self, name: &str) -> Result<Option<Self::File>, DiskError>;

    /// The names in it.
    ///
    /// # Errors
    /// Those of the disk.
    fn names(&self) -> Result<Vec<String>, DiskError>;

    /// Gives a file another name, in `to`, and leaves it the old one.
    ///
    /// # Errors
    /// [`Trouble::Exists`], whatever has the new name; [`Trouble::Unsupported`].
    fn link(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError>;

    /// Moves a file, over a file or a link that has the new name.
    ///
    /// # Errors
    /// [`Trouble::IsDirectory`].
    fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError>;

    /// Removes a file or a link.
    ///
    /// # Errors
    /// Those of the disk.
    fn remove(&self, name: &str) -> Result<(), DiskError>;

    /// Makes its entries durable.
    ///
    /// # Errors
    /// Those of the disk.
    fn sync(&self) -> Result<(), DiskError>;
}

/// A file, opened.
pub trait File {
    /// Reads `max` bytes at `offset`; fewer, where the file ends.
    ///
    /// # Errors
    /// Those of the disk.
    fn read(&mut self, offset: u64, max: usize) -> Result<Vec<u8>, DiskError>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Those of the disk.
    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Cuts it off.
    ///
    /// # Errors
    /// Those of the disk.
    fn truncate(&mut self, size: u64) -> Result<(), DiskError>;

    /// Sets its modification time, in nanoseconds since 1970.
    ///
    /// # Errors
    /// Those of the disk.
    fn set_modified(&mut self, modified_ns: i64) -> Result<(), DiskError>;

    /// Makes content, size and times durable.
    ///
    /// # Errors
    /// Those of the disk.
    fn sync(&mut self) -> Result<(), DiskError>;
}

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, a device, a socket.
    Other,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// What the system tells files apart by.
    pub identity: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
}

impl Look {
    /// What is written down of a file that looks so.
    pub(super) fn record(&self, digest: [u8; 32]) -> Record {
        Record { digest, size: self.size, inode: self.identity, modified: self.modified }
    }

    /// Whether it is the file that `record` describes.
    pub(super) fn is(&self, record: &Record) -> bool {
        self.kind == Kind::File && self.record(record.digest) == *record
    }
}

/// How a file system failed.
#[derive(Clone, Debug)]
pub struct DiskError {
    /// The condition.
    pub trouble: Trouble,
    /// What the system said.
    pub words: String,
}

/// The condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing has the name.
    NotFound,
    /// Something has the name.
    Exists,
    /// Something else than a directory is in the place of one.
    NotADirectory,
    /// A directory is in the place of a file.
    IsDirectory,
    /// What is asked for makes no sense to the file system: an argument, or the name.
    Invalid,
    /// The file system, or the runtime, cannot do that.
    Unsupported,
    /// What makes no difference to the inbox, but to senders.
    Failure(Failure),
}

impl DiskError {
    /// Whether it may not be written there.
    pub fn may_not_write(&self) -> bool {
        matches!(self.trouble, Trouble::Failure(Failure::ReadOnly | Failure::NotPermitted))
    }

    /// What a sender is told.
    pub(super) fn refusal(&self, doing: &str) -> Refusal {
        self.failure(Failure::Unsupported).map_or_else(no_directory, |it| it.refusal(doing, self))
    }

    /// The same, where the call was about a name that the sender chose. FAT, exFAT and NTFS call some invalid.
    pub(super) fn refusal_of_name(&self, doing: &str) -> Refusal {
        self.failure(Failure::Name).map_or_else(no_directory, |it| it.refusal(doing, self))
    }

    /// What it comes to, where an argument that is invalid is `invalid`; `None`: a part of the path is no directory.
    fn failure(&self, invalid: Failure) -> Option<Failure> {
        Some(match self.trouble {
            Trouble::NotADirectory => return None,
            Trouble::NotFound => Failure::Gone,
            Trouble::Exists | Trouble::IsDirectory => Failure::InTheWay,
            Trouble::Invalid => invalid,
            Trouble::Unsupported => Failure::Unsupported,
            Trouble::Failure(failure) => failure,
        })
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
