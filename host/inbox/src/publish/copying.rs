//! Files that cannot be moved to their directory, only copied: it is on another file system, another mount or
//! subvolume, counts for another project of the system's quotas, or gives its files what this user cannot.
//!
//! A batch that meets such a file hands it out as an [`Uncopied`]. A thread that nobody else waits for makes the
//! copy ([`copiers`](crate::copiers)), and the file comes back into a later batch, in which it is renamed.
//!
//! The copy is made in the directory of the file, under [`RESERVED_NAME`](sandport_protocol::RESERVED_NAME), which no
//! sender can give to a file. It is durable before it is written down, and then gets its name as staged files do; the
//! staged file goes after that. A [note](crate::notes) in staging says where the copy is, so that the next start
//! removes one that a crash left.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use sandport_protocol::{Refusal, RefusalCode};

use super::content::sync_files;
use super::copy::{Copy, Way, not_ours};
use super::file::FileWork;
use super::job::{Job, Work};
use crate::Core;
use crate::completion::Completer;
use crate::tree::Directory;

/// Most copies that are made of one file. Another one is due where somebody replaces the directory before the file
/// has its name; whoever does so again and again does it on purpose.
const COPIES_MAX: u32 = 3;

/// A file that is to be copied into its directory, and whoever waits for it.
pub(crate) struct Uncopied {
    file: Box<FileWork>,
    completer: Completer,
    directory: Arc<OwnedFd>,
}

impl Uncopied {
    /// # Errors
    ///
    /// The answer for the file: no copy of it is to be made.
    pub(super) fn target(
        file: &FileWork,
        directory: &Directory<'_>,
    ) -> Result<Arc<OwnedFd>, Refusal> {
        if file.copies == COPIES_MAX {
            let words = "the directory of the file was replaced again and again";
            return Err(Refusal::new(RefusalCode::Io, words));
        }
        match directory {
            Directory::Below(directory) => Ok(Arc::clone(directory)),
            Directory::Root(_) => Err(not_ours()),
        }
    }

    pub(super) fn new(file: Box<FileWork>, completer: Completer, directory: Arc<OwnedFd>) -> Self {
        Self { file, completer, directory }
    }

    /// Has another one told who waits for the same file.
    pub(super) fn also_tell(&mut self, completer: Completer) {
        self.completer.join(completer);
    }

    /// The device that it is to be copied to; 0: that cannot be told.
    pub(crate) fn device(&self) -> u64 {
        rustix::fs::fstat(&self.directory).map_or(0, |stat| stat.st_dev)
    }

    /// Makes the copy, durably where that is promised: the job that is left then. Where it fails, whoever waits is
    /// told. `in_use` is dropped when the next copy may begin.
    pub(crate) fn copy(self, core: &Arc<Core>, in_use: Sender<Infallible>) -> Option<Job> {
        let Self { mut file, completer, directory } = self;
        let copied = copyable(core, &mut file).and_then(|()| {
            let of = (&file.name, &file.staged, file.record);
            Copy::make(core, of, directory, in_use)
        });
        match copied {
            Ok(copy) => {
                file.record = copy.record();
                file.copies += 1;
                file.way = Way::Copied(Box::new(copy));
                Some(Job { work: Work::File(file), completer })
            }
            Err(refusal) => {
                // First, so that whoever is told can resume it.
                drop(file);
                completer.complete(Err(refusal));
                None
            }
        }
    }

    /// Says why it is not copied.
    pub(crate) fn refuse(self, refusal: Refusal) {
        drop(self.file);
        self.completer.complete(Err(refusal));
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
