//! The system calls that change the disk, in one place: tests watch their order and make them fail.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, OnceLock};

use rustix::fs::{Advice, AtFlags, FallocateFlags, Gid, Mode, OFlags, Timestamps, XattrFlags};
use rustix::io::{Errno, Result};

pub(super) use free_name::FreeName;
pub(super) use naming::Publish;

/// What a system call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Makes a staged file.
    Create,
    /// Writes content into a staged file.
    Write,
    /// Makes the content of one file durable.
    SyncFile,
    /// Makes everything on the file system durable.
    SyncAll,
    /// Makes a directory beneath the inbox.
    MakeDir,
    /// Appends to the receipt log.
    WriteLog,
    /// Makes the receipt log durable.
    SyncLog,
    /// Makes it durable that a file is the receipt log.
    SyncLogDir,
    /// Gives a staged file its name.
    Publish,
    /// Gives a file its modification time.
    SetTimes,
    /// Gives a file its group or its ACL.
    SetAccess,
    /// Makes the entries of a directory durable.
    SyncDir,
    /// Removes a staged file.
    Remove,
    /// Makes the data of a resumable upload durable, while it goes on.
    SyncPartial,
    /// Appends to the journal of one.
    WriteJournal,
    /// Makes its journal durable.
    SyncJournal,
    /// Reads its journal, or a part of its data.
    Read,
    /// Copies a staged file to where it cannot be moved.
    Copy,
    /// Cuts a file to a length.
    Cut,
    /// Writes the version of the layout.
    WriteLayout,
    /// Makes that durable, or the directories of a new inbox.
    SyncLayout,
}

/// The disk below an inbox.
#[derive(Default)]
pub(super) struct Disk {
    /// How the file system gives a name only if it is free; not set: as most do.
    free_name: OnceLock<FreeName>,
    /// Held by who looks whether a name is free and then takes it.
    looking: Mutex<()>,
    #[cfg(test)]
    probes: probes::Probes,
}

