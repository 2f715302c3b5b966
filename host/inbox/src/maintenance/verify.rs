//! Reading stored files again and comparing them with their records.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FileType, Mode, OFlags};
use sandport_protocol::EntryName;

use super::files::{Entries, Unreadable, entries};
use super::reader::Reader;
use crate::InboxError;
use crate::comparison::digest_of;
use crate::recognition::Seen;
use crate::tree;

/// A file or a record, compared.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The path from the inbox on. The sender chose it: not sanitized.
    pub path: PathBuf,
    /// Bytes that are there now; of a missing file, those that were stored.
    pub size: u64,
    /// How the two compare.
    pub integrity: Integrity,
}

/// How a file compares with its record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Integrity {
    /// It is what was received, byte for byte.
    Whole,
    /// It is not: damaged, or changed or replaced by somebody.
    Changed,
    /// It was stored, and is not there. After a power cut that the disk did not keep all of, it may be one that was
    /// only about to be.
    Missing,
    /// There is no record of it: somebody else put it there, or its record is gone.
    Unrecorded,
    /// It cannot be read.
    Unreadable(io::Error),
}

/// Compares each file of the inbox at `dir` with the digest that was recorded when it was stored, and
/// then tells of what was recorded and is not there. Each step of the iterator reads one file to its
/// end, from the disk where the system's cache can be told to.
///
/// # Errors
/// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], and what opening and reading come to.
pub fn verify(dir: &Path) -> Result<Verify, InboxError> {
    let reader = Reader::at(dir)?;
    let entries = entries(dir);
    Ok(Verify { reader, entries, recorded: None })
}

/// The files of an inbox, compared one after another.
pub struct Verify {
    reader: Reader,
    entries: Entries,
    /// Names that have a record, from when all files were seen.
    recorded: Option<std::vec::IntoIter<String>>,
}

impl std::fmt::Debug for Verify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verify").field("dir", &self.reader.dir).finish_non_exhaustive()
    }
}

impl Iterator for Verify {
    type Item = Checked;

    fn next(&mut self) -> Option<Checked> {
        if self.recorded.is_none() {
            while let Some(entry) = self.entries.next() {
                let checked = match entry {
                    Ok((path, metadata)) => self.check(path, metadata.len()),
                    Err(Unreadable { path, source }) => {
                        Some(Checked { path, size: 0, integrity: Integrity::Unreadable(source) })
                    }
                };
                if checked.is_some() {
                    return checked;
                }
            }
        }
        let reader = &self.reader;
        let recorded = self.recorded.get_or_insert_with(|| reader.recorded_names().into_iter());
        recorded.find_map(|name| {
            let entry_name = EntryName::parse_stored(&name).ok()?;
            let there = tree::look_up(reader.root.as_fd(), &entry_name).ok().flatten();
            let is_file = there
                .is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
            let recorded = reader.record(&name).filter(|_| !is_file)?;
            Some(Checked {
                path: PathBuf::from(&name),
                size: recorded.record.size,
                integrity: Integrity::Missing,
            })
        })
    }
}

impl Verify {
    /// Compares one file; `None`: it is gone.
    fn check(&mut self, path: PathBuf, size: u64) -> Option<Checked> {
        let integrity = match self.compare(&path)? {
            // A server may have stored or replaced the file after the records were read.
            Integrity::Changed | Integrity::Unrecorded
                if matches!(self.reader.refresh(), Ok(true)) =>
            {
                self.compare(&path)?
            }
            integrity => integrity,
        };
        Some(Checked { path, size, integrity })
    }

    fn compare(&self, path: &Path) -> Option<Integrity> {
        let Some(recorded) = path.to_str().and_then(|name| self.reader.record(name)) else {
            return Some(Integrity::Unrecorded);
        };
        let path = self.reader.dir.join(path);
        // Which of two records it is of, if a server was killed as it was about to replace it.
        let recorded = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => recorded.of(self.reader.recognition, &Seen::from(&metadata)),
            Err(_) => recorded,
        };
        match hash(&path) {
            Ok(digest) if digest == recorded.record.digest => Some(Integrity::Whole),
            Ok(_) => Some(Integrity::Changed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Integrity::Unreadable(error)),
        }
    }
}

/// The digest of a regular file.
fn hash(path: &Path) -> io::Result<[u8; 32]> {
    // What became a link or a pipe meanwhile is neither followed nor waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    // Advice only. What the cache still holds says nothing about the disk.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    digest_of(&mut File::from(file))
}
