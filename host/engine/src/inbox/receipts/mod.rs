//! What was stored: a log on disk, so that a sender who asks again gets the receipt and not a second
//! copy, and an index of it in memory.

mod compact;
mod damage;
mod log;
mod reading;
mod survey;
mod writer;

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, Stat};
pub(super) use sandport_protocol::inbox::Record;
use sandport_protocol::inbox::{Compaction, Entry, Index, LogItem, Session, Stored};
use sandport_protocol::{EntryName, RESERVED_NAME};

use super::capabilities::mounts;
use super::disk::Disk;
use super::error::InboxError;
use super::recognition::{Likeness, Recognition, Seen};
use super::tree;
use super::unpublished::Unpublished;
use crate::Identity;
pub(super) use log::NAME as LOG_NAME;
use log::{Log, Rest};
pub(super) use reading::{Recorded, Records};
use survey::Survey;
use writer::Writer;

/// Most bytes of entries that wait for a write when nobody syncs. Bytes. Some hundreds of files.
const WAITING_BYTES_MAX: usize = 32 * 1024;

/// From which size on a file is written down at once when nobody syncs. Bytes. For smaller ones the call costs
/// more than the second copy would that a killed server may lead to.
const NOTED_AT_ONCE_BYTES_MIN: u64 = 64 * 1024;

/// The receipts of an inbox.
pub(super) struct Receipts {
    /// `None`: they are kept in memory alone.
    log: Option<Mutex<Writer>>,
    index: Mutex<Index>,
    /// Whether entries wait whose flush nobody was asked for yet.
    unflushed: AtomicBool,
    /// Whether a compaction is to end early.
    stops: AtomicBool,
    recognition: Recognition,
}

/// A file that was published, and that somebody may ask for again.
pub(super) struct Candidate {
    /// The name under which it was published.
    pub(super) name: EntryName,
    pub(super) record: Record,
    /// Whether it still is as it was published. Otherwise its content tells.
    pub(super) is_certain: bool,
}

/// A file that is about to be published, or was.
pub(super) struct Publication<'a> {
    pub(super) identity: &'a Identity,
    pub(super) offered: &'a EntryName,
    pub(super) number: u32,
    pub(super) record: Record,
}

impl<'a> Publication<'a> {
    fn stored(&self) -> Stored<'a> {
        Stored {
            identity: self.identity.name().map(Cow::Borrowed),
            offered: Cow::Borrowed(self.offered.as_str()),
            number: self.number,
            record: self.record,
        }
    }

    fn into_stored(self) -> Stored<'a> {
        self.stored()
    }
}

impl Receipts {
    /// Receipts that are forgotten when the server ends.
    pub(super) fn in_memory(recognition: Recognition) -> Self {
        Self::new(None, Index::new(), recognition)
    }

    fn new(writer: Option<Writer>, index: Index, recognition: Recognition) -> Self {
        Self {
            log: writer.map(Mutex::new),
            index: Mutex::new(index),
            unflushed: AtomicBool::new(false),
            stops: AtomicBool::new(false),
            recognition,
        }
    }