impl Disk {
    /// Makes a file for writing that did not exist.
    pub(super) fn create(&self, dir: impl AsFd, name: &str) -> Result<OwnedFd> {
        self.step(Step::Create)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // 0666 less the umask of the operator: what their own programs would make.
        rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666))
    }

    /// The same, for reading too.
    pub(super) fn create_readable(&self, dir: impl AsFd, name: &str) -> Result<OwnedFd> {
        self.step(Step::Create)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666))
    }

    /// The same, for this user alone and for writing.
    pub(super) fn create_private(&self, dir: impl AsFd, name: &str) -> Result<OwnedFd> {
        self.step(Step::Create)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// `IO`, where the file ends before.
    pub(super) fn read(
        &self,
        file: impl AsFd,
        mut bytes: &mut [u8],
        mut offset: u64,
    ) -> Result<()> {
        self.step(Step::Read)?;
        while !bytes.is_empty() {
            match rustix::io::pread(&file, &mut *bytes, offset) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => {
                    bytes = &mut bytes[count..];
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Takes room for the first `bytes` of a file, so that a disk that is full later takes them all the same. Where
    /// the file system cannot do that, or has no room, it is left.
    #[expect(clippy::unused_self, reason = "it is one of the calls that change the disk")]
    pub(super) fn take_room(&self, file: impl AsFd, bytes: u64) {
        let _ = rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes);
    }

    /// Lets the system forget what it holds of a file in memory, as far as it has written that: then it is read from
    /// the disk. Where it cannot do that, it is left.
    #[expect(clippy::unused_self, reason = "it is one of the calls that concern the disk")]
    pub(super) fn forget_cached(&self, file: impl AsFd) {
        let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    }

    /// Gives the room back that a part of a file takes: it reads as zeros then. Where the file system cannot do
    /// that, it is left.
    #[expect(clippy::unused_self, reason = "it is one of the calls that change the disk")]
    pub(super) fn give_room_back(&self, file: impl AsFd, (start, end): (u64, u64)) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(file, flags, start, end.saturating_sub(start));
    }

    /// Cuts a file to `length`.
    pub(super) fn cut(&self, file: impl AsFd, length: u64) -> Result<()> {
        self.step(Step::Cut)?;
        rustix::fs::ftruncate(file, length)
    }

    /// Writes all of `bytes` at `offset`.
    pub(super) fn write(
        &self,
        step: Step,
        file: impl AsFd,
        mut bytes: &[u8],
        mut offset: u64,
    ) -> Result<()> {
        self.step(step)?;
        while !bytes.is_empty() {
            match self.write_some(step, &file, bytes, offset) {
                // A regular file takes at least one byte or says why not.
                Ok(0) => return Err(Errno::IO),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Copies all of a file; how many bytes it were. Where both are on a file system that can share blocks
    /// between files, nothing is read or written.
    pub(super) fn copy(&self, mut from: &File, mut to: &File) -> Result<u64> {
        self.step(Step::Copy)?;
        #[cfg(test)]
        self.probes.copying()?;
        std::io::copy(&mut from, &mut to)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Copies `length` bytes from a place in one file to a place in another, without bringing them here. Where both
    /// are on a file system that can share blocks between files, nothing is written. `false`: the system cannot do
    /// it with these files, and some may have been copied.
    ///
    /// # Errors
    ///
    /// `IO`, where the first file ends before.
    pub(super) fn copy_range(
        &self,
        from: impl AsFd,
        mut from_offset: u64,
        to: impl AsFd,
        mut to_offset: u64,
        mut length: u64,
    ) -> Result<bool> {
        self.step(Step::Write)?;
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            match self.copy_some(&from, &mut from_offset, &to, &mut to_offset, most) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => length = length.saturating_sub(count as u64),
                Err(Errno::INTR) => {}
                // Of two file systems, of one that has no such call, or of a system that refuses it.
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    return Ok(false);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    /// Makes a file or a directory durable: content, size, times and mode, or entries.
    #[cfg_attr(test, track_caller)]
    #[expect(clippy::disallowed_methods, reason = "it is the one place for it")]
    pub(super) fn sync(&self, step: Step, file: impl AsFd) -> Result<()> {
        self.step(step)?;
        #[cfg(test)]
        self.probes.hold(step, Some(file.as_fd()));
        if matches!(step, Step::SyncLog | Step::SyncPartial | Step::SyncJournal) {
            // Their times matter to nobody.
            rustix::fs::fdatasync(&file)?;
        } else {
            rustix::fs::fsync(&file)?;
        }
        #[cfg(test)]
        self.probes.synced(step, Some(file.as_fd()));
        Ok(())
    }

    /// Makes everything durable that was written to the file system so far, by anyone.
    #[cfg_attr(test, track_caller)]
    #[expect(clippy::disallowed_methods, reason = "it is the one place for it")]
    pub(super) fn sync_all(&self, any: impl AsFd) -> Result<()> {
        self.step(Step::SyncAll)?;
        rustix::fs::syncfs(any)?;
        #[cfg(test)]
        self.probes.synced(Step::SyncAll, None);
        Ok(())
    }

    /// Makes a directory, 0777 less the umask.
    pub(super) fn make_dir(&self, dir: impl AsFd, name: &str) -> Result<()> {
        self.step(Step::MakeDir)?;
        rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777))
    }

    /// Gives a file its times.
    pub(super) fn set_times(&self, file: impl AsFd, times: &Timestamps) -> Result<()> {
        self.step(Step::SetTimes)?;
        rustix::fs::futimens(file, times)
    }

    /// Gives a file to a group.
    pub(super) fn set_group(&self, file: impl AsFd, group: Gid) -> Result<()> {
        self.step(Step::SetAccess)?;
        rustix::fs::fchown(file, None, Some(group))
    }

    /// Gives a file an ACL, by the attribute that has it.
    pub(super) fn set_acl(&self, file: impl AsFd, attribute: &str, acl: &[u8]) -> Result<()> {
        self.step(Step::SetAccess)?;
        rustix::fs::fsetxattr(file, attribute, acl, XattrFlags::empty())
    }

    /// Removes a file.
    pub(super) fn remove(&self, dir: impl AsFd, name: &str) -> Result<()> {
        self.step(Step::Remove)?;
        #[cfg(test)]
        self.probes.hold(Step::Remove, None);
        rustix::fs::unlinkat(dir, name, AtFlags::empty())
    }

    /// A number for this boot of the system; 0: the system does not tell.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests start the system anew")]
    pub(super) fn boot(&self) -> u64 {
        super::boot::boot()
    }

    /// Whether inode numbers and times stay as they are, as far as they seem to.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests have disks on which they do not")]
    pub(super) fn keeps_attributes(&self) -> bool {
        true
    }

    /// One system call that writes: how many bytes it took.
    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, reason = "tests put a probe here")]
    fn write_some(&self, _: Step, file: impl AsFd, bytes: &[u8], offset: u64) -> Result<usize> {
        rustix::io::pwrite(file, bytes, offset)
    }

    /// One system call that copies: how many bytes it took.
    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, reason = "tests put a probe here")]
    fn copy_some(
        &self,
        from: impl AsFd,
        from_offset: &mut u64,
        to: impl AsFd,
        to_offset: &mut u64,
        most: usize,
    ) -> Result<usize> {
        rustix::fs::copy_file_range(from, Some(from_offset), to, Some(to_offset), most)
    }

    #[cfg(not(test))]
    #[inline]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests put a probe here")]
    fn step(&self, _step: Step) -> Result<()> {
        Ok(())
    }
}

mod free_name;
pub(super) mod nameless;
pub(super) mod naming;
#[cfg(test)]
pub(super) mod probes;
