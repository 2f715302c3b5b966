//! Journals that were removed, as long as a power cut may bring them back.
//!
//! A journal that comes back speaks of the bytes of its upload. Where the same upload was begun anew meanwhile, and
//! some of that was written, it would be believed of other bytes. So the removal is made durable before the first of
//! them is written; for an upload that nobody begins anew, nothing is synced.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandport_protocol::journal::ResumableId as Id;

use super::disk::{Disk, Step};

/// Most that are remembered; each takes 40 bytes. With one more, the removal of all of them is made durable.
const REMOVED_MAX: usize = 4_096;

/// Journals whose removal may not be durable.
#[derive(Default)]
pub(super) struct RemovedJournals(Mutex<Removed>);

#[derive(Default)]
struct Removed {
    /// Each with the number of its removal.
    journals: HashMap<Id, u64>,
    removals: u64,
}

impl RemovedJournals {
    /// The journal of an upload was removed just now.
    pub(super) fn add(&self, disk: &Disk, partials: &OwnedFd, id: Id) {
        let mut removed = self.removed();
        removed.removals += 1;
        let number = removed.removals;
        removed.journals.insert(id, number);
        let are_many = removed.journals.len() > REMOVED_MAX;
        drop(removed);
        if are_many && let Err(error) = self.sync(disk, partials) {
            tracing::warn!(%error, "could not make the removal of partial files durable");
        }
    }

    /// Makes sure that the journal of an upload does not come back.
    ///
    /// # Errors
    /// Those of a sync: it may.
    pub(super) fn settle(&self, disk: &Disk, partials: &OwnedFd, id: Id) -> rustix::io::Result<()> {
        let may_return = self.removed().journals.contains_key(&id);
        if may_return { self.sync(disk, partials) } else { Ok(()) }
    }

    fn sync(&self, disk: &Disk, partials: &OwnedFd) -> rustix::io::Result<()> {
        let last = self.removed().removals;
        disk.sync(Step::SyncDir, partials)?;
        self.removed().journals.retain(|_, number| *number > last);
        Ok(())
    }

    fn removed(&self) -> MutexGuard<'_, Removed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
