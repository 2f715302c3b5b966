//! Files that are read once more for their digests before they are published, by threads that do nothing else.

use std::sync::Arc;

use super::Inbox;
use super::completion::{CommitHandle, Completer};
use super::publish::{FileWork, is_large, sync_ahead};
use super::publish::{Job, Work};
use super::reading::Reading;

impl Inbox {
    /// Has a file published after it was read. What it has is told with its receipt.
    pub(super) fn submit_read(&self, mut file: Box<FileWork>, reading: Reading) -> CommitHandle {
        let (core, submit) = (Arc::clone(&self.handle.core), self.submitter());
        let (completer, pending) = Completer::new();
        self.handle.pool.runtime().read(Box::new(move || {
            let opened = file.staged.reader().map_err(|errno| core.refusal("read a file", errno));
            let read = opened.and_then(|staged| {
                let (digests, bill) = reading.read(&core, &staged, file.record.size);
                completer.owes(bill);
                digests
            });
            let ready = read.and_then(|digests| {
                completer.add_digests(digests);
                if is_large(&core, &file) { sync_ahead(&core, &mut file) } else { Ok(()) }
            });
            let work = match ready {
                Ok(()) => Work::File(file),
                Err(refusal) => Work::Refused(refusal),
            };
            submit(Job { work, completer });
        }));
        pending
    }
}
