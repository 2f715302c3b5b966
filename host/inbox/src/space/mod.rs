//! Free space: what cannot fit is refused early, what uploads under way are still to bring is left to them,
//! a floor is kept, and a disk that was full heals.
//!
//! What an upload announces is compared with the free space at once, and claimed from its first byte on, as
//! long as its connection is there ([`ledger`]). What waits to be resumed claims nothing: it counts by what
//! it holds. An upload that was refused for want of space keeps what came of it until somebody needs the
//! room (`Core::refused_for_space`).

mod freeing;
mod ledger;

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sandport_protocol::journal::ResumableId as Id;
use sandport_protocol::{Refusal, RefusalCode};

use super::partial_files::data_name;
pub(super) use freeing::{Freeing, WAIT_MAX};
use ledger::Ledger;
pub(super) use ledger::{Obstacle, STEP_BYTES, Shortage, fits};

/// From which announced size on it is compared with the free space at once, and claimed. Bytes. Under it the
/// question costs more than finding out, where no floor is to be kept and nobody claims anything.
pub(super) const CHECK_BYTES_MIN: u64 = 1024 * 1024;

/// How much of an upload is written between two looks at the floor. Bytes. A look costs a microsecond,
/// and so much at most goes under the floor for each upload that is under way.
pub(super) const FLOOR_STEP_BYTES: u64 = 1024 * 1024;

/// What a file takes of the disk beside its content, when room is made for it: a name, a receipt, a
/// journal, blocks that are not full. Bytes.
pub(super) const BESIDE_BYTES: u64 = 256 * 1024;

/// Most uploads that are known to have been refused for want of space. The oldest are forgotten, and then
/// wait as any other does.
pub(super) const REFUSED_MAX: usize = 4_096;

/// A block as `stat` counts them: bytes.
pub(super) const STAT_BLOCK_BYTES: u64 = 512;

/// What is known of the space of an inbox.
pub(super) struct Space {
    since: Instant,
    pub(super) claims_made: AtomicU64,
    ledger: Mutex<Ledger>,
    /// Uploads that were refused for want of space and wait to be resumed, the oldest first.
    refused: Mutex<Vec<Refused>>,
    /// Room that is being made of them.
    pub(super) freeing: Freeing,
}

pub(super) struct Refused {
    pub(super) id: Id,
    /// What removing it frees.
    pub(super) bytes: u64,
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
    pub(super) fn now(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
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
    pub(super) fn take_refused(&self, bytes: u64) -> Vec<Refused> {
        let mut refused = self.refused();
        let mut sum = 0_u64;
        let enough = refused.iter().position(|refused| {
            sum = sum.saturating_add(refused.bytes);
            sum >= bytes
        });
        enough.map_or_else(Vec::new, |last| refused.drain(..=last).collect())
    }

    pub(super) fn refused(&self) -> MutexGuard<'_, Vec<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Whether an upload is so small that it claims nothing.
pub(super) fn is_small(size: u64) -> bool {
    size < CHECK_BYTES_MIN
}

/// The refusal of a file that is larger than what is free on the disk that it is for.
pub(super) fn does_not_fit() -> Refusal {
    let words = "the file does not fit on the disk of the inbox";
    Refusal::new(RefusalCode::InsufficientSpace, words)
}
