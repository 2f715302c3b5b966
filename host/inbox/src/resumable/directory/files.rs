//! The files of uploads: what they are called, how they are opened and removed.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blake3::hazmat::HasherExt;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use sandport_protocol::journal::{GROUP_BYTES, Recovered, Tree, group_hasher};
use sandport_protocol::{RESERVED_NAME, Refusal, RefusalCode};

use crate::Identity;
use crate::partial_files::{
    DATA_SUFFIX, DIRECTORY, JOURNAL_SUFFIX, data_name, is_id, journal_name, sender_of,
};
use crate::resumable::Id;
use crate::{Core, maintenance};

/// How files of ours are opened, whatever lies in their place.
pub(super) const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The data of an upload.
pub(super) struct Data {
    file: Option<Arc<OwnedFd>>,
    /// Whether there is a file.
    is_made: bool,
    /// Whether a descriptor of it was closed that may have had a failed write to tell of.
    was_closed: bool,
    /// How many syncs of everything had failed when all that was written was durable, or nothing was.
    failures_before: u64,
}

/// What makes durable what was written to the data of an upload.
pub(super) enum ToSync {
    File(Arc<OwnedFd>),
    /// A descriptor was closed that may have had a failed write to tell of.
    Everything,
    Nothing,
}

impl Data {
    /// One that has no file yet.
    pub(super) fn new(core: &Core) -> Self {
        let failures_before = core.sync_failures.load(Ordering::Relaxed);
        Self { file: None, is_made: false, was_closed: false, failures_before }
    }

    /// A file that was found.
    pub(super) fn found(core: &Core, file: OwnedFd) -> Self {
        core.files_open.fetch_add(1, Ordering::Relaxed);
        Self { file: Some(Arc::new(file)), is_made: true, ..Self::new(core) }
    }

    /// How many syncs of everything had failed when all that was written was durable, or nothing was. Where more
    /// have, a failed write of this file may have been told to one of them.
    pub(super) fn failures_before(&self) -> u64 {
        self.failures_before
    }

    /// All that was written by then is durable.
    pub(super) fn is_durable(&mut self, failures_before: u64) {
        self.failures_before = failures_before;
    }

    pub(super) fn is_made(&self) -> bool {
        self.is_made
    }

    /// Whether only a sync of everything tells whether its writes have failed.
    pub(super) fn was_closed(&self) -> bool {
        self.was_closed
    }

