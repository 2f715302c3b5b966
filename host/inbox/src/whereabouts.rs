//! Where directories are, as far as it matters to whether a file can be moved from one to another.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, StatxFlags};

/// Where a directory is, as far as it matters to a move. A rename fails between two mounts of one file system too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) device: (u32, u32),
    /// `None`: the kernel does not tell (before Linux 5.8).
    mount: Option<u64>,
}

impl Whereabouts {
    pub(super) fn of(directory: impl AsFd) -> rustix::io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(directory, c"", AtFlags::EMPTY_PATH, wanted)?;
        let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
        Ok(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            mount: told.then_some(stat.stx_mnt_id),
        })
    }
}

/// Where a directory is, as seen from where files are staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Files can be moved there, as far as can be told; publishing tells.
    Here,
    /// On the same disk, but by another mount: they have to be copied.
    OtherMount,
    /// On another disk, as a subvolume seems to be too.
    OtherDisk,
}
