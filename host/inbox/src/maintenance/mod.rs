//! Looking after an inbox: what is in it ([`list`], [`list_partials`]), whether that still is what was
//! received ([`verify`]), and what can go ([`clean`]).
//!
//! ```
//! use std::time::Duration;
//!
//! use sandport_inbox::maintenance::{Integrity, clean, list, verify};
//! # use sandport_inbox::{Inbox, InboxOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let dir = directory.path().join("inbox");
//! # drop(Inbox::open(&dir, InboxOptions::default())?);
//! for file in list(&dir)? {
//!     println!("{}", file?.path.display());
//! }
//! assert!(verify(&dir)?.all(|checked| matches!(checked.integrity, Integrity::Whole)));
//! let would_go = clean(&dir, Duration::from_secs(7 * 24 * 3_600), true)?;
//! assert!(would_go.removed.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! All of it works while a server has the inbox. Looking at it locks nothing, and what the server writes
//! meanwhile is read as far as it is whole; cleaning leaves alone what the server may be using. The
//! digests are those of the receipt log, which a server
//! writes for its own sake: see [`Records`](super::Records).

mod clean;
mod clock;
mod expire;
mod files;
mod partials;
mod reader;
mod verify;

pub(super) use clock::now;
pub(super) use expire::{Rule, expire, remove_empty};

pub use clean::{Cleaned, clean};
pub use expire::{Leftover, LeftoverKind};
pub use files::{FileState, Files, StoredFile, Unreadable, list};
pub use partials::{PartialFile, Registry, list_partials};
pub use verify::{Checked, Integrity, Verify, verify};
