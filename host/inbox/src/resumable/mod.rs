//! Uploads that can be resumed: what of them outlives their connections, and the server.
//!
//! ```text
//! DIR/.sandport/partials/
//!     ID.data         the bytes so far, each at its place in the file
//!     ID.journal      which of them are kept (see `sandport_protocol::journal`)
//! ```
//!
//! ID is 32 hexadecimal digits, the first half of a BLAKE3 hash of the sender's identity and the resume
//! key ([`ResumableId`](sandport_protocol::journal::ResumableId)); the key itself is written nowhere. The second half
//! is what the checks in the journal begin with. Data without a journal is worth nothing and removed at the start; a
//! journal comes with the first watermark, so an upload that is through before has none. A journal without data is of
//! an upload that was published: it is left behind where the name was made up, so that a sender who did
//! not hear of it is told ([`directory`]).
//!
//! The life of an upload is a pure machine, [`sandport_protocol::upload`]. Here is what carries it out:
//!
//! - [`Registry`] knows those that are open ([`registry`]), and opens others ([`opening`]);
//! - [`cell::ResumableUpload`] is one of them: its machine under a mutex that is held for no longer than a call of it;
//! - [`session::Session`] is what a connection has of it, and [`range_writer::RangeWriter`] what a body writes through;
//! - [`Runtime`] are threads that may wait for the disk, one work of an upload at a time, and the clock;
//! - [`volume::Volume`] is where the bytes lie: [`directory`].
//!
//! **What is reported is kept.** A byte counts as durable when the entry about it is in the journal; and
//! under [`Durability::Full`](super::Durability::Full) the data and then the entry were synced first.
//! Under the other rules nothing is synced while it goes on, and an entry names the boot of the system: it counts
//! after the end of the server, and not after a power cut, which may have kept entries and lost data.

mod asked;
mod cell;
mod commit;
mod concatenation;
mod copied;
mod directory;
mod empties;
mod ended;
mod loading;
mod look;
mod open_uploads;
mod opening;
#[cfg(test)]
mod races;
mod range_writer;
mod registry;
mod restarts;
mod session;
mod session_handle;
mod signals;
#[cfg(test)]
mod simulation;
mod status;
mod volume;
mod work;

pub(super) use asked::Asked;
pub(super) use commit::Submit;
pub(super) use concatenation::Concatenation;
pub(super) use directory::PartialsDirectory;
#[cfg(test)]
pub(super) use empties::EMPTY_UPLOADS_MAX;
pub use look::KEY_BYTES_MAX;
pub(super) use look::{id_of, unknown};
pub(super) use opening::Opened;
pub(super) use range_writer::{RangeWriter, not_checked};
pub(super) use registry::Registry;
pub(super) use sandport_protocol::journal::ResumableId as Id;
pub(super) use session::Session;
pub(super) use signals::Signals;
pub use status::UploadStatus;
