//! Making room: uploads that were refused for want of space go when others need it, and what is staged in vain goes
//! anyhow.
//!
//! That is done by threads that may wait for the disk. What is being freed counts as free meanwhile, so nobody waits for
//! it but whoever finds the disk full.

use std::sync::Arc;

use rustix::io::Errno;

use super::freeing::WAIT_MAX;
use super::ledger::fits;
use super::{BESIDE_BYTES, Core, Refused, is_small};

/// How often a write is tried that finds the disk full each time room was made: others may be faster.
const TRIES_MAX: u32 = 4;

/// So much is being freed, and counts as free, until this is dropped.
pub(crate) struct BeingFreed {
    core: Arc<Core>,
    bytes: u64,
}

impl BeingFreed {
    pub(crate) fn new(core: &Arc<Core>, bytes: u64) -> Self {
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
        let Some(partials) = core.partials() else { return };
        let mut freed = 0_u64;
        let mut refused = self.refused;
        while !refused.is_empty() {
            for Refused { id, bytes } in refused {
                // Somebody may have come back for it just now, or another program has removed it.
                if partials.discard_waiting(id) {
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

    /// Does what writes `bytes`; where the disk is full, once more after room was made, also by what is removed for other
    /// reasons.
    pub(crate) fn with_room<T>(
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

    /// Makes room for a small upload that would not fit, and waits for that: it claims nothing with its first byte, when
    /// others make room for themselves. Nothing is done for a large one.
    pub(crate) async fn make_room_for_small(self: &Arc<Self>, size: Option<u64>) {
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
