//! Removing uploads that nobody has resumed for long.
//!
//! A server holds a shared lock (flock) on the data of each upload that it has open, and whoever removes
//! one an exclusive lock while it does. So both may go on at the same time: what is in use is not
//! removed, and what is being removed is not opened.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Stat};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;

use super::files::Unreadable;
use super::partials::inspect_file;
use crate::partial_files::{DATA_SUFFIX, DIRECTORY, JOURNAL_SUFFIX, open_regular};

/// How many hexadecimal digits an upload is called by.
const ID_DIGITS: usize = 32;

/// Something that was left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its path from the inbox on.
    pub path: PathBuf,
    /// The name that it was offered under, where that is known. The sender chose it: not sanitized.
    pub name: Option<String>,
    /// Bytes of its content.
    pub bytes: u64,
    /// How long nothing has happened to it. Seconds.
    pub idle_s: u64,
}

/// What can be left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftoverKind {
    /// An upload that could be resumed, and was not for long.
    Partial,
    /// What a server that was killed left of an upload that cannot be resumed.
    Staged,
    /// A word about an upload that was stored, for a sender who might have asked.
    Marker,
}

/// What was expired, and what was left.
#[derive(Debug, Default)]
pub(crate) struct Expired {
    pub(crate) removed: Vec<Leftover>,
    pub(crate) failed: Vec<Unreadable>,
    /// How many uploads stay.
    pub(crate) left: u64,
}

/// By which rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The time to judge by: seconds since 1970.
    pub(crate) now_s: i64,
    /// After how long an upload goes. Seconds.
    pub(crate) expiry_s: u64,
    /// Whether to say only what would be removed.
    pub(crate) dry_run: bool,
}

/// Removes the uploads in `.sandport/partials` that have been idle for longer than the rule says.
/// What does not look like one is left alone.
///
/// # Errors
/// The directory cannot be read. What single files come to is in the result.
pub(crate) fn expire(directory: BorrowedFd<'_>, rule: Rule) -> io::Result<Expired> {
    let mut expired = Expired::default();
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && is_ours(name)
        {
            names.push(name.to_owned());
        }
    }
    for name in names {
        let path = || Path::new(RESERVED_NAME).join(DIRECTORY).join(&name);
        let looked = match name.strip_suffix(DATA_SUFFIX) {
            Some(id) => expire_one(directory, id, rule),
            // A journal goes with its data, if it has any.
            None => expire_marker(directory, &name, rule),
        };
        match looked {
            Ok(Looked::Removed { kind, name, bytes, idle_s }) => {
                expired.removed.push(Leftover { kind, path: path(), name, bytes, idle_s });
            }
            Ok(Looked::Stays) => expired.left += 1,
            Ok(Looked::Nothing) => {}
            Err(source) => expired.failed.push(Unreadable { path: path(), source }),
        }
    }
    Ok(expired)
}

enum Looked {
    Removed {
        kind: LeftoverKind,
        name: Option<String>,
        bytes: u64,
        idle_s: u64,
    },
    Stays,
    /// It is gone, or is a part of another.
    Nothing,
}

fn is_ours(name: &str) -> bool {
    let id = name.strip_suffix(DATA_SUFFIX).or_else(|| name.strip_suffix(JOURNAL_SUFFIX));
    id.is_some_and(|id| id.len() == ID_DIGITS && id.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Removes an upload if it is due and nobody uses it.
fn expire_one(directory: BorrowedFd<'_>, id: &str, rule: Rule) -> io::Result<Looked> {
    let (data_name, journal_name) = (format!("{id}{DATA_SUFFIX}"), format!("{id}{JOURNAL_SUFFIX}"));
    let (_data, stat) = match lock(directory, &data_name)? {
        Locked::By(data, stat) => (data, stat),
        Locked::InUse => return Ok(Looked::Stays),
        Locked::Gone => return Ok(Looked::Nothing),
    };
    let journal = open_regular(directory, &journal_name)?;
    let journal_s = match &journal {
        Some(journal) => rustix::fs::fstat(journal)?.st_mtime,
        None => i64::MIN,
    };
    let idle_s = idle(stat.st_mtime.max(journal_s), rule);
    if idle_s <= rule.expiry_s {
        return Ok(Looked::Stays);
    }
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let name = name_of(journal, bytes);
    if !rule.dry_run {
        // The journal first: without it the data says nothing.
        remove(directory, &journal_name)?;
        remove(directory, &data_name)?;
    }
    Ok(Looked::Removed { kind: LeftoverKind::Partial, name, bytes, idle_s })
}

/// Removes an upload of which nothing came, if nobody uses it. Whether it is gone, or has bytes by now.
///
/// # Errors
/// Those of the disk.
pub(crate) fn remove_empty(directory: BorrowedFd<'_>, id: &str) -> io::Result<bool> {
    let data_name = format!("{id}{DATA_SUFFIX}");
    let (_data, stat) = match lock(directory, &data_name)? {
        Locked::By(data, stat) => (data, stat),
        Locked::InUse => return Ok(false),
        Locked::Gone => return Ok(true),
    };
    if stat.st_size == 0 {
        remove(directory, &format!("{id}{JOURNAL_SUFFIX}"))?;
        remove(directory, &data_name)?;
    }
    Ok(true)
}

/// What becomes of who wants the data of an upload for itself.
enum Locked {
    /// It has it, for as long as it has this.
    By(OwnedFd, Stat),
    /// A server has it open.
    InUse,
    /// It was published or removed.
    Gone,
}

fn lock(directory: BorrowedFd<'_>, data_name: &str) -> io::Result<Locked> {
    let Some(data) = open_regular(directory, data_name)? else { return Ok(Locked::Gone) };
    match rustix::fs::flock(&data, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Locked::InUse),
        Err(errno) => return Err(errno.into()),
    }
    let stat = rustix::fs::fstat(&data)?;
    // It was published or removed before it was locked.
    let is_gone = stat.st_nlink == 0 || !has_name(directory, data_name, stat.st_ino)?;
    Ok(if is_gone { Locked::Gone } else { Locked::By(data, stat) })
}

/// Removes a journal that has no data, if it is due.
fn expire_marker(directory: BorrowedFd<'_>, name: &str, rule: Rule) -> io::Result<Looked> {
    let id = name.strip_suffix(JOURNAL_SUFFIX).unwrap_or(name);
    if open_regular(directory, &format!("{id}{DATA_SUFFIX}"))?.is_some() {
        return Ok(Looked::Nothing);
    }
    let Some(journal) = open_regular(directory, name)? else { return Ok(Looked::Nothing) };
    let stat = rustix::fs::fstat(&journal)?;
    let idle_s = idle(stat.st_mtime, rule);
    if idle_s <= rule.expiry_s {
        return Ok(Looked::Nothing);
    }
    let of = name_of(Some(journal), 0);
    if !rule.dry_run {
        remove(directory, name)?;
    }
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    Ok(Looked::Removed { kind: LeftoverKind::Marker, name: of, bytes, idle_s })
}

/// The name in a journal, for those who want to know what is removed.
fn name_of(journal: Option<OwnedFd>, data_bytes: u64) -> Option<String> {
    let inspected = inspect_file(journal?, data_bytes).ok()??;
    Some(inspected.begun.name)
}

/// What is from the future, by a clock that was set back, is not idle.
fn idle(active_s: i64, rule: Rule) -> u64 {
    u64::try_from(rule.now_s.saturating_sub(active_s)).unwrap_or(0)
}

fn has_name(directory: BorrowedFd<'_>, name: &str, inode: u64) -> io::Result<bool> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stat.st_ino == inode),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn remove(directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
