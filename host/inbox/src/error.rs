//! Why an inbox cannot be used, and how a system error becomes a refusal.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sandport_protocol::NameError;
use sandport_protocol::inbox::Failure;

/// What kind of failure an [`InboxError`] is, for exit codes and for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// The call makes no sense as it is: the directory is no inbox, or one of a later version, or a name is none.
    Usage,
    /// The same call may succeed later.
    Temporary,
    /// This machine failed: its disk, a mount, or what this user may do.
    Local,
}

/// Why a directory cannot serve as an inbox. The text names the condition, and [`InboxError::code`] is a word for it
/// that stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The directory does not exist, and neither does the one that it would be made in.
    #[error("cannot create the inbox {}: {} does not exist", dir.display(), parent.display())]
    ParentMissing {
        /// The inbox.
        dir: PathBuf,
        /// What is missing.
        parent: PathBuf,
    },
    /// Something that is not a directory is in the place of a directory that the inbox needs.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// This process may not write there, or the file system is mounted read-only.
    #[error("cannot write to the inbox: {}: {source}", path.display())]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was removed under the server, or its file system was unmounted.
    #[error("the inbox {} is gone: it was removed or unmounted", dir.display())]
    Gone {
        /// The inbox.
        dir: PathBuf,
    },
    /// Another server has the inbox.
    #[error("the inbox {} is in use by another server{}", dir.display(), process_words(*.process))]
    Locked {
        /// The inbox.
        dir: PathBuf,
        /// The process that serves it, where it could be read.
        process: Option<u32>,
    },
    /// The inbox was written by a version that this one does not know.
    #[error("the inbox {} has layout {found:?}; this version knows layout {known}", dir.display())]
    WrongLayout {
        /// The inbox.
        dir: PathBuf,
        /// What its layout file says.
        found: String,
        /// The highest layout that this version knows.
        known: u32,
    },
    /// A thread of it has panicked, which is a fault of this program.
    #[error("the inbox {} has stopped: its thread {thread} panicked", dir.display())]
    Stopped {
        /// The inbox.
        dir: PathBuf,
        /// The thread.
        thread: &'static str,
    },
    /// Its `.sandport` is on another file system, so that files cannot be moved from there into it.
    #[error(
        "the inbox {} and its .sandport are on different file systems, mounts or subvolumes",
        dir.display()
    )]
    Split {
        /// The inbox.
        dir: PathBuf,
    },
    /// No server ever served the directory.
    #[error("{} is not an inbox: no server has received anything there", dir.display())]
    NotAnInbox {
        /// The directory.
        dir: PathBuf,
    },
    /// The name for uploads without one is no name that an inbox takes.
    #[error("{name:?} cannot be the name of an upload: {source}")]
    NameInvalid {
        /// The name.
        name: String,
        /// The rule that it breaks.
        source: NameError,
    },
    /// The system failed in a way that has no condition of its own.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl InboxError {
    /// What kind of failure it is.
    pub fn kind(&self) -> InboxErrorKind {
        match self {
            Self::NotAnInbox { .. } | Self::WrongLayout { .. } | Self::NameInvalid { .. } => {
                InboxErrorKind::Usage
            }
            Self::Locked { .. } => InboxErrorKind::Temporary,
            Self::ParentMissing { .. }
            | Self::NotADirectory { .. }
            | Self::NotWritable { .. }
            | Self::Gone { .. }
            | Self::Stopped { .. }
            | Self::Split { .. }
            | Self::Io { .. } => InboxErrorKind::Local,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ParentMissing { .. } => "inbox-parent-missing",
            Self::NotADirectory { .. } => "inbox-not-a-directory",
            Self::NotWritable { .. } => "inbox-not-writable",
            Self::Stopped { .. } => "inbox-stopped",
            Self::Split { .. } => "inbox-split",
            Self::Gone { .. } => "inbox-gone",
            Self::Locked { .. } => "inbox-locked",
            Self::WrongLayout { .. } => "inbox-layout",
            Self::NotAnInbox { .. } => "not-an-inbox",
            Self::NameInvalid { .. } => "name-invalid",
            Self::Io { .. } => "inbox-io",
        }
    }
}

fn process_words(process: Option<u32>) -> String {
    process.map_or(String::new(), |id| format!(" (process {id})"))
}

/// What the system call was about that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The content of a file, or one that has a name of ours.
    Content,
    /// A name that the sender chose: `EINVAL` is of the name then. So say FAT, exFAT and NTFS.
    Name,
}

