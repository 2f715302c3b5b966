//! Where tests look at what is done to the disk, and decide what comes of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::Result;

use super::{Disk, Step};

/// Called before each step; an error of it is the result of the step.
pub(in crate::inbox) type Probe = Box<dyn FnMut(Step) -> Result<()> + Send>;

/// Called before each system call that writes, with how many bytes it is to write: how many it takes.
pub(in crate::inbox) type WriteProbe = Box<dyn FnMut(Step, usize) -> Result<usize> + Send>;

/// Called after each sync, with where it stands in the code and what was synced; `None`: everything.
pub(in crate::inbox) type SyncProbe =
    Box<dyn FnMut(Step, &'static Location<'static>, Option<BorrowedFd<'_>>) + Send>;

#[derive(Default)]
pub(super) struct Probes {
    steps: Mutex<Option<Probe>>,
    writes: Mutex<Option<WriteProbe>>,
    syncs: Mutex<Option<SyncProbe>>,
    /// How often the system was started anew.
    boots: AtomicU64,
}

impl Probes {
    #[track_caller]
    pub(super) fn synced(&self, step: Step, file: Option<BorrowedFd<'_>>) {
        let at = Location::caller();
        if let Some(probe) = &mut *self.syncs.lock().unwrap_or_else(PoisonError::into_inner) {
            probe(step, at, file);
        }
    }
}

impl Disk {
    pub(super) fn step(&self, step: Step) -> Result<()> {
        match &mut *self.probes.steps.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(probe) => probe(step),
            None => Ok(()),
        }
    }

    pub(super) fn write_some(
        &self,
        step: Step,
        file: impl AsFd,
        bytes: &[u8],
        offset: u64,
    ) -> Result<usize> {
        let mut probe = self.probes.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match &mut *probe {
            Some(probe) => probe(step, bytes.len())?,
            None => bytes.len(),
        };
        drop(probe);
        rustix::io::pwrite(file, &bytes[..taken], offset)
    }

    /// Watches the steps.
    pub(in crate::inbox) fn watch(&self, probe: Probe) {
        *self.probes.steps.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches the system calls that write.
    pub(in crate::inbox) fn watch_writes(&self, probe: WriteProbe) {
        *self.probes.writes.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches the syncs.
    pub(in crate::inbox) fn watch_syncs(&self, probe: SyncProbe) {
        *self.probes.syncs.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Behaves like a file system without `RENAME_NOREPLACE`.
    pub(in crate::inbox) fn without_rename_flags(&self) {
        self.no_rename_flags.store(true, Ordering::Relaxed);
    }

    /// Is the disk after the system was started anew.
    pub(in crate::inbox) fn rebooted() -> Self {
        let disk = Self::default();
        disk.probes.boots.store(1, Ordering::Relaxed);
        disk
    }

    pub(in crate::inbox) fn boot(&self) -> u64 {
        crate::inbox::receipts::boot().wrapping_add(self.probes.boots.load(Ordering::Relaxed))
    }
}
