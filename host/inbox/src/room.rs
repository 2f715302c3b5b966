//! Room for uploads: what does not fit is refused, and room is made for what would. Uploads that were refused for want
//! of space go when others need it, and what is staged in vain goes anyhow.
//!
//! That is done by threads that may wait for the disk. What is being freed counts as free meanwhile, so nobody waits
//! for it but whoever finds the disk full.

use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use sandport_protocol::journal::ResumableId as Id;
use sandport_protocol::{Refusal, RefusalCode};

use super::Core;
use super::claim::Claim;
use super::partial_files::data_name;
use super::space::{
    BESIDE_BYTES, Obstacle, REFUSED_MAX, Refused, STAT_BLOCK_BYTES, Shortage, WAIT_MAX,
    does_not_fit, fits, is_small,
};

/// How often a write is tried that finds the disk full each time room was made: others may be faster.
const TRIES_MAX: u32 = 4;

/// So much is being freed, and counts as free, until this is dropped.
pub(super) struct BeingFreed {
    core: Arc<Core>,
    bytes: u64,
}

impl BeingFreed {
    pub(super) fn new(core: &Arc<Core>, bytes: u64) -> Self {
        core.space.freeing.begin(bytes);
        Self { core: Arc::clone(core), bytes }
    }
}

impl Drop for BeingFreed {
    fn drop(&mut self) {
        self.core.space.freeing.end(self.bytes);
    }
}

/// Uploads that are being removed, for the room that they take.
struct Clearing {
    freed: BeingFreed,
    refused: Vec<Refused>,
    /// How much is wanted.
    wanted: u64,
}

impl Clearing {
    fn make(self) {
        let core = &self.freed.core;
        let Some(registry) = core.registry() else { return };
        let mut freed = 0_u64;
        let mut refused = self.refused;
        while !refused.is_empty() {
            for Refused { id, bytes } in refused {
                // Somebody may have come back for it just now, or another program has removed it.
                if Arc::clone(&registry).discard_waiting(id) {
                    tracing::info!(%id, bytes, "removed an upload that was refused for want of space: others need the room");
                    freed = freed.saturating_add(bytes);
                }
            }
            let left = self.wanted.saturating_sub(freed);
            refused = if left > 0 { core.space.take_refused(left) } else { Vec::new() };
        }
    }
}

impl Core {
    /// Refuses what cannot fit on the disk as it is now, beside what uploads under way are still to bring.
    /// `claim`: that of the upload itself, where it is under way already.
    pub(super) fn check_space(
        &self,
        size: Option<u64>,
        claim: Option<&Claim>,
    ) -> Result<(), Refusal> {
        let size = size.unwrap_or(0);
        let floor = self.options.min_free;
        let own = claim.map(|claim| claim.id);
        let others = self.space.ledger().claimed_by_others(self.space.now(), own);
        let refused: u64 = self.space.refused().iter().map(|refused| refused.bytes).sum();
        let is_small = is_small(size);
        if floor == 0 && is_small && others == 0 && refused == 0 {
            return Ok(());
        }
        let Some(free) = self.free() else { return Ok(()) };
        let free = if is_small { free } else { free.saturating_add(refused) };
        fits(size, free, floor, others).map_err(|shortage| self.refusal_of_shortage(shortage))
    }

    /// Refuses the next bytes of an upload where they would go under the floor.
    pub(super) fn check_floor(self: &Arc<Self>) -> Result<(), Refusal> {
        let floor = self.options.min_free;
        match self.free() {
            Some(free) if free < floor && !self.make_room(floor - free) => Err(self
                .refusal_of_shortage(Shortage { bytes: floor - free, obstacle: Obstacle::Floor })),
            _ => Ok(()),
        }
    }

    /// An upload was refused for want of space and waits to be resumed: when somebody needs the room, it goes.
    pub(super) fn refused_for_space(&self, id: Id) {
        let name = data_name(id);
        let stat = rustix::fs::statat(&self.layout.partials, name, AtFlags::SYMLINK_NOFOLLOW);
        // Nothing came of it.
        let Ok(stat) = stat else { return };
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_BLOCK_BYTES);
        let mut refused = self.space.refused();
        refused.retain(|other| other.id != id);
        if refused.len() == REFUSED_MAX {
            refused.remove(0);
        }
        refused.push(Refused { id, bytes });
    }

    /// Bytes that may still be written, with those that are being freed; `None`: there is no limit, or it cannot be
    /// told.
    pub(super) fn free(&self) -> Option<u64> {
        let space = rustix::fs::fstatvfs(&self.layout.staging).ok()?;
        // A file system without blocks has no limit: tmpfs, where none was set.
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        (space.f_blocks > 0).then(|| free.saturating_add(self.space.freeing.bytes()))
    }

    pub(super) fn refusal_of_shortage(&self, shortage: Shortage) -> Refusal {
        let words = match shortage.obstacle {
            Obstacle::Disk => return does_not_fit(),
            Obstacle::Floor => {
                format!("the inbox keeps {} bytes of its disk free", self.options.min_free)
            }
            Obstacle::Claims => {
                "uploads that are under way need the rest of the disk of the inbox".to_owned()
            }
        };
        Refusal::new(RefusalCode::InsufficientSpace, words)
    }

    /// Has uploads removed that were refused for want of space, the oldest first, until they have freed `bytes`.
    /// Whether it will come to that; where all of them would not do, none is removed.
    pub(super) fn make_room(self: &Arc<Self>, bytes: u64) -> bool {
        let refused = self.space.take_refused(bytes);
        if refused.is_empty() {
            return false;
        }
        let freed = refused.iter().fold(0_u64, |sum, refused| sum.saturating_add(refused.bytes));
        let clearing = Clearing { freed: BeingFreed::new(self, freed), refused, wanted: bytes };
        self.remove_later(move || clearing.make());
        true
    }

    /// Does what writes `bytes`; where the disk is full, once more after room was made, also by what is removed for
    /// other reasons.
    pub(super) fn with_room<T>(
        self: &Arc<Self>,
        bytes: u64,
        mut write: impl FnMut() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        let freeing = &self.space.freeing;
        for _ in 1..TRIES_MAX {
            let seen = freeing.ended();
            match write() {
                Err(Errno::NOSPC) => {}
                written => return written,
            }
            let wanted = bytes.saturating_add(BESIDE_BYTES).saturating_sub(freeing.bytes());
            if wanted > 0 {
                self.make_room(wanted);
            }
            if !freeing.wait_aside(seen) {
                return Err(Errno::NOSPC);
            }
        }
        write()
    }

    /// Makes room for a small upload that would not fit, and waits for that: it claims nothing with its first byte,
    /// when others make room for themselves. Nothing is done for a large one.
    pub(super) async fn make_room_for_small(self: &Arc<Self>, size: Option<u64>) {
        let size = size.unwrap_or(0);
        if !is_small(size) || self.space.refused().is_empty() {
            return;
        }
        let others = self.space.ledger().claimed_by_others(self.space.now(), None);
        let wanted = size.saturating_add(BESIDE_BYTES);
        let Some(free) = self.free() else { return };
        if let Err(shortage) = fits(wanted, free, self.options.min_free, others)
            && self.make_room(shortage.bytes)
        {
            self.looks(WAIT_MAX, || !self.space.freeing.is_running()).await;
        }
    }
}