/// How the disk failed, by what the system says. It decides for every inbox call: see [`Failure::refusal`].
///
/// Whether it has run out of bytes or of inodes, the system says by the same errno: see
/// [`Core::refusal`](super::Core::refusal).
pub(super) fn failure(errno: Errno, subject: Subject) -> Failure {
    match errno {
        Errno::NOSPC => Failure::Full,
        Errno::DQUOT => Failure::DiskQuota,
        Errno::NAMETOOLONG | Errno::ILSEQ => Failure::Name,
        Errno::INVAL if subject == Subject::Name => Failure::Name,
        Errno::FBIG | Errno::OVERFLOW => Failure::FileTooLarge,
        Errno::MFILE | Errno::NFILE => Failure::TooManyOpen,
        Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR | Errno::LOOP => {
            Failure::InTheWay
        }
        Errno::ROFS => Failure::ReadOnly,
        // An encrypted directory whose key is not there is closed like one without permission.
        Errno::PERM
        | Errno::ACCESS
        | Errno::NOKEY
        | Errno::KEYEXPIRED
        | Errno::KEYREVOKED
        | Errno::KEYREJECTED => Failure::NotPermitted,
        // Also of a file system in a process that has ended. A network that is down may be up again.
        Errno::NOENT
        | Errno::STALE
        | Errno::NODEV
        | Errno::NXIO
        | Errno::NOMEDIUM
        | Errno::NOTCONN
        | Errno::SHUTDOWN => Failure::Gone,
        Errno::IO | Errno::UCLEAN | Errno::BADMSG | Errno::REMOTEIO | Errno::NODATA => {
            Failure::Failing
        }
        // A directory that cannot have more links cannot have more directories.
        Errno::INVAL
        | Errno::XDEV
        | Errno::NOSYS
        | Errno::OPNOTSUPP
        | Errno::NOTTY
        | Errno::SPIPE
        | Errno::MLINK => Failure::Unsupported,
        _ => Failure::Other,
    }
}

/// The error for a system call that failed on `path`, of who does not want to write.
pub(super) fn failed_to_look(doing: &'static str, path: &Path, errno: Errno) -> InboxError {
    InboxError::Io { doing, path: path.to_path_buf(), source: std::io::Error::from(errno) }
}

/// The error for a system call that failed on `path`.
pub(super) fn failed(doing: &'static str, path: &Path, errno: Errno) -> InboxError {
    let path = path.to_path_buf();
    let source = std::io::Error::from(errno);
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => InboxError::NotWritable { path, source },
        _ => InboxError::Io { doing, path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandport_protocol::RefusalCode;

    /// The highest errno of Linux.
    const ERRNO_MAX: i32 = 133;

    /// What each errno that a disk can give comes to; all others are `io`, and may pass.
    const TABLE: &[(RefusalCode, &[Errno])] = &[
        (RefusalCode::InsufficientSpace, &[Errno::NOSPC, Errno::DQUOT]),
        (RefusalCode::NameInvalid, &[Errno::NAMETOOLONG, Errno::ILSEQ]),
        (RefusalCode::TooLarge, &[Errno::FBIG, Errno::OVERFLOW]),
        (RefusalCode::TooMany, &[Errno::MFILE, Errno::NFILE]),
        (
            RefusalCode::Exists,
            &[Errno::EXIST, Errno::NOTEMPTY, Errno::ISDIR, Errno::NOTDIR, Errno::LOOP],
        ),
        (
            RefusalCode::NotPermitted,
            &[
                Errno::ROFS,
                Errno::PERM,
                Errno::ACCESS,
                Errno::NOKEY,
                Errno::KEYEXPIRED,
                Errno::KEYREVOKED,
                Errno::KEYREJECTED,
            ],
        ),
        (
            RefusalCode::Other,
            &[
                Errno::INVAL,
                Errno::XDEV,
                Errno::NOSYS,
                Errno::OPNOTSUPP,
                Errno::NOTTY,
                Errno::SPIPE,
                Errno::MLINK,
            ],
        ),
    ];

    #[test]
    fn each_errno_has_the_code_of_the_table() {
        for raw in 1..=ERRNO_MAX {
            let errno = Errno::from_raw_os_error(raw);
            let listed = TABLE.iter().find(|(_, errnos)| errnos.contains(&errno));
            let expected = listed.map_or(RefusalCode::Io, |(code, _)| *code);
            let code = failure(errno, Subject::Content).refusal("write", &errno).code;
            assert_eq!(code, expected, "{errno}");
            // Of a name it is the same, but for one.
            let expected = if errno == Errno::INVAL { RefusalCode::NameInvalid } else { expected };
            let code = failure(errno, Subject::Name).refusal("write", &errno).code;
            assert_eq!(code, expected, "{errno} of a name");
        }
    }
}
