//! The files that an inbox holds.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sandport_protocol::{Digest, RESERVED_NAME};
use walkdir::WalkDir;

use super::reader::Reader;
use crate::Identity;
use crate::InboxError;
use crate::recognition::Seen;

/// A file with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// Its path from the inbox on. The sender chose it: not sanitized.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Its modification time, which the sender set.
    pub modified: Option<SystemTime>,
    /// When it got its name, or was changed since: the status change time of the file system.
    pub changed: Option<SystemTime>,
    /// What is known of it.
    pub state: FileState,
    /// Who sent what was stored under its name; `None`: there is no record.
    pub identity: Option<Identity>,
}

/// What the records say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// It is as it was stored, as far as size, inode and modification time tell, with this digest; on a file system
    /// where the two latter change by themselves, as far as its size tells. [`verify`](super::verify()) reads it.
    Stored(Digest),
    /// A file of this name was stored with this digest, and has been changed or replaced since.
    Touched(Digest),
    /// Nothing: it was put there by somebody else, or its record is gone.
    Unrecorded,
}

/// Something that could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
#[non_exhaustive]
pub struct Unreadable {
    /// Its path from the inbox on.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Lists the files that have a name in the inbox at `dir`, by their paths. Links, devices and directories
/// are not among them.
///
/// # Errors
/// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], and what opening and reading come to.
pub fn list(dir: &Path) -> Result<Files, InboxError> {
    let reader = Reader::at(dir)?;
    let entries = entries(dir);
    Ok(Files { reader, entries })
}

/// The files of an inbox, in the order of their paths.
pub struct Files {
    reader: Reader,
    entries: Entries,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("dir", &self.reader.dir).finish_non_exhaustive()
    }
}

impl Iterator for Files {
    type Item = Result<StoredFile, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.map(|(path, metadata)| {
            let (recognition, seen) = (self.reader.recognition, Seen::from(&metadata));
            let recorded = path.to_str().and_then(|name| self.reader.record(name));
            let recorded = recorded.map(|recorded| recorded.of(recognition, &seen));
            let state = match recorded.map(|recorded| &recorded.record) {
                None => FileState::Unrecorded,
                Some(record) if recognition.is_of(record, &seen) => {
                    FileState::Stored(Digest::Blake3(record.digest))
                }
                Some(record) => FileState::Touched(Digest::Blake3(record.digest)),
            };
            let identity = recorded.map(|recorded| recorded.identity.clone());
            StoredFile {
                size: metadata.len(),
                modified: metadata.modified().ok(),
                changed: changed(&metadata),
                path,
                state,
                identity,
            }
        }))
    }
}

/// Regular files with their metadata, by their paths beneath the inbox.
pub(super) type Entries =
    Box<dyn Iterator<Item = Result<(PathBuf, std::fs::Metadata), Unreadable>> + Send>;

/// Walks through the inbox, without what is Sandport's own: its directory, and copies that a crash left elsewhere.
pub(super) fn entries(dir: &Path) -> Entries {
    let root = dir.to_path_buf();
    let walk = WalkDir::new(dir)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != RESERVED_NAME);
    Box::new(walk.filter_map(move |entry| {
        let found = entry.and_then(|entry| {
            let is_file = entry.file_type().is_file();
            is_file.then(|| Ok((entry.path().to_path_buf(), entry.metadata()?))).transpose()
        });
        let beneath = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_path_buf();
        match found {
            Ok(found) => found.map(|(path, metadata)| Ok((beneath(&path), metadata))),
            // Moved or removed meanwhile: an inbox is emptied while it is in use.
            Err(error) if is_gone(&error) => None,
            Err(error) => Some(Err(Unreadable {
                path: beneath(error.path().unwrap_or(&root)),
                source: error.into(),
            })),
        }
    }))
}

fn is_gone(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn changed(metadata: &std::fs::Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;
    let since = Duration::new(
        u64::try_from(metadata.ctime()).ok()?,
        u32::try_from(metadata.ctime_nsec()).ok()?,
    );
    SystemTime::UNIX_EPOCH.checked_add(since)
}
