//! What a sender tells its caller while it works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::{EntryKind, Receipt, Refusal};

use super::{FileError, SendError, SkipReason};

/// One file or empty directory on its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendFile {
    /// Counted up from 0, in the order in which they are begun.
    pub number: u64,
    /// Where it is read from.
    pub path: PathBuf,
    /// The name that it is sent under; `None`: the server makes one up.
    pub name: Option<String>,
    /// File or directory.
    pub kind: EntryKind,
    /// Its size in bytes, where it is known before it is sent.
    pub size: Option<u64>,
    /// Modification time in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified_ns: Option<i64>,
    /// Whether it has a modification time that cannot be sent: one before 1677-09-21 or after 2262-04-11,
    /// which are the ends of a signed 64-bit number of nanoseconds.
    pub modified_omitted: bool,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// What happened. Each file that was `Started` comes to one of `Stored`, `AlreadyStored`,
/// `StoredUnverified`, `DirectoryStored`, `Sent`, `Refused`, `Failed` or `Unanswered`.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendEvent {
    /// The server welcomed the sender, in the native dialect, on one connection; or it has answered what it
    /// speaks, over HTTP.
    Connected {
        /// Its name and version, as far as it tells them; not sanitized.
        agent: String,
    },
    /// A connection was cut, and another will be made in its place.
    Reconnecting {
        /// What ended it, or kept the next one from being made.
        error: SendError,
        /// How often it was tried already since anything last came further.
        attempt: u32,
        /// When it will be tried.
        delay: Duration,
    },
    /// One of several connections ended, or could not be made, and is not tried again; the others go on
    /// without it.
    ConnectionGivenUp {
        /// What ended it, or kept it from being made.
        error: SendError,
        /// How many others there are.
        left: usize,
    },
    /// The server has a part of the file: the rest is sent.
    Resumed {
        /// Which.
        file: Arc<SendFile>,
        /// How many bytes it has.
        kept: u64,
    },
    /// The file was begun before, and is sent from its beginning all the same.
    Restarted {
        /// Which.
        file: Arc<SendFile>,
        /// Why.
        reason: RestartReason,
    },
    /// All files were counted; see [`ClientBuilder::count_totals`](crate::ClientBuilder::count_totals).
    Totals {
        /// How many files there are, without streams.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The file or directory would be sent; see [`Client::plan`](crate::Client::plan).
    Planned {
        /// Which.
        file: Arc<SendFile>,
    },
    /// The file was offered.
    Started {
        /// Which.
        file: Arc<SendFile>,
    },
    /// The file or directory is sent without its modification time, because that
    /// [cannot be sent](SendFile::modified_omitted). The server sets the time of arrival.
    ModifiedOmitted {
        /// Which.
        file: Arc<SendFile>,
    },
    /// Bytes of the file were handed to the network. Files that are sent in one go have no progress.
    Progress {
        /// Which.
        file: Arc<SendFile>,
        /// All of its bytes so far.
        sent: u64,
    },
    /// All bytes are sent; the server checks and syncs them.
    Verifying {
        /// Which.
        file: Arc<SendFile>,
    },
    /// The file is whole, verified, durable and visible at the server.
    Stored {
        /// Which.
        file: Arc<SendFile>,
        /// What the server says of it. The name is not sanitized.
        receipt: Receipt,
    },
    /// The server had the file already.
    AlreadyStored {
        /// Which.
        file: Arc<SendFile>,
        /// What the server says of it. The name is not sanitized.
        receipt: Receipt,
    },
    /// The directory is at the server; whether it was before, nobody can say.
    DirectoryStored {
        /// Which.
        file: Arc<SendFile>,
        /// What the server says of it. The name is not sanitized.
        receipt: Receipt,
    },
    /// All bytes were sent in the classic dialect, which has no receipt.
    Sent {
        /// Which.
        file: Arc<SendFile>,
        /// How many bytes.
        size: u64,
    },
    /// The server says that the file is stored, and nothing of what it has: it gave no digest.
    StoredUnverified {
        /// Which.
        file: Arc<SendFile>,
        /// The name under which it should be there. Not sanitized.
        name: String,
        /// How many bytes were sent.
        size: u64,
    },
    /// The server takes each file in one request: what is cut is sent from its beginning. Said once.
    NotResumable,
    /// The server does not take the file.
    Refused {
        /// Which.
        file: Arc<SendFile>,
        /// Why. The detail is not sanitized.
        refusal: Refusal,
    },
    /// The file could not be sent.
    Failed {
        /// Where it is.
        path: PathBuf,
        /// Which, if it was started.
        file: Option<Arc<SendFile>>,
        /// Why.
        error: FileError,
    },
    /// Something in a tree was left out on purpose.
    Skipped {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: SkipReason,
    },
    /// The connection ended before the file had an outcome. It may be stored.
    Unanswered {
        /// Which.
        file: Arc<SendFile>,
        /// Whether a later run with the same [`ClientBuilder::state_dir`](crate::ClientBuilder::state_dir) sends
        /// only what the server has not kept.
        resumable: bool,
    },
}

