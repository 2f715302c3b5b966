//! Free space: what cannot fit is refused early, what uploads under way are still to bring is left to them,
//! a floor is kept, and a disk that was full heals.
//!
//! What an upload announces is compared with the free space at once, and claimed from its first byte on, as
//! long as its connection is there ([`ledger`]). What waits to be resumed claims nothing: it counts by what
//! it holds. An upload that was refused for want of space keeps what came of it until somebody needs the
//! room ([`Core::refused_for_space`]).

mod freeing;
mod ledger;
mod room;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;
use sandport_protocol::journal::PartialId as Id;
use sandport_protocol::{Refusal, RefusalCode};

use super::Core;
use super::partial_files::data_name;
use freeing::Freeing;
use ledger::{Ledger, Obstacle, STEP_BYTES, Shortage, fits};
pub(super) use room::BeingFreed;

/// From which announced size on it is compared with the free space at once, and claimed. Bytes. Under it the
/// question costs more than finding out, where no floor is to be kept and nobody claims anything.
const CHECK_BYTES_MIN: u64 = 1024 * 1024;

/// How much of an upload is written between two looks at the floor. Bytes. A look costs a microsecond,
/// and so much at most goes under the floor for each upload that is under way.
pub(super) const FLOOR_STEP_BYTES: u64 = 1024 * 1024;

/// What a file takes of the disk beside its content, when room is made for it: a name, a receipt, a
/// journal, blocks that are not full. Bytes.
const BESIDE_BYTES: u64 = 256 * 1024;

/// Most uploads that are known to have been refused for want of space. The oldest are forgotten, and then
/// wait as any other does.
const REFUSED_MAX: usize = 4_096;

/// A block as `stat` counts them: bytes.
pub(super) const STAT_BLOCK_BYTES: u64 = 512;

/// What is known of the space of an inbox.
pub(super) struct Space {
    since: Instant,
    claims_made: AtomicU64,
    ledger: Mutex<Ledger>,
    /// Uploads that were refused for want of space and wait to be resumed, the oldest first.
    refused: Mutex<Vec<Refused>>,
    /// Room that is being made of them.
    freeing: Freeing,
}

struct Refused {
    id: Id,
    /// What removing it frees.
    bytes: u64,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            claims_made: AtomicU64::new(0),
            ledger: Mutex::default(),
            refused: Mutex::default(),
            freeing: Freeing::default(),
        }
    }
}

impl Space {
    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload is under way again, or is gone: there is nothing to be freed for others.
    pub(super) fn forget_refused(&self, id: Id) {
        self.refused().retain(|refused| refused.id != id);
    }

    /// Uploads are gone whose data had these names.
    pub(super) fn forget_removed(&self, names: &[&str]) {
        let is_gone = |refused: &Refused| names.contains(&data_name(refused.id).as_str());
        self.refused().retain(|refused| !is_gone(refused));
    }

    /// The uploads that were refused first, as many as free so many bytes; none, where all of them would not.
    fn take_refused(&self, bytes: u64) -> Vec<Refused> {
        let mut refused = self.refused();
        let mut sum = 0_u64;
        let enough = refused.iter().position(|refused| {
            sum = sum.saturating_add(refused.bytes);
            sum >= bytes
        });
        enough.map_or_else(Vec::new, |last| refused.drain(..=last).collect())
    }

    fn refused(&self) -> MutexGuard<'_, Vec<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an upload under way claims of the free space. Dropping it gives that up.
pub(super) struct Claim {
    core: Arc<Core>,
    id: u64,
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

/// What an upload under way claims of the free space.
pub(super) trait Room: Send + Sync {
    /// Whether `missing` bytes fit beside what others claim.
    ///
    /// # Errors
    /// `insufficient-space`.
    fn check(&self, missing: Option<u64>) -> Result<(), Refusal>;

    /// So many bytes are about to be written.
    ///
    /// # Errors
    /// `insufficient-space`.
    fn bring(&self, bytes: u64) -> Result<(), Refusal>;

    /// Nothing more comes.
    fn release(&self);
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

    /// Bytes that may still be written, with those that are being freed; `None`: there is no limit, or it cannot be told.
    fn free(&self) -> Option<u64> {
        let space = rustix::fs::fstatvfs(&self.layout.staging).ok()?;
        // A file system without blocks has no limit: tmpfs, where none was set.
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        (space.f_blocks > 0).then(|| free.saturating_add(self.space.freeing.bytes()))
    }

    fn refusal_of_shortage(&self, shortage: Shortage) -> Refusal {
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
}

/// Whether an upload is so small that it claims nothing.
fn is_small(size: u64) -> bool {
    size < CHECK_BYTES_MIN
}

/// The refusal of a file that is larger than what is free on the disk that it is for.
pub(super) fn does_not_fit() -> Refusal {
    let words = "the file does not fit on the disk of the inbox";
    Refusal::new(RefusalCode::InsufficientSpace, words)
}
