//! A file on its way in: one in `.sandport/staging` or without any name, or the data of an upload that can
//! be resumed.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use sandport_protocol::Refusal;

use super::Core;
use super::disk::nameless::Naming;
use super::disk::{Publish, Step};
use super::modes::Inheritance;
use super::room::BeingFreed;
use super::tree::Directory;

/// The duty to say how the publication of an upload has ended. Dropping it says that it got no name, and stays.
pub(super) trait PublishEnd: Send + Sync {
    /// It is certain that the file has its name, or that nobody needs it: nobody who comes from now on is answered by
    /// this commit.
    fn is_decided(&mut self);

    /// The file has its name, or nobody needs it.
    fn published(self: Box<Self>);

    /// It is not what somebody has said that it is: nothing of it stays.
    fn mismatched(self: Box<Self>, refusal: &Refusal);

    /// The disk has failed: nobody is to go on with what it was given since the last watermark.
    fn lost(self: Box<Self>, fault: &Refusal);
}

/// A staged file. Dropping it has it removed, unless it was published, and does not wait for that.
pub(super) struct StagedFile {
    core: Arc<Core>,
    name: Name,
    file: Option<OwnedFd>,
    /// The descriptor of an upload that can be resumed. It is that one's, and open as long.
    data: Option<Arc<OwnedFd>>,
    /// Whether its one descriptor saw all of its writes.
    whole: bool,
    published: bool,
    /// How much was written into it.
    bytes: u64,
    /// Where it is the data of an upload that can be resumed: who hears what became of it.
    partial: Option<Box<dyn PublishEnd>>,
    /// How many syncs of everything had failed when its first byte was still to come.
    failures_before: u64,
    /// It was such data, and is not to be removed: it stays, or is gone.
    is_left: bool,
    /// It cannot be what a file in its directory has to be: only a copy that is made there can.
    needs_copy: bool,
}

/// What it is called before it is published.
enum Name {
    /// So, in staging or among the partials.
    Given(String),
    /// Nothing: it is gone when its descriptor is closed. It gets its name like this.
    None(Naming),
}

impl StagedFile {
    /// Makes an empty one.
    pub(super) fn create(core: &Arc<Core>) -> Result<Self> {
        if let Some(naming) = core.naming
            && core.files_open.load(Ordering::Relaxed) < core.options.max_kept_files()
        {
            let file = core.disk.create_nameless(&core.layout.staging)?;
            return Ok(Self::new(core, Name::None(naming), Some(file)));
        }
        let mut name = String::with_capacity(16);
        let file = loop {
            // The inbox is locked and its staging was cleaned at the start: a counter is unique, but
            // for directories that somebody else put there.
            let number = core.staged_count.fetch_add(1, Ordering::Relaxed);
            name.clear();
            let _ = write!(name, "{number:x}");
            match core.disk.create(&core.layout.staging, &name) {
                Err(Errno::EXIST) => {}
                created => break created?,
            }
        };
        Ok(Self::new(core, Name::Given(name), Some(file)))
    }

    fn new(core: &Arc<Core>, name: Name, file: Option<OwnedFd>) -> Self {
        core.files_open.fetch_add(usize::from(file.is_some()), Ordering::Relaxed);
        Self {
            core: Arc::clone(core),
            name,
            file,
            data: None,
            whole: true,
            published: false,
            bytes: 0,
            partial: None,
            failures_before: core.sync_failures.load(Ordering::Relaxed),
            is_left: false,
            needs_copy: false,
        }
    }

    /// The data of an upload that can be resumed. Dropping it leaves the data where it is. `data`: `None`, where
    /// no descriptor saw all of its writes.
    pub(super) fn of_partial(
        core: &Arc<Core>,
        name: String,
        data: Option<Arc<OwnedFd>>,
        failures_before: u64,
        end: Box<dyn PublishEnd>,
    ) -> Self {
        let mut staged = Self::new(core, Name::Given(name), None);
        (staged.whole, staged.data) = (data.is_some(), data);
        staged.partial = Some(end);
        staged.failures_before = failures_before;
        staged
    }

    /// Nobody needs it: it goes when it is dropped, also where it could be resumed.
    pub(super) fn is_superfluous(&mut self) {
        if let Some(mut end) = self.partial.take() {
            self.is_left = true;
            let Name::Given(name) = &self.name else { return end.published() };
            end.is_decided();
            let (core, name) = (Arc::clone(&self.core), name.clone());
            let freed = BeingFreed::new(&core, self.bytes);
            self.core.remove_later(move || {
                // First: when it is forgotten, somebody else may make a file of that name.
                if let Err(errno) = core.disk.remove(&core.layout.partials, &name) {
                    tracing::warn!(error = %errno, name, "could not remove a partial file");
                }
                drop(freed);
                end.published();
            });
        }
    }

    fn dir(&self) -> &OwnedFd {
        let layout = &self.core.layout;
        if self.partial.is_some() || self.is_left { &layout.partials } else { &layout.staging }
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let core = Arc::clone(&self.core);
        core.disk.write(Step::Write, self.open()?, bytes, offset)?;
        self.bytes = self.bytes.max(offset + bytes.len() as u64);
        self.close_if_many();
        Ok(())
    }

    /// Gives the file its times and mode, and says what it looks like then.
    pub(super) fn finish(&mut self, modified_ns: Option<i64>, executable: bool) -> Result<Stat> {
        let core = Arc::clone(&self.core);
        let modified = modified_ns.map(|modified_ns| Timespec {
            tv_sec: modified_ns.div_euclid(NS_PER_S),
            tv_nsec: modified_ns.rem_euclid(NS_PER_S),
        });
        let stat = core.give_attributes(self.open()?, modified, executable)?;
        self.bytes = u64::try_from(stat.st_size).unwrap_or(0);
        self.close_if_many();
        Ok(stat)
    }

