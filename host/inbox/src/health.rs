//! Whether the inbox as a whole can go on: it may have been removed, unmounted or made read-only under the
//! server, and a thread of it may have panicked. That is the matter of the operator, said once, and not of each file
//! that meets it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use sandport_protocol::Refusal;
use sandport_protocol::inbox::{Failure, no_directory};

use super::error::{Subject, failure};
use super::layout::Layout;
use super::loss::Loss;
use super::tree::{self, Obstacle};
use super::{Core, Inbox, InboxError};

/// How often somebody looks whether an inbox is still there that nobody sends anything to. It costs a dozen
/// system calls.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The name of a file in staging that is made to see whether one can be. No staged file is called so, and what
/// a crash leaves of it goes with them.
const PROBE: &str = "probe";

impl Core {
    /// What a sender is told where the inbox could not `doing`. If that is because of the inbox as a whole, it
    /// is lost from then on.
    pub(super) fn refusal(&self, doing: &'static str, errno: Errno) -> Refusal {
        self.refuse(doing, errno, Subject::Content)
    }

    /// The same, where the system call was about a name that the sender chose.
    pub(super) fn refusal_of_name(&self, doing: &'static str, errno: Errno) -> Refusal {
        self.refuse(doing, errno, Subject::Name)
    }

    /// The same, where there is no directory to be had.
    pub(super) fn refusal_of_path(&self, obstacle: Obstacle) -> Refusal {
        match obstacle {
            Obstacle::InTheWay => no_directory(),
            Obstacle::Failed(errno) => self.refusal_of_name("open a directory", errno),
            Obstacle::Refused(refusal) => refusal,
        }
    }

    fn refuse(&self, doing: &'static str, errno: Errno, subject: Subject) -> Refusal {
        let mut failure = failure(errno, subject);
        if failure == Failure::Full && self.has_no_inodes() {
            failure = Failure::NoInodes;
        }
        if failure.may_concern_the_inbox() {
            if let Some(loss) = self.examine() {
                return loss.refusal();
            }
            if failure == Failure::Gone {
                // Something in it is, which somebody has removed just now.
                failure = Failure::Other;
            }
        }
        tracing::debug!(doing, error = %errno, "the inbox failed");
        failure.refusal(doing, &errno)
    }

    /// Why the inbox cannot go on, as far as that is known.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss.get().copied()
    }

    /// Looks whether the inbox can go on, where something failed: it tries to make a file too. Once it is lost, it
    /// stays so.
    pub(super) fn examine(&self) -> Option<Loss> {
        self.lose_if(|layout| look(layout).or_else(|| probe(&layout.staging)))
    }

    /// The same without writing anything, so that a disk that nobody uses may rest.
    fn look(&self) -> Option<Loss> {
        self.lose_if(look)
    }

    fn lose_if(&self, look: impl FnOnce(&Layout) -> Option<Loss>) -> Option<Loss> {
        if self.loss.get().is_none()
            && let Some(loss) = look(&self.layout)
        {
            // The first one found stays.
            let _ = self.loss.set(loss);
        }
        self.loss()
    }

    fn has_no_inodes(&self) -> bool {
        // A file system that makes inodes as it needs them says that it has none at all.
        rustix::fs::fstatvfs(&self.layout.staging)
            .is_ok_and(|space| space.f_files > 0 && space.f_favail == 0)
    }
}

impl Inbox {
    /// Why the inbox cannot go on: it was removed or unmounted, it cannot be written any more, or a thread of it
    /// has panicked. `None`: it can, as far as is known. From then on every offer is refused.
    pub fn loss(&self) -> Option<InboxError> {
        let core = &self.handle.core;
        core.loss().map(|loss| loss.error(&core.dir))
    }

    /// Returns when the inbox is lost, also where nobody sends anything. To be called in a tokio runtime with
    /// time.
    pub async fn lost(&self) -> InboxError {
        let core = &self.handle.core;
        loop {
            if let Some(loss) = core.loss() {
                return loss.error(&core.dir);
            }
            let waited = tokio::time::timeout(LOOK_INTERVAL, core.loss.wait()).await;
            if waited.is_err() {
                let (told, looked) = tokio::sync::oneshot::channel();
                let core = Arc::clone(core);
                // A file system over a network may take its time. A thread that the system does not give, or that
                // panics, drops `told`: the next look tells.
                let look = move || {
                    let _ = told.send(core.look());
                };
                let _ = std::thread::Builder::new().name("sandport-look".to_owned()).spawn(look);
                let _ = looked.await;
            }
        }
    }

    /// Refuses what a lost inbox cannot take.
    pub(super) fn check_health(&self) -> Result<(), Refusal> {
        self.handle.core.loss().map_or(Ok(()), |loss| Err(loss.refusal()))
    }

    /// Whether `refusal` says no more than that the inbox is lost.
    pub(crate) fn is_of_loss(&self, refusal: &Refusal) -> bool {
        self.handle.core.loss().is_some_and(|loss| loss.refusal() == *refusal)
    }
}

fn look(layout: &Layout) -> Option<Loss> {
    let directories = [&layout.root, &layout.state, &layout.staging, &layout.partials];
    directories.into_iter().find_map(look_at)
}

fn look_at(directory: &OwnedFd) -> Option<Loss> {
    let stat = match rustix::fs::fstat(directory) {
        Ok(stat) => stat,
        Err(errno) => return loss_of(errno),
    };
    // Without /proc there is the count of links, which some file systems do not keep.
    if is_detached(directory, stat.st_dev).unwrap_or(stat.st_nlink == 0) {
        return Some(Loss::Gone);
    }
    if let Ok(space) = rustix::fs::fstatvfs(directory)
        && space.f_flag.contains(StatVfsMountFlags::RDONLY)
    {
        return Some(Loss::Closed(Errno::ROFS));
    }
    tree::may_write(directory).err().and_then(loss_of)
}

/// Whether no path leads to a directory any more: it was removed, its file system was unmounted lazily, or another
/// one was mounted over it. Inode numbers are not compared: over a network some change by themselves. `None`: there
/// is no telling.
fn is_detached(directory: impl AsFd, device: u64) -> Option<bool> {
    let link = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    let path = std::fs::read_link(link).ok()?;
    match rustix::fs::lstat(&path) {
        Ok(stat) => Some(stat.st_dev != device),
        Err(Errno::NOENT | Errno::NOTDIR) => Some(true),
        Err(_) => None,
    }
}

/// Tries what each upload needs. What the mode and the mount allow, an attribute of the directory may not.
fn probe(staging: impl AsFd) -> Option<Loss> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&staging, PROBE, flags, Mode::from_raw_mode(0o600));
    // Also one that an earlier look left. Where it cannot be removed, the next start does it.
    let _ = rustix::fs::unlinkat(&staging, PROBE, AtFlags::empty());
    made.err().and_then(loss_of)
}

/// What the failure of a call that every upload needs comes to; `None`: it may pass.
fn loss_of(errno: Errno) -> Option<Loss> {
    match failure(errno, Subject::Content) {
        Failure::Gone => Some(Loss::Gone),
        Failure::ReadOnly | Failure::NotPermitted => Some(Loss::Closed(errno)),
        _ => None,
    }
}
