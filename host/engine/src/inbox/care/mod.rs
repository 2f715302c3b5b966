//! Looking after an inbox: what is in it ([`list`]), and whether it still is what was received
//! ([`verify`]).
//!
//! All of it works while a server has the inbox: nothing is locked, and what the server writes
//! meanwhile is read as far as it is whole. The digests are those of the receipt log, which a server
//! writes for its own sake: see [`Records`](super::Records).

mod files;
mod look;
mod verify;

pub use files::{FileState, Files, StoredFile, Unreadable, list};
pub use verify::{Checked, Verdict, Verify, verify};
