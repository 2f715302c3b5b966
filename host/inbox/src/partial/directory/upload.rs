//! The files of one upload.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Kept};
use sandport_protocol::upload::{Done, Held, TAIL_BYTES_MIN};
use sandport_protocol::{Digest, Refusal, RefusalCode};

use super::files::{self, Data, ToSync, remove_files, remove_journal};
use super::journal::Journal;
use crate::completion::Completer;
use crate::disk::Step;
use crate::partial::Id;
use crate::partial::volume::{Blob, Facts, Publication, Source};
use crate::partial_files::data_name;
use crate::publish::{Job, Work};
use crate::reading::Reading;
use crate::space::FLOOR_STEP_BYTES;
use crate::{Core, Durability};

/// The files of one upload.
pub(super) struct Files {
    pub(super) core: Arc<Core>,
    pub(super) id: Id,
    pub(super) data: Mutex<Data>,
    /// Its one user is the work of the upload.
    pub(super) journal: Mutex<Journal>,
    pub(super) begun_s: i64,
    /// How many bytes were written.
    pub(super) written: AtomicU64,
    /// Up to which byte the free space was looked at, where a floor is kept.
    pub(super) floor_checked_at: AtomicU64,
}

impl Files {
    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open_data(&self) -> Result<Arc<OwnedFd>, Refusal> {
        self.data().open(&self.core, self.id)
    }

    /// The same, to write `length` bytes. Before there is enough to be kept, the journal gets its room: a disk that is
    /// full later is no reason to lose what came before.
    fn open_to_write(&self, length: u64) -> Result<Arc<OwnedFd>, Refusal> {
        let mut data = self.data();
        let file = data.open(&self.core, self.id)?;
        let before = self.written.fetch_add(length, Ordering::Relaxed);
        if before < TAIL_BYTES_MIN && before.saturating_add(length) >= TAIL_BYTES_MIN {
            self.journal().take_room(&self.core, self.id);
        }
        Ok(file)
    }

    /// Looks at the free space from time to time, where a floor is kept.
    fn check_floor(&self, end: u64) -> Result<(), Refusal> {
        let checked_at = self.floor_checked_at.load(Ordering::Relaxed);
        if self.core.options.min_free == 0 || end.abs_diff(checked_at) <= FLOOR_STEP_BYTES {
            return Ok(());
        }
        self.floor_checked_at.store(end, Ordering::Relaxed);
        self.core.check_floor()
    }

    /// Makes durable what was written. Bodies go on writing meanwhile.
    pub(super) fn sync(&self) -> rustix::io::Result<()> {
        let core = &self.core;
        let (to_sync, failures_before) = {
            let data = self.data();
            (data.to_sync(), data.failures_before())
        };
        match to_sync {
            ToSync::File(file) => core.disk.sync(Step::SyncPartial, &file),
            ToSync::Nothing => Ok(()),
            ToSync::Everything => {
                let (synced, failures) = core.sync_all_counted();
                synced?;
                // One that was for others may have been told of a failed write of this file.
                if failures > failures_before {
                    return Err(Errno::IO);
                }
                self.data().is_durable(failures);
                Ok(())
            }
        }
    }

    /// Says in the journal that what it says is about to be synced, where that was not done when it was said. Whether it
    /// was said.
    pub(super) fn tell_sync(&self, facts: &Facts) -> rustix::io::Result<bool> {
        let is_due = self.journal().is_of_boot();
        if is_due {
            self.say(&self.begun(facts), Kept::syncing(self.core.boot))?;
        }
        Ok(is_due)
    }

    /// Appends an entry to the journal, and does not sync that.
    pub(super) fn say(&self, begun: &Begun, entry: Kept) -> rustix::io::Result<()> {
        let entries = std::iter::once(Entry::Kept(entry));
        self.journal().append(&self.core, self.id, || begun.clone(), entries, false)
    }

    fn remove_all(&self) {
        self.data().close(&self.core);
        remove_files(&self.core, self.id);
    }

    pub(super) fn begun(&self, facts: &Facts) -> Begun {
        Begun {
            name: facts.name.as_str().to_owned(),
            size: facts.size,
            identity: facts.identity.name().map(str::to_owned),
            begun_s: self.begun_s,
        }
    }

    /// Finds out what is to be known of the file before it is published.
    fn read_again(
        &self,
        reading: &Reading,
        size: u64,
        completer: &Completer,
    ) -> Result<(), Refusal> {
        let data = self.open_data()?;
        let (digests, bill) = reading.read(&self.core, &data, size);
        completer.owes(bill);
        completer.add_digests(digests?);
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // One that was found, and for which there was no room, was never closed.
        self.data().close(&self.core);
    }
}

impl Blob for Files {
    fn write(&self, _: &Facts, at: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let core = &self.core;
        self.check_floor(at + bytes.len() as u64)?;
        let data = self.open_to_write(bytes.len() as u64)?;
        let write = || core.disk.write(Step::Write, &data, bytes, at);
        core.with_room(bytes.len() as u64, write)
            .map_err(|errno| core.refusal("write a file", errno))?;
        self.data().close_if_many(core);
        Ok(())
    }

    fn write_after(&self, facts: &Facts, held: &Held, bytes: &[u8]) -> Result<(), Refusal> {
        self.write(facts, held.at, &held.bytes)?;
        self.write(facts, held.at + held.bytes.len() as u64, bytes)
    }

    fn read(&self, _: &Facts, at: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        let data = self.open_data()?;
        let core = &self.core;
        let read = core.disk.read(&data, bytes, at);
        read.map_err(|errno| core.refusal("read a partial file", errno))
    }

