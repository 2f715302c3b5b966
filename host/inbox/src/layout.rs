//! What lies in `DIR/.sandport/`, and how a server takes possession of it.
//!
//! ```text
//! DIR/.sandport/          mode 0700
//!     layout              the version of this layout: "1\n"
//!     lock                held with flock(2) while a server serves; names its process
//!     staging/            files on their way in, and notes of where files are being copied
//!                         (see `notes`); none of them survives a start
//!     partials/           uploads that can be resumed (see `resumable`)
//!     receipts            the log of what was stored (see `receipts::log`)
//!     receipts.damaged-1  what of it was damaged, up to 16 times
//!     tls.pem             the server's own certificate and its key (see `kept`), where it has made one
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;
use sandport_protocol::inbox::{LAYOUT_FILE, LAYOUT_VERSION};

use super::disk::{Disk, Step};
use super::error::{InboxError, failed, failed_to_look};
use super::modes;
use super::notes;
use super::partial_files;
use super::tree;
use super::unpublished::Unpublished;
use super::whereabouts::Whereabouts;

/// The name of the file with the version of the layout.
const VERSION: &str = LAYOUT_FILE;

/// Where it is written first; one that a crash left is overwritten.
const NEW_VERSION: &str = "layout.new";

/// Longest layout or lock file that is read. Bytes. A number and a line end; more is not ours.
const SMALL_FILE_BYTES_MAX: usize = 64;

/// The open directories of an inbox that this process holds.
pub(super) struct Layout {
    /// The inbox itself.
    pub(super) root: OwnedFd,
    /// `.sandport`.
    pub(super) state: OwnedFd,
    /// `.sandport/staging`.
    pub(super) staging: OwnedFd,
    /// `.sandport/partials`.
    pub(super) partials: OwnedFd,
    /// Whether an earlier server has left uploads there.
    pub(super) has_partials: bool,
    pub(super) lock: OwnedFd,
    /// What a killed server was still to publish.
    pub(super) unpublished: Unpublished,
}

impl Layout {
    /// Makes what is missing, takes the lock, checks the version and removes what a killed server
    /// left in staging.
    pub(super) fn take(disk: &Disk, dir: &Path) -> Result<Self, InboxError> {
        let made_root = make_root(dir)?;
        let root = open_dir(rustix::fs::CWD, dir, dir, OFlags::empty())?;
        writable(&root, dir)?;

        let state_path = dir.join(RESERVED_NAME);
        let made_state = make_dir(&root, RESERVED_NAME, &state_path)?;
        let state =
            open_dir(root.as_fd(), Path::new(RESERVED_NAME), &state_path, OFlags::NOFOLLOW)?;
        writable(&state, &state_path)?;

        let lock = take_lock(&state, dir, &state_path.join("lock"))?;
        let new = check_version(disk, &state, dir, &state_path)?;

        let (staging, made_staging) = open_own(&state, &state_path, "staging")?;
        let mut unpublished = Unpublished::default();
        unpublished.add(&staging);
        notes::remove_copies(&root, &staging, &mut unpublished);
        clean(&staging, &state_path.join("staging"))?;
        let (partials, made_partials) = open_own(&state, &state_path, partial_files::DIRECTORY)?;
        unpublished.add(&partials);
        let has_partials =
            partial_files::clean(&partials, &state_path.join(partial_files::DIRECTORY))?;

        for directory in [&state, &staging, &partials] {
            // Where the kernel does not tell, publishing does.
            if matches!((Whereabouts::of(&root), Whereabouts::of(directory)), (Ok(a), Ok(b)) if a != b)
            {
                return Err(InboxError::Split { dir: dir.to_path_buf() });
            }
            inherits_nothing(directory);
        }

        if made_root || made_state || made_staging || made_partials || new {
            let parent = match dir.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            // The directory above may be one that this user can search but not read; then the system
            // keeps its entry when it likes.
            if let Ok(parent) = open_dir(rustix::fs::CWD, parent, parent, OFlags::empty()) {
                sync(disk, &parent, dir)?;
            }
            sync(disk, &root, dir)?;
            sync(disk, &state, &state_path)?;
        }
        Ok(Self { root, state, staging, partials, has_partials, lock, unpublished })
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a process that this one is about to start has
        // not yet closed what it inherited.
        if let Err(errno) = rustix::fs::flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(error = %errno, "could not unlock the inbox");
        }
    }
}

