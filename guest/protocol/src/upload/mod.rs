//! The life of an upload that can be resumed, as one machine without I/O.
//!
//! ```text
//!  offer, body, commit, release, discard ──▶ ┌─────────────────────────────┐ ──▶ Effect: told at once
//!  claim ─▶ Grant ─▶ wrote | failed      ──▶ │ Upload = Phase+Owners+Ledger │ ──▶ Work: one at a time,
//!  done(Work), due(time)                 ──▶ └─────────────────────────────┘      where the bytes lie
//! ```
//!
//! [`Upload`] decides who holds it ([`Claimant`], sessions), which bytes are here and which are kept, when the
//! journal is written, and how it ends. It never waits, and bytes never pass through it: a body asks for a
//! [`Grant`], hashes and writes with nothing locked, and gives the grant back. So an upload has one owner,
//! whoever runs this machine, and all the rules of its life are here. Whoever runs it
//!
//! - calls it under a lock that is held for no longer than the call,
//! - after each call carries out what [`Upload::poll_effect`] and [`Upload::poll_work`] give, effects at once and
//!   in order,
//! - answers each [`Work`] by [`Upload::done`], and
//! - gives each grant back, whatever happens to the body.
//!
//! > **Rules.** An upload has one [`Work`] under way at most, and a later one begins when that has been answered: so its
//! > journal has one writer. While it settles, it gives no grants, and goes on when all have come back. Once it is
//! > [gone](Effect::Gone) it asks for nothing. From every state, when all sessions have left, it is gone after a
//! > bounded number of works.
//!
//! ```
//! use sandport_protocol::upload::{Admission, Claimant, Options, Upload, Work};
//! use sandport_protocol::{Extent, ResumeMode};
//!
//! let size = 3 * 1024 * 1024;
//! let mut upload = Upload::begin(Options { size: Some(size), ..Options::default() });
//! let claimant = Claimant { run: 1, mode: ResumeMode::TakeOver, is_same: true, digest: None };
//! let Admission::Holds(session) = upload.offer(&claimant, 0) else { panic!() };
//! let body = upload.body(session, Extent { offset: 0, length: None })?;
//! let content = vec![7; 1024 * 1024];
//! for _ in 0..3 {
//!     let length = content.len() as u64;
//!     let mut grant = upload.claim(body, length, 0).expect("bytes are missing");
//!     if let Some(write) = grant.bring(&content) {
//!         // Here the bytes are written, at `write.at`.
//!         assert!(write.held.is_none() && write.bytes == content);
//!     }
//!     upload.wrote(grant, 0);
//! }
//! upload.commit(session, size, [], 0)?;
//! assert!(matches!(upload.poll_work(), Some(Work::Publish { .. })));
//! # Ok::<(), sandport_protocol::Refusal>(())
//! ```

mod bodies;
mod bringing;
mod checked;
mod committing;
mod ending;
mod keeping;
mod keeps;
mod ledger;
mod life;
pub mod mutation;
mod owners;
mod prefix;
mod sessions;
mod status;
mod step;
mod work;
#[cfg(all(test, feature = "std"))]
mod worlds;

use alloc::collections::VecDeque;

use crate::journal::{GROUP_BYTES, Ranges, Tree};
use crate::{Digest, Millis, Offer, Refusal, RefusalCode, Resume, ResumeMode};

use bodies::{Bodies, Left};
pub use bringing::{Grant, Write};
pub use checked::{CHECKED_BYTES_MAX, CHECKED_MAX};
use keeping::Keeping;
pub use keeps::KEEPS_MAX;
use keeps::Waits;
use ledger::Ledger;
pub use ledger::{BEGUN_MAX, RANGES_MAX};
use life::Phase;
use owners::Owners;
pub use status::Progress;
use step::Step;
pub use work::{Done, Effect, Ending, Held, Work};

/// The resume key of an offer that is worth a journal: of a file that may be longer than a chunk group.
pub fn resumable(offer: &Offer) -> Option<Resume> {
    offer.resume.filter(|_| offer.size.is_none_or(|size| size > GROUP_BYTES))
}

/// What one connection has of an upload. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// A body: bytes of one extent, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyId(u64);

/// One who waits until all is kept that was here. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeepId(u64);

