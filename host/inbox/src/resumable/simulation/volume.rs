//! A volume that fails, tears, loses and reorders as disks do, and notices who uses it against the rules.

mod blob;
mod files;

use std::sync::Arc;

use sandport_protocol::journal::{GROUP_BYTES, Ranges};
use sandport_protocol::upload::Found;
use sandport_protocol::{EntryName, Refusal, RefusalCode};

use super::content::Pieces;
use super::shared::{Shared, meanwhile};
use crate::Identity;
use crate::resumable::Id;
use crate::resumable::volume::{Blob, Facts, Loaded, Volume};
use crate::space::Room;
use crate::usage::Reservation;
use files::{Files, Journal, io};

/// The disk as one run of the server sees it.
pub(super) struct Model {
    pub(super) shared: Arc<Shared>,
    pub(super) run: u64,
}

struct Space {
    shared: Arc<Shared>,
}

impl Model {
    fn files(&self, id: Id, journal: Journal) -> Arc<Files> {
        let mut disk = self.shared.disk.lock().unwrap();
        disk.blobs_made += 1;
        let number = disk.blobs_made;
        let is_begun = journal.writer.is_some();
        if disk.run == self.run {
            let slot = disk.slot(id);
            slot.closed_by = None;
            if slot.user.is_some() {
                self.shared.violate("5: an upload has two users");
            }
        }
        if disk.run == self.run && is_begun {
            disk.slot(id).user = Some(number);
        }
        Arc::new(Files::new(Arc::clone(&self.shared), self.run, number, journal))
    }
}

impl Volume for Model {
    fn begin(&self, id: Id) -> Result<Arc<dyn Blob>, Refusal> {
        let mut disk = self.shared.disk.lock().unwrap();
        if disk.run == self.run {
            let slot = disk.slot(id);
            if slot.told > 0 && slot.forgiven == 0 {
                self.shared.violate("1: an upload is begun where bytes were told to be durable");
            }
            if slot.is_promised && slot.forgiven == 0 {
                self.shared.violate("8: an upload is begun whose key was told before");
            }
            if slot.told > 0 || slot.is_promised {
                slot.forgiven = slot.forgiven.saturating_sub(1);
            }
            slot.asked = 0;
            slot.beginnings += 1;
            slot.forget_told();
        }
        drop(disk);
        Ok(self.files(id, Journal::new()))
    }

    fn load(&self, id: Id) -> Result<Option<Loaded>, Refusal> {
        meanwhile();
        let shared = &self.shared;
        let mut disk = shared.disk.lock().unwrap();
        if disk.run != self.run || shared.chance.per_mille(disk.sickness.load) {
            return Err(io());
        }
        let boot = disk.boot;
        let slot = disk.slot(id);
        if slot.user.is_some() {
            shared.violate("5: an upload is loaded that is open");
        }
        let Some(journal) = slot.journal.clone() else { return Ok(None) };
        shared.trace(|| format!("{id} is loaded"));
        if slot.data.is_none() {
            // What is read needs no data.
            slot.data = Some(Pieces::default());
            let recovered = slot.recover(boot, false);
            slot.data = None;
            let name = recovered.and_then(|it| EntryName::parse(&it.begun.name).ok());
            if name.is_none() {
                slot.clear();
            }
            return Ok(name.map(Loaded::Published));
        }
        let Some(recovered) = slot.recover(boot, false) else {
            slot.clear();
            shared.quota().removed(id);
            return Ok(None);
        };
        let data = slot.data.clone().unwrap_or_default();
        // The bytes are compared with what the journal says of them.
        let is_there = complement(&recovered.kept).iter().all(|&(start, end)| data.has(start, end));
        if recovered.is_being_synced && !is_there {
            slot.clear();
            shared.quota().removed(id);
            return Ok(None);
        }
        let mut here = recovered.kept.clone();
        for gap in complement(&recovered.kept) {
            if !data.has(gap.0, gap.1) {
                shared.trace(|| format!("lost {gap:?} of {data:?}"));
                shared.violate("1: the journal says bytes that are lost");
            }
        }
        let tail = recovered.tail.and_then(|tail| {
            let hasher = data.find(&tail)?;
            let start = tail.group * GROUP_BYTES;
            here.insert(start, start + tail.length);
            Some((tail.group, tail.length, hasher))
        });
        if here.prefix() < slot.told && slot.forgiven == 0 {
            shared.violate("1: bytes that were told to be durable are not found");
        }
        slot.keep_only(&here);
        slot.journal = Some(journal[..(recovered.end as usize).min(journal.len())].to_vec());
        slot.journal_synced = slot.journal_synced.min(recovered.end as usize);
        slot.read_again(&recovered.kept, tail.as_ref().map(|tail| (tail.0, tail.1)));
        slot.whole_since = None;
        slot.provisional = Pieces::default();
        slot.allow_entries(2);
        slot.asked = 0;
        if slot.is_over {
            shared.violate("6: a stream that has met a fault is resumed");
        }
        let Ok(name) = EntryName::parse(&recovered.begun.name) else { return Ok(None) };
        let (size, again) = (recovered.begun.size, recovered.to_say_again());
        let (is_being_synced, notes) = (recovered.is_being_synced, recovered.notes);
        drop(disk);
        let (end, is_of_boot) = (recovered.end as usize, recovered.is_of_boot);
        let journal = Journal { writer: Some(recovered.writer), end, is_of_boot };
        let found = Found { tree: recovered.tree, whole: recovered.kept, tail };
        let blob = self.files(id, journal);
        if shared.syncs() && (is_of_boot || !again.is_empty()) {
            let (identity, name, notes) = (Identity::ANONYMOUS, name.clone(), notes.clone());
            let facts = Facts { id, identity, name, is_named: true, size, notes };
            if !blob.settle(&facts, is_being_synced, &again)? {
                drop(blob);
                let mut disk = shared.disk.lock().unwrap();
                let slot = disk.slot(id);
                slot.clear();
                // The disk has failed.
                slot.forgiven += 1;
                shared.quota().removed(id);
                return Ok(None);
            }
        }
        Ok(Some(Loaded::ResumableUpload { name, size, notes, found, blob }))
    }

