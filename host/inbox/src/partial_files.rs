//! The files of uploads that can be resumed, for whoever meets them: what they are called, and whose they are.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::journal::{BEGINNING_BYTES_MAX, ResumableId, beginning};

use super::InboxError;
use super::error::failed;
use crate::Identity;

/// Where they are, in `.sandport`.
pub(super) const DIRECTORY: &str = "partials";

/// What the names of data files end with.
pub(super) const DATA_SUFFIX: &str = ".data";

/// And those of journals.
pub(super) const JOURNAL_SUFFIX: &str = ".journal";

pub(super) fn data_name(id: ResumableId) -> String {
    format!("{id}{DATA_SUFFIX}")
}

/// Whether a name without its suffix is that of an upload.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn journal_name(id: ResumableId) -> String {
    format!("{id}{JOURNAL_SUFFIX}")
}

/// Opens a regular file for reading; `None`: there is none. Links are not followed, and nobody is
/// waited for.
pub(super) fn open_regular(directory: impl AsFd, name: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
            Ok((kind == FileType::RegularFile).then_some(file))
        }
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Who sends the upload that is called `id` in `directory`; `None`: it has no journal that can be read.
pub(super) fn sender_of(directory: impl AsFd, id: &str) -> io::Result<Option<Identity>> {
    let Some(journal) = open_regular(directory, &format!("{id}{JOURNAL_SUFFIX}"))? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(BEGINNING_BYTES_MAX);
    std::fs::File::from(journal).take(BEGINNING_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(beginning(&bytes).ok().map(|begun| Identity::recorded(begun.identity.map(Into::into))))
}

/// Removes data that has no journal; whether uploads are left. What does not look like ours is left alone.
pub(super) fn clean(partials: &OwnedFd, path: &Path) -> Result<bool, InboxError> {
    let entries = rustix::fs::Dir::read_from(partials)
        .map_err(|errno| failed("read", path, errno))?
        .collect::<rustix::io::Result<Vec<_>>>()
        .map_err(|errno| failed("read", path, errno))?;
    let (mut removed, mut are_left) = (0_u64, false);
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
        // An empty one has room for its first entry, which did not come.
        let has_none = matches!(journal, Err(Errno::NOENT))
            || journal.is_ok_and(|stat| {
                stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            });
        if is_ours && has_none {
            let journal_name = format!("{id}{JOURNAL_SUFFIX}");
            for name in [journal_name.as_str(), &format!("{id}{DATA_SUFFIX}")] {
                match rustix::fs::unlinkat(partials, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(failed("clean", path, errno)),
                }
            }
            removed += 1;
        } else {
            are_left |= is_ours;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed partial files that had not come far enough to be resumed");
    }
    Ok(are_left)
}