/// Why a file that was begun is sent from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartReason {
    /// It has changed since.
    Changed,
    /// What the server had of it was not what was sent.
    Damaged,
    /// The server has another upload under its key.
    Mixed,
    /// The server does not know the upload any more.
    Gone,
}

/// What became of all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Stored and verified.
    pub stored: u64,
    /// Were there already.
    pub already_stored: u64,
    /// Empty directories that are at the server, or would be sent. Those with files in them are not
    /// counted.
    pub directories: u64,
    /// Sent in the classic dialect, not verified.
    pub sent: u64,
    /// Stored, by what a server over HTTP says that gave no digest.
    pub unverified: u64,
    /// Refused by the server.
    pub refused: u64,
    /// Not sent, or not to the end.
    pub failed: u64,
    /// Left out on purpose.
    pub skipped: u64,
    /// Sent, or to be sent, without their modification times. They are counted elsewhere too.
    pub modified_omitted: u64,
    /// Without an outcome.
    pub unanswered: u64,
    /// Files that would be sent.
    pub planned: u64,
    /// Bytes of all files that were stored, were there already, were sent, or would be.
    pub bytes: u64,
}

impl Summary {
    /// Whether every file arrived.
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.failed == 0 && self.unanswered == 0
    }

    /// Counts what happened.
    pub(super) fn count(&mut self, event: &SendEvent) {
        match event {
            SendEvent::Stored { receipt, .. } => {
                self.stored += 1;
                self.bytes += receipt.size;
            }
            SendEvent::AlreadyStored { receipt, .. } => {
                self.already_stored += 1;
                self.bytes += receipt.size;
            }
            SendEvent::Planned { file } if file.kind == EntryKind::File => {
                self.planned += 1;
                self.bytes += file.size.unwrap_or(0);
            }
            SendEvent::Planned { .. } | SendEvent::DirectoryStored { .. } => self.directories += 1,
            SendEvent::Sent { size, .. } => {
                self.sent += 1;
                self.bytes += size;
            }
            SendEvent::StoredUnverified { size, .. } => {
                self.unverified += 1;
                self.bytes += size;
            }
            SendEvent::Refused { .. } => self.refused += 1,
            SendEvent::Failed { .. } => self.failed += 1,
            SendEvent::Skipped { .. } => self.skipped += 1,
            SendEvent::ModifiedOmitted { .. } => self.modified_omitted += 1,
            SendEvent::Unanswered { .. } => self.unanswered += 1,
            SendEvent::Connected { .. }
            | SendEvent::Reconnecting { .. }
            | SendEvent::ConnectionGivenUp { .. }
            | SendEvent::NotResumable
            | SendEvent::Resumed { .. }
            | SendEvent::Restarted { .. }
            | SendEvent::Totals { .. }
            | SendEvent::Started { .. }
            | SendEvent::Progress { .. }
            | SendEvent::Verifying { .. } => {}
        }
    }
}
