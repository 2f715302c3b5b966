//! What a disk holds of one upload, and what its senders were told of that.

use std::collections::{BTreeMap, BTreeSet};

use sandport_protocol::Millis;
use sandport_protocol::journal::{GROUP_BYTES, Ranges, Recovered, Recovery};

use super::chance::Chance;
use super::content::Pieces;
use crate::resumable::Id;

/// How many entries in a row may be about few bytes because somebody asks for them.
const ASKED_MAX: u64 = 32;

/// For how many entries there may be other reasons at a time. Whoever comes or leaves has one written, or two.
const REASONS_MAX: u64 = 6;

/// What is there of one upload.
pub(super) struct Slot {
    pub(super) id: Id,
    /// What was written, and reads so.
    pub(super) data: Option<Pieces>,
    /// What of it was synced.
    pub(super) synced: Pieces,
    pub(super) journal: Option<Vec<u8>>,
    /// How many bytes of the journal were synced.
    pub(super) journal_synced: usize,
    /// Who uses it: the number of a blob.
    pub(super) user: Option<u64>,
    /// Who has closed it last: that one may remove it still.
    pub(super) closed_by: Option<u64>,
    /// What its user has under way.
    pub(super) work: Option<&'static str>,
    /// Which bytes are being written.
    pub(super) writing: Vec<(u64, u64)>,
    /// Groups that the journal says.
    pub(super) said: BTreeSet<u64>,
    /// What senders were told to be durable.
    pub(super) told: u64,
    /// What of that by a server that syncs: it outlives a power cut.
    pub(super) told_synced: u64,
    /// How many sessions there were.
    pub(super) sessions: u64,
    /// How often it was begun or removed.
    pub(super) beginnings: u64,
    /// How often somebody has given a reason to remove it.
    pub(super) forgiven: u32,
    /// Since when a group is whole that the journal does not say.
    pub(super) whole_since: Option<Millis>,
    /// The last bytes of a begun group that the journal says: the group, and how many.
    pub(super) tail: Option<(u64, u64)>,
    /// How many bytes of begun groups it said once, and does not any more: it says one.
    pub(super) forgotten: BTreeMap<u64, u64>,
    /// How many entries there were about few bytes in a row for which there was no reason.
    pub(super) small_entries: u64,
    /// How many more there may be for a reason.
    reasons: u64,
    /// Somebody has asked for one since the last.
    pub(super) is_asked: bool,
    /// How many there were in a row because somebody had asked.
    pub(super) asked: u64,
    /// When there was the last one about more.
    pub(super) small_since: Millis,
    /// Somebody was cut off who had said that the file is through. That counts.
    pub(super) is_through: bool,
    /// A stream was left by a session that had met a fault, and by all others.
    pub(super) is_over: bool,
    /// Somebody was told its key.
    pub(super) is_promised: bool,
    /// By a server that syncs.
    pub(super) is_promise_synced: bool,
    /// What was written and is to be checked first.
    pub(super) provisional: Pieces,
    /// Groups that came by bodies that were checked: how many of their first bytes are in no step.
    pub(super) checked: BTreeMap<u64, u64>,
}

/// What the journal of an upload says, as a [`Slot`] has it.
pub(super) struct Said {
    groups: BTreeSet<u64>,
    forgotten: BTreeMap<u64, u64>,
    tail: Option<(u64, u64)>,
}

impl Slot {
    pub(super) fn new(id: Id) -> Self {
        Self {
            id,
            data: None,
            synced: Pieces::default(),
            journal: None,
            journal_synced: 0,
            user: None,
            closed_by: None,
            work: None,
            writing: Vec::new(),
            said: BTreeSet::new(),
            told: 0,
            told_synced: 0,
            sessions: 0,
            beginnings: 0,
            forgiven: 0,
            whole_since: None,
            tail: None,
            forgotten: BTreeMap::new(),
            small_entries: 0,
            reasons: 0,
            is_asked: false,
            asked: 0,
            small_since: 0,
            is_through: false,
            is_over: false,
            is_promised: false,
            is_promise_synced: false,
            provisional: Pieces::default(),
            checked: BTreeMap::new(),
        }
    }

