//! What a sender is told when the disk fails.
//!
//! An inbox finds out which [`Failure`] it met: from an errno, or from an error code of WASI. What that means
//! for a sender is decided here alone, and whether it is worth another try follows from the code
//! ([`RefusalCode::is_temporary`]).

use alloc::format;

use crate::{Refusal, RefusalCode};

/// How a disk failed, as far as it makes a difference to a sender or to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// It has no room for more bytes.
    Full,
    /// It has room, and no inode for another file.
    NoInodes,
    /// The system allows the user of the server no more of it.
    DiskQuota,
    /// It does not take the name.
    Name,
    /// It does not take files of the size.
    FileTooLarge,
    /// The process, or the system, has too many files open.
    TooManyOpen,
    /// Something else has the name, or is in the place of a directory.
    InTheWay,
    /// It is mounted read-only; the system does that too, after an error of the disk.
    ReadOnly,
    /// The user of the server may not do that there.
    NotPermitted,
    /// A directory of the inbox is not there any more, or its file system is not.
    Gone,
    /// The device, or what is on it, is damaged.
    Failing,
    /// The file system cannot do that, and will not be able to.
    Unsupported,
    /// Anything else: memory that is short, a call that was interrupted.
    Other,
}

impl Failure {
    /// The refusal for an inbox that could not `doing`, where the system says `error`. The words carry
    /// no path of the host.
    ///
    /// An inbox that is gone is temporary: it may be mounted again, and the same command then goes on. One that
    /// is read-only, or closed to the server, stays so until somebody decides otherwise.
    pub fn refusal(self, doing: &str, error: &dyn core::fmt::Display) -> Refusal {
        let (code, words) = match self {
            Self::Full => (RefusalCode::InsufficientSpace, "the disk of the inbox is full"),
            Self::NoInodes => (
                RefusalCode::InsufficientSpace,
                "the disk of the inbox holds as many files as it can: it has no inode left",
            ),
            Self::DiskQuota => {
                (RefusalCode::InsufficientSpace, "the disk quota of the server's user is used up")
            }
            Self::Name => {
                (RefusalCode::NameInvalid, "the file system of the inbox does not take the name")
            }
            Self::FileTooLarge => (
                RefusalCode::TooLarge,
                "the file is larger than the file system of the inbox takes",
            ),
            Self::TooManyOpen => (RefusalCode::TooMany, "the inbox has too many files open"),
            Self::InTheWay => (RefusalCode::Exists, "something else has the name"),
            Self::ReadOnly => {
                (RefusalCode::NotPermitted, "the file system of the inbox is read-only")
            }
            Self::NotPermitted => {
                let words = format!("the server is not permitted to {doing}: {error}");
                return Refusal::new(RefusalCode::NotPermitted, words);
            }
            Self::Gone => (RefusalCode::Io, "the directory of the inbox is gone"),
            Self::Failing => {
                let words = format!("the disk of the inbox fails: cannot {doing}: {error}");
                return Refusal::new(RefusalCode::Io, words);
            }
            Self::Unsupported => {
                let words = format!("the file system of the inbox cannot {doing}: {error}");
                return Refusal::new(RefusalCode::Other, words);
            }
            Self::Other => {
                let words = format!("the inbox could not {doing}: {error}");
                return Refusal::new(RefusalCode::Io, words);
            }
        };
        Refusal::new(code, words)
    }

    /// Whether the inbox as a whole may be the cause, and not this one file.
    pub fn may_concern_the_inbox(self) -> bool {
        matches!(self, Self::ReadOnly | Self::NotPermitted | Self::Gone | Self::Failing)
    }
}
