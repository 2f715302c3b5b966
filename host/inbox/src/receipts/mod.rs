//! What was stored: a log on disk, so that a sender who asks again gets the receipt and not a second
//! copy, and an index of it in memory.

mod compact;
mod damage;
mod log;
mod opening;
mod reading;
mod survey;
mod writer;

use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Stat;
use sandport_protocol::EntryName;
pub(super) use sandport_protocol::inbox::Record;
use sandport_protocol::inbox::{Index, LoggedFile};

use super::disk::Disk;
use super::recognition::{Likeness, Recognition, Seen};
use super::tree;
use crate::Identity;
pub(super) use log::NAME as LOG_NAME;
pub(super) use reading::{Recorded, Records};
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
    fn stored(&self) -> LoggedFile<'a> {
        LoggedFile {
            identity: self.identity.name().map(Cow::Borrowed),
            offered: Cow::Borrowed(self.offered.as_str()),
            number: self.number,
            record: self.record,
        }
    }

    fn into_stored(self) -> LoggedFile<'a> {
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
