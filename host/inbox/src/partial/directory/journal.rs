//! The journal of an upload as a file.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::journal::{Begun, Entry, Writer};

use super::files::OPEN;
use crate::Core;
use crate::disk::Step;
use crate::partial::Id;
use crate::partial_files::journal_name;

/// How much room a journal takes before anything is written. Bytes: a block, which it would take with its first byte.
/// It has room for the longest name and what comes with that.
const FIRST_ROOM_BYTES: u64 = 4 * 1024;

/// How much room it takes ahead of what is written. Bytes: for the 64 chunk groups of a step of the watermark, unless the
/// operator set another. Less than a block: few entries leave the second block to others.
const ROOM_AHEAD_BYTES: u64 = 2 * 1024;

/// A journal that is written.
pub(super) struct Journal {
    /// `None`: nothing is written yet.
    writer: Option<Writer>,
    /// Whether there is an empty file that has room for it.
    has_room: bool,
    /// Where the next frame goes.
    end: u64,
    /// Whether something may lie there of an append that has failed.
    is_torn: bool,
    /// Whether it speaks of bytes that were not synced.
    is_of_boot: bool,
}

impl Journal {
    /// One that has no file yet.
    pub(super) fn new() -> Self {
        Self { writer: None, has_room: false, end: 0, is_torn: false, is_of_boot: false }
    }

    /// One that was read up to `end`.
    pub(super) fn found(writer: Writer, end: u64, is_of_boot: bool) -> Self {
        Self { writer: Some(writer), has_room: false, end, is_torn: false, is_of_boot }
    }

    pub(super) fn exists(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether it speaks of bytes that were not synced.
    pub(super) fn is_of_boot(&self) -> bool {
        self.is_of_boot
    }

    /// Makes the file and takes room for what is to be written into it. Where that does not work, it is made later.
    pub(super) fn take_room(&mut self, core: &Core, id: Id) {
        if self.exists() {
            return;
        }
        if let Ok(file) = core.disk.create_private(&core.layout.partials, &journal_name(id)) {
            core.disk.take_room(&file, FIRST_ROOM_BYTES);
            self.has_room = true;
        }
    }

    /// Appends entries, after `begun` if they are the first. Where that fails, none of them counts, and
    /// the next ones overwrite what was written of them.
    pub(super) fn append(
        &mut self,
        core: &Core,
        id: Id,
        begun: impl FnOnce() -> Begun,
        entries: impl Iterator<Item = Entry>,
        is_synced: bool,
    ) -> rustix::io::Result<()> {
        let (mut writer, mut bytes) = match &self.writer {
            Some(writer) => (writer.clone(), Vec::new()),
            None => Writer::begin(id.journal(), begun()),
        };
        let mut is_of_boot = self.is_of_boot;
        for entry in entries {
            if let Entry::Kept(kept) = &entry {
                is_of_boot = kept.boot.is_some();
            }
            writer.push(&mut bytes, &entry);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let (partials, name) = (&core.layout.partials, journal_name(id));
        let file = if self.exists() || self.has_room {
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
        self.is_torn = true;
        core.disk.write(Step::WriteJournal, &file, &bytes, self.end)?;
        if is_synced {
            core.disk.sync(Step::SyncJournal, &file)?;
            if !self.exists() {
                // The entries of both files.
                core.disk.sync(Step::SyncDir, partials)?;
            }
        }
        self.is_torn = false;
        self.writer = Some(writer);
        self.is_of_boot = is_of_boot;
        self.end += bytes.len() as u64;
        core.disk.take_room(&file, self.end + ROOM_AHEAD_BYTES);
        Ok(())
    }

    /// Cuts off what an append that has failed may have left: it would count, and speak of bytes that do not.
    pub(super) fn cut_torn_end(&mut self, core: &Core, id: Id) -> rustix::io::Result<()> {
        if self.is_torn {
            let (partials, name) = (&core.layout.partials, journal_name(id));
            let file = rustix::fs::openat(partials, &name, OFlags::WRONLY | OPEN, Mode::empty())?;
            core.disk.cut(&file, self.end)?;
            self.is_torn = false;
        }
        Ok(())
    }
}
