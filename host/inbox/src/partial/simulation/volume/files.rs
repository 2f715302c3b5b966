//! The files of an upload: writing, syncing and appending, each of which may fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Kept, Writer};
use sandport_protocol::upload::TAIL_BYTES_MIN;
use sandport_protocol::{Receipt, Refusal, RefusalCode};

use super::super::content::{Pieces, digest};
use super::super::disk::{Stored, torn, versions_of};
use super::super::shared::{Shared, likely_version, meanwhile};
use crate::partial::volume::{Facts, Publication};

/// The files of an upload.
pub(super) struct Files {
    pub(super) shared: Arc<Shared>,
    pub(super) run: u64,
    pub(super) number: u64,
    /// Whether it has been used: before, there is nothing of it.
    pub(super) is_begun: AtomicBool,
    /// It is that of a publication, beside the one of the upload.
    pub(super) is_second: bool,
    pub(super) journal: Mutex<Journal>,
}

pub(super) struct Journal {
    pub(super) writer: Option<Writer>,
    pub(super) end: usize,
    /// Whether it speaks of bytes that were not synced.
    pub(super) is_of_boot: bool,
}

impl Journal {
    /// One that has no file yet.
    pub(super) fn new() -> Self {
        Self { writer: None, end: 0, is_of_boot: false }
    }
}

pub(super) fn io() -> Refusal {
    RefusalCode::Io.into()
}

impl Files {
    /// Those of an upload, found where there is a journal.
    pub(super) fn new(shared: Arc<Shared>, run: u64, number: u64, journal: Journal) -> Self {
        let is_begun = AtomicBool::new(journal.writer.is_some());
        let (is_second, journal) = (false, Mutex::new(journal));
        Self { shared, run, number, is_begun, is_second, journal }
    }

