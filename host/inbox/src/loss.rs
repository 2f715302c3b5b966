//! Why an inbox as a whole cannot go on.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use sandport_protocol::inbox::Failure;
use sandport_protocol::{Refusal, RefusalCode};

use super::InboxError;
use super::error::{Subject, failure};

/// Why the inbox cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was removed or unmounted.
    Gone,
    /// It may not be written.
    Closed(Errno),
    /// This thread of it has panicked.
    Thread(&'static str),
}

impl Loss {
    /// What senders are told.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Gone => Failure::Gone.refusal("write to the inbox", &Errno::NOENT),
            Self::Closed(errno) => {
                failure(errno, Subject::Content).refusal("write to the inbox", &errno)
            }
            Self::Thread(_) => Refusal::new(RefusalCode::Io, "the inbox has stopped"),
        }
    }

    /// What the operator is told.
    pub(super) fn error(self, dir: &Path) -> InboxError {
        match self {
            Self::Gone => InboxError::Gone { dir: dir.to_path_buf() },
            Self::Closed(errno) => {
                InboxError::NotWritable { path: dir.to_path_buf(), source: io::Error::from(errno) }
            }
            Self::Thread(thread) => InboxError::Stopped { dir: dir.to_path_buf(), thread },
        }
    }
}
