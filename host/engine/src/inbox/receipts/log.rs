//! The receipt log, `DIR/.sandport/receipts`: the file.
//!
//! What stands in it is in `sandport_protocol::inbox`, since every inbox writes the same.
//! Entries are appended; where most of them have been superseded, the whole log is replaced by those
//! that have not.

use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::inbox::{
    Entry, LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, frame_entry, frame_head, push_frame,
};

use crate::inbox::disk::{Disk, Step};

/// How much is read in one go. Bytes.
const READ_BYTES: usize = 256 * 1024;

/// The log, open for appending.
pub(super) struct Log {
    file: OwnedFd,
    /// Where the next frame goes.
    end: u64,
    /// Up to where it is known to be durable.
    synced: u64,
    /// Frames that are not in the file yet; they begin at `end`.
    waiting: Vec<u8>,
    /// The folder, where it is not known to be durable that this file is the log.
    unsynced_dir: Option<OwnedFd>,
}

impl Log {
    /// Opens the log, makes it if it is missing, and calls `each` with what it holds, oldest first.
    /// What does not hold together at its end is cut off.
    pub(super) fn open(dir: impl AsFd, each: impl FnMut(Entry<'_>)) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, NAME, flags, Mode::from_raw_mode(0o600))?;
        let end = read(&file, each)?;
        let length = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        if length > end {
            tracing::warn!(bytes = length - end, "cut a torn end off the receipt log");
            rustix::fs::ftruncate(&file, end)?;
        }
        // One that has no entry may have been made just now.
        let unsynced_dir = if end == 0 { Some(dir.as_fd().try_clone_to_owned()?) } else { None };
        Ok(Self { file, end, synced: end, waiting: Vec::new(), unsynced_dir })
    }

    /// Takes up an entry, to be written by the next [`Log::write`].
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        push_frame(&mut self.waiting, entry);
    }

    /// How many bytes wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Writes what waits. Where that fails, what waited is dropped, and the log is as it was.
    pub(super) fn write(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        let written = disk.write(Step::WriteLog, &self.file, &self.waiting, self.end);
        if written.is_ok() {
            self.end += self.waiting.len() as u64;
        }
        self.waiting.clear();
        written
    }

    /// Makes what was written durable. Where that fails, nothing of it counts: the next entries
    /// overwrite it, since behind a hole in the log a power cut would hide them.
    pub(super) fn sync(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        match self.sync_dir(disk).and_then(|()| disk.sync(Step::SyncLog, &self.file)) {
            Ok(()) => {
                self.synced = self.end;
                Ok(())
            }
            Err(errno) => {
                self.end = self.synced;
                Err(errno)
            }
        }
    }

    /// Makes it durable that this file is the log: until then a power cut may bring the one back that
    /// it replaced.
    fn sync_dir(&mut self, disk: &Disk) -> rustix::io::Result<()> {
        if let Some(dir) = &self.unsynced_dir {
            disk.sync(Step::SyncLogDir, dir)?;
            self.unsynced_dir = None;
        }
        Ok(())
    }

    /// Reads the log from its start once more, as far as it is written.
    pub(super) fn read_again(&self, each: impl FnMut(Entry<'_>)) -> io::Result<()> {
        read(&self.file, each).map(drop)
    }

    /// Replaces the log by what `rewrite` puts into a new one, in one step as seen after a crash.
    /// Nothing may wait to be written. Where it fails, the log is as it was.
    pub(super) fn replace(
        &mut self,
        disk: &Disk,
        dir: BorrowedFd<'_>,
        rewrite: impl FnOnce(&Self, &mut Rewriter<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let replaced = self.try_replace(disk, dir, rewrite);
        if replaced.is_err() {
            // What was written of it would take room that may be short. It may not be there.
            let _ = rustix::fs::unlinkat(dir, NEW_NAME, AtFlags::empty());
        }
        replaced
    }

    fn try_replace(
        &mut self,
        disk: &Disk,
        dir: BorrowedFd<'_>,
        rewrite: impl FnOnce(&Self, &mut Rewriter<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let file =
            rustix::fs::openat(dir, NEW_NAME, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
        let unsynced_dir = Some(dir.try_clone_to_owned()?);
        let log = Self { file, end: 0, synced: 0, waiting: Vec::new(), unsynced_dir };
        let mut new = Rewriter { log, disk };
        rewrite(self, &mut new)?;
        let Rewriter { log: mut new, .. } = new;
        new.write(disk)?;
        disk.sync(Step::SyncLog, &new.file)?;
        new.synced = new.end;
        rustix::fs::renameat(dir, NEW_NAME, dir, NAME)?;
        *self = new;
        // Where it fails here, the next entries do not count before it has succeeded.
        if let Err(errno) = self.sync_dir(disk) {
            tracing::warn!(error = %errno, "could not make the rewritten receipt log durable");
        }
        Ok(())
    }
}

/// A log that will take the place of another.
pub(super) struct Rewriter<'a> {
    log: Log,
    disk: &'a Disk,
}

impl Rewriter<'_> {
    pub(super) fn push(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.log.push(entry);
        if self.log.waiting_bytes() >= READ_BYTES {
            self.log.write(self.disk)?;
        }
        Ok(())
    }
}

/// Tells whether a log has been written to: its inode and its length.
pub(in crate::inbox) type LogStamp = (u64, u64);

/// The stamp of the log in `dir`; `None`: there is none.
pub(in crate::inbox) fn stamp(dir: BorrowedFd<'_>) -> io::Result<Option<LogStamp>> {
    match rustix::fs::statat(dir, NAME, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((stat.st_ino, u64::try_from(stat.st_size).unwrap_or(0)))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Calls `each` with what the log in `dir` holds, oldest first, and changes nothing: what does not hold
/// together at its end may be an entry that is being written.
pub(super) fn read_only(dir: BorrowedFd<'_>, each: impl FnMut(Entry<'_>)) -> io::Result<()> {
    // Without waiting for the other end of a pipe that somebody put there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, NAME, flags, Mode::empty()) {
        Ok(file) => read(&file, each).map(drop),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The log's name in `.sandport`.
pub(in crate::inbox) const NAME: &str = "receipts";

/// Where its replacement is written; one that a crash left is overwritten.
const NEW_NAME: &str = "receipts.new";

/// Calls `each` with the entries of `file` and says where the first broken frame begins.
fn read(file: &OwnedFd, mut each: impl FnMut(Entry<'_>)) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(READ_BYTES, FromStart { file, offset: 0 });
    let mut payload = Vec::with_capacity(LOG_PAYLOAD_BYTES_MAX);
    let mut end = 0;
    loop {
        let mut head = [0; LOG_HEAD_BYTES];
        if !fill(&mut reader, &mut head)? {
            return Ok(end);
        }
        let Some((length, check)) = frame_head(head) else {
            return Ok(end);
        };
        payload.resize(length, 0);
        if !fill(&mut reader, &mut payload)? {
            return Ok(end);
        }
        let Some(entry) = frame_entry(&payload, check) else {
            return Ok(end);
        };
        each(entry);
        end += (LOG_HEAD_BYTES + length) as u64;
    }
}

/// Fills `buffer`; false: the file ends before.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a file by position, so that the descriptor can be shared.
struct FromStart<'a> {
    file: &'a OwnedFd,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count =
            rustix::io::retry_on_intr(|| rustix::io::pread(self.file, &mut *buffer, self.offset))?;
        self.offset += count as u64;
        Ok(count)
    }
}
