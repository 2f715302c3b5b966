//! What one upload claims of the free space.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandport_protocol::Refusal;

use super::Core;
use super::space::{CHECK_BYTES_MIN, Room, STEP_BYTES, Shortage, fits};

/// What an upload under way claims of the free space. Dropping it gives that up.
pub(super) struct Claim {
    core: Arc<Core>,
    pub(super) id: u64,
    /// What the upload was to bring when this was made; `None`: not known.
    announced: Option<u64>,
    /// Bytes that came and that the ledger was not told of; [`UNTOLD`]: it knows of none at all.
    untold: AtomicU64,
}

/// The ledger knows nothing of a claim.
const UNTOLD: u64 = u64::MAX;

impl Claim {
    /// One for an upload that is still to bring so much; `None`: not known. It claims nothing before the first
    /// byte.
    pub(super) fn new(core: &Arc<Core>, announced: Option<u64>) -> Self {
        let id = core.space.claims_made.fetch_add(1, Ordering::Relaxed);
        Self { core: Arc::clone(core), id, announced, untold: AtomicU64::new(UNTOLD) }
    }

    /// The same; `None`: it is so small that claiming costs more than it brings.
    pub(super) fn of_transient(core: &Arc<Core>, announced: Option<u64>) -> Option<Self> {
        let matters = announced.is_none_or(|bytes| bytes >= CHECK_BYTES_MIN);
        matters.then(|| Self::new(core, announced))
    }

    /// So many bytes are about to be written.
    ///
    /// # Errors
    ///
    /// `insufficient-space`: others claim what this one has announced.
    pub(super) fn bring(&self, bytes: u64) -> Result<(), Refusal> {
        let untold = self.untold.load(Ordering::Relaxed);
        if untold != UNTOLD {
            let untold = self.untold.fetch_add(bytes, Ordering::Relaxed);
            if untold.saturating_add(bytes) < STEP_BYTES {
                return Ok(());
            }
        }
        let written = match self.untold.swap(bytes, Ordering::Relaxed) {
            UNTOLD => 0,
            // What is about to be written is told of the next time.
            untold => untold.saturating_sub(bytes),
        };
        match self.enter(written, bytes) {
            Ok(()) => Ok(()),
            Err(shortage) if self.core.make_room(shortage.bytes) => self
                .enter(written, bytes)
                .map_err(|shortage| self.core.refusal_of_shortage(shortage)),
            Err(shortage) => {
                self.release();
                Err(self.core.refusal_of_shortage(shortage))
            }
        }
    }

    fn enter(&self, written: u64, coming: u64) -> Result<(), Shortage> {
        let space = &self.core.space;
        let now = space.now();
        let mut ledger = space.ledger();
        let others = ledger.claimed_by_others(now, Some(self.id));
        // Where nobody claims anything, the announcement was compared with all there is.
        if others > 0
            && let Some(needed) = ledger.needs(self.id, self.announced, written, coming)
            && let Some(free) = self.core.free()
        {
            fits(needed, free, self.core.options.min_free, others)?;
        }
        ledger.bring(self.id, now, self.announced, written, coming);
        Ok(())
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Gives it up while it is still there.
    pub(super) fn release(&self) {
        self.core.space.ledger().remove(self.id);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if *self.untold.get_mut() != UNTOLD {
            self.release();
        }
    }
}

impl Room for Claim {
    fn check(&self, missing: Option<u64>) -> Result<(), Refusal> {
        self.core().check_space(missing, Some(self))
    }

    fn bring(&self, bytes: u64) -> Result<(), Refusal> {
        Self::bring(self, bytes)
    }

    fn release(&self) {
        Self::release(self);
    }
}
