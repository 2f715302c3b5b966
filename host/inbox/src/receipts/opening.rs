//! What a run makes of the log that an earlier one has left.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sandport_protocol::inbox::{Compaction, Index, LogEntry, LogItem, LoggedFile, Record, Session};
use sandport_protocol::{EntryName, RESERVED_NAME};

use super::log::{Log, NAME, Rest};
use super::survey::Survey;
use super::writer::Writer;
use super::{Receipts, compact, damage, seen};
use crate::capabilities::mounts;
use crate::disk::Disk;
use crate::error::InboxError;
use crate::recognition::Recognition;
use crate::unpublished::Unpublished;

impl Receipts {
    /// Loads the log in `state`, which speaks of files beneath `root`, the directory `dir`, of which those that are
    /// `unpublished` have not got their names.
    ///
    /// If the earlier run did not end in good order, or made nothing durable, then what its entries
    /// speak of is made durable first, where this run promises that of what it vouches for; and what they say is
    /// written anew, so that it holds after this boot of the system.
    pub(crate) fn open(
        disk: &Disk,
        root: BorrowedFd<'_>,
        state: BorrowedFd<'_>,
        durable: bool,
        unpublished: &Unpublished,
        dir: &Path,
        recognition: Recognition,
    ) -> Result<Self, InboxError> {
        let failed = |doing| {
            let path = dir.join(RESERVED_NAME).join(NAME);
            move |source| InboxError::Io { doing, path, source }
        };
        let boot = disk.boot();
        let mut index = Index::new();
        let mut survey = Survey::default();
        let mut holds = true;
        let mut is_durable = true;
        // What was recorded of names before a file was to get them that did not.
        let mut truths = Vec::new();
        let (mut log, rest) = Log::open(state, |item| {
            let LogItem::Entry(entry) = item else { return };
            survey.closed = entry == LogEntry::Closed;
            survey.any = true;
            match entry {
                LogEntry::Session(session) => {
                    is_durable = session.durable;
                    holds = is_durable || (boot != 0 && session.boot == boot);
                }
                LogEntry::Stored(stored) => {
                    survey.entries += 1;
                    if holds && let Some(published) = stored.published() {
                        if unpublished.has(&stored.record) {
                            truths.push((stored.record, index.recorded(&published)));
                        }
                        index.insert(&stored, published.as_str());
                        survey.sample(published, stored.record);
                        survey.of_boot |= !is_durable;
                    }
                }
                LogEntry::Closed => {}
            }
        })
        .map_err(failed("read"))?;

        let is_damaged = tend(disk, &mut log, &rest, state).map_err(failed("cut"))?;
        let is_of_boot = durable && survey.of_boot;
        if is_of_boot || (durable && survey.any && !survey.closed) {
            // A run that makes nothing durable does so on no file system; others sync elsewhere what they store there.
            let mounts = if is_of_boot { mounts(dir) } else { Vec::new() };
            sync_all(disk, root, &mounts).map_err(|errno| failed("sync")(errno.into()))?;
        }
        let is_there = |record: &Record, name: &EntryName| {
            seen(root, name).is_some_and(|seen| recognition.is_of(record, &seen))
        };
        let mut writer = Writer::new(log, Session { boot, durable }, survey.entries);
        // A run that makes nothing durable cannot say again what an earlier one did.
        if durable {
            take_back(disk, &mut writer, &mut index, truths, is_there);
        }
        if is_damaged || is_of_boot || survey.mostly_dead(index.len(), is_there) {
            let before = writer.entries;
            match compact_all(disk, state, &mut writer, &mut index, is_of_boot, is_there) {
                Ok(()) => {
                    tracing::debug!(before, entries = writer.entries, "compacted the receipt log");
                }
                Err(error) => compact::goes_on(&error),
            }
        }
        Ok(Self::new(Some(writer), index, recognition))
    }
}

/// Takes back what a run that was killed had written of files that did not get their names.
fn take_back(
    disk: &Disk,
    writer: &mut Writer,
    index: &mut Index,
    truths: Vec<(Record, LoggedFile<'static>)>,
    is_there: impl Fn(&Record, &EntryName) -> bool,
) {
    let mut owed = Vec::new();
    // The latest first: each says what was true before it.
    for (record, before) in truths.into_iter().rev() {
        let Some(published) = before.published() else { continue };
        let Some(latest) = index.get(published.as_str()).map(|known| known.record) else {
            continue;
        };
        // A file that had to be copied is written down once more, as its copy looks.
        let is_latest = (latest.size, latest.digest) == (record.size, record.digest);
        if is_latest && !is_there(&latest, &published) {
            index.insert(&before, published.as_str());
            owed.push(before);
        }
    }
    writer.owe(disk, owed.into_iter());
}

/// Sees to what a log has beside its entries. Whether it is damaged and to be written anew.
fn tend(
    disk: &Disk,
    log: &mut Log,
    Rest { damaged, torn }: &Rest,
    state: BorrowedFd<'_>,
) -> std::io::Result<bool> {
    let torn_bytes = torn.end - torn.start;
    let mut parts = damaged.clone();
    if torn_bytes > damage::TORN_BYTES_MAX {
        parts.push(torn.clone());
    } else if torn_bytes > 0 {
        tracing::info!(
            bytes = torn_bytes,
            "cut off what a crash left at the end of the receipt log"
        );
    }
    if !parts.is_empty()
        && let Err(error) = damage::set_aside(log, state, &parts)
    {
        tracing::warn!(%error, "the receipt log is damaged, and cannot be set aside: it is left as it is");
        return Ok(false);
    }
    log.cut_rest(disk)?;
    Ok(!damaged.is_empty())
}

/// Makes durable what lies beneath `root`, there and on the file systems that are mounted at `mounts`.
fn sync_all(disk: &Disk, root: BorrowedFd<'_>, mounts: &[PathBuf]) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Where this user cannot look, it has stored nothing.
    let open = |path: &PathBuf| rustix::fs::openat(root, path, flags, Mode::empty()).ok();
    let mounted: Vec<_> = mounts.iter().filter_map(open).collect();
    let mounted = mounted.iter().map(AsFd::as_fd);
    std::iter::once(root).chain(mounted).try_for_each(|directory| disk.sync_all(directory))
}

/// Writes a log anew with the entries whose files are there, and forgets the others. Where some are `of_boot`, all that
/// they speak of was made durable since, and the new log says so.
fn compact_all(
    disk: &Disk,
    state: BorrowedFd<'_>,
    writer: &mut Writer,
    index: &mut Index,
    of_boot: bool,
    is_there: impl Fn(&Record, &EntryName) -> bool,
) -> std::io::Result<()> {
    let snapshot = writer.log.snapshot()?;
    let is_live = |name: &EntryName, stored: &LoggedFile<'_>| {
        if !index.get(name.as_str()).is_some_and(|known| known.is(stored)) {
            return false;
        }
        let is_there = is_there(&stored.record, name);
        if !is_there {
            index.remove(name.as_str());
        }
        is_there
    };
    let by = if of_boot { Compaction::durable() } else { Compaction::default() };
    let (new, entries) = compact::rewrite(disk, state, &snapshot, by, is_live, || false)?;
    writer.log.replace(&snapshot, new)?;
    writer.entries = entries;
    if of_boot {
        // The old one says less.
        writer.log.sync_dir(disk)?;
    }
    Ok(())
}