    /// The system copies them, and need not even do that where files can share blocks. They are read where they are
    /// then: what is hashed is what is published.
    fn copy(
        &self,
        facts: &Facts,
        at: u64,
        source: &Source<'_>,
        from: u64,
        bytes: &mut [u8],
    ) -> Result<(), Refusal> {
        let core = &self.core;
        let length = bytes.len() as u64;
        if let Some(theirs) = source.blob.file()? {
            self.check_floor(at + length)?;
            let data = self.open_to_write(length)?;
            let copy = || core.disk.copy_range(&theirs, from, &data, at, length);
            let is_copied = core
                .with_room(length, copy)
                .map_err(|errno| core.refusal("copy a partial file", errno))?;
            self.data().close_if_many(core);
            if is_copied {
                return self.read(facts, at, bytes);
            }
        }
        source.blob.read(source.facts, from, bytes)?;
        self.write(facts, at, bytes)
    }

    /// Where all that is kept was synced, that has said so.
    fn make_certain(&self) -> Result<(), Refusal> {
        if self.core.options.durability != Durability::Commit {
            return Ok(());
        }
        let synced = self.sync();
        synced.map_err(|errno| self.core.refusal("make a partial file durable", errno))
    }

    fn file(&self) -> Result<Option<Arc<OwnedFd>>, Refusal> {
        self.open_data().map(Some)
    }

    fn keep(
        &self,
        facts: &Facts,
        held: Option<&Held>,
        size: Option<u64>,
        mut entries: Vec<Kept>,
        is_synced: bool,
    ) -> Done {
        let core = &self.core;
        // A journal without data is that of an upload that was published.
        if facts.notes.keeps_empty
            && let Err(refusal) = self.open_to_write(0)
        {
            return Done::Unwritten(refusal);
        }
        if let Some(held) = held
            && let Err(refusal) = self.write(facts, held.at, &held.bytes)
        {
            return Done::Unwritten(refusal);
        }
        let unwritten =
            |errno| Done::Unwritten(core.refusal("write the journal of a partial file", errno));
        let exists = self.journal().exists();
        let says_something = !entries.is_empty() || exists || facts.notes.keeps_empty;
        if is_synced && says_something {
            let is_told = match self.tell_sync(facts) {
                Ok(is_told) => is_told,
                Err(errno) => return unwritten(errno),
            };
            if let Err(errno) = self.sync() {
                return Done::Unsynced(core.refusal("make a partial file durable", errno));
            }
            if is_told && entries.is_empty() {
                entries.push(Kept::synced());
            }
        }
        let begun = || self.begun(facts);
        let notes = (!exists && facts.has_notes()).then(|| Entry::Noted(facts.notes.clone()));
        let before = notes.into_iter().chain(size.map(Entry::Sized));
        let entries = before.chain(entries.into_iter().map(Entry::Kept));
        match self.journal().append(core, self.id, begun, entries, is_synced) {
            Ok(()) => Done::Kept,
            Err(errno) => unwritten(errno),
        }
    }

    fn hash(&self, _: &Facts, size: u64) -> Result<Digest, Refusal> {
        let mut content = vec![0; usize::try_from(size.min(GROUP_BYTES)).unwrap_or(0)];
        if !content.is_empty() {
            let data = self.open_data()?;
            self.core.disk.read(&data, &mut content, 0).map_err(|_| files::lost())?;
        }
        Ok(Digest::Blake3(*blake3::hash(&content).as_bytes()))
    }

    fn publish(&self, facts: &Facts, publication: Publication) {
        let Publication { size, digest, commit, reservation, claim, end } = publication;
        let attributes = (commit.modified_ns, commit.executable);
        if commit.reading.is_some()
            && let Err(refusal) = self.check_name(facts, size, digest)
        {
            return commit.refuse(refusal);
        }
        if let Some(reading) = &commit.reading
            && let Err(refusal) = self.read_again(reading, size, &commit.completer)
        {
            if refusal.code == RefusalCode::DigestMismatch {
                // Before anybody hears of it: who comes then begins anew.
                end.mismatched(&refusal);
            }
            return commit.refuse(refusal);
        }
        if self.core.options.durability.syncs_commits()
            && let Err(errno) = self.tell_sync(facts)
        {
            let failed = self.core.refusal("write the journal of a partial file", errno);
            return commit.refuse(failed);
        }
        match self.file_work(facts, (size, digest), attributes, reservation, claim, end) {
            Ok(work) => {
                (commit.submit)(Job { work: Work::File(work), completer: commit.completer })
            }
            Err(refusal) => commit.refuse(refusal),
        }
    }

    fn close(&self) {
        self.data().close(&self.core);
    }

    fn published(&self, facts: &Facts) {
        if facts.is_named {
            remove_journal(&self.core, self.id);
        }
    }

    fn remove(&self, _: &Facts) {
        self.remove_all();
    }

    fn park(&self, facts: &Facts, unkept: &[(u64, u64)], kept_bytes: u64, is_starved: bool) {
        let core = &self.core;
        if !self.data().is_made() {
            return;
        }
        // Without a journal the data says nothing.
        if !self.journal().exists() {
            return self.remove_all();
        }
        if !unkept.is_empty()
            && self.journal().cut_torn_end(core, self.id).is_ok()
            && let Ok(data) = self.open_data()
        {
            unkept.iter().for_each(|&range| core.disk.give_room_back(&data, range));
        }
        self.data().close(core);
        if let Some(usage) = &core.usage {
            usage.waits(&facts.identity, data_name(self.id), kept_bytes);
        }
        if is_starved {
            core.refused_for_space(self.id);
        }
    }
}

pub(super) fn size_of(file: &OwnedFd) -> rustix::io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}
