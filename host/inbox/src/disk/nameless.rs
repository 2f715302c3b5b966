//! Files that have no name until they are whole.
//!
//! They are made in a directory but not under a name in it (`O_TMPFILE`), and get their name by a link. That
//! spares the directory two changes, and connections that would make them at the same moment wait for each other
//! less: measured at a quarter of the time that a small file spends in the kernel. One that was cut is
//! gone with its descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Result;

use super::naming::Call;
use super::{Disk, Step};

/// The name by which it is tried out, and for what has to have a name in staging first. No staged file is
/// called so: those have numbers.
const TRIAL: &str = "trial";

/// How the kernel lets a nameless file have its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By its descriptor: as of Linux 6.10 to whoever opened it, before only to the privileged.
    Descriptor,
    /// By the link to it that `/proc` has.
    Proc,
}

impl Naming {
    /// What works for files made in `dir`; `None`: the file system has no nameless files, or neither
    /// way does.
    pub(crate) fn of(dir: impl AsFd) -> Option<Self> {
        let dir = dir.as_fd();
        [Self::Descriptor, Self::Proc].into_iter().find(|naming| {
            let tried = create(dir).and_then(|file| naming.link(&file, dir, TRIAL));
            tried.and_then(|()| rustix::fs::unlinkat(dir, TRIAL, AtFlags::empty())).is_ok()
        })
    }

    fn link(self, file: &OwnedFd, to: impl AsFd, name: &str) -> Result<()> {
        match self {
            Self::Descriptor => rustix::fs::linkat(file, c"", to, name, AtFlags::EMPTY_PATH),
            Self::Proc => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                rustix::fs::linkat(CWD, path, to, name, AtFlags::SYMLINK_FOLLOW)
            }
        }
    }
}

impl Disk {
    /// Makes a file for writing without a name, on the file system of `dir`.
    pub(crate) fn create_nameless(&self, dir: impl AsFd) -> Result<OwnedFd> {
        self.step(Step::Create)?;
        create(dir)
    }

    /// Gives it a name, in one step as seen from outside.
    ///
    /// # Errors
    ///
    /// `EXIST`, where the name is taken; `XDEV`, where the file cannot be moved there, only copied.
    pub(crate) fn publish_nameless(
        &self,
        naming: Naming,
        file: &OwnedFd,
        to: (impl AsFd, &str),
    ) -> Result<()> {
        self.step(Step::Publish)?;
        self.quirk(Call::Link, (file.as_fd(), ""), (to.0.as_fd(), to.1))?;
        naming.link(file, to.0, to.1)
    }
}

fn create(dir: impl AsFd) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::from_raw_mode(0o666))
}
