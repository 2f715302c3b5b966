//! Whether a file can be put into the directory that it is for: asked before its bytes come.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use sandport_protocol::{EntryName, RESERVED_NAME, Refusal};

use super::Core;
use super::modes::{Destination, Inheritance};
use super::space::{STAT_BLOCK_BYTES, does_not_fit};
use super::tree::{self, Directory};
use super::whereabouts::{Place, Whereabouts};

/// From which announced size on it is asked whether there is room for a copy too. Bytes. Under it the question costs
/// more than finding out.
const COPY_CHECK_BYTES_MIN: u64 = 1024 * 1024;

impl Core {
    /// Refuses what could not be put into its directory: this process may not write there, or it is on another
    /// file system that has no room. Room for a copy on the disk that files are staged on is asked for along with
    /// that for the file ([`Core::bytes_of_copy`]). Where the directory does not exist yet, the one that it will be
    /// made in counts.
    pub(super) fn check_directory(
        &self,
        name: &EntryName,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        let directory = tree::nearest(self.layout.root.as_fd(), name.parent())
            .map_err(|obstacle| self.refusal_of_path(obstacle))?;
        tree::may_write(&directory)
            .map_err(|errno| self.refusal("make a file in its directory", errno))?;
        if let (Some(size), true) = (size, self.place(&directory) != Place::Here)
            && available(directory.as_fd()).is_some_and(|available| {
                size > available.saturating_add(left_copy_bytes(&directory))
            })
        {
            return Err(does_not_fit());
        }
        Ok(())
    }

    /// Where files for the directory `parent` go; `None`: that cannot be told, and is when one is published.
    pub(super) fn goes_to(&self, parent: Option<&str>) -> Option<Destination> {
        let path = parent.unwrap_or_default();
        if let Some(recent) = self.inheritances.recent.get(path) {
            return Some(recent);
        }
        let directory = tree::nearest(self.layout.root.as_fd(), parent).ok()?;
        let inheritance = Inheritance::of(&directory).map(Arc::new);
        let destination = Destination { place: self.place(&directory), inheritance };
        self.inheritances.recent.set(path, destination.clone());
        Some(destination)
    }

    /// Where the directory is.
    pub(super) fn place(&self, directory: &Directory<'_>) -> Place {
        match (Whereabouts::of(directory), Whereabouts::of(&self.layout.staging)) {
            (Ok(directory), Ok(staging)) if directory.device != staging.device => Place::OtherDisk,
            (Ok(directory), Ok(staging)) if directory != staging => Place::OtherMount,
            _ => Place::Here,
        }
    }

    /// What a copy of such a file takes of the disk that it is staged on, beside the file itself, until it is
    /// published. Bytes.
    pub(super) fn bytes_of_copy(self: &Arc<Self>, name: &EntryName, size: Option<u64>) -> u64 {
        let size = size.filter(|size| *size >= COPY_CHECK_BYTES_MIN).unwrap_or(0);
        if size > 0 && self.takes_room_twice(name.parent()) { size } else { 0 }
    }
}

/// What a copy takes up that a crash left: the next one in the directory takes its place. Bytes.
fn left_copy_bytes(directory: &Directory<'_>) -> u64 {
    let left = tree::look(directory, RESERVED_NAME).ok().flatten();
    let left = left.filter(|stat| !tree::is_directory(stat));
    left.map_or(0, |stat| {
        u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_BLOCK_BYTES)
    })
}

/// Bytes that may still be written there; `None`: there is no limit, or it cannot be told.
fn available(directory: BorrowedFd<'_>) -> Option<u64> {
    let space = rustix::fs::fstatvfs(directory).ok()?;
    (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
}
