//! Files that are read once more for their digests, by threads that nobody else waits for: before they are published, or
//! long after.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use sandport_protocol::inbox::Claims;
use sandport_protocol::{ContentDigest, EntryName, Receipt, Refusal, RefusalCode};

use super::finishing::Finishing;
use super::latch::Latch;
use super::meter::{Cost, Meter};
use super::publish::{FileWork, is_large, sync_ahead};
use super::publish::{Job, Work};
use super::reading::Reading;
use super::ticket::{Pending, Ticket};
use super::{Core, Inbox, tree};

impl Inbox {
    /// Has a file published after it was read. What it has is told with its receipt.
    pub(super) fn submit_read(&self, mut file: FileWork, reading: Reading) -> Pending {
        let (core, submit) = (Arc::clone(&self.handle.core), self.submitter());
        let (ticket, pending) = Ticket::new();
        self.handle.pool.runtime().spawn(Box::new(move || {
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

    /// The digests of a file that is stored and has this receipt, by reading it. `meter`: who pays for that.
    ///
    /// # Errors
    /// `digest-mismatch`: it is not what was claimed. `io`: it is not there any more as it was.
    pub(crate) async fn digests_of_stored(
        &self,
        receipt: &Receipt,
        claims: Claims,
        meter: &Meter,
    ) -> Result<Vec<ContentDigest>, Refusal> {
        let name = EntryName::parse(&receipt.name)?;
        let (core, size) = (Arc::clone(&self.handle.core), receipt.size);
        let cost = Cost { meter: Some(meter.clone()), here_before: 0 };
        let found = Arc::new(Latch::new());
        let (finish, finishing) = Finishing::begun();
        let told = Arc::clone(&found);
        self.handle.pool.runtime().spawn(Box::new(move || {
            let read = open_stored(&core, &name, size).and_then(|file| {
                let (digests, bill) = Reading::new(claims, cost).read(&core, &file, size);
                // It may be asked for as often as somebody likes.
                bill.count();
                digests
            });
            finish.end(read.map(|digests| told.set(digests)));
        }));
        finishing.ready().await?;
        found.get().cloned().ok_or_else(|| RefusalCode::Io.into())
    }
}

/// A stored file, never through a link.
fn open_stored(core: &Core, name: &EntryName, size: u64) -> Result<OwnedFd, Refusal> {
    let changed = || Refusal::new(RefusalCode::Io, "the stored file was changed or removed");
    let folder = tree::open_folder(core.layout.root.as_fd(), name.parent());
    let folder = folder.map_err(|obstacle| core.refusal_of_path(obstacle))?.ok_or_else(changed)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name.leaf(), flags, Mode::empty());
    let file = File::from(file.map_err(|_| changed())?);
    let is_same = file.metadata().is_ok_and(|it| it.is_file() && it.len() == size);
    if is_same { Ok(file.into()) } else { Err(changed()) }
}
