//! What a sender tells its caller while it works.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
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
pub enum SendEvent<'a> {
    /// The server welcomed the sender, in the native dialect, on one connection; or it has answered what it
    /// speaks, over HTTP.
    Connected {
        /// Its name and version, as far as it tells them; not sanitised.
        agent: &'a str,
    },
    /// A connection was cut, and another will be made in its place.
    Reconnecting {
        /// What ended it, or kept the next one from being made.
        error: &'a SendError,
        /// How often it was tried already since anything last came further.
        attempt: u32,
        /// When it will be tried.
        delay: Duration,
    },
    /// One of several connections ended, or could not be made, and is not tried again; the others go on
    /// without it.
    ConnectionGivenUp {
        /// What ended it, or kept it from being made.
        error: &'a SendError,
        /// How many others there are.
        left: usize,
    },
    /// The server has a part of the file: the rest is sent.
    Resumed {
        /// Which.
        file: &'a SendFile,
        /// How many bytes it has.
        kept: u64,
    },
    /// The file was begun before, and is sent from its beginning all the same.
    Restarted {
        /// Which.
        file: &'a SendFile,
        /// Why.
        reason: RestartReason,
    },
    /// All files were counted; see [`SendOptions::count_totals`](super::SendOptions::count_totals).
    Totals {
        /// How many files there are, without streams.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The file or directory would be sent; see [`plan`](super::plan()).
    Planned {
        /// Which.
        file: &'a SendFile,
    },
    /// The file was offered.
    Started {
        /// Which.
        file: &'a SendFile,
    },
    /// The file or directory is sent without its modification time, because that
    /// [cannot be sent](SendFile::modified_omitted). The server sets the time of arrival.
    ModifiedOmitted {
        /// Which.
        file: &'a SendFile,
    },
    /// Bytes of the file were handed to the network. Files that are sent in one go have no progress.
    Progress {
        /// Which.
        file: &'a SendFile,
        /// All of its bytes so far.
        sent: u64,
    },
    /// All bytes are sent; the server checks and syncs them.
    Verifying {
        /// Which.
        file: &'a SendFile,
    },
    /// The file is whole, verified, durable and visible at the server.
    Stored {
        /// Which.
        file: &'a SendFile,
        /// What the server says of it. The name is not sanitised.
        receipt: &'a Receipt,
    },
    /// The server had the file already.
    AlreadyStored {
        /// Which.
        file: &'a SendFile,
        /// What the server says of it. The name is not sanitised.
        receipt: &'a Receipt,
    },
    /// The directory is at the server; whether it was before, nobody can say.
    DirectoryStored {
        /// Which.
        file: &'a SendFile,
        /// What the server says of it. The name is not sanitised.
        receipt: &'a Receipt,
    },
    /// All bytes were sent in the classic dialect, which has no receipt.
    Sent {
        /// Which.
        file: &'a SendFile,
        /// How many bytes.
        size: u64,
    },
    /// The server says that the file is stored, and nothing of what it has: it gave no digest.
    StoredUnverified {
        /// Which.
        file: &'a SendFile,
        /// The name under which it should be there. Not sanitised.
        name: &'a str,
        /// How many bytes were sent.
        size: u64,
    },
    /// The server takes each file in one request: what is cut is sent from its beginning. Said once.
    NotResumable,
    /// The server does not take the file.
    Refused {
        /// Which.
        file: &'a SendFile,
        /// Why. The detail is not sanitised.
        refusal: &'a Refusal,
    },
    /// The file could not be sent.
    Failed {
        /// Where it is.
        path: &'a Path,
        /// Which, if it was started.
        file: Option<&'a SendFile>,
        /// Why.
        error: &'a FileError,
    },
    /// Something in a tree was left out on purpose.
    Skipped {
        /// Where it is.
        path: &'a Path,
        /// Why.
        reason: SkipReason,
    },
    /// The connection ended before the file had an outcome. It may be stored.
    Unanswered {
        /// Which.
        file: &'a SendFile,
        /// Whether a later run with the same [`SendOptions::state_dir`](super::SendOptions::state_dir) sends
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
    pub fn count(&mut self, event: &SendEvent<'_>) {
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

/// Passes events on and counts them. Several connections have it at once.
pub(super) struct Report<'a> {
    events: RefCell<&'a mut dyn FnMut(SendEvent<'_>)>,
    summary: Cell<Summary>,
    numbers: Cell<u64>,
}

impl<'a> Report<'a> {
    pub(super) fn new(events: &'a mut dyn FnMut(SendEvent<'_>)) -> Self {
        Self { events: RefCell::new(events), summary: Cell::default(), numbers: Cell::default() }
    }

    /// Begins a file and gives it its number.
    pub(super) fn start(&self, file: &mut SendFile) {
        self.number(file);
        self.emit(SendEvent::Started { file });
        self.tell_omissions(file);
    }

    /// Tells of a file that would be sent.
    pub(super) fn plan(&self, file: &mut SendFile) {
        self.number(file);
        self.emit(SendEvent::Planned { file });
        self.tell_omissions(file);
    }

    fn tell_omissions(&self, file: &SendFile) {
        if file.modified_omitted {
            self.emit(SendEvent::ModifiedOmitted { file });
        }
    }

    fn number(&self, file: &mut SendFile) {
        file.number = self.numbers.replace(self.numbers.get() + 1);
    }

    pub(super) fn emit(&self, event: SendEvent<'_>) {
        let mut summary = self.summary.get();
        summary.count(&event);
        self.summary.set(summary);
        // Whoever is told has no way back in here.
        (self.events.borrow_mut())(event);
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary.get()
    }
}
