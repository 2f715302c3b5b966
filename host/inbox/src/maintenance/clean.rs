//! Removing what was left behind, for who owns an inbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;

use super::clock::now;
use super::expire::{Expired, Leftover, LeftoverKind, Rule, expire};
use super::files::Unreadable;
use super::reader::open_state;
use crate::notes::is_note;
use crate::partial_files::DIRECTORY;
use crate::{InboxError, error};

/// What was removed, or would be.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cleaned {
    /// Each thing.
    pub removed: Vec<Leftover>,
    /// What could not be removed.
    pub failed: Vec<Unreadable>,
    /// How many uploads are left that can be resumed.
    pub left: u64,
    /// Whether a server has the inbox. What lies in staging is its own then, and was left alone.
    pub served: bool,
}

/// Removes uploads that nobody has resumed for longer than `expiry`, and, where no server has the
/// inbox, what one that was killed left in staging. With `dry_run` it is only said.
///
/// Ages are judged by the system's clock, as it is now.
///
/// # Errors
/// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], [`InboxError::NotWritable`], and what
/// opening and reading come to.
pub fn clean(dir: &Path, expiry: Duration, dry_run: bool) -> Result<Cleaned, InboxError> {
    let (_root, state) = open_state(dir)?;
    let state_path = dir.join(RESERVED_NAME);
    let lock = lock(&state, &state_path)?;
    let rule = Rule { now_s: now().wall_s, expiry_s: expiry.as_secs(), dry_run };
    let mut expired = Expired::default();
    if let Some(partials) = open_own(&state, &state_path, DIRECTORY)? {
        let path = state_path.join(DIRECTORY);
        expired = expire(partials.as_fd(), rule).map_err(|source| InboxError::Io {
            doing: "read",
            path,
            source,
        })?;
    }
    if lock.is_some()
        && let Some(staging) = open_own(&state, &state_path, "staging")?
    {
        clean_staging(staging.as_fd(), &state_path.join("staging"), rule, &mut expired)?;
    }
    let Expired { removed, failed, left } = expired;
    Ok(Cleaned { removed, failed, left, served: lock.is_none() })
}

/// The lock of the inbox; `None`: a server has it.
fn lock(state: &OwnedFd, state_path: &Path) -> Result<Option<OwnedFd>, InboxError> {
    let path = state_path.join("lock");
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::CREATE;
    let file = rustix::fs::openat(state, "lock", flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| error::failed("open", &path, errno))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(error::failed("lock", &path, errno)),
    }
}

fn open_own(state: &OwnedFd, state_path: &Path, name: &str) -> Result<Option<OwnedFd>, InboxError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(state, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(error::failed("open", &state_path.join(name), errno)),
    }
}

/// Removes files and links. A directory is somebody else's.
fn clean_staging(
    staging: BorrowedFd<'_>,
    path: &Path,
    rule: Rule,
    expired: &mut Expired,
) -> Result<(), InboxError> {
    let failed = |errno| error::failed("read", path, errno);
    for entry in rustix::fs::Dir::read_from(staging).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        // The next start needs a note: it leads to the copy that a killed server was making.
        if matches!(name.to_bytes(), b"." | b"..") || is_note(name.to_bytes()) {
            continue;
        }
        let shown = Path::new(RESERVED_NAME)
            .join("staging")
            .join(String::from_utf8_lossy(name.to_bytes()).as_ref());
        let removed =
            rustix::fs::statat(staging, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    return Err(Errno::ISDIR);
                }
                if !rule.dry_run {
                    rustix::fs::unlinkat(staging, name, AtFlags::empty())?;
                }
                Ok(stat)
            });
        match removed {
            Ok(stat) => expired.removed.push(Leftover {
                kind: LeftoverKind::Staged,
                path: shown,
                name: None,
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                idle_s: u64::try_from(rule.now_s.saturating_sub(stat.st_mtime)).unwrap_or(0),
            }),
            Err(errno) => expired.failed.push(Unreadable { path: shown, source: errno.into() }),
        }
    }
    Ok(())
}
