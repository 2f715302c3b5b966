//! Finding out what a file system can do: with files in staging, which are gone afterwards, and without
//! syncing anything.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat, StatFs, Timespec, Timestamps};
use rustix::io::{Errno, Result};
use sandport_protocol::RESERVED_NAME;

use super::Capabilities;
use crate::disk::{Disk, FreeName};

/// The names of what is made. No staged file is called so: those have hexadecimal numbers.
const PROBE: &str = "probe";
const RENAMED: &str = "Probe-Renamed";
/// The same name to a file system that folds case.
const FOLDED: &str = "pROBE-rENAMED";
/// A name that Windows, and with it FAT, exFAT and NTFS as Windows uses it, does not take.
const FORBIDDEN: &str = "probe:?*|<>\"\\";

/// A time that a file system keeps which keeps microseconds: 2020-09-13, and an odd number of seconds and
/// microseconds. FAT has even seconds, NTFS tenths of microseconds.
const TIME: Timespec = Timespec { tv_sec: 1_600_000_001, tv_nsec: 123_457_000 };

/// Finds out what the file system of an inbox can do, whose directories `staging` and `partials` are open.
///
/// # Errors
///
/// Where a file cannot be made, written and moved from one to the other by any way. A disk that is full is no
/// error: what is known of file systems of its kind is taken then.
pub(crate) fn probe(
    disk: &Disk,
    staging: BorrowedFd<'_>,
    partials: BorrowedFd<'_>,
) -> Result<Capabilities> {
    // A probe that was killed.
    remove(staging, PROBE);
    remove(partials, RENAMED);
    let probed = probe_names_and_attributes(disk, staging, partials);
    remove(staging, PROBE);
    remove(partials, RENAMED);
    match probed {
        // The inbox has to start, or nobody makes room in it.
        Err(Errno::NOSPC | Errno::DQUOT) => Ok(assumed(disk, &rustix::fs::fstatfs(staging)?)),
        probed => probed,
    }
}

/// What is taken of a file system of this kind where nothing can be tried.
fn assumed(disk: &Disk, kind: &StatFs) -> Capabilities {
    // Those that make inode numbers up are also those that may fold case: then names are looked at one by one.
    let is_plain = are_inodes_stable(kind);
    Capabilities {
        free_name: FreeName::default(),
        attributes_stable: disk.keeps_attributes() && is_plain,
        times_exact: is_plain,
        names_folded: !is_plain,
        names_kept: true,
        names_restricted: !is_plain,
        part_bytes_max: part_bytes_max(kind),
    }
}

fn probe_names_and_attributes(
    disk: &Disk,
    staging: BorrowedFd<'_>,
    partials: BorrowedFd<'_>,
) -> Result<Capabilities> {
    let file = create(staging, PROBE)?;
    rustix::io::pwrite(&file, b"probe", 0)?;
    let timed =
        rustix::fs::futimens(&file, &Timestamps { last_access: TIME, last_modification: TIME });
    let before = rustix::fs::fstat(&file)?;
    drop(file);
    let free_name =
        disk.take_free_name(FreeName::default(), (staging, PROBE), (partials, RENAMED))?;
    let after = stat(partials, RENAMED)?;
    let names_folded = stat(partials, FOLDED).is_ok();
    let names_kept = has_exactly(partials, RENAMED)?;
    let names_restricted = disk.try_name(staging, FORBIDDEN).is_err();
    let kind = rustix::fs::fstatfs(staging)?;
    Ok(Capabilities {
        free_name,
        attributes_stable: disk.keeps_attributes()
            && are_inodes_stable(&kind)
            && identity(&before) == identity(&after),
        times_exact: timed.is_ok() && identity(&before).1 == (TIME.tv_sec, TIME.tv_nsec),
        names_folded,
        names_kept,
        names_restricted,
        part_bytes_max: part_bytes_max(&kind),
    })
}

/// Whether files on a file system of this kind keep their inode numbers while nobody has them open. Many that
/// have none on the disk make them up for as long as a file is in the cache: the FAT family, and what is
/// reached by a protocol that does not say them. Of file systems in user space nobody knows.
pub(crate) fn are_inodes_stable(kind: &StatFs) -> bool {
    // From linux/magic.h and the file systems' own headers.
    const FUSE: u32 = 0x6573_5546;
    const FAT: u32 = 0x0000_4d44;
    const EXFAT: u32 = 0x2011_bab0;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const SMB: u32 = 0x0000_517b;
    const PLAN_9: u32 = 0x0102_1997;
    // The type of the field differs between targets; the number has 32 bits on all of them.
    let kind = kind.f_type as u32;
    ![FUSE, FAT, EXFAT, CIFS, SMB2, SMB, PLAN_9].contains(&kind)
}

fn part_bytes_max(kind: &StatFs) -> usize {
    match usize::try_from(kind.f_namelen) {
        // Not told.
        Ok(0) | Err(_) => usize::MAX,
        Ok(bytes) => bytes,
    }
}

#[allow(clippy::useless_conversion, reason = "the types of the fields differ between targets")]
fn identity(stat: &Stat) -> (u64, (i64, i64)) {
    (stat.st_ino, (i64::from(stat.st_mtime), stat.st_mtime_nsec as i64))
}

fn create(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
}

fn stat(dir: BorrowedFd<'_>, name: &str) -> Result<Stat> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn remove(dir: BorrowedFd<'_>, name: &str) {
    // It may not be there.
    let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
}

/// The directories beneath `dir` where something is mounted, from it on, by what `/proc` tells; empty where it
/// tells nothing.
pub(crate) fn mounts(dir: &Path) -> Vec<PathBuf> {
    let (Ok(dir), Ok(table)) = (dir.canonicalize(), std::fs::read("/proc/self/mountinfo")) else {
        return Vec::new();
    };
    mounts_in(&table, &dir)
}

/// The same, of the text of `/proc/self/mountinfo`: see proc_pid_mountinfo(5).
pub(super) fn mounts_in(table: &[u8], dir: &Path) -> Vec<PathBuf> {
    let points = table.split(|&byte| byte == b'\n').filter_map(|line| {
        let point = line.split(|&byte| byte == b' ').nth(4)?;
        let beneath = PathBuf::from(unescaped(point)).strip_prefix(dir).ok()?.to_path_buf();
        let is_ours = beneath.as_os_str().is_empty()
            || beneath.components().next().is_some_and(|first| first.as_os_str() == RESERVED_NAME);
        (!is_ours).then_some(beneath)
    });
    // One over the other is one place.
    points.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Without the octal escapes of space, tab, line end and backslash.
fn unescaped(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[3..];
            }
            None => {
                plain.push(first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(plain)
}

/// Whether `directory` has an entry that is called exactly `name`, and not only one that a look-up takes for it.
pub(crate) fn has_exactly(directory: impl AsFd, name: &str) -> Result<bool> {
    for entry in rustix::fs::Dir::read_from(directory)? {
        if OsStr::from_bytes(entry?.file_name().to_bytes()) == OsStr::new(name) {
            return Ok(true);
        }
    }
    Ok(false)
}