/// Makes the inbox if it is missing and the directory above it is not.
fn make_root(dir: &Path) -> Result<bool, InboxError> {
    if dir.as_os_str().is_empty() {
        return Err(InboxError::Io {
            doing: "open",
            path: PathBuf::new(),
            source: io::Error::from(io::ErrorKind::NotFound),
        });
    }
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o777)) {
        Ok(()) => Ok(true),
        // Also for what is no directory: opening it will tell.
        Err(Errno::EXIST) => Ok(false),
        // Where it exists, a read-only file system or a directory above that is not ours is no matter.
        Err(_) if dir.is_dir() => Ok(false),
        Err(Errno::NOENT) => {
            Err(InboxError::ParentMissing { dir: dir.to_path_buf(), parent: first_missing(dir) })
        }
        Err(Errno::NOTDIR) => {
            Err(InboxError::NotADirectory { path: dir.parent().unwrap_or(dir).to_path_buf() })
        }
        Err(errno) => Err(failed("make", dir, errno)),
    }
}

/// The topmost directory above `dir` that does not exist.
fn first_missing(dir: &Path) -> PathBuf {
    dir.ancestors()
        .skip(1)
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .last()
        .unwrap_or(dir)
        .to_path_buf()
}

/// Makes a directory for this user alone; whether it was missing.
fn make_dir(parent: &OwnedFd, name: &str, path: &Path) -> Result<bool, InboxError> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(failed("make", path, errno)),
    }
}

/// Takes from a directory of ours what it has inherited from the inbox, so that staged files inherit none of it: they
/// get what the directory has to give that they are for. Where it cannot be taken, they keep it.
fn inherits_nothing(dir: &OwnedFd) {
    if rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_mode & modes::SETGID != 0) {
        let _ = rustix::fs::fchmod(dir, Mode::from_raw_mode(0o700));
    }
    let _ = rustix::fs::fremovexattr(dir, modes::DEFAULT_ACL);
}

/// Opens a directory in `.sandport`, made if it is missing; whether it was.
fn open_own(state: &OwnedFd, state_path: &Path, name: &str) -> Result<(OwnedFd, bool), InboxError> {
    let path = state_path.join(name);
    let made = make_dir(state, name, &path)?;
    let dir = open_dir(state.as_fd(), Path::new(name), &path, OFlags::NOFOLLOW)?;
    writable(&dir, &path)?;
    Ok((dir, made))
}

fn open_dir(at: impl AsFd, name: &Path, path: &Path, extra: OFlags) -> Result<OwnedFd, InboxError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | extra;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => InboxError::NotADirectory { path: path.to_path_buf() },
        errno => failed("open", path, errno),
    })
}

fn writable(dir: &OwnedFd, path: &Path) -> Result<(), InboxError> {
    tree::may_write(dir).map_err(|errno| failed("write", path, errno))
}

/// Takes the lock of the inbox without waiting and leaves this process's number in it.
fn take_lock(state: &OwnedFd, dir: &Path, path: &Path) -> Result<OwnedFd, InboxError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::openat(state, "lock", flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| failed("open", path, errno))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let process = read_small(&lock).ok().and_then(|text| text.trim().parse().ok());
            return Err(InboxError::Locked { dir: dir.to_path_buf(), process });
        }
        Err(errno) => return Err(failed("lock", path, errno)),
    }
    // Only words for the next one who finds it locked: where it fails, nothing is lost but those.
    let number = format!("{}\n", std::process::id());
    if rustix::fs::ftruncate(&lock, 0).is_ok() {
        let _ = rustix::io::pwrite(&lock, number.as_bytes(), 0);
    }
    Ok(lock)
}

