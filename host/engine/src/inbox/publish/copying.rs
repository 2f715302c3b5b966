//! Files that cannot be moved to their folder, only copied: it is on another file system, another mount or
//! subvolume, or counts for another project of the system's quotas.
//!
//! The copy is made in that folder, under [`RESERVED_NAME`], which no sender can give to a file. It is made
//! durable there like any other content, then written down, and gets its name as staged files do; the staged
//! file goes after that. A crash leaves the copy, which the next one in the folder replaces, and nothing else.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{MutexGuard, PoisonError};

use rustix::fs::{FileType, Timespec};
use rustix::io::Errno;
use sandport_protocol::{RESERVED_NAME, Refusal, RefusalCode};

use super::FileWork;
use crate::inbox::Core;
use crate::inbox::disk::{Publish, Step};
use crate::inbox::receipts::{self, Record};
use crate::inbox::tree::{self, Folder};

/// A copy of a staged file in the folder that the file is for. Dropping it removes it, unless it was published.
pub(super) struct Copy<'a> {
    core: &'a Core,
    folder: &'a Folder<'a>,
    record: Record,
    published: bool,
    /// There is one at a time, since all have the same name.
    _alone: MutexGuard<'a, ()>,
}

impl<'a> Copy<'a> {
    /// Copies what `file` has staged into `folder`, durably where that is promised.
    pub(super) fn make(
        core: &'a Core,
        file: &FileWork,
        folder: &'a Folder<'a>,
    ) -> Result<Self, Refusal> {
        let alone = core.copying.lock().unwrap_or_else(PoisonError::into_inner);
        make_way(core, folder)?;
        let failed = |errno| core.refusal("copy a file to where it belongs", errno);
        let target = File::from(core.disk.create(folder, RESERVED_NAME).map_err(failed)?);
        let mut copy = Self { core, folder, record: file.record, published: false, _alone: alone };
        copy.record = copy.fill(&target, file).map_err(failed)?;
        Ok(copy)
    }

    fn fill(&self, target: &File, file: &FileWork) -> rustix::io::Result<Record> {
        let source = File::from(file.staged.reader()?);
        if self.core.disk.copy(&source, target)? != file.record.size {
            return Err(Errno::IO);
        }
        let of = rustix::fs::fstat(&source)?;
        let time = Timespec { tv_sec: of.st_mtime, tv_nsec: of.st_mtime_nsec as _ };
        let executable = of.st_mode & 0o100 != 0;
        let stat = self.core.give_attributes(target.as_fd(), Some(time), executable)?;
        if self.core.options.durability.syncs_commits() {
            self.core.disk.sync(Step::SyncFile, target)?;
        }
        Ok(receipts::describe(file.record.digest, &stat))
    }

    /// What there is to write down of it.
    pub(super) fn record(&self) -> Record {
        self.record
    }

    /// Gives it its name.
    pub(super) fn publish(mut self, how: Publish, leaf: &str) -> rustix::io::Result<()> {
        self.core.disk.publish_within(how, self.folder, RESERVED_NAME, leaf)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if !self.published
            && let Err(errno) = self.core.disk.remove(self.folder, RESERVED_NAME)
        {
            tracing::warn!(error = %errno, "could not remove the copy of a staged file");
        }
    }
}

/// Removes what a crash left. A folder is not ours: the inbox itself has one of this name, and somebody may have
/// served the folder for itself.
fn make_way(core: &Core, folder: &Folder<'_>) -> Result<(), Refusal> {
    let there =
        tree::look(folder, RESERVED_NAME).map_err(|obstacle| core.refusal_of_path(obstacle))?;
    match there.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        None => Ok(()),
        Some(FileType::RegularFile) => core
            .disk
            .remove(folder, RESERVED_NAME)
            .map_err(|errno| core.refusal("remove an old copy", errno)),
        Some(_) => {
            let words = format!(
                "the folder is on another file system than the inbox, and has a {RESERVED_NAME} of its own"
            );
            Err(Refusal::new(RefusalCode::Other, words))
        }
    }
}
