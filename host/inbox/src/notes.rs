//! Notes in staging that say where files are being copied, so that the next start finds what a crash left there.
//!
//! `copy-N` holds the path of a directory beneath the inbox. A note is not synced: after a power cut one may be
//! missing, and then the next copy into the directory takes the place of the one that was left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use sandport_protocol::{EntryName, RESERVED_NAME};

use super::tree::{self, Directory};
use super::unpublished::Unpublished;

/// What the names of notes begin with. Staged files are called by hexadecimal numbers.
pub(super) const PREFIX: &str = "copy-";

/// Longest note that is read. Bytes. A path that is longer is no name of an upload.
const NOTE_BYTES_MAX: usize = 4_096;

/// Whether a file in staging is a note.
pub(super) fn is_note(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// Removes the copies that a killed server was making, by its notes in `staging`. Each is added to `unpublished`.
pub(super) fn remove_copies(root: &OwnedFd, staging: &OwnedFd, unpublished: &mut Unpublished) {
    let Ok(entries) = rustix::fs::Dir::read_from(staging) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if is_note(name.to_bytes())
            && let Some(path) = read(staging.as_fd(), name)
            && let Ok(Some(Directory::Below(directory))) =
                tree::open_directory(root.as_fd(), Some(path.as_str()))
        {
            remove_copy(&directory, &path, unpublished);
        }
    }
}

fn remove_copy(directory: &OwnedFd, path: &EntryName, unpublished: &mut Unpublished) {
    match tree::look(directory, RESERVED_NAME) {
        Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            unpublished.add_file(&stat);
            match rustix::fs::unlinkat(directory, RESERVED_NAME, AtFlags::empty()) {
                Ok(()) => tracing::info!(directory = %path, "removed a file that was being copied"),
                // The next copy into the directory tries again.
                Err(errno) => tracing::warn!(
                    error = %errno, directory = %path, "could not remove a file that was being copied"
                ),
            }
        }
        // Somebody else's, or nothing.
        _ => {}
    }
}

/// The directory that a note names.
fn read(staging: BorrowedFd<'_>, note: &std::ffi::CStr) -> Option<EntryName> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(staging, note, flags, Mode::empty()).ok()?;
    let mut text = [0; NOTE_BYTES_MAX];
    let length = rustix::io::pread(&file, &mut text[..], 0).ok()?;
    EntryName::parse(std::str::from_utf8(&text[..length]).ok()?).ok()
}