    /// The file, made if there is none.
    ///
    /// # Errors
    /// Those of making it. `io`: somebody has removed it.
    pub(super) fn open(&mut self, core: &Core, id: Id) -> Result<Arc<OwnedFd>, Refusal> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = if self.is_made {
            let opened = open_regular(core, &data_name(id), OFlags::RDWR);
            let opened = opened.map_err(|errno| core.refusal("write a file", errno))?;
            match opened {
                Some(file) if lock_shared(&file).is_ok_and(|is_there| is_there) => file,
                _ => return Err(lost()),
            }
        } else {
            create_data(core, id)?
        };
        core.files_open.fetch_add(1, Ordering::Relaxed);
        self.is_made = true;
        Ok(Arc::clone(self.file.insert(Arc::new(file))))
    }

    /// What a sync of it is to be made with.
    pub(super) fn to_sync(&self) -> ToSync {
        match &self.file {
            Some(file) if !self.was_closed => ToSync::File(Arc::clone(file)),
            None if !self.is_made => ToSync::Nothing,
            _ => ToSync::Everything,
        }
    }

    /// Closes it, where there are too many files open. What its descriptor may have had to tell of failed writes,
    /// a sync of everything tells from now on.
    pub(super) fn close_if_many(&mut self, core: &Core) {
        if core.files_open.load(Ordering::Relaxed) > core.options.max_kept_files() {
            self.was_closed = true;
            self.close(core);
        }
    }

    /// The same, where all that was written is durable: no descriptor has anything to tell.
    pub(super) fn close_clean_if_many(&mut self, core: &Core) {
        if core.files_open.load(Ordering::Relaxed) > core.options.max_kept_files() {
            self.close(core);
        }
    }

    /// Closes it.
    pub(super) fn close(&mut self, core: &Core) {
        if self.file.take().is_some() {
            core.files_open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Makes the data file, in place of one that nobody can resume.
///
/// # Errors
/// `other`: something is in the way that only a person may remove. `io` and the like.
fn create_data(core: &Core, id: Id) -> Result<OwnedFd, Refusal> {
    let failed = |errno| core.refusal("write a file", errno);
    let (registry, name) = (&core.layout.partials, data_name(id));
    let data = match core.disk.create_readable(registry, &name) {
        Err(Errno::EXIST) => {
            core.disk.remove(registry, &name).map_err(|errno| match errno {
                Errno::ISDIR => in_the_way(&name),
                errno => failed(errno),
            })?;
            if let Some(usage) = &core.usage {
                usage.removed_waiting(&name);
            }
            core.disk.create_readable(registry, &name).map_err(failed)?
        }
        created => created.map_err(failed)?,
    };
    lock_shared(&data).map_err(failed)?;
    Ok(data)
}

/// Somebody has made a directory there. Sending again does not help before it is gone, so it is not `io`.
fn in_the_way(name: &str) -> Refusal {
    let path = format!("{RESERVED_NAME}/{DIRECTORY}/{name}");
    tracing::error!(path, "a directory is in the place of a partial file: remove it");
    let words = format!(
        "a directory is in the place of the upload: whoever serves has to remove {path} from the inbox"
    );
    Refusal::new(RefusalCode::Other, words)
}

/// Tells those who remove old uploads that this one is in use, for as long as the descriptor is open
/// (see `maintenance::expire`). `false`: it was removed just now.
pub(super) fn lock_shared(data: &OwnedFd) -> rustix::io::Result<bool> {
    // It waits only for who is removing it: that takes two system calls.
    rustix::io::retry_on_intr(|| rustix::fs::flock(data, FlockOperation::LockShared))?;
    Ok(rustix::fs::fstat(data)?.st_nlink > 0)
}

/// Opens a file of ours. What is not a regular file is somebody else's, and in the way.
pub(super) fn open_regular(
    core: &Core,
    name: &str,
    access: OFlags,
) -> rustix::io::Result<Option<OwnedFd>> {
    match rustix::fs::openat(&core.layout.partials, name, access | OPEN, Mode::empty()) {
        Ok(file) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
            Ok((kind == FileType::RegularFile).then_some(file))
        }
        Err(Errno::NOENT) => Ok(None),
        // A link, a directory, a socket, what another user has put there.
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The status of a file of ours; `None`: there is none.
pub(super) fn look(core: &Core, name: &str) -> Option<Stat> {
    rustix::fs::statat(&core.layout.partials, name, AtFlags::SYMLINK_NOFOLLOW).ok()
}

pub(super) fn is_there(core: &Core, name: &str) -> bool {
    look(core, name).is_some()
}

/// The uploads that have a journal and no bytes: whose, and what they are called. What cannot be read is left out.
pub(super) fn empty_ones(core: &Core) -> Vec<(Identity, String)> {
    let Ok(entries) = rustix::fs::Dir::read_from(&core.layout.partials) else { return Vec::new() };
    let is_empty = |id: &str| {
        look(core, &format!("{id}{DATA_SUFFIX}")).is_some_and(|stat| stat.st_size == 0)
            && look(core, &format!("{id}{JOURNAL_SUFFIX}")).is_some_and(|stat| stat.st_size > 0)
    };
    let names = entries.filter_map(Result::ok).filter_map(|entry| {
        let id = entry.file_name().to_str().ok()?.strip_suffix(DATA_SUFFIX)?.to_owned();
        let owner = || sender_of(&core.layout.partials, &id).ok().flatten();
        (is_id(&id) && is_empty(&id)).then(owner).flatten().map(|owner| (owner, id.clone()))
    });
    names.collect()
}

/// Removes an upload of which nothing came, by the name of its files, if nobody is at it. Whether it is gone, or has
/// bytes by now.
pub(super) fn remove_empty(core: &Core, name: &str) -> bool {
    match maintenance::remove_empty(core.layout.partials.as_fd(), name) {
        Ok(true) => {}
        Ok(false) => return false,
        Err(error) => {
            tracing::warn!(%error, name, "could not remove an upload of which nothing came");
            return false;
        }
    }
    let data = format!("{name}{DATA_SUFFIX}");
    if !is_there(core, &data) {
        core.space.forget_removed(&[&data]);
        if let Some(usage) = &core.usage {
            usage.removed_waiting(&data);
        }
    }
    true
}

/// Removes both files, the journal first: without it the data says nothing. Whether there was data.
pub(super) fn remove_files(core: &Core, id: Id) -> bool {
    remove_journal(core, id);
    let is_removed = remove_file(core, &data_name(id));
    core.space.forget_refused(id);
    if let Some(usage) = &core.usage {
        usage.removed_waiting(&data_name(id));
    }
    is_removed
}

pub(super) fn remove_journal(core: &Core, id: Id) {
    if remove_file(core, &journal_name(id)) {
        core.removed_journals.add(&core.disk, &core.layout.partials, id);
    }
}

/// Whether there is data that has no journal, and so says nothing: its removal has failed once. It would be in the way
/// of whoever begins the upload anew.
pub(super) fn is_orphan(core: &Core, id: Id) -> bool {
    let stat = rustix::fs::statat(&core.layout.partials, data_name(id), AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

fn remove_file(core: &Core, name: &str) -> bool {
    match core.disk.remove(&core.layout.partials, name) {
        Ok(()) => return true,
        Err(Errno::NOENT) => {}
        Err(errno) => tracing::warn!(error = %errno, name, "could not remove a partial file"),
    }
    false
}

/// Whether the bytes of whole groups are on the disk as a journal says. All of them are read.
pub(super) fn are_there(
    core: &Core,
    data: &OwnedFd,
    recovered: &Recovered,
) -> rustix::io::Result<bool> {
    // What a failed write has left in memory is not what is there.
    core.disk.forget_cached(data);
    let mut tree = Tree::default();
    let mut content = vec![0; usize::try_from(GROUP_BYTES).unwrap_or(0)];
    for (mut start, end) in recovered.kept.iter() {
        while start < end {
            let group = start / GROUP_BYTES;
            let length = (end - start).min(GROUP_BYTES);
            let bytes = &mut content[..usize::try_from(length).unwrap_or(0)];
            core.disk.read(data, bytes, start)?;
            tree.insert(group, group_hasher(group).update(bytes).finalize_non_root());
            start += length;
        }
    }
    Ok(tree == recovered.tree)
}

/// The refusal where what was kept is not in the file any more.
pub(super) fn lost() -> Refusal {
    Refusal::new(RefusalCode::Io, "the inbox lost bytes of a partial file")
}
