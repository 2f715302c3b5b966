//! The files of an upload as its machine has them used.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use sandport_protocol::journal::Kept;
use sandport_protocol::upload::{Done, Held};
use sandport_protocol::{Digest, Refusal};

use super::super::content::{content, digest};
use super::super::shared::{checked_from, meanwhile, writer_has_lost};
use super::files::{Files, Journal, io};
use crate::resumable::volume::{Blob, Facts, Publication};
use crate::runtime::Runtime;

impl Drop for Files {
    /// One that was never used is closed by that.
    fn drop(&mut self) {
        let mut disk = self.shared.disk.lock().unwrap();
        let is_open = disk.run == self.run && !self.is_second;
        let user = disk.slots.iter_mut().find(|slot| slot.user == Some(self.number));
        if let Some(slot) = user.filter(|_| is_open) {
            slot.user = None;
        }
    }
}

impl Blob for Files {
    fn write(&self, facts: &Facts, at: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.shared.trace(|| format!("{} writes {at}+{}", self.number, bytes.len()));
        if !self.is_current(facts, "a write") {
            return Err(io());
        }
        let (range, checked_from) = ((at, at + bytes.len() as u64), checked_from(facts.id));
        if writer_has_lost(facts.id) {
            self.shared.violate("2: who has lost an upload writes");
        }
        {
            let mut disk = self.shared.disk.lock().unwrap();
            let slot = disk.slot(facts.id);
            if slot.writing.iter().any(|other| other.0 < range.1 && range.0 < other.1) {
                self.shared.violate("2: two write the same bytes");
            }
            slot.writing.push(range);
        }
        meanwhile();
        let written = self.put(facts, at, bytes, checked_from);
        self.shared.trace(|| format!("{} has written {at}+{}", self.number, bytes.len()));
        meanwhile();
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return Err(io());
        }
        disk.slot(facts.id).writing.retain(|other| *other != range);
        drop(disk);
        self.check_step(facts);
        written
    }

    fn read(&self, facts: &Facts, at: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        meanwhile();
        let end = at + bytes.len() as u64;
        let mut disk = self.shared.disk.lock().unwrap();
        let is_heard = disk.run == self.run;
        let slot = disk.slot(facts.id);
        // It may have been removed while it is read.
        let is_there = is_heard && slot.user == Some(self.number);
        let data = slot.data.clone().filter(|data| is_there && data.has(at, end));
        drop(disk);
        for (from, to, version) in data.ok_or_else(io)?.iter() {
            let (from, to) = (from.max(at), to.min(end));
            if from < to {
                let known = &content(version)[from as usize..to as usize];
                bytes[(from - at) as usize..(to - at) as usize].copy_from_slice(known);
            }
        }
        Ok(())
    }

    fn keep(
        &self,
        facts: &Facts,
        held: Option<&Held>,
        size: Option<u64>,
        mut entries: Vec<Kept>,
        is_synced: bool,
    ) -> Done {
        if !self.begin_work(facts, "a keep") {
            return Done::Unsynced(io());
        }
        let done = 'done: {
            // A journal without data is that of an upload that was published.
            if facts.notes.keeps_empty {
                self.shared.disk.lock().unwrap().slot(facts.id).data.get_or_insert_default();
            }
            if let Some(held) = held
                && let Err(refusal) = self.put(facts, held.at, &held.bytes, None)
            {
                break 'done Done::Unwritten(refusal);
            }
            meanwhile();
            let says_something =
                !entries.is_empty() || self.journal.lock().unwrap().writer.is_some();
            if is_synced && says_something {
                let is_told = match self.tell_sync(facts) {
                    Ok(is_told) => is_told,
                    Err(refusal) => break 'done Done::Unwritten(refusal),
                };
                meanwhile();
                if !self.sync(facts) {
                    break 'done Done::Unsynced(io());
                }
                if is_told && entries.is_empty() {
                    entries.push(Kept::synced());
                }
            }
            meanwhile();
            let appended = self.append(facts, size, &entries, is_synced);
            meanwhile();
            if appended { Done::Checkpointed } else { Done::Unwritten(io()) }
        };
        self.end_work(facts);
        self.shared.trace(|| format!("{} keeps {entries:?}: {done:?}", self.number));
        self.check_step(facts);
        done
    }

    fn hash(&self, facts: &Facts, size: u64) -> Result<Digest, Refusal> {
        if !self.begin_work(facts, "a hash") {
            return Err(io());
        }
        meanwhile();
        let mut disk = self.shared.disk.lock().unwrap();
        let known = match &disk.slot(facts.id).data {
            _ if size == 0 => Some(0),
            Some(data) => data.version(0, size),
            None => None,
        };
        drop(disk);
        self.end_work(facts);
        known.map(|version| digest(version, size)).ok_or_else(io)
    }

    fn publish(&self, facts: &Facts, publication: Publication) {
        if !self.begin_work(facts, "a publication") {
            return;
        }
        if let Err(refusal) = self.tell_sync(facts) {
            self.end_work(facts);
            return publication.commit.completer.complete(Err(refusal));
        }
        let files = Self {
            shared: Arc::clone(&self.shared),
            run: self.run,
            number: self.number,
            is_begun: AtomicBool::new(true),
            is_second: true,
            journal: Mutex::new(Journal::new()),
        };
        let facts = Facts {
            id: facts.id,
            identity: facts.identity.clone(),
            name: facts.name.clone(),
            is_named: facts.is_named,
            size: facts.size,
            notes: facts.notes.clone(),
        };
        let task = move || {
            files.end_work(&facts);
            files.published_now(&facts, publication);
        };
        self.shared.tasks().spawn(Box::new(task));
    }

    fn published(&self, facts: &Facts) {
        if !self.is_current(facts, "an end") {
            return;
        }
        let mut disk = self.shared.disk.lock().unwrap();
        let slot = disk.slot(facts.id);
        slot.user = None;
        let journal = slot.journal.take().filter(|_| !facts.is_named);
        let synced = slot.journal_synced;
        slot.clear();
        if let Some(journal) = journal {
            (slot.journal, slot.journal_synced) = (Some(journal), synced);
        }
    }

    fn remove(&self, facts: &Facts) {
        if !self.begin_work(facts, "a removal") {
            return;
        }
        meanwhile();
        self.end_work(facts);
        if !self.is_current(facts, "a removal") {
            return;
        }
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return;
        }
        let slot = disk.slot(facts.id);
        if slot.told > 0 && slot.forgiven == 0 {
            self.shared.trace(|| format!("has {:?}", slot.data));
            self.shared.violate("1: bytes are removed that were told to be durable");
        }
        if slot.is_promised && slot.forgiven == 0 {
            self.shared.violate("8: an upload is removed whose key was told");
        }
        if !slot.writing.is_empty() {
            self.shared.violate("2: an upload is removed while somebody writes");
        }
        slot.forgiven = slot.forgiven.saturating_sub(1);
        slot.user = None;
        slot.clear();
        self.shared.quota().removed(facts.id);
    }

    fn park(&self, facts: &Facts, dirty: &[(u64, u64)], kept_bytes: u64, _: bool) {
        if !self.begin_work(facts, "a close") {
            return;
        }
        meanwhile();
        self.end_work(facts);
        if !self.is_current(facts, "a close") {
            return;
        }
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return;
        }
        let (boot, share) = (disk.boot, disk.sickness.journal);
        let slot = disk.slot(facts.id);
        if !slot.writing.is_empty() {
            self.shared.violate("2: an upload is closed while somebody writes");
        }
        (slot.user, slot.closed_by) = (None, Some(self.number));
        slot.whole_since = None;
        if slot.data.is_none() {
            return;
        }
        if self.journal.lock().unwrap().writer.is_none() {
            if slot.told > 0 {
                self.shared.violate("1: an upload without a journal was told to be durable");
            }
            slot.clear();
            return;
        }
        // What an append that has failed has left is cut off first. Where that fails, nothing is freed.
        if !self.shared.chance.per_mille(share) {
            if let Some(journal) = &mut slot.journal {
                journal.truncate(self.journal.lock().unwrap().end);
            }
            for &(start, end) in dirty {
                slot.provisional.lose(start, end);
                if let Some(data) = &mut slot.data {
                    data.lose(start, end);
                }
                slot.synced.lose(start, end);
            }
        }
        // An append that has failed may be there all the same. It does not count.
        let known = slot.said_bytes(boot, self.journal.lock().unwrap().end);
        if known > kept_bytes {
            let found = slot.recover(boot, false);
            self.shared.trace(|| format!("counts {kept_bytes} of {known}: {found:?}"));
            self.shared.violate("6: a closed upload counts as less than it holds");
        }
        if slot.breaks_its_word(boot) {
            self.shared.violate("1: a closed upload has less than was told to be durable");
        }
        self.shared.quota().parked(&facts.identity, facts.id, kept_bytes);
    }
}
