//! What ends an upload, and who is to hear of it.

use sandport_protocol::{EntryName, Refusal};

use super::file::FileWork;
use crate::ticket::{Pending, Ticket};

/// Something that ends an upload.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) ticket: Ticket,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are files, and one more allocation each costs"
)]
pub(crate) enum Work {
    /// Publish a file.
    File(FileWork),
    /// Make a folder.
    Folder(EntryName),
    /// Say no, in turn.
    Refused(Refusal),
}

impl Job {
    pub(crate) fn new(work: Work) -> (Self, Pending) {
        let (ticket, pending) = Ticket::new();
        (Self { work, ticket }, pending)
    }
}