    /// The same file, to be read from its beginning.
    pub(super) fn reader(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match (&self.name, &self.file) {
            (Name::Given(name), _) => {
                rustix::fs::openat(self.dir(), name, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            (Name::None(_), Some(file)) => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                rustix::fs::open(path, flags, Mode::empty())
            }
            (Name::None(_), None) => Err(Errno::BADF),
        }
    }

    /// The descriptor through which all of the content went, if it is still open.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let own = self.file.as_ref().filter(|_| self.whole);
        own.or(self.data.as_deref()).map(AsFd::as_fd)
    }

    /// Whether a failed write of it may have been told to a sync of everything that was for others.
    pub(super) fn may_have_failed(&self) -> bool {
        self.failures_before < self.core.sync_failures.load(Ordering::Relaxed)
    }

    /// The disk failed: nobody is to go on with what it was given since the last watermark.
    pub(super) fn lost(&mut self, fault: &Refusal) {
        if let Some(end) = self.partial.take() {
            end.lost(fault);
            self.is_left = true;
        }
    }

    /// Gives up the descriptor: nothing more is to be written or synced. Where that is all there is of the
    /// file, it is kept.
    pub(super) fn close(&mut self) {
        self.data = None;
        if let Name::Given(_) = self.name {
            self.drop_descriptor();
        }
    }

    fn drop_descriptor(&mut self) {
        if self.file.take().is_some() {
            self.whole = false;
            self.core.files_open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives the file what it inherits from the directory that it is for.
    pub(super) fn inherit(&mut self, inheritance: &Inheritance) {
        let core = Arc::clone(&self.core);
        let given = self.open().and_then(|file| inheritance.give(&core.disk, file));
        if let Err(errno) = given {
            tracing::debug!(error = %errno, "a file has to be copied to inherit from its directory");
            self.needs_copy = true;
        }
        self.close_if_many();
    }

    /// Whether it has to be copied to where it belongs, because it cannot be given what it inherits there.
    pub(super) fn needs_copy(&self) -> bool {
        self.needs_copy
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// `XDEV`: it has to be copied to where it belongs. `EXIST`, and others.
    pub(super) fn publish(&mut self, how: Publish, to: &Directory<'_>, leaf: &str) -> Result<()> {
        if self.needs_copy {
            return Err(Errno::XDEV);
        }
        let disk = &self.core.disk;
        match (&self.name, &self.file) {
            (Name::Given(name), _) => disk.publish(how, (self.dir(), name), (to, leaf))?,
            // An inbox that replaces files gives them names before.
            (Name::None(naming), Some(file)) => disk.publish_nameless(*naming, file, (to, leaf))?,
            // Nobody closes those.
            (Name::None(_), None) => return Err(Errno::BADF),
        }
        self.published = true;
        if let Some(end) = self.partial.take() {
            end.published();
        }
        Ok(())
    }

    fn open(&mut self) -> Result<BorrowedFd<'_>> {
        if let Some(data) = &self.data {
            return Ok(data.as_fd());
        }
        let file = match (self.file.take(), &self.name) {
            (Some(file), _) => file,
            (None, Name::Given(name)) => {
                let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(self.dir(), name, flags, Mode::empty())?;
                self.core.files_open.fetch_add(1, Ordering::Relaxed);
                file
            }
            (None, Name::None(_)) => return Err(Errno::BADF),
        };
        let file: &OwnedFd = self.file.insert(file);
        Ok(file.as_fd())
    }

    fn close_if_many(&mut self) {
        if self.core.files_open.load(Ordering::Relaxed) > self.core.options.max_kept_files()
            && let Name::Given(_) = self.name
        {
            self.drop_descriptor();
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        let stays = self.partial.is_some() || self.is_left || self.published;
        let core = Arc::clone(&self.core);
        match &mut self.name {
            Name::Given(name) if !stays => {
                let name = std::mem::take(name);
                self.drop_descriptor();
                let freed = BeingFreed::new(&core, self.bytes);
                self.core.remove_later(move || {
                    core.remove_staged(&name);
                    drop(freed);
                });
            }
            // It goes with its descriptor.
            Name::None(_) if !stays => {
                if let Some(file) = self.file.take() {
                    let freed = BeingFreed::new(&core, self.bytes);
                    self.core.remove_later(move || {
                        drop((file, freed));
                        core.files_open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            }
            Name::Given(_) | Name::None(_) => self.drop_descriptor(),
        }
    }
}

impl Core {
    fn remove_staged(&self, name: &str) {
        if let Err(errno) = self.disk.remove(&self.layout.staging, name)
            && errno != Errno::NOENT
            && self.loss().is_none()
            && !self.left_staged.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                error = %errno,
                "cannot remove staged files: they take room until the next start removes them"
            );
        }
    }
}

impl Core {
    /// Gives a file that is about to be published its time and its executable bits; what it looks like then.
    pub(super) fn give_attributes(
        &self,
        file: BorrowedFd<'_>,
        modified: Option<Timespec>,
        executable: bool,
    ) -> Result<Stat> {
        if let Some(time) = modified {
            let times = Timestamps { last_access: time, last_modification: time };
            // A file system that cannot keep the time keeps the content all the same.
            if let Err(errno) = self.disk.set_times(file, &times) {
                self.lost_times.notice(errno);
            }
        }
        if executable {
            let mode = rustix::fs::fstat(file)?.st_mode;
            // Whoever may read it may run it, so that the umask holds.
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777 | (mode & 0o444) >> 2))?;
        }
        rustix::fs::fstat(file)
    }
}

const NS_PER_S: i64 = 1_000_000_000;
