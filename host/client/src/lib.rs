//! The sending end: files, directory trees and streams, to a Sandport server, to any server that takes uploads
//! over HTTP, or to a service that speaks the classic dialect.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandport_client::{Destination, SendEvent, SendOptions, Source, send};
//!
//! let sources = vec![Source::path("report.pdf"), Source::path("photos")];
//! let server: Destination = "files.example".parse()?;
//! let summary = send(&server, sources, SendOptions::default(), |event| {
//!     if let SendEvent::Stored { file, receipt } = event {
//!         println!("{} is stored as {:?}", file.path.display(), receipt.name);
//!     }
//! })
//! .await?;
//! assert!(summary.is_complete());
//! # Ok(())
//! # }
//! ```
//!
//! A connection that is cut is made again, and what was under way goes on where the server has it; with a
//! [`SendOptions::state_dir`] a later run of the same does that too.
//!
//! One file's failure is an event and costs no other; an error of [`send`] is what ended the
//! connection. Files are read on blocking threads of the tokio runtime; the futures here never block.

#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

use std::future::{Future, pending};

mod attempts;
mod classic;
mod clock;
mod connect;
mod destination;
mod division;
mod error;
mod event;
mod http;
mod inboxes;
mod keys;
mod native;
mod options;
mod plan;
mod prepare;
mod pump;
mod retries;
mod selection;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod walk;

pub use destination::{Destination, DestinationError};
pub use error::{FileError, SendError, SendErrorKind, SkipReason};
pub use event::{RestartReason, SendEvent, SendFile, Summary};
pub use options::{CONNECTIONS_MAX, Connections, Dialect, SendOptions};
pub use plan::plan;
pub use selection::{Exclude, PatternError, Selection};
pub use source::Source;

/// Sends all sources to the server at `to`, over [`SendOptions::connections`], and over further ones where one
/// is cut (in the classic dialect over one for each file; over HTTP in a request for each file, and in further ones for
/// what was cut), and tells `events` what becomes of each file. Where
/// there are several connections, files get their outcomes in any order.
///
/// # Errors
/// What ended the last connection, or kept it from being made; files without an outcome were
/// [`SendEvent::Unanswered`] before. What befell single files is not an error but an event, and
/// counted in the summary.
pub async fn send(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: SendOptions,
    events: impl FnMut(SendEvent<'_>),
) -> Result<Summary, SendError> {
    send_until(to, sources, options, pending(), events).await
}

/// Like [`send`], until `stop` completes: then the server is told that the sender gave up, and the
/// error is [`SendError::Interrupted`].
///
/// # Errors
/// As of [`send`].
pub async fn send_until(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: SendOptions,
    stop: impl Future<Output = ()>,
    mut events: impl FnMut(SendEvent<'_>),
) -> Result<Summary, SendError> {
    let report = event::Report::new(&mut events);
    let totals = options
        .count_totals
        .then(|| walk::count_in_background(&sources, &options.selection))
        .flatten();
    let selection = options.selection.clone();
    let to = match to.into() {
        Destination::Sandport(address) => address,
        Destination::Http(url) => {
            http::send(&url, sources, totals, &options, stop, &report).await?;
            return Ok(report.summary());
        }
    };
    let to = &to;
    match options.dialect {
        Dialect::Native => {
            let dir = options.state_dir.clone();
            let keys = options.resume.then(|| keys::Keys::new(dir, to.to_string()));
            let items = prepare::start(sources, selection, prepare::Contents::ReadSmall, keys);
            let far = native::ROUND_TRIP_MIN;
            native::send(to, items, totals, &options, far, stop, &report).await?;
        }
        Dialect::Classic => {
            source::require_files(&sources)?;
            let items = prepare::start(sources, selection, prepare::Contents::ReadSmall, None);
            classic::send(to, items, totals, &options, stop, &report).await?;
        }
    }
    Ok(report.summary())
}
