//! Giving a staged file its name, by whatever the file system can do.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::PoisonError;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::free_name::FreeName;
use super::{Disk, Step};

/// How a file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Only if the name is free.
    NoReplace,
    /// Also in place of a file or a symbolic link.
    Replace,
}

/// A name in a directory.
pub(crate) type Place<'a> = (BorrowedFd<'a>, &'a str);

impl Disk {
    /// Moves a staged file to its name, in one step as seen from outside.
    ///
    /// # Errors
    ///
    /// `EXIST`, where the name is taken and is not to be replaced; `ISDIR`, where a directory would have
    /// to be replaced; `XDEV`, where the file cannot be moved there, only copied.
    pub(crate) fn publish(
        &self,
        how: Publish,
        from: (impl AsFd, &str),
        to: (impl AsFd, &str),
    ) -> Result<()> {
        self.step(Step::Publish)?;
        let (from, to) = ((from.0.as_fd(), from.1), (to.0.as_fd(), to.1));
        match how {
            Publish::Replace => self.rename(from, to),
            Publish::NoReplace => self.take_free_name(self.free_name(), from, to).map(drop),
        }
    }

    /// The same within a directory that may be on a file system of its own.
    pub(crate) fn publish_within(
        &self,
        how: Publish,
        dir: impl AsFd,
        from: &str,
        to: &str,
    ) -> Result<()> {
        self.step(Step::Publish)?;
        let (from, to) = ((dir.as_fd(), from), (dir.as_fd(), to));
        match how {
            Publish::Replace => self.rename(from, to),
            Publish::NoReplace => self.take_free_name(FreeName::default(), from, to).map(drop),
        }
    }

    /// The way that works on the file system of the inbox.
    pub(crate) fn free_name(&self) -> FreeName {
        self.free_name.get().copied().unwrap_or_default()
    }

    /// Uses this way from now on, unless one was set before.
    pub(crate) fn set_free_name(&self, way: FreeName) {
        let _ = self.free_name.set(way);
    }

    /// Moves a file to a name that is free, by the best way from `first` on that the file system knows;
    /// which it was.
    ///
    /// # Errors
    ///
    /// `EXIST`, where the name is taken; that of the last way, where none works, as for a name that the
    /// file system does not take.
    pub(crate) fn take_free_name(
        &self,
        first: FreeName,
        from: Place<'_>,
        to: Place<'_>,
    ) -> Result<FreeName> {
        if first == FreeName::Rename {
            match self.rename_no_replace(from, to) {
                // The file system, or the kernel, does not know the flag; or it does not take the name.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                renamed => return renamed.map(|()| FreeName::Rename),
            }
        }
        if first != FreeName::Look {
            match self.link(from, to) {
                // No links; or, once more, not this name.
                Err(Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                Ok(()) => {
                    rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())?;
                    return Ok(FreeName::Link);
                }
                Err(errno) => return Err(errno),
            }
        }
        // One at a time, so that the inbox at least does not replace its own.
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        match rustix::fs::statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => self.rename(from, to).map(|()| FreeName::Look),
            Err(errno) => Err(errno),
        }
    }

    /// Whether the file system takes a name: makes a file of it in `dir`, and removes it again.
    pub(crate) fn try_name(&self, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = self
            .quirk(Call::Create, (dir, name), (dir, name))
            .and_then(|()| rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)));
        match made {
            // Another connection tries the same name.
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
            // It may be gone by now, for the same reason.
            Ok(_) => match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno),
            },
        }
    }

    fn rename_no_replace(&self, from: Place<'_>, to: Place<'_>) -> Result<()> {
        self.quirk(Call::RenameNoReplace, from, to)?;
        rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE)
    }

    fn link(&self, from: Place<'_>, to: Place<'_>) -> Result<()> {
        self.quirk(Call::Link, from, to)?;
        rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())
    }

    fn rename(&self, from: Place<'_>, to: Place<'_>) -> Result<()> {
        self.quirk(Call::Rename, from, to)?;
        rustix::fs::renameat(from.0, from.1, to.0, to.1)
    }

    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests put a probe here")]
    pub(super) fn quirk(&self, _: Call, _: Place<'_>, _: Place<'_>) -> Result<()> {
        Ok(())
    }
}

/// A system call that gives a file a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    RenameNoReplace,
    Link,
    Rename,
}
