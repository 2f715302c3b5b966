//! Where tests look at what is done to the disk, and decide what comes of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType};
use rustix::io::{Errno, Result};

use super::naming::{Call, Place};
use super::{Disk, Step};

/// Called before each system call that gives a file a name; an error of it is the result of the call.
pub(crate) type NameProbe = Box<dyn FnMut(Call, Place<'_>, Place<'_>) -> Result<()> + Send>;

/// Called before each step; an error of it is the result of the step.
pub(crate) type Probe = Box<dyn FnMut(Step) -> Result<()> + Send>;

/// Called before each system call that writes, with how many bytes it is to write: how many it takes.
pub(crate) type WriteProbe = Box<dyn FnMut(Step, usize) -> Result<usize> + Send>;

/// Called after each sync, with where it stands in the code and what was synced; `None`: everything.
pub(crate) type SyncProbe =
    Box<dyn FnMut(Step, &'static Location<'static>, Option<BorrowedFd<'_>>) + Send>;

/// Called before each copy, while other steps go on; an error of it is the result of the copy.
pub(crate) type CopyProbe = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Called before each sync of a file and each removal, while other steps go on, with what is synced.
pub(crate) type HoldProbe = Arc<dyn Fn(Step, Option<BorrowedFd<'_>>) + Send + Sync>;

#[derive(Default)]
pub(super) struct Probes {
    steps: Mutex<Option<Probe>>,
    writes: Mutex<Option<WriteProbe>>,
    syncs: Mutex<Option<SyncProbe>>,
    names: Mutex<Option<NameProbe>>,
    copies: Mutex<Option<CopyProbe>>,
    holds: Mutex<Option<HoldProbe>>,
    /// How often the system was started anew.
    boots: AtomicU64,
    /// Inode numbers and times change by themselves.
    unstable: AtomicBool,
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

impl Probes {
    pub(super) fn hold(&self, step: Step, file: Option<BorrowedFd<'_>>) {
        let probe = self.holds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(probe) = probe {
            probe(step, file);
        }
    }

    pub(super) fn copying(&self) -> Result<()> {
        let probe = self.copies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        probe.map_or(Ok(()), |probe| probe())
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

    /// What the probe of writes takes; an error of the probe of copies makes the system one that cannot copy.
    pub(super) fn copy_some(
        &self,
        from: impl AsFd,
        from_offset: &mut u64,
        to: impl AsFd,
        to_offset: &mut u64,
        most: usize,
    ) -> Result<usize> {
        self.probes.copying()?;
        let taken = match &mut *self.probes.writes.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(probe) => probe(Step::Write, most)?,
            None => most,
        };
        rustix::fs::copy_file_range(from, Some(from_offset), to, Some(to_offset), taken)
    }

    /// Watches the steps.
    pub(crate) fn watch(&self, probe: Probe) {
        *self.probes.steps.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches the system calls that write.
    pub(crate) fn watch_writes(&self, probe: WriteProbe) {
        *self.probes.writes.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches the syncs.
    pub(crate) fn watch_syncs(&self, probe: SyncProbe) {
        *self.probes.syncs.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches the copies. Unlike another probe, this one may wait for what the inbox does meanwhile.
    pub(crate) fn watch_copies(&self, probe: CopyProbe) {
        *self.probes.copies.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Watches syncs of files and removals. This probe too may wait for what the inbox does meanwhile.
    pub(crate) fn watch_holds(&self, probe: HoldProbe) {
        *self.probes.holds.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    pub(super) fn quirk(&self, call: Call, from: Place<'_>, to: Place<'_>) -> Result<()> {
        match &mut *self.probes.names.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(probe) => probe(call, from, to),
            None => Ok(()),
        }
    }

    /// Watches the system calls that give a file a name.
    pub(crate) fn watch_names(&self, probe: NameProbe) {
        *self.probes.names.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    /// Behaves like a file system without these calls.
    pub(crate) fn without(&self, missing: &'static [Call]) {
        self.watch_names(Box::new(move |call, _, _| match call {
            call if !missing.contains(&call) => Ok(()),
            Call::Link => Err(Errno::PERM),
            _ => Err(Errno::INVAL),
        }));
    }

    /// Behaves as if each directory were on a file system of its own, but for the inbox itself and its `.sandport`.
    pub(crate) fn without_moves(&self) {
        self.watch_names(Box::new(|_, from, to| {
            let directory = |place: Place<'_>| rustix::fs::fstat(place.0).map(|stat| stat.st_ino);
            let is_inbox = rustix::fs::statat(to.0, ".sandport", AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            let is_ours = ["probe", "Probe-Renamed"].contains(&to.1);
            match directory(from)? == directory(to)? || is_inbox || is_ours {
                true => Ok(()),
                false => Err(Errno::XDEV),
            }
        }));
    }

    /// Is a disk on which inode numbers and times change by themselves.
    pub(crate) fn unstable() -> Self {
        let disk = Self::default();
        disk.probes.unstable.store(true, Ordering::Relaxed);
        disk
    }

    pub(crate) fn keeps_attributes(&self) -> bool {
        !self.probes.unstable.load(Ordering::Relaxed)
    }

    /// Is the disk after the system was started anew.
    pub(crate) fn rebooted() -> Self {
        let disk = Self::default();
        disk.probes.boots.store(1, Ordering::Relaxed);
        disk
    }

    pub(crate) fn boot(&self) -> u64 {
        crate::boot::boot().wrapping_add(self.probes.boots.load(Ordering::Relaxed))
    }
}
