//! Notes in staging that say where files are being copied, so that the next start finds what a crash left there.
//!
//! `copy-N` holds the path of a directory beneath the inbox. A note is not synced: after a power cut one may be
//! missing, and then the next copy into the directory takes the place of the one that was left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use sandport_protocol::{EntryName, RESERVED_NAME};

use crate::Core;
use crate::disk::Step;
use crate::tree::{self, Folder};
use crate::unpublished::Unpublished;

/// What the names of notes begin with. Staged files are called by hexadecimal numbers.
const PREFIX: &str = "copy-";

/// Longest note that is read. Bytes. A path that is longer is no name of an upload.
const NOTE_BYTES_MAX: usize = 4_096;

/// Whether a file in staging is a note.
pub(crate) fn is_note(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// A note of a copy that is under way.
pub(super) struct Note(String);

impl Note {
    /// Notes that there will be a copy in the directory `path`. `None`: the disk takes no note, which costs nothing
    /// unless the server is killed.
    pub(super) fn leave(core: &Core, path: &str) -> Option<Self> {
        let number = core.staged_count.fetch_add(1, Ordering::Relaxed);
        let note = Self(format!("{PREFIX}{number:x}"));
        let file = core.disk.create_private(&core.layout.staging, &note.0);
        let written = file.and_then(|file| core.disk.write(Step::Write, file, path.as_bytes(), 0));
        match written {
            Ok(()) => Some(note),
            Err(errno) => {
                tracing::debug!(error = %errno, "could not note where a file is copied to");
                note.remove(core);
                None
            }
        }
    }

    /// The copy has its name, or is gone.
    pub(super) fn remove(self, core: &Core) {
        // One that stays is removed by the next start, which finds no copy.
        let _ = core.disk.remove(&core.layout.staging, &self.0);
    }
}

/// Removes the copies that a killed server was making, by its notes in `staging`. Each is added to `unpublished`.
pub(crate) fn remove_copies(root: &OwnedFd, staging: &OwnedFd, unpublished: &mut Unpublished) {
    let Ok(entries) = rustix::fs::Dir::read_from(staging) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if is_note(name.to_bytes())
            && let Some(path) = read(staging.as_fd(), name)
            && let Ok(Some(Folder::Below(directory))) =
                tree::open_folder(root.as_fd(), Some(path.as_str()))
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
                Ok(()) => tracing::info!(folder = %path, "removed a file that was being copied"),
                // The next copy into the directory tries again.
                Err(errno) => tracing::warn!(
                    error = %errno, folder = %path, "could not remove a file that was being copied"
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
