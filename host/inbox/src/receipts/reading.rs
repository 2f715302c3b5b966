//! What the log says, for who only looks: a server may be writing it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::inbox::{LogEntry, LogItem, LoggedFile, Record};

use super::log::{NAME, length, read};
use crate::Identity;
use crate::recognition::{Recognition, Seen};

/// A record, and who sent the file.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) record: Record,
    pub(crate) identity: Identity,
    /// The one before it under the same name: that of the file which is there, where a server was killed as it was
    /// about to replace it. The next start takes the last one back.
    before: Option<Box<Self>>,
}

impl Recorded {
    /// The record that is of a file which looks like this; otherwise the last one.
    pub(crate) fn of(&self, recognition: Recognition, seen: &Seen) -> &Self {
        let is_of = |recorded: &&Self| recognition.is_of(&recorded.record, seen);
        let before = self.before.as_deref().filter(is_of);
        Some(self).filter(is_of).or(before).unwrap_or(self)
    }
}

/// The last record under each name that the log of an inbox has, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Records {
    by_name: HashMap<String, Recorded>,
    /// Few of them send many files.
    identities: HashSet<Arc<str>>,
    read: Option<Read>,
}

/// How far a log was read.
#[derive(Debug)]
struct Read {
    /// Its inode: a log that was written anew has another.
    inode: u64,
    end: u64,
    /// What stands before `end`: a log that was cut and written again has something else there.
    mark: [u8; MARK_BYTES],
}

/// As much of a frame as tells it from others: more than the checksum. Bytes.
const MARK_BYTES: usize = 32;

impl Records {
    /// The record of the file that has the name.
    pub(crate) fn get(&self, name: &str) -> Option<&Recorded> {
        self.by_name.get(name)
    }

    /// All names that have a record.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.by_name.keys()
    }

    /// Reads what the log in `state` has got since. Whether that was anything. Where there is no log, there are
    /// no records. What does not hold together at its end may be an entry that is being written.
    pub(crate) fn refresh(&mut self, state: BorrowedFd<'_>) -> io::Result<bool> {
        // Without waiting for the other end of a pipe that somebody put there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(state, NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => {
                let had_any = self.read.is_some();
                *self = Self::default();
                return Ok(had_any);
            }
            Err(errno) => return Err(errno.into()),
        };
        let inode = rustix::fs::fstat(&file)?.st_ino;
        let from = match &self.read {
            Some(read) if read.inode == inode && mark(&file, read.end)? == read.mark => {
                if length(&file)? == read.end {
                    return Ok(false);
                }
                read.end
            }
            _ => {
                *self = Self::default();
                0
            }
        };
        let end = read(&file, from..u64::MAX, |item| {
            if let LogItem::Entry(LogEntry::Stored(stored)) = item {
                self.take(&stored);
            }
            true
        })?;
        self.read = Some(Read { inode, end, mark: mark(&file, end)? });
        Ok(end > from)
    }

    fn take(&mut self, stored: &LoggedFile<'_>) {
        let Some(published) = stored.published() else { return };
        if stored.record == Record::NONE {
            self.by_name.remove(published.as_str());
            return;
        }
        let identity = stored.identity.as_deref().map(|name| match self.identities.get(name) {
            Some(known) => Arc::clone(known),
            None => {
                let name: Arc<str> = name.into();
                self.identities.insert(Arc::clone(&name));
                name
            }
        });
        let identity = Identity::recorded(identity);
        let recorded = Recorded { record: stored.record, identity, before: None };
        match self.by_name.entry(published.as_str().to_owned()) {
            Entry::Vacant(entry) => drop(entry.insert(recorded)),
            Entry::Occupied(mut entry) => {
                let before = entry.insert(recorded);
                entry.get_mut().before = Some(Box::new(Recorded { before: None, ..before }));
            }
        }
    }
}

/// What stands in a log before `end`.
fn mark(file: &OwnedFd, end: u64) -> io::Result<[u8; MARK_BYTES]> {
    let mut mark = [0; MARK_BYTES];
    let start = end.saturating_sub(MARK_BYTES as u64);
    let room = usize::try_from(end - start).unwrap_or(MARK_BYTES);
    let mut filled = 0;
    while filled < room {
        let rest = &mut mark[filled..room];
        let offset = start + filled as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(file.as_fd(), &mut *rest, offset))? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(mark)
}