    /// Loads the log in `state`, which speaks of files beneath `root`, the folder `dir`, of which those that are
    /// `unpublished` have not got their names.
    ///
    /// If the earlier run did not end in good order, or made nothing durable, then what its entries
    /// speak of is made durable first, where this run promises that of what it vouches for; and what they say is
    /// written anew, so that it holds after this boot of the system.
    pub(super) fn open(
        disk: &Disk,
        root: BorrowedFd<'_>,
        state: BorrowedFd<'_>,
        durable: bool,
        unpublished: &Unpublished,
        dir: &Path,
        recognition: Recognition,
    ) -> Result<Self, InboxError> {
        let failed = |doing| {
            let path = dir.join(RESERVED_NAME).join(LOG_NAME);
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
            survey.closed = entry == Entry::Closed;
            survey.any = true;
            match entry {
                Entry::Session(session) => {
                    is_durable = session.durable;
                    holds = is_durable || (boot != 0 && session.boot == boot);
                }
                Entry::Stored(stored) => {
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
                Entry::Closed => {}
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

    /// What `identity` has sent as `offered`, and fits, and is on the disk as it was published, as far as can be
    /// told without reading it.
    pub(super) fn find(
        &self,
        root: BorrowedFd<'_>,
        identity: &Identity,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<Candidate> {
        // The lock is not held while the disk is asked.
        let found = lock(&self.index).find(identity.name(), offered, fits);
        let mut unclear = None;
        for (name, record) in found {
            let likeness = seen(root, &name).map(|seen| self.recognition.compare(&record, &seen));
            match likeness.unwrap_or(Likeness::Different) {
                Likeness::Same => return Some(Candidate { name, record, is_certain: true }),
                Likeness::Unclear if unclear.is_none() => {
                    unclear = Some(Candidate { name, record, is_certain: false });
                }
                Likeness::Unclear | Likeness::Different => {}
            }
        }
        unclear
    }

    /// What came of reading the file that has the name of `candidate`: it is the one of the record, and looks
    /// like this now; or it is another (`None`), and is not asked for again.
    pub(super) fn compared(&self, candidate: &Candidate, seen: Option<&Seen>) {
        let now = seen.map(|seen| seen.record(candidate.record.digest));
        lock(&self.index).update(candidate.name.as_str(), &candidate.record, now);
    }

    /// Who sent the file beneath `root` that has the name; `None`: there is no record of it as it is.
    pub(super) fn owner(&self, name: &str, seen: &Seen) -> Option<Identity> {
        let index = lock(&self.index);
        let known = index.get(name)?;
        let is_it = self.recognition.is_of(&known.record, seen);
        is_it.then(|| Identity::recorded(known.identity.cloned()))
    }

    /// Writes down what is about to be published, and makes that durable.
    pub(super) fn intend<'a>(
        &self,
        disk: &Disk,
        publications: impl Iterator<Item = Publication<'a>>,
    ) -> rustix::io::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        lock(log).write_durably(disk, publications.map(Publication::into_stored))
    }

    /// Writes down of each of these names what is true of it, since a file that was about to get it did not: that
    /// another has just got it, or else what [`Receipts::publish`] was told last.
    pub(super) fn take_back<'a>(
        &self,
        disk: &Disk,
        missed: impl Iterator<Item = (&'a EntryName, Option<Publication<'a>>)>,
    ) {
        let Some(log) = &self.log else { return };
        let index = lock(&self.index);
        let truth = |(name, publication): (&EntryName, Option<Publication<'_>>)| {
            publication.map_or_else(|| index.recorded(name), |it| it.stored().into_owned())
        };
        let truths: Vec<_> = missed.map(truth).collect();
        drop(index);
        if !truths.is_empty() {
            lock(log).owe(disk, truths.into_iter());
        }
    }

    /// Writes down what was published: a small file when it suits.
    pub(super) fn note(&self, disk: &Disk, publication: &Publication<'_>) {
        let Some(log) = &self.log else { return };
        let mut writer = lock(log);
        let first = writer.log.waiting_bytes() == 0;
        writer.push(publication.stored());
        if writer.log.waiting_bytes() >= WAITING_BYTES_MAX
            || publication.record.size >= NOTED_AT_ONCE_BYTES_MIN
        {
            writer.flush(disk);
            // Whoever flushes also looks whether the log has grown too long.
            if writer.wants_a_look() {
                self.unflushed.store(true, Ordering::Relaxed);
            }
        } else if first {
            self.unflushed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether someone has to call [`Receipts::flush`] in a while. It is said once.
    pub(super) fn wants_flush(&self) -> bool {
        // The load alone is cheaper, and nearly always false.
        self.unflushed.load(Ordering::Relaxed) && self.unflushed.swap(false, Ordering::Relaxed)
    }

    /// Writes what waits since [`Receipts::note`].
    pub(super) fn flush(&self, disk: &Disk) {
        if let Some(log) = &self.log {
            lock(log).flush(disk);
        }
    }

    /// From now on an offer of the file is answered with its receipt.
    pub(super) fn publish(&self, publication: &Publication<'_>, published: &EntryName) {
        lock(&self.index).insert(&publication.stored(), published.as_str());
    }

    /// Ends the run; `durable`: all that was published is. Where the inbox `is_lost`, that has been said.
    pub(super) fn close(&self, disk: &Disk, durable: bool, is_lost: bool) {
        let Some(log) = &self.log else { return };
        lock(log).close(disk, durable, is_lost);
    }
}

/// Takes back what a run that was killed had written of files that did not get their names.
fn take_back(
    disk: &Disk,
    writer: &mut Writer,
    index: &mut Index,
    truths: Vec<(Record, Stored<'static>)>,
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
    std::iter::once(root).chain(mounted).try_for_each(|folder| disk.sync_all(folder))
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
    let is_live = |name: &EntryName, stored: &Stored<'_>| {
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

/// Describes the file with this status.
pub(super) fn describe(digest: [u8; 32], stat: &Stat) -> Record {
    Seen::from(stat).record(digest)
}

/// What has the name beneath `root`; `None`: nothing that can be looked at.
fn seen(root: BorrowedFd<'_>, name: &EntryName) -> Option<Seen> {
    Some(Seen::from(&tree::look_up(root, name).ok()??))
}

/// A lock whose data is whole even if a thread panicked while it held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
