//! The receipt log, `DIR/.sandport/receipts`: the file.
//!
//! What stands in it is in `sandport_protocol::inbox`, since every inbox writes the same.
//! Entries are appended; where most of them have been superseded, the whole log is replaced by those
//! that have not ([`NewLog`]).

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use sandport_protocol::inbox::{LogEntry, LogItem, LogReader, push_frame};

use crate::disk::{Disk, Step};

/// How much is read or written in one go. Bytes.
const STEP_BYTES: usize = 256 * 1024;

/// The log's name in `.sandport`.
pub(crate) const NAME: &str = "receipts";

/// Where its replacement is written; one that a crash left is overwritten.
const NEW_NAME: &str = "receipts.new";

/// The log, open for appending.
pub(super) struct Log {
    file: OwnedFd,
    /// Where the next frame goes.
    end: u64,
    /// Up to where it is known to be durable.
    synced: u64,
    /// Frames that are not in the file yet; they begin at `end`.
    waiting: Vec<u8>,
    /// The directory, where it is not known to be durable that this file is the log.
    unsynced_dir: Option<OwnedFd>,
    /// Whether the file may have something behind `end` that does not count.
    has_rest: bool,
    /// How often something was taken out of the file again.
    taken_out: u64,
}

/// What was found in a log beside its entries.
pub(super) struct Rest {
    /// What is no frame, and has frames behind it.
    pub(super) damaged: Vec<Range<u64>>,
    /// What is no frame at its end.
    pub(super) torn: Range<u64>,
}

/// How far a log was written at a moment when each of its entries was published or taken back.
pub(super) struct Snapshot {
    file: OwnedFd,
    end: u64,
    taken_out: u64,
}

impl Log {
    /// Opens the log, makes it if it is missing, and calls `each` with what it holds, oldest first.
    pub(super) fn open(
        dir: impl AsFd,
        mut each: impl FnMut(LogItem<'_>),
    ) -> io::Result<(Self, Rest)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, NAME, flags, Mode::from_raw_mode(0o600))?;
        let mut damaged = Vec::new();
        let end = read(&file, 0..u64::MAX, |item| {
            if let LogItem::Damaged(range) = &item {
                damaged.push(range.clone());
            }
            each(item);
            true
        })?;
        let length = length(&file)?;
        // One that has no entry may have been made just now.
        let unsynced_dir = if end == 0 { Some(dir.as_fd().try_clone_to_owned()?) } else { None };
        let rest = Rest { damaged, torn: end..length.max(end) };
        let has_rest = length > end;
        let waiting = Vec::new();
        let log = Self { file, end, synced: end, waiting, unsynced_dir, has_rest, taken_out: 0 };
        Ok((log, rest))
    }

    /// Takes up an entry, to be written by the next [`Log::write`].
    pub(super) fn push(&mut self, entry: &LogEntry<'_>) {
        push_frame(&mut self.waiting, entry);
    }

    /// How many bytes wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Writes what waits. Where that fails, what waited is dropped, and the log is as it was.
    pub(super) fn write(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let written = self
            .cut_rest(disk)
            .and_then(|()| disk.write(Step::WriteLog, &self.file, &waiting, self.end));
        match written {
            Ok(()) => self.end += waiting.len() as u64,
            Err(_) => self.take_out(disk, self.end),
        }
        self.waiting = waiting;
        self.waiting.clear();
        written
    }

    /// Makes what was written durable. Where that fails, nothing of it counts: the next entries
    /// overwrite it, since a power cut may make a hole of it.
    pub(super) fn sync(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        let synced = self.sync_dir(disk).and_then(|()| disk.sync(Step::SyncLog, &self.file));
        match synced {
            Ok(()) => self.synced = self.end,
            Err(_) => self.take_out(disk, self.synced),
        }
        synced
    }

    /// Cuts off what is behind its entries.
    pub(super) fn cut_rest(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        if self.has_rest {
            disk.cut(&self.file, self.end)?;
            self.has_rest = false;
        }
        Ok(())
    }

    /// What is behind `end` does not count. It may be frames that are whole, of files that nobody got a receipt
    /// for, so they must not be found behind what is written next.
    fn take_out(&mut self, disk: &Disk, end: u64) {
        self.end = end;
        self.taken_out += 1;
        self.has_rest = true;
        // Else it is tried again before the next write.
        let _ = self.cut_rest(disk);
    }

    /// Makes it durable that this file is the log: until then a power cut may bring the one back that
    /// it replaced.
    pub(super) fn sync_dir(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        if let Some(dir) = &self.unsynced_dir {
            disk.sync(Step::SyncLogDir, dir)?;
            self.unsynced_dir = None;
        }
        Ok(())
    }

    /// The log as it is written. To be taken while no entry is between its writing and its file's publication.
    pub(super) fn snapshot(&self) -> io::Result<Snapshot> {
        let (end, taken_out) = (self.end, self.taken_out);
        Ok(Snapshot { file: self.file.try_clone()?, end, taken_out })
    }

    /// Up to where it is written.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Copies a part of it to a file that cannot be taken for a log.
    pub(super) fn copy_to(&self, file: &mut impl io::Write, range: Range<u64>) -> io::Result<()> {
        copy(&self.file, range, |bytes| file.write_all(bytes))
    }

    /// Lets a new log take its place, which has what the snapshot held, with what was written since. What waits
    /// waits for the new one. Where it fails, the log is as it was.
    pub(super) fn replace(&mut self, snapshot: &Snapshot, mut new: NewLog<'_>) -> io::Result<()> {
        if snapshot.taken_out != self.taken_out {
            return Err(io::Error::other("the log was cut meanwhile"));
        }
        let dir = new.dir.try_clone_to_owned()?;
        new.copy(&self.file, self.end)?;
        let (file, end) = new.finish()?;
        self.file = file;
        (self.end, self.synced) = (end, end);
        self.has_rest = false;
        // Until the directory is synced, a power cut may bring the old log back, which has the same to say. So the
        // next entries see to it, and those alone.
        self.unsynced_dir = Some(dir);
        Ok(())
    }
}

