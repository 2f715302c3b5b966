//! Writing a log anew, without the entries that count no more.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{Compaction, LoggedFile, is_compaction_due};

use super::log::{NewLog, Snapshot};
use super::writer::Due;
use super::{Receipts, lock};
use crate::disk::Disk;

/// How much may have come since a new log was begun when it takes the place of the old one. Bytes. So much is
/// copied while commits wait: some thousand entries, a millisecond.
const TAIL_BYTES_MAX: u64 = 256 * 1024;

impl Receipts {
    /// Whether the log is to be written anew: most of its entries are superseded by others under the same
    /// name, or so old that they are forgotten. So it has twice as many entries as are remembered at most.
    /// Whether their files are there is not asked: that takes too long while a server has the inbox.
    ///
    /// For when no entry is between [`Receipts::intend`] and [`Receipts::publish`]. Who is told so calls
    /// [`Receipts::compact`], on a thread that nobody waits for.
    pub(crate) fn compaction_due(&self, disk: &Disk) -> Option<Due> {
        let mut writer = lock(self.log.as_ref()?);
        if !writer.is_to_be_looked_at() {
            return None;
        }
        let remembered = lock(&self.index).len() as u64;
        if !is_compaction_due(writer.entries, remembered) {
            writer.was_looked_at(remembered);
            return None;
        }
        writer.flush(disk);
        match writer.log.snapshot() {
            Ok(snapshot) => {
                writer.is_compacting = true;
                Some(Due { snapshot, entries: writer.entries })
            }
            Err(error) => {
                writer.was_looked_at(remembered);
                goes_on(&error);
                None
            }
        }
    }

    /// Writes the log anew. Others write to it meanwhile; they wait for as long as it takes to copy what has come
    /// last.
    pub(crate) fn compact(&self, disk: &Disk, state: BorrowedFd<'_>, due: Due) {
        let outcome = self.try_compact(disk, state, &due);
        let remembered = lock(&self.index).len() as u64;
        let Some(log) = &self.log else { return };
        let mut writer = lock(log);
        match outcome {
            Ok(()) => tracing::debug!(
                before = due.entries,
                entries = writer.entries,
                "compacted the receipt log"
            ),
            // It goes on as it is, and is tried again when there is twice as much.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => goes_on(&error),
        }
        writer.is_compacting = false;
        writer.was_looked_at(remembered);
    }

    fn try_compact(&self, disk: &Disk, state: BorrowedFd<'_>, due: &Due) -> io::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let is_live = |name: &EntryName, stored: &LoggedFile<'_>| {
            lock(&self.index).get(name.as_str()).is_some_and(|known| known.is(stored))
        };
        let stops = || self.stops.load(Ordering::Relaxed);
        let by = Compaction::default();
        let (mut new, entries) = rewrite(disk, state, &due.snapshot, by, is_live, stops)?;
        loop {
            let end = lock(log).log.end();
            if end.saturating_sub(new.copied()) <= TAIL_BYTES_MAX {
                break;
            }
            new.catch_up(&due.snapshot, end)?;
        }
        // The most of it, before anybody waits.
        new.sync()?;
        let mut writer = lock(log);
        writer.log.replace(&due.snapshot, new)?;
        writer.entries = entries + writer.entries.saturating_sub(due.entries);
        Ok(())
    }

    /// Lets a compaction that is under way end early: the log stays as it is.
    pub(crate) fn stop_compaction(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }

    /// No thread could be had for a compaction.
    pub(crate) fn put_compaction_off(&self, error: &io::Error) {
        goes_on(error);
        let remembered = lock(&self.index).len() as u64;
        if let Some(log) = &self.log {
            let mut writer = lock(log);
            writer.is_compacting = false;
            writer.was_looked_at(remembered);
        }
    }

    /// Whether the log is being written anew.
    #[cfg(test)]
    pub(crate) fn is_compacting(&self) -> bool {
        self.log.as_ref().is_some_and(|log| lock(log).is_compacting)
    }
}

pub(super) fn goes_on(error: &io::Error) {
    tracing::warn!(%error, "cannot compact the receipt log: it grows until that succeeds");
}

/// Writes a new log with what counts of an old one; how many entries of stored files it has. Ends with
/// `Interrupted` where it `stops`.
pub(super) fn rewrite<'a>(
    disk: &'a Disk,
    state: BorrowedFd<'a>,
    old: &Snapshot,
    mut compaction: Compaction,
    mut is_live: impl FnMut(&EntryName, &LoggedFile<'_>) -> bool,
    stops: impl Fn() -> bool,
) -> io::Result<(NewLog<'a>, u64)> {
    let mut new = NewLog::create(disk, state, old)?;
    let mut outcome = Ok(());
    old.read(|item| {
        compaction.handle_item(&item, &mut is_live, &mut new.frames);
        outcome = if stops() { Err(io::ErrorKind::Interrupted.into()) } else { new.write_much() };
        outcome.is_ok()
    })?;
    outcome?;
    let entries = compaction.finish(&mut new.frames);
    Ok((new, entries))
}
