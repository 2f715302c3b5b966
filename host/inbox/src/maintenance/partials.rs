//! Uploads that can be resumed, as they lie in an inbox.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;
use sandport_protocol::journal::{Inspected, Recovered, Recovery};

use super::files::Unreadable;
use super::reader::open_state;
use crate::Identity;
use crate::InboxError;
use crate::boot::boot;
use crate::partial_files::{DATA_SUFFIX, DIRECTORY, JOURNAL_SUFFIX, is_id, open_regular};

/// How much of a journal is read at a time. Bytes.
const JOURNAL_PIECE_BYTES: usize = 256 * 1024;

/// An upload that was cut, or is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialFile {
    /// The name that it was offered under. The sender chose it: not sanitized. `None`: it was begun so short
    /// a time ago that nothing of it is kept, or before the server was killed; only how old it is, is known then.
    pub name: Option<String>,
    /// The size that was announced, in bytes.
    pub size: Option<u64>,
    /// Bytes that are kept, wherever in the file.
    pub kept: u64,
    /// When it was begun.
    pub begun: Option<SystemTime>,
    /// When something of it arrived last.
    pub active: Option<SystemTime>,
    /// Who sends it; `None`: that is not known, as its name is not.
    pub identity: Option<Identity>,
}

/// Lists the uploads that can be resumed in the inbox at `dir`, in no order that means anything.
/// Those that are too small to be resumed are not among them.
///
/// # Errors
/// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], and what opening and reading come to.
pub fn list_partials(dir: &Path) -> Result<Registry, InboxError> {
    let (_root, state) = open_state(dir)?;
    let path = dir.join(RESERVED_NAME).join(DIRECTORY);
    let failed = |doing| {
        let path = path.clone();
        move |errno: Errno| InboxError::Io { doing, path, source: errno.into() }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(&state, DIRECTORY, flags, Mode::empty()) {
        Ok(directory) => directory,
        // Of a version that could not resume.
        Err(Errno::NOENT) => return Ok(Registry { directory: None, ids: Vec::new().into_iter() }),
        Err(errno) => return Err(failed("open")(errno)),
    };
    let mut ids = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory).map_err(failed("read"))? {
        let entry = entry.map_err(failed("read"))?;
        let name = entry.file_name().to_str().ok();
        let id = name.and_then(|name| {
            name.strip_suffix(JOURNAL_SUFFIX).or_else(|| name.strip_suffix(DATA_SUFFIX))
        });
        ids.extend(id.map(str::to_owned));
    }
    // Most have both files.
    ids.sort();
    ids.dedup();
    Ok(Registry { directory: Some(directory), ids: ids.into_iter() })
}

/// The uploads of an inbox that can be resumed.
pub struct Registry {
    directory: Option<OwnedFd>,
    ids: std::vec::IntoIter<String>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("left", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Iterator for Registry {
    type Item = Result<PartialFile, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let directory = self.directory.as_ref()?;
        self.ids.find_map(|id| match read(directory, &id) {
            Ok(found) => found.map(Ok),
            Err(source) => {
                let path = Path::new(RESERVED_NAME).join(DIRECTORY).join(id + JOURNAL_SUFFIX);
                Some(Err(Unreadable { path, source }))
            }
        })
    }
}

/// Reads one; `None`: it is gone, was published, or is no upload of ours.
fn read(directory: &OwnedFd, id: &str) -> io::Result<Option<PartialFile>> {
    let seconds =
        |s: i64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(s).ok()?));
    let Some(data) = open_regular(directory, &format!("{id}{DATA_SUFFIX}"))? else {
        return Ok(None);
    };
    // An empty one has room for its first entry.
    let has_entries = |journal: &OwnedFd| rustix::fs::fstat(journal).map(|stat| stat.st_size > 0);
    let journal = match open_regular(directory, &format!("{id}{JOURNAL_SUFFIX}"))? {
        Some(journal) if has_entries(&journal)? => Some(journal),
        _ => None,
    };
    let Some(journal) = journal else {
        let active = seconds(rustix::fs::fstat(&data)?.st_mtime);
        return Ok(is_id(id).then_some(PartialFile {
            name: None,
            size: None,
            kept: 0,
            begun: None,
            active,
            identity: None,
        }));
    };
    let (data, found) = (rustix::fs::fstat(&data)?, rustix::fs::fstat(&journal)?);
    let data_bytes = u64::try_from(data.st_size).unwrap_or(0);
    let Some(inspected) = inspect_file(journal, data_bytes)? else { return Ok(None) };
    Ok(Some(PartialFile {
        name: Some(inspected.begun.name),
        size: inspected.begun.size,
        kept: inspected.kept_bytes,
        begun: seconds(inspected.begun.begun_s),
        active: seconds(data.st_mtime.max(found.st_mtime)),
        identity: Some(Identity::recorded(inspected.begun.identity.map(Into::into))),
    }))
}

/// What a journal says; `None`: it is none.
pub(super) fn inspect_file(journal: OwnedFd, data_bytes: u64) -> io::Result<Option<Inspected>> {
    let mut journal = std::fs::File::from(journal);
    let mut recovery = Recovery::of_unknown(boot(), data_bytes);
    let mut piece = vec![0; JOURNAL_PIECE_BYTES];
    loop {
        match journal.read(&mut piece) {
            Ok(0) => break,
            Ok(count) if recovery.push(&piece[..count]) => {}
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(recovery.finish().ok().map(Recovered::inspected))
}