/// What does not change in the life of an upload.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the file will be; `None`: not known. Bytes.
    pub size: Option<u64>,
    /// Longest file that is taken; `None`: of any length. Bytes.
    pub size_max: Option<u64>,
    /// Whether the sender chose the name. Where it did not, the journal tells it what came of the upload, and is
    /// written before the file gets its name.
    pub is_named: bool,
    /// Most bytes that may be here and are not kept. Bytes.
    pub step_bytes: u64,
    /// Longest time between two watermarks while bytes come. Milliseconds.
    pub interval_ms: Millis,
    /// The boot of the system that entries of the journal count for, where watermarks are not synced; `None`: they
    /// are, and outlive a power cut.
    pub boot: Option<u64>,
    /// Whether what came is synced when the last session has left. It always is without `boot`.
    pub syncs_at_last: bool,
    /// Whether it is kept from its beginning, however little of it is here: somebody was told its key, and may
    /// come with it later. What is not known is how long the file will be; its sender has the bytes all the same.
    pub keeps_empty: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: None,
            size_max: None,
            is_named: true,
            step_bytes: 64 * 1024 * 1024,
            interval_ms: 2_000,
            boot: None,
            syncs_at_last: true,
            keeps_empty: false,
        }
    }
}

/// What was found of an upload: see [`journal::recover`](crate::journal::recover).
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The groups that are whole.
    pub tree: Tree,
    /// Their bytes.
    pub whole: Ranges,
    /// A group that is begun: its number, how many of its bytes are here, and their hash.
    pub tail: Option<(u64, u64, blake3::Hasher)>,
}

/// An offer of an upload whose key is known.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Which run of its sender it is of.
    pub run: u64,
    /// What is to become of those who hold it.
    pub mode: ResumeMode,
    /// Whether its name and its size are those of the upload.
    pub is_same: bool,
    /// The digest that was offered.
    pub digest: Option<Digest>,
}

/// What becomes of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The session has it, and is to be released when its connection is gone. What is missing can be told when the
    /// upload [has settled](Upload::is_settled).
    Holds(SessionId),
    /// It is being published; the outcome is for this one too.
    Commits,
    /// Offer again after the next [`Effect::Changed`] or [`Effect::Gone`], and when it is gone, to its successor. What
    /// is gone already tells of nothing any more.
    Later,
    /// The same, as one that takes over: what was to be discarded is being removed, and what comes after that is
    /// another's.
    Anew,
    /// `locked`: a later run holds it. `invalid-state`: it is another upload that has this key.
    Refused(Refusal),
}

/// One upload.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Upload {
    options: Options,
    phase: Phase,
    owners: Owners,
    ledger: Ledger,
    bodies: Bodies,
    step: Step,
    /// What is being written into the journal.
    keeping: Option<Keeping>,
    /// A work is under way, or about to be taken.
    is_working: bool,
    /// Something may be on the disk.
    is_begun: bool,
    /// The last session that had it was refused for want of space.
    is_starved: bool,
    /// What the journal says was not synced.
    is_unsynced: bool,
    /// It is to be removed though it is being closed, or published in vain.
    is_unwanted: bool,
    /// It has a journal.
    is_recorded: bool,
    /// The journal says the size, or is going to with its first entry.
    is_size_told: bool,
    /// The journal is being told the size.
    is_telling_size: bool,
    /// Those who wait for it to be kept.
    waits: Waits,
    /// Why it is being removed, where somebody may ask.
    why_removed: Option<Refusal>,
    work: Option<Work>,
    effects: VecDeque<Effect>,
    /// When somebody was asked to call [`Self::due`].
    wake: Option<Millis>,
}

impl Upload {
    /// One of which nothing is here.
    pub fn begin(options: Options) -> Self {
        let ledger = Ledger::new(options.size);
        Self::new(options, ledger, false)
    }

    /// One that was found.
    pub fn resume(options: Options, found: Found) -> Self {
        let ledger = Ledger::found(options.size, found);
        Self::new(options, ledger, true)
    }

    fn new(options: Options, ledger: Ledger, is_begun: bool) -> Self {
        Self {
            phase: Phase::Open,
            owners: Owners::default(),
            ledger,
            bodies: Bodies::default(),
            step: Step::new(options.step_bytes, options.interval_ms),
            keeping: None,
            is_working: false,
            is_begun,
            is_starved: false,
            is_unsynced: false,
            is_unwanted: false,
            is_recorded: is_begun,
            is_size_told: true,
            is_telling_size: false,
            waits: Waits::default(),
            why_removed: None,
            work: None,
            effects: VecDeque::new(),
            wake: None,
            options,
        }
    }

    /// The next thing that others are to hear.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if effect.is_none() && self.effects.capacity() > 0 {
            // Thousands of uploads may be open to which nothing happens.
            self.effects = VecDeque::new();
        }
        effect
    }

    /// What is to be done where the bytes lie.
    pub fn poll_work(&mut self) -> Option<Work> {
        self.work.take()
    }
}

fn lost() -> Refusal {
    Refusal::new(RefusalCode::Locked, "the upload was taken over")
}