    /// What its journal comes to; `None`: nothing. `synced`: as far as it is certain to outlive a power cut.
    pub(super) fn recover(&self, boot: u64, synced: bool) -> Option<Recovered> {
        let journal = self.journal.as_ref()?;
        let length = if synced { self.journal_synced } else { journal.len() };
        let data = if synced { self.synced.end() } else { self.data.as_ref()?.end() };
        // After a power cut it is another one.
        let boot = boot + u64::from(synced);
        let mut recovery = Recovery::new(self.id.journal(), boot, data);
        recovery.push(&journal[..length]);
        recovery.finish().ok()
    }

    /// How many bytes the first `length` of its journal say.
    pub(super) fn said_bytes(&self, boot: u64, length: usize) -> u64 {
        let Some((journal, data)) = self.journal.as_ref().zip(self.data.as_ref()) else { return 0 };
        let mut recovery = Recovery::new(self.id.journal(), boot, data.end());
        recovery.push(&journal[..length.min(journal.len())]);
        let Ok(found) = recovery.finish() else { return 0 };
        // A tail that is lost is left out.
        let tail = found.tail.filter(|tail| data.find(tail).is_some());
        found.kept.bytes() + tail.map_or(0, |tail| tail.length)
    }

    /// How many bytes from the start a crash would leave in any case.
    pub(super) fn recoverable(&self, boot: u64, synced: bool) -> u64 {
        let Some(recovered) = self.recover(boot, synced) else { return 0 };
        let nothing = Pieces::default();
        let data = if synced { &self.synced } else { self.data.as_ref().unwrap_or(&nothing) };
        let mut here = recovered.kept;
        if let Some(tail) = recovered.tail {
            let (start, end) = (tail.group * GROUP_BYTES, tail.group * GROUP_BYTES + tail.length);
            // It is read again, and else left out.
            if data.has(start, end) {
                here.insert(start, end);
            }
        }
        let prefix = here.prefix();
        if data.has(0, prefix) { prefix } else { 0 }
    }

    /// Somebody is told that so many bytes from the start are durable, by a server that `syncs` or not.
    pub(super) fn tell(&mut self, bytes: u64, syncs: bool) {
        self.told = self.told.max(bytes);
        if syncs {
            self.told_synced = self.told_synced.max(bytes);
        }
    }

    /// Somebody is told its key.
    pub(super) fn promise(&mut self, syncs: bool) {
        self.is_promised = true;
        self.is_promise_synced |= syncs;
    }

    /// Nobody relies on what was told of it.
    pub(super) fn forget_told(&mut self) {
        (self.told, self.told_synced) = (0, 0);
        (self.is_promised, self.is_promise_synced) = (false, false);
    }

    /// Whether less would be left than somebody was told, whatever comes.
    pub(super) fn breaks_its_word(&self, boot: u64) -> bool {
        self.forgiven == 0
            && (self.recoverable(boot, false) < self.told
                || self.recoverable(boot, true) < self.told_synced)
    }

    /// There is a reason for so many entries, however little they say. What is not taken does not add up.
    pub(super) fn allow_entries(&mut self, entries: u64) {
        self.reasons = (self.reasons + entries).min(REASONS_MAX);
    }

    /// An entry about few bytes is written.
    pub(super) fn has_small_entry(&mut self) {
        if std::mem::take(&mut self.is_asked) && self.asked < ASKED_MAX {
            self.asked += 1;
            return;
        }
        match self.reasons.checked_sub(1) {
            Some(left) => self.reasons = left,
            None => self.small_entries += 1,
        }
    }

