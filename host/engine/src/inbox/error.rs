//! Why an inbox cannot be used, and how a system error becomes a refusal.

use std::path::PathBuf;

use rustix::io::Errno;
use sandport_protocol::inbox::Failure;
use sandport_protocol::{NameError, Refusal};

/// Why a folder cannot serve as an inbox. The text names the condition; [`InboxError::hint`] says what
/// to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The folder does not exist, and neither does the one that it would be made in.
    #[error("the inbox {} cannot be made: {} does not exist", dir.display(), parent.display())]
    ParentMissing {
        /// The inbox.
        dir: PathBuf,
        /// What is missing.
        parent: PathBuf,
    },
    /// Something that is not a folder is in the place of a folder that the inbox needs.
    #[error("{} is not a folder", path.display())]
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// This process may not write there, or the file system is mounted read-only.
    #[error("the inbox cannot be written: {}: {source}", path.display())]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server has the inbox.
    #[error("the inbox {} is served already{}", dir.display(), process_words(*.process))]
    Locked {
        /// The inbox.
        dir: PathBuf,
        /// The process that serves it, where it could be read.
        process: Option<u32>,
    },
    /// The inbox was written by a version that this one does not know.
    #[error("the inbox {} has layout {found:?}, and this version knows layout {known}", dir.display())]
    WrongLayout {
        /// The inbox.
        dir: PathBuf,
        /// What its layout file says.
        found: String,
        /// The highest layout that this version knows.
        known: u32,
    },
    /// A thread of it has panicked, which is a fault of this program.
    #[error("the inbox {} has stopped: its thread {thread} has panicked", dir.display())]
    Stopped {
        /// The inbox.
        dir: PathBuf,
        /// The thread.
        thread: &'static str,
    },
    /// No server ever served the folder.
    #[error("{} is not an inbox: no server has received anything there", dir.display())]
    NotAnInbox {
        /// The folder.
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
    #[error("could not {doing} {}: {source}", path.display())]
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
    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ParentMissing { .. } => "inbox-parent-missing",
            Self::NotADirectory { .. } => "inbox-not-a-directory",
            Self::NotWritable { .. } => "inbox-not-writable",
            Self::Stopped { .. } => "inbox-stopped",
            Self::Locked { .. } => "inbox-locked",
            Self::WrongLayout { .. } => "inbox-layout",
            Self::NotAnInbox { .. } => "not-an-inbox",
            Self::NameInvalid { .. } => "name-invalid",
            Self::Io { .. } => "inbox-io",
        }
    }

    /// What to do about it: one sentence for an operator.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ParentMissing { .. } => "make the folder above it first, or name another inbox",
            Self::NotADirectory { .. } => "move it out of the way, or name another folder",
            Self::NotWritable { .. } => {
                "give this user write permission on it, mount it writable, or name another folder"
            }
            Self::Locked { .. } => "stop the other server, or name another folder",
            Self::WrongLayout { .. } => "serve it with the version that wrote it, or a later one",
            Self::Stopped { .. } => {
                "start the server again, which loses nothing that was stored, and report the fault"
            }
            Self::NotAnInbox { .. } => "name the folder that `sandport serve` was given",
            Self::NameInvalid { .. } => {
                "use a relative name without '..', control characters or a leading '/'"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "check the spelling of the folder"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "give this user permission on the directory and on those above it"
            }
            Self::Io { .. } => "look at the state of the disk and at the system's log",
        }
    }
}

fn process_words(process: Option<u32>) -> String {
    process.map_or(String::new(), |id| format!(" by process {id}"))
}

/// What a sender is told when a system call failed. The words carry no path of this host.
pub(super) fn refusal(doing: &'static str, errno: Errno) -> Refusal {
    let failure = match errno {
        Errno::NOSPC | Errno::DQUOT => Failure::Full,
        Errno::NAMETOOLONG | Errno::ILSEQ => Failure::Name,
        Errno::FBIG => Failure::FileTooLarge,
        Errno::MFILE | Errno::NFILE => Failure::TooManyOpen,
        _ => {
            tracing::warn!(doing, error = %errno, "the inbox failed");
            Failure::Other
        }
    };
    failure.refusal(doing, &errno)
}
