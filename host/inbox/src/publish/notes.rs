//! Leaving [notes](crate::notes) of where files are being copied.

use std::sync::atomic::Ordering;

use crate::Core;
use crate::disk::Step;
use crate::notes::PREFIX;

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
