//! Files that a run which was killed was still to publish: they lie where they were staged, or copied. A record of one
//! of them speaks of a file that nobody has got a receipt for.

use std::collections::HashSet;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Stat};
use sandport_protocol::inbox::Record;

use super::recognition::Seen;

/// How such files look.
#[derive(Debug, Default)]
pub(super) struct Unpublished(HashSet<Looks>);

/// Inode, bytes, and modification time.
type Looks = (u64, u64, (i64, u32));

fn looks(record: &Record) -> Looks {
    (record.inode, record.size, record.modified)
}

impl Unpublished {
    /// Adds the files in a directory. What cannot be looked at is left out: then its record stays.
    pub(super) fn add(&mut self, directory: impl AsFd) {
        let Ok(entries) = rustix::fs::Dir::read_from(&directory) else { return };
        for entry in entries.filter_map(Result::ok) {
            let stat = rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            if let Ok(stat) = stat
                && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            {
                self.add_file(&stat);
            }
        }
    }

    /// Adds the file with this status.
    pub(super) fn add_file(&mut self, stat: &Stat) {
        self.0.insert(looks(&Seen::from(stat).record([0; 32])));
    }

    /// Whether it is one of them that `record` describes.
    pub(super) fn has(&self, record: &Record) -> bool {
        self.0.contains(&looks(record))
    }
}
