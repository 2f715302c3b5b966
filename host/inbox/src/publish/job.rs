//! What ends an upload, and who is to hear of it.

use sandport_protocol::{EntryName, Refusal};

use super::file::FileWork;
use crate::completion::{CommitHandle, Completer};

/// Something that ends an upload.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) completer: Completer,
}

pub(crate) enum Work {
    /// Publish a file. It passes through many hands.
    File(Box<FileWork>),
    /// Make a directory.
    Directory(EntryName),
    /// Say no, in turn.
    Refused(Refusal),
}

impl Job {
    pub(crate) fn new(work: Work) -> (Self, CommitHandle) {
        let (completer, pending) = Completer::new();
        (Self { work, completer }, pending)
    }
}
