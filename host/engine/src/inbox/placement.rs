//! Whether a file can be put into the folder that it is for: asked before its bytes come.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, StatxFlags};
use sandport_protocol::{EntryName, Refusal};

use super::Core;
use super::space::does_not_fit;
use super::tree::{self, Folder};

/// From which size on a file that has to be copied into its folder is published by the thread of the inbox, also
/// where nothing is synced. Bytes. Copying less takes less than a millisecond.
const COPIED_ELSEWHERE_BYTES_MIN: u64 = 1024 * 1024;

/// Where a folder is, as far as it matters to a move. A rename fails between two mounts of one file system too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    device: (u32, u32),
    /// `None`: the kernel does not tell (before Linux 5.8).
    mount: Option<u64>,
}

impl Whereabouts {
    pub(super) fn of(folder: impl AsFd) -> rustix::io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(folder, c"", AtFlags::EMPTY_PATH, wanted)?;
        let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
        Ok(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            mount: told.then_some(stat.stx_mnt_id),
        })
    }
}

impl Core {
    /// Refuses what could not be put into its folder: this process may not write there, or it is on another
    /// file system that has no room. Where the folder does not exist yet, the one that it will be made in counts.
    pub(super) fn check_folder(&self, name: &EntryName, size: Option<u64>) -> Result<(), Refusal> {
        let folder = tree::nearest(self.layout.root.as_fd(), name.parent())
            .map_err(|obstacle| self.refusal_of_path(obstacle))?;
        rustix::fs::accessat(&folder, c".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
            .map_err(|errno| self.refusal("make a file in its folder", errno))?;
        if let (Some(size), true) = (size, self.is_elsewhere(&folder))
            && available(folder.as_fd()).is_some_and(|available| size > available)
        {
            return Err(does_not_fit());
        }
        Ok(())
    }

    /// Whether a file that is published in the folder of this name has to be copied, and is so large that a thread
    /// that others live on should not do it.
    pub(super) fn is_long_copy(&self, name: &EntryName, size: u64) -> bool {
        size >= COPIED_ELSEWHERE_BYTES_MIN
            && tree::nearest(self.layout.root.as_fd(), name.parent())
                .is_ok_and(|folder| self.is_elsewhere(&folder))
    }

    /// Whether files cannot be moved to the folder from where they are staged. Where it cannot be told, publishing
    /// tells.
    fn is_elsewhere(&self, folder: &Folder<'_>) -> bool {
        matches!(
            (Whereabouts::of(folder), Whereabouts::of(&self.layout.staging)),
            (Ok(folder), Ok(staging)) if folder != staging
        )
    }
}

/// Bytes that may still be written there; `None`: there is no limit, or it cannot be told.
fn available(folder: BorrowedFd<'_>) -> Option<u64> {
    let space = rustix::fs::fstatvfs(folder).ok()?;
    (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
}
