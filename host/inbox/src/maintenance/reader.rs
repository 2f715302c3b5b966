//! Opening an inbox without taking it: nothing is made, locked or changed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;

use crate::InboxError;
use crate::error;
use crate::layout;
use crate::receipts::{self, Recorded, Records};
use crate::recognition::Recognition;

/// An inbox that is looked at.
pub(super) struct Reader {
    pub(super) dir: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) state: OwnedFd,
    pub(super) recognition: Recognition,
    records: Records,
}

impl Reader {
    /// Opens the inbox at `dir` and reads its records.
    ///
    /// # Errors
    /// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], and what opening and reading come to.
    pub(super) fn at(dir: &Path) -> Result<Self, InboxError> {
        let (root, state) = open_state(dir)?;
        // Nothing is tried out: whoever only looks changes nothing.
        let recognition = Recognition::of(&root, None);
        let (dir, records) = (dir.to_path_buf(), Records::default());
        let mut reader = Self { dir, root, state, recognition, records };
        reader.refresh()?;
        Ok(reader)
    }

    /// The record of the file that has the name.
    pub(super) fn record(&self, name: &str) -> Option<&Recorded> {
        self.records.get(name)
    }

    /// All names that have a record.
    pub(super) fn recorded_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.records.names().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Reads what a server has written since. Whether that was anything.
    pub(super) fn refresh(&mut self) -> Result<bool, InboxError> {
        let refreshed = self.records.refresh(self.state.as_fd());
        refreshed.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> InboxError {
        let path = self.dir.join(RESERVED_NAME).join(receipts::LOG_NAME);
        InboxError::Io { doing: "read", path, source }
    }
}

/// Opens the inbox at `dir` and its `.sandport`, if this version knows its layout.
///
/// # Errors
/// [`InboxError::NotAnInbox`], [`InboxError::WrongLayout`], and what opening comes to.
pub(super) fn open_state(dir: &Path) -> Result<(OwnedFd, OwnedFd), InboxError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |path: &Path, errno| match errno {
        Errno::NOTDIR | Errno::LOOP => InboxError::NotADirectory { path: path.to_path_buf() },
        errno => error::failed_to_look("open", path, errno),
    };
    let root = rustix::fs::open(dir, flags, Mode::empty()).map_err(|errno| failed(dir, errno))?;
    let path = dir.join(RESERVED_NAME);
    let state = rustix::fs::openat(&root, RESERVED_NAME, flags | OFlags::NOFOLLOW, Mode::empty());
    let state = state.map_err(|errno| match errno {
        Errno::NOENT => InboxError::NotAnInbox { dir: dir.to_path_buf() },
        errno => failed(&path, errno),
    })?;
    layout::check_known(&state, dir, &path)?;
    Ok((root, state))
}
