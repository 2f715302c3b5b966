//! Whether a file can be put into the folder that it is for: asked before its bytes come.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, StatxFlags};
use sandport_protocol::{EntryName, RESERVED_NAME, Refusal};

use super::Core;
use super::space::{STAT_BLOCK_BYTES, does_not_fit};
use super::tree::{self, Folder};

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
            && available(folder.as_fd())
                .is_some_and(|available| size > available.saturating_add(left_copy_bytes(&folder)))
        {
            return Err(does_not_fit());
        }
        Ok(())
    }

    /// Whether files cannot be moved to the folder from where they are staged. Where it cannot be told, publishing
    /// tells.
    pub(super) fn is_elsewhere(&self, folder: &Folder<'_>) -> bool {
        matches!(
            (Whereabouts::of(folder), Whereabouts::of(&self.layout.staging)),
            (Ok(folder), Ok(staging)) if folder != staging
        )
    }
}

/// What a copy takes up that a crash left: the next one in the folder takes its place. Bytes.
fn left_copy_bytes(folder: &Folder<'_>) -> u64 {
    let left = tree::look(folder, RESERVED_NAME).ok().flatten();
    let left = left.filter(|stat| !tree::is_folder(stat));
    left.map_or(0, |stat| {
        u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_BLOCK_BYTES)
    })
}

/// Bytes that may still be written there; `None`: there is no limit, or it cannot be told.
fn available(folder: BorrowedFd<'_>) -> Option<u64> {
    let space = rustix::fs::fstatvfs(folder).ok()?;
    (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
}