    /// Whether this is heard still: its run is not over, and it is the one user.
    pub(super) fn is_current(&self, facts: &Facts, doing: &'static str) -> bool {
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return false;
        }
        let slot = disk.slot(facts.id);
        if !self.is_begun.swap(true, Ordering::Relaxed) && slot.user.is_none() {
            slot.user = Some(self.number);
        }
        let is_closed_by_it = doing == "a removal" && slot.closed_by == Some(self.number);
        if slot.user != Some(self.number) && !is_closed_by_it {
            self.shared.violate(&format!("5: {doing} of an upload that is closed"));
            return false;
        }
        if doing != "a write"
            && let Some(work) = slot.work
        {
            self.shared.violate(&format!("5: {doing} during {work}"));
        }
        true
    }

    pub(super) fn begin_work(&self, facts: &Facts, doing: &'static str) -> bool {
        self.shared.trace(|| format!("{} begins {doing}", self.number));
        let is_current = self.is_current(facts, doing);
        if is_current {
            self.shared.disk.lock().unwrap().slot(facts.id).work = Some(doing);
        }
        is_current
    }

    pub(super) fn end_work(&self, facts: &Facts) {
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run == self.run {
            let slot = disk.slot(facts.id);
            // What was not kept now has as long again.
            (slot.work, slot.whole_since) = (None, None);
        }
    }

    /// Whether this call fails, in one of so many cases.
    fn fails(&self, facts: &Facts, share: u64) -> bool {
        let fails = self.shared.chance.per_mille(share);
        if fails && (facts.size.is_none() || !self.shared.syncs()) {
            // Then the machine may give it up.
            self.shared.disk.lock().unwrap().slot(facts.id).forgiven += 1;
        }
        fails
    }

    /// `checked_from`: where what counts only when it is checked begins.
    pub(super) fn put(
        &self,
        facts: &Facts,
        at: u64,
        bytes: &[u8],
        checked_from: Option<u64>,
    ) -> Result<(), Refusal> {
        let share = self.shared.disk.lock().unwrap().sickness.write;
        let fails = self.fails(facts, share);
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return Err(io());
        }
        let slot = disk.slot(facts.id);
        let Some(pieces) = versions_of(at, bytes, likely_version(facts.id)) else {
            self.shared.violate("4: bytes are written to another place than theirs");
            return Err(io());
        };
        let data = slot.data.get_or_insert_default();
        if fails {
            let end = at + torn(&self.shared.chance, bytes.len() - 1) as u64;
            // Those that were there are there still: the same bytes.
            if !data.has(at, end) {
                for (start, to, version) in pieces {
                    data.write(start, to.min(end).max(start), version);
                }
            }
            return Err(if self.shared.chance.per_mille(500) {
                io()
            } else {
                RefusalCode::InsufficientSpace.into()
            });
        }
        for (start, end, version) in pieces {
            data.write(start, end, version);
            slot.provisional.lose(start, end);
            if let Some(from) = checked_from {
                slot.provisional.write(start.max(from), end, version);
            }
        }
        Ok(())
    }

    /// After a write or an entry: how much is not kept.
    pub(super) fn check_step(&self, facts: &Facts) {
        let now = self.shared.now();
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return;
        }
        let slot = disk.slot(facts.id);
        let (unkept, in_step) = slot.unkept(facts.size);
        let forgotten: u64 = slot.forgotten.values().sum();
        let step = self.shared.step_bytes.max(GROUP_BYTES) + forgotten;
        if in_step > step {
            let (data, said, checked) = (&slot.data, &slot.said, &slot.checked);
            let says = || format!("{in_step} of {step}: {data:?}, {said:?}, {checked:?}");
            self.shared.trace(says);
            self.shared.violate("3: more is not kept than the step");
        }
        if unkept == 0 {
            slot.whole_since = None;
        } else if slot.writing.is_empty() {
            slot.whole_since.get_or_insert(now);
        }
    }

    pub(super) fn sync(&self, facts: &Facts) -> bool {
        let share = self.shared.disk.lock().unwrap().sickness.sync;
        let fails = self.shared.chance.per_mille(share);
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run != self.run {
            return false;
        }
        let gives_up = facts.size.is_none() || !self.shared.syncs();
        let slot = disk.slot(facts.id);
        let Some(data) = &mut slot.data else { return true };
        if !fails {
            slot.synced = data.clone();
            return true;
        }
        // What could not be written is given up, and the next sync does not say so again.
        for (start, end, version) in data.clone().iter() {
            if slot.synced.version(start, end) != Some(version) && self.shared.chance.per_mille(600)
            {
                let from = start + self.shared.chance.below(end - start);
                data.lose(from, end);
                for (start, end, version) in slot.synced.iter() {
                    if end > from && data.version(start, end).is_none() {
                        data.write(start, end, version);
                    }
                }
            }
        }
        slot.forgiven += u32::from(gives_up);
        false
    }

    /// Says that what the journal says is about to be synced, where that was not done when it was said. `Err`: that could
    /// not be written; `Ok`: whether it was.
    pub(super) fn tell_sync(&self, facts: &Facts) -> Result<bool, Refusal> {
        if !self.journal.lock().unwrap().is_of_boot {
            return Ok(false);
        }
        let boot = self.shared.disk.lock().unwrap().boot;
        if self.append(facts, None, &[Kept::syncing(boot)], false) { Ok(true) } else { Err(io()) }
    }

    /// Makes durable what an earlier server has said to be here and has not synced, and says `again` what of it is to
    /// hold after a power cut; `Ok(false)`: it is lost.
    pub(super) fn settle(
        &self,
        facts: &Facts,
        is_being_synced: bool,
        again: &[Kept],
    ) -> Result<bool, Refusal> {
        let boot = self.shared.disk.lock().unwrap().boot;
        if !is_being_synced && !self.append(facts, None, &[Kept::syncing(boot)], false) {
            return Err(io());
        }
        if !self.sync(facts) {
            return Ok(false);
        }
        let said = [Kept::synced()];
        // It says what it has said.
        let known = self.shared.disk.lock().unwrap().slot(facts.id).take_said();
        let entries = if again.is_empty() { &said } else { again };
        let is_said = self.append(facts, None, entries, !again.is_empty());
        self.shared.disk.lock().unwrap().slot(facts.id).restore_said(known);
        if is_said || again.is_empty() { Ok(true) } else { Err(io()) }
    }

    pub(super) fn append(
        &self,
        facts: &Facts,
        size: Option<u64>,
        entries: &[Kept],
        is_synced: bool,
    ) -> bool {
        let shared = &self.shared;
        let mut journal = self.journal.lock().unwrap();
        let begun = Begun {
            name: facts.name.as_str().to_owned(),
            size: facts.size,
            identity: None,
            begun_s: 0,
        };
        let (mut writer, mut bytes) = match &journal.writer {
            Some(writer) => (writer.clone(), Vec::new()),
            None => {
                let (mut writer, mut bytes) = Writer::begin(facts.id.journal(), begun);
                writer.push(&mut bytes, &Entry::Noted(facts.notes.clone()));
                (writer, bytes)
            }
        };
        if let Some(size) = size {
            writer.push(&mut bytes, &Entry::Sized(size));
        }
        for kept in entries {
            writer.push(&mut bytes, &Entry::Kept(kept.clone()));
        }
        if bytes.is_empty() {
            return true;
        }
        let (share, now) = (shared.disk.lock().unwrap().sickness.journal, shared.now());
        let fails = self.fails(facts, share);
        let mut disk = shared.disk.lock().unwrap();
        if disk.run != self.run {
            return false;
        }
        let slot = disk.slot(facts.id);
        let first = journal.writer.is_none();
        let file = slot.journal.get_or_insert_default();
        if first {
            file.clear();
            slot.journal_synced = 0;
        }
        file.truncate(journal.end);
        if fails {
            file.extend_from_slice(&bytes[..torn(&shared.chance, bytes.len())]);
            slot.allow_entries(1);
            return false;
        }
        slot.whole_since = None;
        if let Some(size) = size {
            // To tell it is worth an entry; after one, who asks counts anew.
            slot.asked = 0;
            // What lies beyond the end is no part of any group.
            slot.provisional.lose(size, u64::MAX);
        }
        file.extend_from_slice(&bytes);
        journal.end += bytes.len();
        journal.writer = Some(writer);
        journal.is_of_boot = entries.last().map_or(journal.is_of_boot, |last| last.boot.is_some());
        if is_synced {
            slot.journal_synced = file.len();
        }
        for kept in entries.iter().filter(|kept| !kept.is_empty()) {
            for group in kept.first..kept.first + kept.groups.len() as u64 {
                if !slot.said.insert(group) {
                    shared.violate("5: the journal says a group twice");
                }
                let start = group * GROUP_BYTES;
                if slot.provisional.touches(start, start + GROUP_BYTES) {
                    shared.violate("9: the journal says bytes that were not checked");
                }
            }
            if let Some(tail) = kept.tail {
                let start = tail.group * GROUP_BYTES;
                if slot.provisional.touches(start, start + tail.length) {
                    shared.violate("9: the journal says bytes that were not checked");
                }
            }
            let grown = kept.tail.map_or(0, |tail| match slot.tail {
                Some((group, length)) if group == tail.group => tail.length.saturating_sub(length),
                _ => tail.length,
            });
            if kept.groups.is_empty() && grown < TAIL_BYTES_MIN {
                slot.has_small_entry();
            } else {
                (slot.small_entries, slot.small_since) = (0, now);
                slot.asked = 0;
            }
            if let (Some((group, length)), Some(tail)) = (slot.tail, kept.tail)
                && group != tail.group
            {
                slot.forgotten.insert(group, length);
            }
            slot.tail = kept.tail.map(|tail| (tail.group, tail.length)).or(slot.tail);
            slot.forgotten.retain(|group, _| !slot.said.contains(group));
            slot.checked.retain(|group, _| !slot.said.contains(group));
        }
        true
    }

    /// What the thread that publishes does.
    pub(super) fn published_now(&self, facts: &Facts, publication: Publication) {
        let Publication { size, digest: claimed, commit, reservation, end, .. } = publication;
        let (completer, shared) = (commit.completer, &self.shared);
        meanwhile();
        let share = shared.disk.lock().unwrap().sickness.publish;
        if shared.chance.per_mille(share) {
            drop((reservation, end));
            return completer.complete(Err(RefusalCode::Exists.into()));
        }
        if !self.sync(facts) {
            drop(reservation);
            end.lost(&io());
            return completer.complete(Err(io()));
        }
        {
            let mut disk = shared.disk.lock().unwrap();
            if disk.run != self.run {
                return;
            }
            let slot = disk.slot(facts.id);
            let data = slot.data.take().unwrap_or_default();
            let is_whole = match data.version(0, size) {
                Some(version) => digest(version, size) == claimed,
                None => size == 0 && claimed == digest(0, 0),
            };
            if !is_whole {
                shared.trace(|| format!("{size} of {data:?}, {claimed}"));
                shared.violate("4: a file is published that is not whole, or not what it was");
            }
            slot.synced = Pieces::default();
            (slot.told, slot.told_synced, slot.whole_since) = (0, 0, None);
            let name = facts.name.as_str().to_owned();
            disk.stored.entry(name).or_default().push(Stored { size, digest: claimed });
        }
        drop(reservation);
        let name = facts.name.as_str().to_owned();
        let receipt = Receipt { name, size, digest: claimed, proof: None };
        if shared.chance.per_mille(500) {
            end.published();
            completer.complete(Ok(receipt));
        } else {
            completer.complete(Ok(receipt));
            end.published();
        }
    }
}
