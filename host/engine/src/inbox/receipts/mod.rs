//! What was stored: a log on disk, so that a sender who asks again gets the receipt and not a second
//! copy, and an index of it in memory.

mod log;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::Stat;
use sandport_protocol::EntryName;
pub(super) use sandport_protocol::inbox::Record;
use sandport_protocol::inbox::{Entry, Index, Session, Stored};

use super::disk::Disk;
use super::error::InboxError;
use super::tree;
use crate::Identity;
use log::Log;
pub(super) use log::{LogStamp, NAME as LOG_NAME, stamp};

/// Fewest entries for which a log is rewritten without its dead ones. Under it the file has less
/// than a megabyte and loads in a millisecond or two.
const COMPACT_ENTRIES_MIN: u64 = 4_096;

/// How many entries are compared with the disk to estimate how many are dead. It costs as many system
/// calls at the start.
const SAMPLES_MAX: usize = 128;

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
}

struct Writer {
    log: Log,
    session: Session,
    /// Whether this run has written its [`Entry::Session`].
    begun: bool,
    /// How many [`Entry::Stored`] the log has.
    entries: u64,
    /// And how many at least before it is looked at whether most are superseded.
    entries_looked_at: u64,
}

/// A file that is about to be published, or was.
pub(super) struct Publication<'a> {
    pub(super) identity: &'a Identity,
    pub(super) offered: &'a EntryName,
    pub(super) number: u32,
    pub(super) record: Record,
}

impl Publication<'_> {
    fn stored(&self) -> Stored<'_> {
        Stored {
            identity: self.identity.name().map(Cow::Borrowed),
            offered: Cow::Borrowed(self.offered.as_str()),
            number: self.number,
            record: self.record,
        }
    }
}

impl Receipts {
    /// Receipts that are forgotten when the server ends.
    pub(super) fn in_memory() -> Self {
        Self { log: None, index: Mutex::new(Index::new()), unflushed: AtomicBool::new(false) }
    }

