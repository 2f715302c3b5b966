//! What a disk holds: of each upload its bytes, which of them would outlive a power cut, and its journal.

use std::collections::BTreeMap;

use sandport_protocol::Digest;

use super::chance::Chance;
use super::content::{Pieces, VERSIONS, Version, content};
use super::slot::Slot;
use crate::resumable::Id;

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process is killed: what it has written is there.
    Kill,
    /// The power is cut: what was not synced may be there.
    PowerCut,
}

/// In how many of a thousand cases a call fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sickness {
    pub(super) write: u64,
    pub(super) sync: u64,
    pub(super) journal: u64,
    pub(super) publish: u64,
    pub(super) load: u64,
    pub(super) room: u64,
}

impl Sickness {
    /// Whether none fails.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// A file that has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// The disk of one inbox.
pub(super) struct Disk {
    /// Counts the runs of the server. What belongs to an earlier one is not heard.
    pub(super) run: u64,
    pub(super) boot: u64,
    pub(super) slots: Vec<Slot>,
    /// By name, each in the place of the one before.
    pub(super) stored: BTreeMap<String, Vec<Stored>>,
    pub(super) sickness: Sickness,
    pub(super) blobs_made: u64,
}

impl Disk {
    /// The server ends in the middle of whatever it does. `syncs`: whether the next one does.
    pub(super) fn crash(&mut self, crash: Crash, syncs: bool, chance: &Chance) {
        self.run += 1;
        if crash == Crash::PowerCut {
            self.boot += 1;
        }
        for slot in &mut self.slots {
            (slot.user, slot.work, slot.whole_since) = (None, None, None);
            slot.writing.clear();
            slot.provisional = Pieces::default();
            slot.checked.clear();
            if crash == Crash::PowerCut {
                slot.cut_power(chance);
                (slot.told, slot.is_promised) = (slot.told_synced, slot.is_promise_synced);
            }
            // As when an inbox is opened.
            if syncs {
                slot.journal_synced = slot.journal.as_ref().map_or(0, Vec::len);
                slot.synced = slot.data.clone().unwrap_or_default();
            }
            if slot.journal.as_ref().is_none_or(Vec::is_empty) {
                let told = (slot.told, slot.told_synced);
                let promised = (slot.is_promised, slot.is_promise_synced);
                slot.clear();
                (slot.told, slot.told_synced) = told;
                (slot.is_promised, slot.is_promise_synced) = promised;
            }
        }
    }

    pub(super) fn slot(&mut self, id: Id) -> &mut Slot {
        let found = self.slots.iter().position(|slot| slot.id == id);
        let index = found.unwrap_or_else(|| {
            self.slots.push(Slot::new(id));
            self.slots.len() - 1
        });
        &mut self.slots[index]
    }
}

/// Bytes of a torn write.
pub(super) fn torn(chance: &Chance, length: usize) -> usize {
    chance.below(length as u64 + 1) as usize
}

/// The versions that bytes at `at` are of: from where to where. First bytes that were held back may be of another
/// version than what follows. A few bytes may be those of several: then they are of the `likely` one.
pub(super) fn versions_of(
    mut at: u64,
    mut bytes: &[u8],
    likely: Version,
) -> Option<Vec<(u64, u64, Version)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let common = |version| {
            let other = content(version).get(at as usize..)?;
            if other.get(..bytes.len()) == Some(bytes) {
                return Some((bytes.len(), version == likely, version));
            }
            let same = bytes.iter().zip(other).take_while(|(one, other)| one == other);
            Some((same.count(), version == likely, version))
        };
        let (length, _, version) = (0..VERSIONS).filter_map(common).max()?;
        if length == 0 || found.len() > 3 {
            return None;
        }
        found.push((at, at + length as u64, version));
        (at, bytes) = (at + length as u64, &bytes[length..]);
    }
    Some(found)
}
