//! A copy of a file in its directory.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::fs::{FileType, Timespec};
use rustix::io::Errno;
use sandport_protocol::{EntryName, RESERVED_NAME, Refusal, RefusalCode};

use super::notes::Note;
use crate::Core;
use crate::disk::{Publish, Step};
use crate::receipts::{self, Record};
use crate::stage::StagedFile;
use crate::tree::{self, Directory};

/// How a file comes to its directory.
#[derive(Default)]
pub(crate) enum Way {
    /// It is renamed, as far as is known.
    #[default]
    Move,
    /// It has to be copied there first.
    Copy,
    /// It was.
    Copied(Box<Copy>),
}

/// A copy of a staged file in the directory that the file is for. Dropping it has it removed, unless it was published.
pub(crate) struct Copy {
    core: Arc<Core>,
    directory: Arc<OwnedFd>,
    record: Record,
    note: Option<Note>,
    published: bool,
    /// All copies in a directory have the same name. Taken when it is dropped.
    in_use: Option<Sender<Infallible>>,
}

impl Copy {
    /// Makes it, of a file that is to be called so. `in_use` is dropped when the next copy may begin.
    ///
    /// # Errors
    /// `io` and the like; `other`: something is in the way.
    pub(super) fn make(
        core: &Arc<Core>,
        (name, staged, record): (&EntryName, &StagedFile, Record),
        directory: Arc<OwnedFd>,
        in_use: Sender<Infallible>,
    ) -> Result<Self, Refusal> {
        make_way(core, &directory)?;
        let note = name.parent().and_then(|parent| Note::leave(core, parent));
        let mut copy = Self {
            core: Arc::clone(core),
            directory,
            record,
            note,
            published: false,
            in_use: Some(in_use),
        };
        let failed = |errno| core.refusal("copy a file to where it belongs", errno);
        let target = core.disk.create(&copy.directory, RESERVED_NAME).map_err(failed)?;
        copy.record = copy.fill(&File::from(target), staged).map_err(failed)?;
        Ok(copy)
    }

    fn fill(&self, target: &File, staged: &StagedFile) -> rustix::io::Result<Record> {
        let source = File::from(staged.reader()?);
        if self.core.disk.copy(&source, target)? != self.record.size {
            return Err(Errno::IO);
        }
        let of = rustix::fs::fstat(&source)?;
        let time = Timespec { tv_sec: of.st_mtime, tv_nsec: of.st_mtime_nsec as _ };
        let executable = of.st_mode & 0o100 != 0;
        let stat = self.core.give_attributes(target.as_fd(), Some(time), executable)?;
        if self.core.options.durability.syncs_commits() {
            self.core.disk.sync(Step::SyncFile, target)?;
        }
        Ok(receipts::describe(self.record.digest, &stat))
    }

    pub(super) fn record(&self) -> Record {
        self.record
    }

    /// Whether it is in this directory, and not in one that was in its place before.
    pub(super) fn is_in(&self, directory: &Directory<'_>) -> bool {
        let inode = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        let (own, other) = (rustix::fs::fstat(&self.directory), rustix::fs::fstat(directory));
        matches!((own, other), (Ok(own), Ok(other)) if inode(own) == inode(other))
    }

    /// Gives it its name.
    pub(super) fn publish(&mut self, how: Publish, leaf: &str) -> rustix::io::Result<()> {
        self.core.disk.publish_within(how, &self.directory, RESERVED_NAME, leaf)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let (core, directory) = (Arc::clone(&self.core), Arc::clone(&self.directory));
        let (note, published, in_use) = (self.note.take(), self.published, self.in_use.take());
        self.core.remove_later(move || {
            let removed = match published {
                true => Ok(()),
                false => core.disk.remove(&directory, RESERVED_NAME),
            };
            match (removed, note) {
                (Ok(()) | Err(Errno::NOENT), Some(note)) => note.remove(&core),
                (Ok(()) | Err(Errno::NOENT), None) => {}
                // The note stays too: the next start tries again.
                (Err(errno), _) => {
                    tracing::warn!(error = %errno, "could not remove the copy of a staged file");
                }
            }
            drop(in_use);
        });
    }
}

/// Removes what a crash left. A directory is not ours: the inbox itself has one of this name, and somebody may have
/// served the directory for itself.
fn make_way(core: &Core, directory: &Arc<OwnedFd>) -> Result<(), Refusal> {
    let there =
        tree::look(directory, RESERVED_NAME).map_err(|obstacle| core.refusal_of_path(obstacle))?;
    match there.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        None => Ok(()),
        Some(FileType::RegularFile) => core
            .disk
            .remove(directory, RESERVED_NAME)
            .map_err(|errno| core.refusal("remove an old copy", errno)),
        Some(_) => Err(not_ours()),
    }
}

/// Says that something is in the way of a copy, or would be of the inbox.
pub(super) fn not_ours() -> Refusal {
    let words = format!(
        "files can only be copied into the directory, which has a {RESERVED_NAME} of its own"
    );
    Refusal::new(RefusalCode::Other, words)
}
