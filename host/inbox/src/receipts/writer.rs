//! What a run appends to the log.

use sandport_protocol::inbox::{COMPACT_ENTRIES_MIN, LogEntry, LoggedFile, Session};

use super::log::{Log, Snapshot};
use crate::disk::Disk;

/// Most entries that are owed to the log. With more, the disk takes so little that what is recorded of names is
/// the least of it; `verify` then calls some missing that were never there.
const OWED_MAX: usize = 4_096;

pub(super) struct Writer {
    pub(super) log: Log,
    session: Session,
    /// Whether the log has this run's [`LogEntry::Session`].
    begun: bool,
    /// Whether that waits to be written.
    begins: bool,
    /// How many [`LogEntry::Stored`] the log has.
    pub(super) entries: u64,
    /// And how many more wait to be written.
    waiting_entries: u64,
    /// How many there are at least before it is looked at whether most are superseded.
    entries_looked_at: u64,
    /// What takes entries back that turned out wrong, and could not be written yet.
    owed: Vec<LoggedFile<'static>>,
    /// Whether the last write failed, and that was said.
    fails: bool,
    /// Whether the log is being written anew.
    pub(super) is_compacting: bool,
    /// Whether somebody was asked to look at it.
    asked: bool,
}

/// A log that is to be written anew.
pub(crate) struct Due {
    pub(super) snapshot: Snapshot,
    /// How many entries it has.
    pub(super) entries: u64,
}

impl Writer {
    pub(super) fn new(log: Log, session: Session, entries: u64) -> Self {
        Self {
            log,
            session,
            begun: false,
            begins: false,
            entries,
            waiting_entries: 0,
            entries_looked_at: COMPACT_ENTRIES_MIN,
            owed: Vec::new(),
            fails: false,
            is_compacting: false,
            asked: false,
        }
    }

    pub(super) fn push(&mut self, stored: LoggedFile<'_>) {
        if !self.begun && !std::mem::replace(&mut self.begins, true) {
            self.log.push(&LogEntry::Session(self.session));
        }
        self.waiting_entries += 1;
        self.log.push(&LogEntry::Stored(stored));
    }

    /// Writes what waits. Where that fails, nothing of it is in the log, the session neither.
    fn write(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        let (begins, entries) =
            (std::mem::take(&mut self.begins), std::mem::take(&mut self.waiting_entries));
        self.log.write(disk)?;
        self.begun |= begins;
        self.entries += entries;
        Ok(())
    }

    /// Writes what is owed, and then these, and makes it durable. Where that fails, nothing of it is in the log.
    pub(super) fn write_durably<'a>(
        &mut self,
        disk: &Disk,
        publications: impl Iterator<Item = LoggedFile<'a>>,
    ) -> rustix::io::Result<()> {
        let (begun, entries) = (self.begun, self.entries);
        let owed = std::mem::take(&mut self.owed);
        owed.iter().for_each(|stored| self.push(stored.clone()));
        publications.for_each(|stored| self.push(stored));
        let written = self.write(disk).and_then(|()| {
            self.log.sync(disk).inspect_err(|_| (self.begun, self.entries) = (begun, entries))
        });
        if written.is_err() {
            self.owed = owed;
        }
        written
    }

    /// Writes what waits, where nobody waits for that.
    pub(super) fn flush(&mut self, disk: &Disk) {
        if self.log.waiting_bytes() == 0 {
            return;
        }
        match self.write(disk) {
            Ok(()) => self.fails = false,
            // The files are there; senders who ask again after a restart will send them again. Said once, not
            // five times a second.
            Err(error) if !std::mem::replace(&mut self.fails, true) => tracing::warn!(
                %error,
                "cannot write the receipt log: after a restart, files that are sent again become second copies"
            ),
            Err(_) => {}
        }
    }

    /// Takes entries back by what is true: durably, now or with the next ones.
    pub(super) fn owe(&mut self, disk: &Disk, truths: impl Iterator<Item = LoggedFile<'static>>) {
        let room = OWED_MAX.saturating_sub(self.owed.len());
        self.owed.extend(truths.take(room));
        if !self.owed.is_empty()
            && let Err(error) = self.write_durably(disk, std::iter::empty())
        {
            tracing::debug!(%error, "entries of the receipt log are taken back later");
        }
    }

    /// Whether most of the log may be superseded, where so many records are remembered: then it is looked at
    /// again when there is twice as much.
    pub(super) fn is_to_be_looked_at(&self) -> bool {
        !self.is_compacting && self.entries >= self.entries_looked_at
    }

    /// Whether somebody has to be asked for that. It is said once.
    pub(super) fn wants_a_look(&mut self) -> bool {
        self.is_to_be_looked_at() && !std::mem::replace(&mut self.asked, true)
    }

    pub(super) fn was_looked_at(&mut self, remembered: u64) {
        self.asked = false;
        self.entries_looked_at =
            COMPACT_ENTRIES_MIN.max(self.entries.max(remembered).saturating_mul(2));
    }

    /// Ends the run; `durable`: all that was published is. Where the inbox `is_lost`, that has been said.
    pub(super) fn close(&mut self, disk: &Disk, durable: bool, is_lost: bool) {
        self.fails |= is_lost;
        if !self.owed.is_empty() {
            self.owe(disk, std::iter::empty());
        }
        if self.begun && durable {
            self.log.push(&LogEntry::Closed);
        }
        self.flush(disk);
    }
}
