//! Whether a file still is the one that was stored: one rule for offers, owners, quotas and `ls`.
//!
//! A record has size, inode number and modification time. Where all three are as they were, nobody has changed
//! the file. Where they are not, on most file systems somebody has. On those that change the two latter by
//! themselves ([`are_inodes_stable`](super::capabilities::are_inodes_stable)) only the content tells.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FileType, Stat};
use sandport_protocol::inbox::Record;

use super::capabilities::are_inodes_stable;

/// How a file compares with the record of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is that file.
    Same,
    /// It is not, or is not as it was.
    Different,
    /// It may be: its content tells.
    Unclear,
}

/// The file system of an inbox, as far as it matters to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recognition {
    /// `None`: on no file system is relied on inode numbers and times.
    stable_device: Option<u64>,
}

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    device: u64,
    is_file: bool,
    size: u64,
    inode: u64,
    modified: (i64, u32),
}

impl Recognition {
    /// For the inbox in the directory `root`; `stable`: what was found out at the start, where that was done.
    pub(super) fn of(root: impl AsFd, stable: Option<bool>) -> Self {
        let by_kind = || rustix::fs::fstatfs(&root).is_ok_and(|kind| are_inodes_stable(&kind));
        let device = || rustix::fs::fstat(&root).ok().map(|stat| Seen::from(&stat).device);
        Self { stable_device: stable.unwrap_or_else(by_kind).then(device).flatten() }
    }

    /// How a file compares with a record. What is mounted somewhere in the inbox may be of any kind.
    pub(super) fn compare(self, record: &Record, seen: &Seen) -> Likeness {
        if !seen.is_file || record.size != seen.size {
            return Likeness::Different;
        }
        match (record.inode, record.modified) == (seen.inode, seen.modified) {
            true => Likeness::Same,
            false if self.stable_device == Some(seen.device) => Likeness::Different,
            false => Likeness::Unclear,
        }
    }

    /// Whether the file is the one of the record, as far as can be told without reading it.
    pub(super) fn is_of(self, record: &Record, seen: &Seen) -> bool {
        self.compare(record, seen) != Likeness::Different
    }
}

impl Seen {
    /// The record of a file of which this is known, with this content.
    pub(super) fn record(&self, digest: [u8; 32]) -> Record {
        Record { digest, size: self.size, inode: self.inode, modified: self.modified }
    }
}

impl From<&Stat> for Seen {
    #[allow(clippy::useless_conversion, reason = "the types of the fields differ between targets")]
    fn from(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev.into(),
            is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            inode: stat.st_ino,
            modified: (i64::from(stat.st_mtime), u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        }
    }
}

impl From<&std::fs::Metadata> for Seen {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            is_file: metadata.is_file(),
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record { digest: [7; 32], size: 5, inode: 11, modified: (100, 9) };
    const AS_STORED: Seen =
        Seen { device: 1, is_file: true, size: 5, inode: 11, modified: (100, 9) };

    #[test]
    fn a_file_as_it_was_stored_is_the_same_everywhere() {
        for stable_device in [None, Some(1), Some(2)] {
            let likeness = Recognition { stable_device }.compare(&RECORD, &AS_STORED);
            assert_eq!(likeness, Likeness::Same);
        }
    }

    #[test]
    fn inode_and_time_tell_files_apart_only_where_they_are_stable() {
        let changed = [
            Seen { inode: 12, ..AS_STORED },
            Seen { modified: (100, 8), ..AS_STORED },
            Seen { inode: 12, modified: (99, 9), ..AS_STORED },
        ];
        for seen in changed {
            let likeness = |stable_device| Recognition { stable_device }.compare(&RECORD, &seen);
            assert_eq!(likeness(Some(1)), Likeness::Different, "{seen:?}");
            assert_eq!(likeness(Some(2)), Likeness::Unclear, "{seen:?}, on another file system");
            assert_eq!(likeness(None), Likeness::Unclear, "{seen:?}");
        }
    }

    #[test]
    fn another_size_or_kind_is_another_file() {
        for seen in [Seen { size: 6, ..AS_STORED }, Seen { is_file: false, ..AS_STORED }] {
            let recognition = Recognition { stable_device: None };
            assert_eq!(recognition.compare(&RECORD, &seen), Likeness::Different);
            assert!(!recognition.is_of(&RECORD, &seen));
        }
    }
}
