//! The receipt log on disk, in the format of every inbox, and how it is written anew.

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{
    COMPACT_ENTRIES_MIN, Compaction, LogEntry, LogItem, LogReader, LoggedFile, Session,
    is_compaction_due, push_frame,
};

use super::files::{Directory, DiskError, File};

/// How much of the log is read in one go. Bytes. While a log is written anew, each file that is published
/// waits for so much of that: a millisecond or two.
const STEP_BYTES: usize = 256 * 1024;

const NAME: &str = "receipts";

/// Where its replacement is written; one that a crash left is overwritten.
const NEW_NAME: &str = "receipts.new";

pub(super) struct Log<F: Directory> {
    state: F,
    file: F::File,
    /// Where the next frame goes.
    end: u64,
    session: Session,
    /// Whether this run has written its [`LogEntry::Session`].
    begun: bool,
    /// Whether the file may have something behind `end` that does not count.
    has_rest: bool,
    /// How many entries of stored files it has.
    entries: u64,
    /// How many there are at least before it is looked at whether most are superseded.
    entries_looked_at: u64,
    /// What takes entries back that turned out wrong.
    owed: Vec<LoggedFile<'static>>,
    /// The log that takes its place.
    new: Option<NewLog<F::File>>,
}

struct NewLog<T> {
    file: T,
    end: u64,
    compaction: Compaction,
    reader: LogReader,
    /// How far the old log was read, and how far it is to be.
    read: u64,
    read_max: u64,
    /// How many entries that part of it has.
    entries: u64,
}

impl<F: Directory> Log<F> {
    /// Opens the log in `state` and calls `each` with what it holds, oldest first. What a crash left at its end is
    /// cut off.
    pub(super) fn open(
        state: &F,
        session: Session,
        mut each: impl FnMut(LogEntry<'_>),
    ) -> Result<Self, DiskError> {
        let mut file = state.open(NAME)?;
        let mut reader = LogReader::default();
        let mut entries = 0;
        let mut found = |item: LogItem<'_>| {
            if let LogItem::Entry(entry) = item {
                entries += u64::from(matches!(entry, LogEntry::Stored(_)));
                each(entry);
            }
        };
        let mut offset = 0;
        loop {
            let bytes = file.read(offset, STEP_BYTES)?;
            if bytes.is_empty() {
                reader.handle_end(&mut found);
                break;
            }
            reader.handle_bytes(&bytes, &mut found);
            offset += bytes.len() as u64;
        }
        let end = reader.end();
        file.truncate(end)?;
        Ok(Self {
            state: state.clone(),
            file,
            end,
            session,
            begun: false,
            has_rest: false,
            entries,
            entries_looked_at: COMPACT_ENTRIES_MIN,
            owed: Vec::new(),
            new: None,
        })
    }

