//! Files that are read once more for their digests before they are published, by threads that do nothing else.

use std::sync::Arc;

use super::Inbox;
use super::publish::{FileWork, is_large, sync_ahead};
use super::publish::{Job, Work};
use super::reading::Reading;
use super::ticket::{Pending, Ticket};

impl Inbox {
    /// Has a file published after it was read. What it has is told with its receipt.
    pub(super) fn submit_read(&self, mut file: FileWork, reading: Reading) -> Pending {
        let (core, submit) = (Arc::clone(&self.handle.core), self.submitter());
        let (ticket, pending) = Ticket::new();
        self.handle.pool.runtime().read(Box::new(move || {
            let opened = file.staged.reader().map_err(|errno| core.refusal("read a file", errno));
            let read = opened.and_then(|staged| {
                let (digests, bill) = reading.read(&core, &staged, file.record.size);
                ticket.owes(bill);
                digests
            });
            let ready = read.and_then(|digests| {
                ticket.tell(digests);
                if is_large(&core, &file) { sync_ahead(&core, &mut file) } else { Ok(()) }
            });
            let work = match ready {
                Ok(()) => Work::File(file),
                Err(refusal) => Work::Refused(refusal),
            };
            submit(Job { work, ticket });
        }));
        pending
    }
}
