//! The files of resumable uploads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use blake3::hazmat::HasherExt;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::journal::{Begun, GROUP_BYTES, Ranges, Tree, Writer, group_hasher, recover};
use sandport_protocol::{EntryName, RESERVED_NAME, Refusal, RefusalCode};

use super::{DATA_SUFFIX, FOLDER, Id, JOURNAL_SUFFIX};
use crate::inbox::Core;
use crate::inbox::disk::Step;
use crate::inbox::error::InboxError;
use crate::inbox::layout::failed;

/// Longest journal that is read. Bytes. That of a file of 4 TiB has half of it.
const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An upload as it was found.
pub(super) struct Loaded {
    pub(super) name: EntryName,
    pub(super) size: Option<u64>,
    pub(super) data: OwnedFd,
    pub(super) tree: Tree,
    /// The bytes of whole groups.
    pub(super) whole: Ranges,
    /// A begun group: its number, and what was read of it.
    pub(super) tail: Option<(u64, u64, blake3::Hasher)>,
    pub(super) journal: Journal,
}

/// What a key leads to.
pub(super) enum Found {
    Partial(Box<Loaded>),
    /// It was published, under this offered name.
    Published(EntryName),
}

/// A journal that is written.
pub(super) struct Journal {
    /// `None`: the file does not exist yet.
    writer: Option<Writer>,
    /// Where the next frame goes.
    end: u64,
}

pub(in crate::inbox) fn data_name(id: Id) -> String {
    format!("{id}{DATA_SUFFIX}")
}

/// Whether a name without its suffix is that of an upload.
pub(in crate::inbox) fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn journal_name(id: Id) -> String {
    format!("{id}{JOURNAL_SUFFIX}")
}

const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Makes the data file, in place of one that nobody can resume.
///
/// # Errors
/// `other`: something is in the way that only a person may remove. `io` and the like.
pub(super) fn create_data(core: &Core, id: Id) -> Result<OwnedFd, Refusal> {
    let failed = |errno| core.refusal("write a file", errno);
    let (partials, name) = (&core.layout.partials, data_name(id));
    let data = match core.disk.create_readable(partials, &name) {
        Err(Errno::EXIST) => {
            core.disk.remove(partials, &name).map_err(|errno| match errno {
                Errno::ISDIR => in_the_way(&name),
                errno => failed(errno),
            })?;
            if let Some(usage) = &core.usage {
                usage.removed_waiting(&name);
            }
            core.disk.create_readable(partials, &name).map_err(failed)?
        }
        created => created.map_err(failed)?,
    };
    hold(&data).map_err(failed)?;
    Ok(data)
}

/// Somebody has made a folder there. Sending again does not help before it is gone, so it is not `io`.
fn in_the_way(name: &str) -> Refusal {
    let path = format!("{RESERVED_NAME}/{FOLDER}/{name}");
    tracing::error!(path, "a folder is in the place of a partial file: remove it");
    let words = format!(
        "a folder is in the place of the upload: whoever serves has to remove {path} from the inbox"
    );
    Refusal::new(RefusalCode::Other, words)
}

/// Tells those who remove old uploads that this one is in use, for as long as the descriptor is open
/// (see `care::sweep`). `false`: it was removed just now.
fn hold(data: &OwnedFd) -> rustix::io::Result<bool> {
    // It waits only for who is removing it: that takes two system calls.
    rustix::io::retry_on_intr(|| rustix::fs::flock(data, FlockOperation::LockShared))?;
    Ok(rustix::fs::fstat(data)?.st_nlink > 0)
}

/// Finds what a key leads to. What cannot be used is removed: its sender has the bytes still.
///
/// # Errors
/// `io` and the like: it may be readable later.
pub(super) fn load(core: &Arc<Core>, id: Id) -> Result<Option<Found>, Refusal> {
    let failed = |errno| core.refusal("read a partial file", errno);
    let Some(journal) = open_regular(core, &journal_name(id), OFlags::RDWR).map_err(failed)? else {
        return Ok(None);
    };
    let bytes = read_journal(core, &journal).map_err(failed)?;
    let data = open_regular(core, &data_name(id), OFlags::RDWR).map_err(failed)?;
    if let Some(data) = &data
        && !hold(data).map_err(failed)?
    {
        return Ok(None);
    }
    let data_bytes = match &data {
        Some(data) => u64::try_from(rustix::fs::fstat(data).map_err(failed)?.st_size).unwrap_or(0),
        None => 0,
    };
    let recovered = match recover(id.journal(), &bytes, core.boot, data_bytes) {
        Ok(recovered) => recovered,
        Err(error) => {
            tracing::warn!(%id, %error, "a partial file cannot be resumed");
            remove(core, id);
            return Ok(None);
        }
    };
    let Ok(name) = EntryName::parse(&recovered.begun.name) else {
        remove(core, id);
        return Ok(None);
    };
    let Some(data) = data else {
        return Ok(Some(Found::Published(name)));
    };
    if recovered.end < bytes.len() as u64 {
        let torn = bytes.len() as u64 - recovered.end;
        tracing::warn!(%id, bytes = torn, "cut a torn end off the journal of a partial file");
        // What is left there fails its check in any case.
        let _ = core.disk.cut(&journal, recovered.end);
    }
    let mut tail = None;
    if let Some(found) = recovered.tail {
        let start = found.group * GROUP_BYTES;
        let mut content = vec![0; usize::try_from(found.length).unwrap_or(0)];
        core.disk.read(&data, &mut content, start).map_err(failed)?;
        let mut hasher = group_hasher(found.group);
        hasher.update(&content);
        if hasher.finalize_non_root() == found.value {
            tail = Some((found.group, found.length, hasher));
        } else {
            tracing::warn!(%id, "the last bytes of a partial file are not what was kept");
        }
    }
    Ok(Some(Found::Partial(Box::new(Loaded {
        name,
        size: recovered.begun.size,
        data,
        tree: recovered.tree,
        whole: recovered.kept,
        tail,
        journal: Journal { writer: Some(recovered.writer), end: recovered.end },
    }))))
}