    /// Writes what is owed, and then these entries, durably where the session is. Where that fails, nothing of it
    /// is in the log.
    pub(super) fn write<'a>(
        &mut self,
        stored: impl Iterator<Item = LoggedFile<'a>>,
    ) -> Result<(), DiskError> {
        let mut frames = Vec::new();
        let mut entries = 0;
        if !self.begun {
            push_frame(&mut frames, &LogEntry::Session(self.session));
        }
        for stored in self.owed.iter().cloned().chain(stored) {
            push_frame(&mut frames, &LogEntry::Stored(stored));
            entries += 1;
        }
        if entries == 0 {
            return Ok(());
        }
        let written = self.cut_rest().and_then(|()| self.file.write(&frames, self.end));
        let written =
            written.and_then(|()| if self.session.durable { self.file.sync() } else { Ok(()) });
        if let Err(error) = written {
            // It may be there as a whole, and is not to be found behind what is written next. Where it cannot
            // be cut off now, the next write does it.
            self.has_rest = true;
            let _ = self.cut_rest();
            return Err(error);
        }
        self.end += frames.len() as u64;
        self.begun = true;
        self.entries += entries;
        self.owed.clear();
        Ok(())
    }

    fn cut_rest(&mut self) -> Result<(), DiskError> {
        if self.has_rest {
            self.file.truncate(self.end)?;
            self.has_rest = false;
        }
        Ok(())
    }

    /// Takes an entry back by what is true: now, or with the next ones.
    pub(super) fn owe(&mut self, truths: impl IntoIterator<Item = LoggedFile<'static>>) {
        self.owed.extend(truths);
        // A disk that does not take it now is asked again.
        let _ = self.write(std::iter::empty());
    }

    /// Writes a part of the log anew, if most of it is superseded or that is under way. `remembered` is how
    /// many records are; `is_live` says whether an entry counts still. Where it fails, the log is as it was.
    ///
    /// For when no entry is of a file that is still to get its name.
    pub(super) fn compact_some(
        &mut self,
        remembered: u64,
        is_live: impl FnMut(&EntryName, &LoggedFile<'_>) -> bool,
    ) -> Result<(), DiskError> {
        let outcome = self.try_compact_some(remembered, is_live);
        if outcome.is_err() && self.new.take().is_some() {
            // What was written of it would take room that may be short.
            let _ = self.state.remove(NEW_NAME);
        }
        outcome
    }

    /// Whether the log is being written anew.
    pub(super) fn is_compacting(&self) -> bool {
        self.new.is_some()
    }

    fn try_compact_some(
        &mut self,
        remembered: u64,
        mut is_live: impl FnMut(&EntryName, &LoggedFile<'_>) -> bool,
    ) -> Result<(), DiskError> {
        if self.new.is_none() {
            if self.entries < self.entries_looked_at {
                return Ok(());
            }
            let is_due = is_compaction_due(self.entries, remembered);
            self.entries_looked_at =
                COMPACT_ENTRIES_MIN.max(self.entries.max(remembered).saturating_mul(2));
            if !is_due {
                return Ok(());
            }
            let mut file = self.state.open(NEW_NAME)?;
            file.truncate(0)?;
            self.new = Some(NewLog {
                file,
                end: 0,
                compaction: Compaction::default(),
                reader: LogReader::default(),
                read: 0,
                read_max: self.end,
                entries: self.entries,
            });
        }
        let Some(new) = &mut self.new else { return Ok(()) };
        let mut frames = Vec::new();
        let room = usize::try_from(new.read_max - new.read).unwrap_or(usize::MAX).min(STEP_BYTES);
        let bytes = self.file.read(new.read, room)?;
        let compaction = &mut new.compaction;
        new.reader.handle_bytes(&bytes, |item| {
            compaction.handle_item(&item, &mut is_live, &mut frames);
        });
        new.write(&frames)?;
        new.read += bytes.len() as u64;
        if new.read < new.read_max && !bytes.is_empty() {
            return Ok(());
        }
        self.finish_compaction()
    }

    /// Copies what came since to the new log, and lets it take the place of the old one.
    fn finish_compaction(&mut self) -> Result<(), DiskError> {
        let Some(new) = &mut self.new else { return Ok(()) };
        let mut frames = Vec::new();
        let kept = std::mem::take(&mut new.compaction).finish(&mut frames);
        new.write(&frames)?;
        while new.read < self.end {
            let room = usize::try_from(self.end - new.read).unwrap_or(usize::MAX).min(STEP_BYTES);
            let bytes = self.file.read(new.read, room)?;
            if bytes.is_empty() {
                break;
            }
            new.write(&bytes)?;
            new.read += bytes.len() as u64;
        }
        if self.session.durable {
            new.file.sync()?;
        }
        self.state.rename(NEW_NAME, &self.state, NAME)?;
        if let Some(NewLog { file, end, entries, .. }) = self.new.take() {
            (self.file, self.end) = (file, end);
            self.has_rest = false;
            self.entries = kept + self.entries.saturating_sub(entries);
            self.entries_looked_at = COMPACT_ENTRIES_MIN.max(self.entries.saturating_mul(2));
        }
        // Before anything is written that the old one does not have: a power cut may bring it back.
        if self.session.durable { self.state.sync() } else { Ok(()) }
    }
}

impl<T: File> NewLog<T> {
    fn write(&mut self, frames: &[u8]) -> Result<(), DiskError> {
        if !frames.is_empty() {
            self.file.write(frames, self.end)?;
            self.end += frames.len() as u64;
        }
        Ok(())
    }
}