    /// Loads the log in `state`, which speaks of files beneath `root`.
    ///
    /// If the earlier run did not end in good order, or made nothing durable, then what its entries
    /// speak of is made durable first, where this run promises that of what it vouches for.
    pub(super) fn open(
        disk: &Disk,
        root: BorrowedFd<'_>,
        state: BorrowedFd<'_>,
        durable: bool,
        path: &Path,
    ) -> Result<Self, InboxError> {
        let failed =
            |doing| move |source| InboxError::Io { doing, path: path.join("receipts"), source };
        let boot = disk.boot();
        let mut index = Index::new();
        let mut survey = Survey::default();
        let mut holds = true;
        let mut log = Log::open(state, |entry| {
            survey.closed = entry == Entry::Closed;
            survey.any = true;
            match entry {
                Entry::Session(session) => {
                    holds = session.durable || (boot != 0 && session.boot == boot);
                }
                Entry::Stored(stored) => {
                    survey.entries += 1;
                    if holds && let Some(published) = stored.published() {
                        index.insert(&stored, published.as_str());
                        survey.sample(published, stored.record);
                    }
                }
                Entry::Closed => {}
            }
        })
        .map_err(failed("read"))?;

        if survey.mostly_dead(root, index.len()) {
            let is_live = |name: &EntryName, stored: &Stored<'_>| {
                index.get(name.as_str()).is_some_and(|known| known.is(stored))
                    && is_of(&stored.record, root, name)
            };
            let live = compact(disk, &mut log, state, is_live).map_err(failed("compact"))?;
            index = live;
            tracing::debug!(
                entries = survey.entries,
                live = index.len(),
                "compacted the receipt log"
            );
            survey.entries = index.len() as u64;
        }
        let session = Session { boot, durable };
        let entries = survey.entries;
        let writer =
            Writer { log, session, begun: false, entries, entries_looked_at: COMPACT_ENTRIES_MIN };
        if durable && survey.any && !survey.closed {
            disk.sync_all(root).map_err(|errno| failed("sync")(errno.into()))?;
        }
        Ok(Self {
            log: Some(Mutex::new(writer)),
            index: Mutex::new(index),
            unflushed: AtomicBool::new(false),
        })
    }

    /// What `identity` has sent as `offered`, and fits, and is on the disk as it was published.
    pub(super) fn find(
        &self,
        root: BorrowedFd<'_>,
        identity: &Identity,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<(EntryName, Record)> {
        // The lock is not held while the disk is asked.
        let found = lock(&self.index).find(identity.name(), offered, fits);
        found.into_iter().find(|(name, record)| is_of(record, root, name))
    }

    /// Who sent the file beneath `root` that has the name; `None`: there is no record of it as it is.
    pub(super) fn owner(&self, name: &EntryName, stat: &Stat) -> Option<Identity> {
        self.owner_where(name.as_str(), |record| *record == describe(record.digest, stat))
    }

    /// The same by other means.
    pub(super) fn owner_of_file(&self, name: &str, file: &std::fs::Metadata) -> Option<Identity> {
        self.owner_where(name, |record| describes(record, file))
    }

    fn owner_where(&self, name: &str, is_it: impl Fn(&Record) -> bool) -> Option<Identity> {
        let index = lock(&self.index);
        let known = index.get(name).filter(|known| is_it(known.record))?;
        Some(Identity::recorded(known.identity.cloned()))
    }

    /// Writes down what is about to be published, and makes that durable.
    pub(super) fn intend<'a>(
        &self,
        disk: &Disk,
        publications: impl Iterator<Item = Publication<'a>>,
    ) -> rustix::io::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let mut writer = lock(log);
        publications.for_each(|publication| writer.push(&publication));
        writer.log.write(disk)?;
        writer.log.sync(disk)
    }

    /// Writes down what was published: a small file when it suits.
    pub(super) fn note(&self, disk: &Disk, publication: &Publication<'_>) {
        let Some(log) = &self.log else { return };
        let mut writer = lock(log);
        let first = writer.log.waiting_bytes() == 0;
        writer.push(publication);
        if writer.log.waiting_bytes() >= WAITING_BYTES_MAX
            || publication.record.size >= NOTED_AT_ONCE_BYTES_MIN
        {
            writer.flush(disk);
            // Whoever flushes also looks whether the log has grown too long.
            if writer.entries == writer.entries_looked_at {
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

    /// Rewrites the log if most of its entries are superseded by others under the same name, or so old
    /// that they are forgotten; so it has twice as many entries as are remembered at most. Whether their
    /// files are there is not asked: that could take longer than commits may wait.
    ///
    /// For when no entry is between [`Receipts::intend`] and [`Receipts::publish`].
    pub(super) fn tidy(&self, disk: &Disk, state: BorrowedFd<'_>) {
        let Some(log) = &self.log else { return };
        let mut writer = lock(log);
        if writer.entries < writer.entries_looked_at {
            return;
        }
        let remembered = lock(&self.index).len() as u64;
        if writer.entries / 2 >= remembered {
            writer.flush(disk);
            let is_live = |name: &EntryName, stored: &Stored<'_>| {
                lock(&self.index).get(name.as_str()).is_some_and(|known| known.is(stored))
            };
            match compact(disk, &mut writer.log, state, is_live) {
                Ok(live) => {
                    tracing::debug!(
                        entries = writer.entries,
                        live = live.len(),
                        "compacted the log"
                    );
                    writer.entries = live.len() as u64;
                }
                // It goes on as it is, and is tried again when there is twice as much.
                Err(error) => tracing::warn!(%error, "could not compact the receipt log"),
            }
        }
        writer.entries_looked_at =
            COMPACT_ENTRIES_MIN.max(writer.entries.max(remembered).saturating_mul(2));
    }

    /// From now on an offer of the file is answered with its receipt.
    pub(super) fn publish(&self, publication: &Publication<'_>, published: &EntryName) {
        lock(&self.index).insert(&publication.stored(), published.as_str());
    }

    /// Ends the run; `durable`: all that was published is.
    pub(super) fn close(&self, disk: &Disk, durable: bool) {
        let Some(log) = &self.log else { return };
        let mut writer = lock(log);
        if writer.begun && durable {
            writer.log.push(&Entry::Closed);
        }
        writer.flush(disk);
    }
}

impl Writer {
    fn push(&mut self, publication: &Publication<'_>) {
        if !self.begun {
            self.begun = true;
            self.log.push(&Entry::Session(self.session));
        }
        self.entries += 1;
        self.log.push(&Entry::Stored(publication.stored()));
    }

    fn flush(&mut self, disk: &Disk) {
        if self.log.waiting_bytes() > 0
            && let Err(errno) = self.log.write(disk)
        {
            // The files are there; senders who ask again after a restart will send them again.
            tracing::warn!(error = %errno, "could not write the receipt log");
        }
    }
}

/// Describes the file with this status.
pub(super) fn describe(digest: [u8; 32], stat: &Stat) -> Record {
    Record {
        digest,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        inode: stat.st_ino,
        modified: modified(stat),
    }
}

/// Whether `record` describes the file with this metadata.
pub(super) fn describes(record: &Record, metadata: &std::fs::Metadata) -> bool {
    let modified = (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or(0));
    (record.size, record.inode, record.modified) == (metadata.len(), metadata.ino(), modified)
}

/// Whether the file beneath `root` that has the name is the one described, unchanged.
fn is_of(record: &Record, root: BorrowedFd<'_>, name: &EntryName) -> bool {
    let Ok(Some(stat)) = tree::look_up(root, name) else {
        return false;
    };
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
        && *record == describe(record.digest, &stat)
}

#[allow(clippy::useless_conversion, reason = "the types of the fields differ between targets")]
fn modified(stat: &Stat) -> (i64, u32) {
    (i64::from(stat.st_mtime), u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// What a log looks like before anyone decides about it.
#[derive(Default)]
struct Survey {
    any: bool,
    closed: bool,
    entries: u64,
    /// Evenly spread over the log: every `stride`th.
    samples: Vec<(EntryName, Record)>,
    stride: u64,
}

impl Survey {
    fn sample(&mut self, published: EntryName, record: Record) {
        let stride = self.stride.max(1);
        if !self.entries.is_multiple_of(stride) {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride = stride * 2;
        }
        self.samples.push((published, record));
    }

    /// Whether most entries speak of files that are not there as described.
    fn mostly_dead(&self, root: BorrowedFd<'_>, indexed: usize) -> bool {
        if self.entries < COMPACT_ENTRIES_MIN {
            return false;
        }
        let gone = self.samples.iter().filter(|(name, record)| !is_of(record, root, name)).count();
        (indexed as u64) < self.entries / 2 || gone > self.samples.len() / 2
    }
}

/// Rewrites the log with the entries that are live; those.
fn compact(
    disk: &Disk,
    log: &mut Log,
    state: BorrowedFd<'_>,
    is_live: impl Fn(&EntryName, &Stored<'_>) -> bool,
) -> std::io::Result<Index> {
    let mut live = Index::new();
    log.replace(disk, state, |old, new| {
        let mut session = None;
        let mut closed = false;
        let mut written = Ok(());
        old.read_again(|entry| {
            closed = entry == Entry::Closed;
            match &entry {
                Entry::Session(begun) => session = Some(*begun),
                Entry::Stored(stored) => {
                    let Some(published) = stored.published() else {
                        return;
                    };
                    // Only the last entry under a name counts; one may be there twice.
                    let is_written = |live: &Index| {
                        live.get(published.as_str()).is_some_and(|known| known.is(stored))
                    };
                    if is_written(&live) || !is_live(&published, stored) {
                        return;
                    }
                    let begun = session.take().map(Entry::Session);
                    for entry in begun.iter().chain([&entry]) {
                        written = std::mem::replace(&mut written, Ok(())).and(new.push(entry));
                    }
                    live.insert(stored, published.as_str());
                }
                Entry::Closed => {}
            }
        })?;
        written?;
        // What is appended from now on is by the last session.
        if let Some(session) = session {
            new.push(&Entry::Session(session))?;
        }
        if closed { new.push(&Entry::Closed) } else { Ok(()) }
    })?;
    Ok(live)
}

/// A record, and who sent the file.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) record: Record,
    pub(super) identity: Identity,
}

/// The last record under each name that the log in `state` has, for who only looks: a server may be
/// writing it. Empty where there is no log.
pub(super) fn read_all(state: BorrowedFd<'_>) -> std::io::Result<HashMap<String, Recorded>> {
    let mut records = HashMap::new();
    // Few of them send many files.
    let mut identities: HashSet<Arc<str>> = HashSet::new();
    log::read_only(state, |entry| {
        if let Entry::Stored(stored) = entry
            && let Some(published) = stored.published()
        {
            let identity = stored.identity.as_deref().map(|name| match identities.get(name) {
                Some(known) => Arc::clone(known),
                None => {
                    let name: Arc<str> = name.into();
                    identities.insert(Arc::clone(&name));
                    name
                }
            });
            let recorded =
                Recorded { record: stored.record, identity: Identity::recorded(identity) };
            records.insert(published.as_str().to_owned(), recorded);
        }
    })?;
    Ok(records)
}

/// A number for this boot of the system; 0: the system does not tell.
pub(super) fn boot() -> u64 {
    std::fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| {
        let digest = blake3::hash(&id);
        digest.as_bytes()[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    })
}

/// A lock whose data is whole even if a thread panicked while it held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
