//! What a file inherits from the directory in which it gets its name. Files are staged elsewhere, so that the system
//! does not do it: the group of a directory with the setgid bit, and its default ACL in the place of the umask. See
//! inode(7) and acl(5).
//!
//! Where a file cannot be given that, as when this user is not a member of the group, it is copied: the copy
//! is made in the directory.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Gid;
use rustix::io::Result;

use super::disk::Disk;
use super::recent::Recent;
use super::whereabouts::Place;

/// The attribute with the default ACL of a directory.
pub(super) const DEFAULT_ACL: &str = "system.posix_acl_default";

/// The attribute with the ACL of a file.
const ACCESS_ACL: &str = "system.posix_acl_access";

/// Longest ACL that is looked at. Bytes. ext4 and XFS keep some hundreds of entries at most, of 8 bytes each.
const ACL_BYTES_MAX: usize = 64 * 1024;

/// What a file inherits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inheritance {
    group: Option<Gid>,
    default_acl: Option<Vec<u8>>,
}

impl Inheritance {
    /// From this directory; `None`: nothing.
    pub(super) fn of(directory: impl AsFd) -> Option<Self> {
        let stat = rustix::fs::fstat(&directory).ok()?;
        let group = (stat.st_mode & SETGID != 0).then(|| Gid::from_raw(stat.st_gid));
        let mut short = [0_u8; 256];
        let default_acl = match rustix::fs::fgetxattr(&directory, DEFAULT_ACL, &mut short[..]) {
            Ok(length) => Some(short[..length].to_vec()),
            Err(rustix::io::Errno::RANGE) => {
                let mut long = vec![0; ACL_BYTES_MAX];
                let length = rustix::fs::fgetxattr(&directory, DEFAULT_ACL, &mut long[..]).ok()?;
                long.truncate(length);
                Some(long)
            }
            // There is none, or the file system knows none.
            Err(_) => None,
        };
        (group.is_some() || default_acl.is_some()).then_some(Self { group, default_acl })
    }

    /// Gives it to a file.
    ///
    /// # Errors
    ///
    /// Where this user may not, or it cannot be told what the ACL comes to.
    pub(super) fn give(&self, disk: &Disk, file: BorrowedFd<'_>) -> Result<()> {
        if let Some(group) = self.group {
            disk.set_group(file, group)?;
        }
        if let Some(default) = &self.default_acl {
            let executable = rustix::fs::fstat(file)?.st_mode & 0o100 != 0;
            let acl = access_acl(default, executable).ok_or(rustix::io::Errno::INVAL)?;
            disk.set_acl(file, ACCESS_ACL, &acl)?;
        }
        Ok(())
    }
}

/// What the directories of the last files had to inherit, for the next ones.
#[derive(Default)]
pub(super) struct Inheritances {
    pub(super) recent: Recent<Destination>,
    /// What was asked about last, and whether this user can give a file that.
    tried: Mutex<Option<(Arc<Inheritance>, bool)>>,
}

impl Inheritances {
    /// Whether this user can give that to a file: as it was last, or as `tried` finds; `None`: it cannot be tried, and
    /// the upload will tell.
    pub(super) fn can_give(
        &self,
        inheritance: &Arc<Inheritance>,
        tried: impl FnOnce() -> Option<bool>,
    ) -> bool {
        let mut known = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, can_give)) = &*known
            && of == inheritance
        {
            return *can_give;
        }
        let Some(can_give) = tried() else { return true };
        *known = Some((Arc::clone(inheritance), can_give));
        can_give
    }
}

/// Where files for a directory go.
#[derive(Clone)]
pub(super) struct Destination {
    /// As seen from staging.
    pub(super) place: Place,
    /// What they inherit there. A directory that does not exist yet will itself inherit from the one above it.
    pub(super) inheritance: Option<Arc<Inheritance>>,
}

/// The setgid bit.
pub(super) const SETGID: u32 = 0o2000;

/// The version of the format of ACLs in attributes, and how long head and entries are. Bytes. See
/// linux/posix_acl_xattr.h.
const VERSION: u32 = 2;
const HEAD_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;

/// Kinds of entries: linux/posix_acl.h.
const USER_OBJ: u16 = 0x01;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The ACL of a file that a program makes with mode 0666 in a directory with this default ACL, as the kernel does it
/// (`posix_acl_create`). Then, if it is `executable`, whoever may read it may run it. `None`: it is no ACL.
fn access_acl(default: &[u8], executable: bool) -> Option<Vec<u8>> {
    let (head, entries) = default.split_at_checked(HEAD_BYTES)?;
    if head != VERSION.to_le_bytes() || !entries.len().is_multiple_of(ENTRY_BYTES) {
        return None;
    }
    let tag = |entry: &[u8]| u16::from_le_bytes([entry[0], entry[1]]);
    let has_mask = entries.chunks_exact(ENTRY_BYTES).any(|entry| tag(entry) == MASK);
    let mut access = default.to_vec();
    for entry in access[HEAD_BYTES..].chunks_exact_mut(ENTRY_BYTES) {
        let is_bounded = match tag(entry) {
            USER_OBJ | OTHER | MASK => true,
            // With a mask, that is what the mode's bits of the group are.
            GROUP_OBJ => !has_mask,
            _ => false,
        };
        if is_bounded {
            let mut permissions = u16::from_le_bytes([entry[2], entry[3]]) & 0o6;
            if executable {
                permissions |= (permissions & 0o4) >> 2;
            }
            entry[2..4].copy_from_slice(&permissions.to_le_bytes());
        }
    }
    Some(access)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const USER: u16 = 0x02;

    fn acl(entries: &[(u16, u16)]) -> Vec<u8> {
        let entries = entries.iter().flat_map(|(tag, permissions)| {
            [tag.to_le_bytes(), permissions.to_le_bytes(), [0xFF; 2], [0xFF; 2]].concat()
        });
        VERSION.to_le_bytes().into_iter().chain(entries).collect()
    }

    #[test]
    fn a_default_acl_takes_the_place_of_the_umask() {
        let default = acl(&[(USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 0)]);
        let plain = acl(&[(USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 0)]);
        let executable = acl(&[(USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 0)]);
        assert_eq!(access_acl(&default, false), Some(plain));
        assert_eq!(access_acl(&default, true), Some(executable));
    }

    #[test]
    fn named_users_of_a_default_acl_are_bounded_by_its_mask() {
        let default = acl(&[(USER_OBJ, 7), (USER, 7), (GROUP_OBJ, 7), (MASK, 7), (OTHER, 5)]);
        let access = acl(&[(USER_OBJ, 6), (USER, 7), (GROUP_OBJ, 7), (MASK, 6), (OTHER, 4)]);
        assert_eq!(access_acl(&default, false), Some(access));
    }

    #[test]
    fn what_is_no_acl_is_not_taken_for_one() {
        for bytes in [&b""[..], &[2, 0, 0], &[1, 0, 0, 0], &[2, 0, 0, 0, 1]] {
            assert_eq!(access_acl(bytes, false), None, "{bytes:?}");
        }
    }
}