fn read_journal(core: &Core, journal: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    let size = u64::try_from(rustix::fs::fstat(journal)?.st_size).unwrap_or(0);
    let mut bytes = vec![0; usize::try_from(size.min(JOURNAL_BYTES_MAX)).unwrap_or(0)];
    core.disk.read(journal, &mut bytes, 0)?;
    Ok(bytes)
}

/// Opens a file of ours. What is not a regular file is somebody else's, and in the way.
fn open_regular(core: &Core, name: &str, access: OFlags) -> rustix::io::Result<Option<OwnedFd>> {
    match rustix::fs::openat(&core.layout.partials, name, access | OPEN, Mode::empty()) {
        Ok(file) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
            Ok((kind == FileType::RegularFile).then_some(file))
        }
        Err(Errno::NOENT) => Ok(None),
        // A link, a folder, a socket, what another user has put there.
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

impl Journal {
    /// One that has no file yet.
    pub(super) fn new() -> Self {
        Self { writer: None, end: 0 }
    }

    pub(super) fn exists(&self) -> bool {
        self.writer.is_some()
    }

    /// Appends entries, after `begun` if they are the first. Where that fails, none of them counts, and
    /// the next ones overwrite what was written of them.
    pub(super) fn append(
        &mut self,
        core: &Core,
        id: Id,
        begun: impl FnOnce() -> Begun,
        push: impl FnOnce(&mut Writer, &mut Vec<u8>),
        synced: bool,
    ) -> rustix::io::Result<()> {
        let (mut writer, mut bytes) = match &self.writer {
            Some(writer) => (writer.clone(), Vec::new()),
            None => Writer::begin(id.journal(), begun()),
        };
        push(&mut writer, &mut bytes);
        let (partials, name) = (&core.layout.partials, journal_name(id));
        let file = if self.exists() {
            rustix::fs::openat(partials, &name, OFlags::WRONLY | OPEN, Mode::empty())?
        } else {
            match core.disk.create_private(partials, &name) {
                // Left by an upload that was published, or by a first append that failed.
                Err(Errno::EXIST) => {
                    core.disk.remove(partials, &name)?;
                    core.disk.create_private(partials, &name)?
                }
                created => created?,
            }
        };
        core.disk.write(Step::WriteJournal, &file, &bytes, self.end)?;
        if synced {
            core.disk.sync(Step::SyncJournal, &file)?;
            if !self.exists() {
                // The entries of both files.
                core.disk.sync(Step::SyncDir, partials)?;
            }
        }
        self.writer = Some(writer);
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Removes both files, the journal first: without it the data says nothing. Whether there was data.
pub(super) fn remove(core: &Core, id: Id) -> bool {
    remove_journal(core, id);
    let is_removed = remove_file(core, &data_name(id));
    core.space.forget_refused(id);
    if let Some(usage) = &core.usage {
        usage.removed_waiting(&data_name(id));
    }
    is_removed
}

pub(super) fn remove_journal(core: &Core, id: Id) {
    remove_file(core, &journal_name(id));
}

fn remove_file(core: &Core, name: &str) -> bool {
    match core.disk.remove(&core.layout.partials, name) {
        Ok(()) => return true,
        Err(Errno::NOENT) => {}
        Err(errno) => tracing::warn!(error = %errno, name, "could not remove a partial file"),
    }
    false
}

/// Removes data that has no journal. What does not look like ours is left alone.
pub(in crate::inbox) fn clean(partials: &OwnedFd, path: &Path) -> Result<(), InboxError> {
    let entries = rustix::fs::Dir::read_from(partials)
        .map_err(|errno| failed("read", path, errno))?
        .collect::<rustix::io::Result<Vec<_>>>()
        .map_err(|errno| failed("read", path, errno))?;
    let mut removed = 0_u64;
    for entry in &entries {
        let Some(id) =
            entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(DATA_SUFFIX))
        else {
            continue;
        };
        let is_ours = is_id(id);
        let journal = rustix::fs::statat(
            partials,
            format!("{id}{JOURNAL_SUFFIX}"),
            AtFlags::SYMLINK_NOFOLLOW,
        );
        // An empty one is what a full disk left of its first entry.
        let has_none = matches!(journal, Err(Errno::NOENT))
            || journal.is_ok_and(|stat| {
                stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            });
        if is_ours && has_none {
            rustix::fs::unlinkat(partials, entry.file_name(), AtFlags::empty())
                .map_err(|errno| failed("clean", path, errno))?;
            removed += 1;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed partial files that had not come far enough to be resumed");
    }
    Ok(())
}

/// The digest of a short file, read as a whole.
pub(super) fn hash_short(core: &Core, data: impl AsFd, size: u64) -> io::Result<[u8; 32]> {
    let mut content = vec![0; usize::try_from(size.min(GROUP_BYTES)).unwrap_or(0)];
    core.disk.read(data, &mut content, 0)?;
    Ok(*blake3::hash(&content).as_bytes())
}

/// The refusal where what was kept is not in the file any more.
pub(super) fn lost() -> Refusal {
    Refusal::new(RefusalCode::Io, "the inbox lost bytes of a partial file")
}
