//! Files that cannot be moved to their directory, only copied: it is on another file system, another mount or
//! subvolume, counts for another project of the system's quotas, or gives its files what this user cannot.
//!
//! A batch that meets such a file hands it out as an [`Uncopied`]. A thread that nobody else waits for makes the
//! copy ([`copiers`](crate::copiers)), and the file comes back into a later batch, in which it is renamed.
//!
//! The copy is made in the directory of the file, under [`RESERVED_NAME`], which no sender can give to a file. It
//! is durable before it is written down, and then gets its name as staged files do; the staged file goes after
//! that. A [note](super::notes) in staging says where the copy is, so that the next start removes one that a crash
//! left.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::fs::{FileType, Timespec};
use rustix::io::Errno;
use sandport_protocol::{RESERVED_NAME, Refusal, RefusalCode};

use super::FileWork;
use super::content::sync_files;
use super::job::{Job, Work};
use super::notes::Note;
use crate::Core;
use crate::disk::{Publish, Step};
use crate::receipts::{self, Record};
use crate::ticket::Ticket;
use crate::tree::{self, Folder};

/// Most copies that are made of one file. Another one is due where somebody replaces the directory before the file
/// has its name; whoever does so again and again does it on purpose.
const COPIES_MAX: u32 = 3;

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

/// A file that is to be copied into its directory, and whoever waits for it.
pub(crate) struct Uncopied {
    file: FileWork,
    ticket: Ticket,
    directory: Arc<OwnedFd>,
}

impl Uncopied {
    /// # Errors
    ///
    /// The answer for the file: no copy of it is to be made.
    pub(super) fn target(file: &FileWork, folder: &Folder<'_>) -> Result<Arc<OwnedFd>, Refusal> {
        if file.copies == COPIES_MAX {
            let words = "the folder of the file was replaced again and again";
            return Err(Refusal::new(RefusalCode::Io, words));
        }
        match folder {
            Folder::Below(directory) => Ok(Arc::clone(directory)),
            Folder::Root(_) => Err(not_ours()),
        }
    }

    pub(super) fn new(file: FileWork, ticket: Ticket, directory: Arc<OwnedFd>) -> Self {
        Self { file, ticket, directory }
    }

    /// Has another one told who waits for the same file.
    pub(super) fn also_tell(&mut self, ticket: Ticket) {
        self.ticket.join(ticket);
    }

    /// The device that it is to be copied to; 0: that cannot be told.
    pub(crate) fn device(&self) -> u64 {
        rustix::fs::fstat(&self.directory).map_or(0, |stat| stat.st_dev)
    }

    /// Makes the copy, durably where that is promised: the job that is left then. Where it fails, whoever waits is
    /// told. `in_use` is dropped when the next copy may begin.
    pub(crate) fn copy(self, core: &Arc<Core>, in_use: Sender<Infallible>) -> Option<Job> {
        let Self { mut file, ticket, directory } = self;
        let copied =
            copyable(core, &mut file).and_then(|()| Copy::make(core, &file, directory, in_use));
        match copied {
            Ok(copy) => {
                file.record = copy.record;
                file.copies += 1;
                file.way = Way::Copied(Box::new(copy));
                Some(Job { work: Work::File(file), ticket })
            }
            Err(refusal) => {
                // First, so that whoever is told can resume it.
                drop(file);
                ticket.resolve(Err(refusal));
                None
            }
        }
    }

    /// Says why it is not copied.
    pub(crate) fn refuse(self, refusal: Refusal) {
        drop(self.file);
        self.ticket.resolve(Err(refusal));
    }
}

/// Makes sure that what is copied is what was written, where durability is promised: after a failed write, the system
/// may give back what was there before, and only a sync tells.
fn copyable(core: &Core, file: &mut FileWork) -> Result<(), Refusal> {
    if !core.options.durability.syncs_commits() || file.is_synced {
        return Ok(());
    }
    sync_files(core, vec![file]).pop().unwrap_or(Ok(()))
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
    fn make(
        core: &Arc<Core>,
        file: &FileWork,
        directory: Arc<OwnedFd>,
        in_use: Sender<Infallible>,
    ) -> Result<Self, Refusal> {
        make_way(core, &directory)?;
        let note = file.name.parent().and_then(|parent| Note::leave(core, parent));
        let mut copy = Self {
            core: Arc::clone(core),
            directory,
            record: file.record,
            note,
            published: false,
            in_use: Some(in_use),
        };
        let failed = |errno| core.refusal("copy a file to where it belongs", errno);
        let target = core.disk.create(&copy.directory, RESERVED_NAME).map_err(failed)?;
        copy.record = copy.fill(&File::from(target), file).map_err(failed)?;
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

    /// Whether it is in this directory, and not in one that was in its place before.
    pub(super) fn is_in(&self, folder: &Folder<'_>) -> bool {
        let inode = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        let (own, other) = (rustix::fs::fstat(&self.directory), rustix::fs::fstat(folder));
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

fn not_ours() -> Refusal {
    let words =
        format!("files can only be copied into the folder, which has a {RESERVED_NAME} of its own");
    Refusal::new(RefusalCode::Other, words)
}