    /// How many bytes of whole groups the journal does not say, and how many of them are in a step.
    pub(super) fn dirty(&self, size: Option<u64>) -> (u64, u64) {
        let Some(data) = &self.data else { return (0, 0) };
        let (mut dirty, mut in_step) = (0, 0);
        for group in 0..data.end().div_ceil(GROUP_BYTES) {
            let start = group * GROUP_BYTES;
            let end = size.map_or(start + GROUP_BYTES, |size| size.min(start + GROUP_BYTES));
            let is_checked = !self.provisional.touches(start, end);
            if data.has(start, end) && is_checked && !self.said.contains(&group) {
                let known = self.tail.filter(|tail| tail.0 == group).map_or(0, |tail| tail.1);
                let checked = self.checked.get(&group).copied().unwrap_or(0);
                dirty += (end - start).saturating_sub(known);
                in_step += (end - start).saturating_sub(known.max(checked));
            }
        }
        (dirty, in_step)
    }

    /// What a body has brought was found to be what it should be. It is in no step, nor is what was begun before of its
    /// first group.
    pub(super) fn accept(&mut self, start: u64, end: u64) {
        self.provisional.lose(start, end);
        for group in start / GROUP_BYTES..end.div_ceil(GROUP_BYTES) {
            self.checked.insert(group, GROUP_BYTES.min(end - group * GROUP_BYTES));
        }
    }

    /// Only what was found counts from now on.
    pub(super) fn keep_only(&mut self, found: &Ranges) {
        let Some(data) = &mut self.data else { return };
        for gap in found.gaps(Some(data.end())) {
            data.lose(gap.offset, gap.offset + gap.length.unwrap_or(0));
        }
    }

    /// Nothing is left.
    pub(super) fn clear(&mut self) {
        self.beginnings += 1;
        (self.data, self.journal) = (None, None);
        self.journal_synced = 0;
        self.synced = Pieces::default();
        self.said.clear();
        self.forgotten.clear();
        (self.tail, self.whole_since) = (None, None);
        (self.is_through, self.is_over) = (false, false);
        self.forget_told();
        self.checked.clear();
        self.provisional = Pieces::default();
    }

    /// Which group is said by its journal once, and which begun.
    pub(super) fn read_again(&mut self, kept: &Ranges, tail: Option<(u64, u64)>) {
        self.tail = tail;
        self.forgotten.clear();
        self.checked.clear();
        self.said = (0..kept.end().div_ceil(GROUP_BYTES))
            .filter(|group| kept.contains(group * GROUP_BYTES))
            .collect();
    }

    /// Its journal is about to say again what it says: what that is, to be [put back](Self::restore_said).
    pub(super) fn take_said(&mut self) -> Said {
        let said = (std::mem::take(&mut self.said), std::mem::take(&mut self.forgotten));
        Said { groups: said.0, forgotten: said.1, tail: self.tail.take() }
    }

    pub(super) fn restore_said(&mut self, said: Said) {
        let Said { groups, forgotten, tail } = said;
        (self.said, self.forgotten, self.tail) = (groups, forgotten, tail);
    }

    pub(super) fn cut_power(&mut self, chance: &Chance) {
        if let Some(data) = &mut self.data {
            for (start, end, version) in data.clone().iter() {
                if self.synced.version(start, end) == Some(version) {
                    continue;
                }
                // In any order, and any part of it.
                let whole = end - start;
                match chance.below(3) {
                    0 => self.synced.write(start, end, version),
                    1 => self.synced.write(start, start + chance.below(whole + 1), version),
                    _ => {}
                }
            }
            *data = self.synced.clone();
        }
        if let Some(journal) = &mut self.journal {
            let unsynced = (journal.len() - self.journal_synced) as u64;
            journal.truncate(self.journal_synced + chance.below(unsynced + 1) as usize);
            // A file that was never synced may have no name.
            if journal.is_empty() && self.journal_synced == 0 {
                self.journal = None;
            }
        }
    }
}