/// Checks the layout version, or writes it into a new inbox; whether it was new.
fn check_version(
    disk: &Disk,
    state: &OwnedFd,
    dir: &Path,
    state_path: &Path,
) -> Result<bool, InboxError> {
    let path = state_path.join(VERSION);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let text = match rustix::fs::openat(state, VERSION, flags, Mode::empty()) {
        Ok(file) => read_small(&file).map_err(|errno| failed("read", &path, errno))?,
        Err(Errno::NOENT) => String::new(),
        Err(errno) => return Err(failed("open", &path, errno)),
    };
    // Empty is what a crash left of an inbox that an older version was making.
    if text.is_empty() {
        return write_version(disk, state, &path).map(|()| true);
    }
    known(&text, dir).map(|()| false)
}

/// Writes the layout version in one step, as seen after a crash.
fn write_version(disk: &Disk, state: &OwnedFd, path: &Path) -> Result<(), InboxError> {
    // Not waiting for the other end of a pipe that somebody put there.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::TRUNC
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = rustix::fs::openat(state, NEW_VERSION, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| failed("open", path, errno))?;
    let version = format!("{LAYOUT_VERSION}\n");
    disk.write(Step::WriteLayout, &file, version.as_bytes(), 0)
        .map_err(|errno| failed("write", path, errno))?;
    sync(disk, &file, path)?;
    rustix::fs::renameat(state, NEW_VERSION, state, VERSION)
        .map_err(|errno| failed("write", path, errno))
}

/// Checks the layout version of an inbox that is only looked at.
pub(super) fn check_known(
    state: &OwnedFd,
    dir: &Path,
    state_path: &Path,
) -> Result<(), InboxError> {
    let path = state_path.join(VERSION);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(state, VERSION, flags, Mode::empty()) {
        Ok(file) => {
            let text = read_small(&file).map_err(|errno| failed_to_look("read", &path, errno))?;
            // Empty: a server of an older version that makes it has just begun.
            if text.is_empty() { Ok(()) } else { known(&text, dir) }
        }
        Err(Errno::NOENT) => Err(InboxError::NotAnInbox { dir: dir.to_path_buf() }),
        Err(errno) => Err(failed_to_look("open", &path, errno)),
    }
}

fn known(text: &str, dir: &Path) -> Result<(), InboxError> {
    if text.trim_end().parse() == Ok(LAYOUT_VERSION) {
        return Ok(());
    }
    Err(InboxError::WrongLayout {
        dir: dir.to_path_buf(),
        found: text.trim_end().to_owned(),
        known: LAYOUT_VERSION,
    })
}

fn read_small(file: &OwnedFd) -> rustix::io::Result<String> {
    let mut buffer = [0; SMALL_FILE_BYTES_MAX];
    let count = rustix::io::pread(file, &mut buffer[..], 0)?;
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

/// Removes what was staged when a server was killed: no upload can come back to it.
fn clean(staging: &OwnedFd, path: &Path) -> Result<(), InboxError> {
    let entries = rustix::fs::Dir::read_from(staging)
        .map_err(|errno| failed("read", path, errno))?
        .collect::<rustix::io::Result<Vec<_>>>()
        .map_err(|errno| failed("read", path, errno))?;
    let mut removed = 0_u64;
    for entry in &entries {
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        match rustix::fs::unlinkat(staging, entry.file_name(), AtFlags::empty()) {
            Ok(()) => removed += 1,
            // Not ours: a server makes none there.
            Err(Errno::ISDIR) => tracing::warn!(
                directory = %path.display(),
                "left a directory of somebody else's alone that is among unfinished uploads"
            ),
            Err(errno) => return Err(failed("clean", path, errno)),
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed unfinished uploads of an earlier run");
    }
    Ok(())
}

#[cfg_attr(test, track_caller)]
fn sync(disk: &Disk, file: &OwnedFd, path: &Path) -> Result<(), InboxError> {
    disk.sync(Step::SyncLayout, file).map_err(|errno| failed("sync", path, errno))
}