impl Snapshot {
    /// Calls `each` with what the log held, oldest first, until that is false.
    pub(super) fn read(&self, each: impl FnMut(LogItem<'_>) -> bool) -> io::Result<()> {
        read(&self.file, 0..self.end, each).map(drop)
    }
}

/// A log that is to take the place of another. Dropping it removes it, unless it has.
pub(super) struct NewLog<'a> {
    disk: &'a Disk,
    dir: BorrowedFd<'a>,
    file: Option<OwnedFd>,
    /// What is to be written next.
    pub(super) frames: Vec<u8>,
    end: u64,
    /// Up to where the old log is in it.
    copied: u64,
}

impl<'a> NewLog<'a> {
    /// Makes it. It will have what the snapshot held, as far as that counts.
    pub(super) fn create(
        disk: &'a Disk,
        dir: BorrowedFd<'a>,
        snapshot: &Snapshot,
    ) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o600);
        let file = rustix::fs::openat(dir, NEW_NAME, flags | OFlags::CLOEXEC, mode)?;
        let (file, copied) = (Some(file), snapshot.end);
        Ok(Self { disk, dir, file, frames: Vec::new(), end: 0, copied })
    }

    /// Writes what is to be written, if that is much.
    pub(super) fn write_much(&mut self) -> io::Result<()> {
        if self.frames.len() < STEP_BYTES { Ok(()) } else { self.write() }
    }

    /// Copies what the old log has got since, up to `end`.
    pub(super) fn catch_up(&mut self, old: &Snapshot, end: u64) -> io::Result<()> {
        self.copy(&old.file, end)
    }

    /// How far the old log is in it.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    fn copy(&mut self, old: &OwnedFd, end: u64) -> io::Result<()> {
        let range = self.copied..end;
        copy(old, range, |bytes| {
            self.frames.extend_from_slice(bytes);
            self.write()
        })?;
        self.copied = end;
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            self.disk.write(Step::WriteLog, file, &self.frames, self.end)?;
            self.end += self.frames.len() as u64;
            self.frames.clear();
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        if let Some(file) = &self.file {
            self.disk.sync(Step::SyncLog, file)?;
        }
        Ok(())
    }

    /// Makes it the log, in one step as seen after a crash; the file, and its length.
    fn finish(&mut self) -> io::Result<(OwnedFd, u64)> {
        self.sync()?;
        rustix::fs::renameat(self.dir, NEW_NAME, self.dir, NAME)?;
        let file = self.file.take().ok_or_else(|| io::Error::other("it is the log already"))?;
        Ok((file, self.end))
    }
}

impl Drop for NewLog<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What was written of it would take room that may be short.
            let _ = rustix::fs::unlinkat(self.dir, NEW_NAME, AtFlags::empty());
        }
    }
}

/// Calls `each` with what `file` holds in `range`, where a frame begins, until that is false, and says where
/// the last frame ends.
pub(super) fn read(
    file: impl AsFd,
    range: Range<u64>,
    mut each: impl FnMut(LogItem<'_>) -> bool,
) -> io::Result<u64> {
    let mut reader = LogReader::default();
    let mut buffer = vec![0; STEP_BYTES];
    let mut goes_on = true;
    let mut offset = range.start;
    while goes_on {
        let room = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(STEP_BYTES);
        let count =
            rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut buffer[..room], offset))?;
        let found = |item: LogItem<'_>| goes_on = goes_on && each(item);
        if count == 0 {
            reader.handle_end(found);
            break;
        }
        reader.handle_bytes(&buffer[..count], found);
        offset += count as u64;
    }
    Ok(range.start + reader.end())
}

fn copy(
    file: &OwnedFd,
    range: Range<u64>,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; STEP_BYTES];
    let mut offset = range.start;
    while offset < range.end {
        let room = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(STEP_BYTES);
        let count =
            rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut buffer[..room], offset))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        each(&buffer[..count])?;
        offset += count as u64;
    }
    Ok(())
}

/// How many bytes a file has.
pub(super) fn length(file: impl AsFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}
