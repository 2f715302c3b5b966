//! The sending end: files, directory trees and streams, to a Sandport server, to any server that takes uploads
//! over HTTP, or to a service that speaks the classic dialect.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandport_client::{Client, Destination, Source};
//!
//! let server: Destination = "files.example".parse()?;
//! let client = Client::builder(server).build();
//! let summary = client.send([Source::path("report.pdf"), Source::path("photos")]).await?;
//! assert!(summary.is_complete());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Transfer`] is a future of its [`Summary`], and a stream of [`SendEvent`]s: what becomes of each file. One file's
//! failure is an event and costs no other; an error is what ended the last connection.
//!
//! A connection that is cut is made again, and what was under way goes on where the server has it; with a
//! [`ClientBuilder::state_dir`] a later run of the same does that too. Files are read on blocking threads of the tokio
//! runtime; the futures here never block, and are [`Send`].
//!
//! Errors have a kind, and a code that is stable; what to do about them is for programs to say, who know what a person
//! has typed. Every enum, and every struct with public fields, is `#[non_exhaustive]`: match with `_`, and make values
//! by functions.
//!
//! Connections are encrypted with TLS where the [`Destination`] or the [`ClientBuilder`] says so; without the feature `tls`
//! (for targets that no C compiler is at hand for) such a destination is refused.
//!
//! It builds for Linux, macOS and Windows. `docs/sending.md` says what differs.

#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod attempts;
mod classic;
mod client;
mod clock;
mod connect;
mod destination;
mod error;
mod event;
mod fault;
mod file_reader;
mod http;
mod inboxes;
mod keys;
mod native;
mod options;
mod plan;
mod platform;
mod prepare;
mod range_scheduler;
mod report;
mod retries;
mod selection;
mod shared;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod walk;

pub use sandport_protocol::sender::http::{HttpUrl, HttpUrlError};
pub use sandport_protocol::{
    Address, AddressError, Digest, EntryKind, Fingerprint, FingerprintError, Receipt, Refusal,
    RefusalCode,
};

pub use client::{Client, ClientBuilder};
pub use destination::{Destination, DestinationError};
pub use error::{FileError, SendError, SendErrorKind, SkipReason};
pub use event::{RestartReason, SendEvent, SendFile, Summary};
pub use fault::TlsFault;
pub use options::{CONNECTIONS_MAX, Connections};
pub use selection::{Exclude, PatternError};
pub use source::Source;
pub use transfer::Transfer;

use options::Options;
use selection::Selection;
