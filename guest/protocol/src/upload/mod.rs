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
//! > **Rules.** An upload has one [`Work`] under way at most, and a later one begins when that has been answered: so
//! > its journal has one writer. While it settles, it gives no grants, and goes on when all have come back. Once it is
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

mod begun;
mod bodies;
mod bringing;
mod checked;
mod checking;
mod checkpoint;
mod claimant;
mod committing;
mod ending;
mod ids;
mod keeps;
mod ledger;
mod life;
mod machine;
pub mod mutation;
mod options;
mod owners;
mod phase;
mod prefix;
mod sessions;
mod status;
mod step;
mod waits;
mod work;
#[cfg(all(test, feature = "std"))]
mod worlds;

pub use bringing::{Grant, Write};
pub use checked::{CHECKED_BYTES_MAX, CHECKED_MAX};
pub use claimant::{Admission, Claimant, resumable};
pub use ids::{BodyId, KeepId, SessionId};
pub use ledger::{BEGUN_MAX, Found, RANGES_MAX};
pub use machine::Upload;
pub use options::Options;
pub use status::UploadProgress;
pub use step::TAIL_BYTES_MIN;
pub use waits::KEEPS_MAX;
pub use work::{Done, Effect, Ending, Held, Work};
