//! Finding and making directories beneath the inbox, without ever following a symbolic link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use sandport_protocol::{EntryName, Refusal};

use super::disk::Disk;

/// A directory of the inbox.
#[derive(Clone, Debug)]
pub(super) enum Directory<'a> {
    /// The inbox itself.
    Root(BorrowedFd<'a>),
    /// One beneath it.
    Below(Arc<OwnedFd>),
}

impl AsFd for Directory<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

/// Why there is no directory to be had at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A file, a symbolic link or a device has the name.
    InTheWay,
    /// The system failed.
    Failed(Errno),
    /// It is not to be made.
    Refused(Refusal),
}

/// Opens the directory at `path` beneath `root`; `None`: it does not exist.
pub(super) fn open_directory<'a>(
    root: BorrowedFd<'a>,
    path: Option<&str>,
) -> Result<Option<Directory<'a>>, Obstacle> {
    let Some(path) = path else {
        return Ok(Some(Directory::Root(root)));
    };
    // One call for the whole path where the kernel has it (5.6) and lets us (some container
    // profiles do not know it).
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path, DIRECTORY_FLAGS, Mode::empty(), resolve) {
        Ok(fd) => return Ok(Some(Directory::Below(Arc::new(fd)))),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(Obstacle::InTheWay),
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN | Errno::TOOBIG) => {}
        Err(errno) => return Err(Obstacle::Failed(errno)),
    }
    walk(root, path)
}

/// The same, part by part.
fn walk<'a>(root: BorrowedFd<'a>, path: &str) -> Result<Option<Directory<'a>>, Obstacle> {
    let mut directory = Directory::Root(root);
    for part in path.split('/') {
        match open_part(&directory, part)? {
            Some(fd) => directory = Directory::Below(Arc::new(fd)),
            None => return Ok(None),
        }
    }
    Ok(Some(directory))
}

/// Opens the directory at `path` beneath `root` and makes what is missing of it. `made` is called with
/// each directory that got a new entry, and its path (empty: the inbox): it has to be made durable.
pub(super) fn make_directory<'a>(
    disk: &Disk,
    root: BorrowedFd<'a>,
    path: Option<&str>,
    made: impl FnMut(&str, &Directory<'a>),
) -> Result<Directory<'a>, Obstacle> {
    match (open_directory(root, path)?, path) {
        (Some(directory), _) => Ok(directory),
        (None, Some(path)) => walk_and_make(disk, root, path, made),
        (None, None) => Ok(Directory::Root(root)),
    }
}

/// The same, part by part.
fn walk_and_make<'a>(
    disk: &Disk,
    root: BorrowedFd<'a>,
    path: &str,
    mut made: impl FnMut(&str, &Directory<'a>),
) -> Result<Directory<'a>, Obstacle> {
    let mut directory = Directory::Root(root);
    let mut walked = 0;
    for part in path.split('/') {
        let next = match open_part(&directory, part)? {
            Some(fd) => fd,
            None => {
                match disk.make_dir(&directory, part) {
                    Ok(()) => made(path[..walked].trim_end_matches('/'), &directory),
                    // Someone else was faster; opening it tells what it is.
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(Obstacle::Failed(errno)),
                }
                open_part(&directory, part)?.ok_or(Obstacle::Failed(Errno::NOENT))?
            }
        };
        directory = Directory::Below(Arc::new(next));
        walked = (walked + part.len() + 1).min(path.len());
    }
    Ok(directory)
}

/// The directory at `path` beneath `root`, or the nearest one above it that exists.
pub(super) fn nearest<'a>(
    root: BorrowedFd<'a>,
    path: Option<&str>,
) -> Result<Directory<'a>, Obstacle> {
    let mut path = path;
    loop {
        if let Some(directory) = open_directory(root, path)? {
            return Ok(directory);
        }
        path = path.and_then(|path| path.rsplit_once('/')).map(|(above, _)| above);
    }
}

/// How many directories of `path` beneath `root` do not exist.
pub(super) fn missing(root: BorrowedFd<'_>, path: Option<&str>) -> Result<u64, Obstacle> {
    let mut path = path;
    let mut missing = 0;
    while open_directory(root, path)?.is_none() {
        missing += 1;
        path = path.and_then(|path| path.rsplit_once('/')).map(|(above, _)| above);
    }
    Ok(missing)
}

/// What has the name `leaf` in `directory`, links not followed; `None`: nothing.
pub(super) fn look(directory: impl AsFd, leaf: &str) -> Result<Option<Stat>, Obstacle> {
    match rustix::fs::statat(directory, leaf, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Obstacle::Failed(errno)),
    }
}

/// What has the name `name` beneath `root`.
pub(super) fn look_up(root: BorrowedFd<'_>, name: &EntryName) -> Result<Option<Stat>, Obstacle> {
    match open_directory(root, name.parent())? {
        Some(directory) => look(&directory, name.leaf()),
        None => Ok(None),
    }
}

/// Whether this process may make files in a directory: by the user and the capabilities that it acts with.
///
/// # Errors
///
/// `ACCESS`, `ROFS` and others: it may not.
pub(super) fn may_write(directory: impl AsFd) -> rustix::io::Result<()> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(&directory, c".", wanted, AtFlags::EACCESS) {
        // Some container profiles answer so to calls that they do not know.
        Err(Errno::PERM) => rustix::fs::accessat(&directory, c".", wanted, AtFlags::empty()),
        // A kernel before 5.8 tells it only of the user who has started the program. If that is another one, writing
        // tells.
        Err(Errno::NOSYS) => Ok(()),
        told => told,
    }
}

/// Whether `stat` is of a directory.
pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Readable, because only such a descriptor can be synced.
const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_part(directory: &Directory<'_>, part: &str) -> Result<Option<OwnedFd>, Obstacle> {
    match rustix::fs::openat(directory, part, DIRECTORY_FLAGS, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(Obstacle::InTheWay),
        Err(errno) => Err(Obstacle::Failed(errno)),
    }
}

#[cfg(test)]
mod tests;