    fn remove(&self, id: Id) -> bool {
        let mut disk = self.shared.disk.lock().unwrap();
        let mut is_removed = false;
        if disk.run == self.run {
            let slot = disk.slot(id);
            is_removed = slot.data.is_some();
            if slot.user.is_some() {
                self.shared.violate("5: an upload is removed that is open");
            }
            slot.clear();
            // Where it was published, somebody else may have given that reason for what comes now.
            slot.forgiven = slot.forgiven.saturating_sub(u32::from(is_removed));
            self.shared.quota().removed(id);
        }
        is_removed
    }

    fn is_there(&self, id: Id) -> bool {
        let mut disk = self.shared.disk.lock().unwrap();
        let slot = disk.slot(id);
        slot.data.is_some() || slot.journal.is_some()
    }

    fn idle_s(&self, _: Id) -> u64 {
        0
    }

    fn empty_ones(&self) -> Vec<(Identity, String)> {
        Vec::new()
    }

    fn bytes_of(&self, name: &str) -> Option<u64> {
        let disk = self.shared.disk.lock().unwrap();
        let slot = disk.slots.iter().find(|slot| slot.id.to_string() == name)?;
        slot.data.as_ref().map(Pieces::end)
    }

    /// So few are begun that none has to give way.
    fn remove_empty(&self, _: &str) -> bool {
        false
    }

    fn reserve(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        self.shared.quota().reserve(sender, size.unwrap_or(0)).map(Some)
    }

    fn reserve_found(
        &self,
        sender: &Identity,
        id: Id,
        bytes: u64,
    ) -> Result<Option<Reservation>, Refusal> {
        self.shared.quota().take_up(sender, id, bytes).map(Some)
    }

    fn claim(&self, _: Option<u64>) -> Arc<dyn Room> {
        Arc::new(Space { shared: Arc::clone(&self.shared) })
    }
}

/// The ranges themselves.
fn complement(ranges: &Ranges) -> Vec<(u64, u64)> {
    let mut at = 0;
    let mut found = Vec::new();
    for gap in ranges.gaps(Some(ranges.end() + 1)) {
        found.push((at, gap.offset));
        at = gap.offset + gap.length.unwrap_or(0);
    }
    found
}

impl Room for Space {
    fn check(&self, _: Option<u64>) -> Result<(), Refusal> {
        Ok(())
    }

    fn bring(&self, _: u64) -> Result<(), Refusal> {
        let share = self.shared.disk.lock().unwrap().sickness.room;
        if self.shared.chance.per_mille(share) {
            return Err(RefusalCode::InsufficientSpace.into());
        }
        Ok(())
    }

    fn release(&self) {}
}
