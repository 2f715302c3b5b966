//! The sending end: files, directory trees and streams, to a Sandport server or to a service that
//! speaks the classic dialect.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandport::sender::{SendEvent, SendOptions, Source, send};
//!
//! let sources = vec![Source::path("report.pdf"), Source::path("photos")];
//! let summary = send(&"files.example".parse()?, sources, SendOptions::default(), |event| {
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

use std::future::{Future, pending};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sandport_protocol::Millis;
use tokio::sync::mpsc;

use crate::net::Address;

mod attempts;
mod classic;
mod connect;
mod division;
mod error;
mod event;
mod inboxes;
mod keys;
mod native;
mod plan;
mod prepare;
mod pump;
mod selection;
mod source;
#[cfg(test)]
mod tests;
mod walk;

pub use error::{FileError, SendError, SendErrorKind, SkipReason};
pub use event::{RestartReason, SendEvent, SendFile, Summary};
pub use plan::plan;
pub use selection::{Exclude, PatternError, Selection};
pub use source::Source;

/// What is spoken to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The Sandport protocol: names, trees, verified receipts.
    #[default]
    Native,
    /// Size in decimal, `ack`, bytes: one connection for each file, and no receipt.
    Classic,
}

/// Most connections of one run. No path is known to need more, and a server of a thousand has room for
/// others.
pub const CONNECTIONS_MAX: usize = 64;

/// How many connections a run has at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connections {
    /// One; a second where many small files wait for it; and where the server is 10 ms away and more, twice
    /// as many again and again, up to 8, as long as each doubling sends a fifth more and there is something
    /// for them to do. Each number is tried for two seconds.
    #[default]
    Auto,
    /// So many, [`CONNECTIONS_MAX`] at most, for as long as the server takes them.
    Exactly(NonZeroUsize),
}

impl Connections {
    /// Whether they are several in any case.
    fn are_several(self) -> bool {
        matches!(self, Self::Exactly(number) if number > NonZeroUsize::MIN)
    }
}

/// How to send. Begin with the default and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendOptions {
    /// What to speak.
    pub dialect: Dialect,
    /// How long to try to connect, name resolution and all addresses of the host included.
    pub connect_timeout: Duration,
    /// How long nothing may move in either direction, while the server owes an answer or has to take
    /// bytes, before it counts as stalled.
    pub stall_timeout: Duration,
    /// How many connections to the server there are at once. Files are spread over them, and a large one
    /// that can be resumed is divided among those that have nothing else to do. The classic dialect has one
    /// for each file, and one after the other.
    pub connections: Connections,
    /// How often to connect again after a connection that was cut, without anything having come further
    /// in between. 0: a cut is the end. A first connection that fails is never tried again.
    pub retries: u32,
    /// Whether large files and streams are offered so that they can be resumed.
    pub resume: bool,
    /// Where resume keys are kept, so that a later run goes on with what this one began; `None`: it cannot.
    pub state_dir: Option<PathBuf>,
    /// What of trees is sent.
    pub selection: Selection,
    /// Whether to count all files first, beside sending, for [`SendEvent::Totals`]. It walks each
    /// tree a second time.
    pub count_totals: bool,
    /// Name and version of the program, for the server's log.
    pub agent: String,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect::Native,
            // TCP gives an unanswered SYN four tries in 15 seconds; more seldom help.
            connect_timeout: Duration::from_secs(15),
            // As long as a server tolerates silence: the longest delay of a retransmission that a
            // network mends by itself, twice.
            stall_timeout: Duration::from_secs(60),
            // Some two minutes: a server that is started anew, a laptop that changes networks.
            retries: 8,
            connections: Connections::Auto,
            resume: true,
            state_dir: None,
            selection: Selection::default(),
            count_totals: false,
            agent: concat!("sandport/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Sends all sources to the server at `to`, over [`SendOptions::connections`], and over further ones where one
/// is cut (in the classic dialect over one for each file), and tells `events` what becomes of each file. Where
/// there are several connections, files get their outcomes in any order.
///
/// # Errors
/// What ended the last connection, or kept it from being made; files without an outcome were
/// [`SendEvent::Unanswered`] before. What befell single files is not an error but an event, and
/// counted in the summary.
pub async fn send(
    to: &Address,
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
    to: &Address,
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

/// What was counted, when it is: the number of files and their bytes.
type Totals = mpsc::Receiver<(u64, u64)>;

/// The clock of the protocol machines.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now() }
    }

    fn now(self) -> Millis {
        millis(self.start.elapsed())
    }

    /// The moment when the clock will read `at`, not before it really does.
    fn instant(self, at: Millis) -> tokio::time::Instant {
        // A clock reading is rounded down: without the one more, a machine would be woken a
        // fraction of a millisecond early, over and over.
        let at = Duration::from_millis(at.saturating_add(1));
        let far = Duration::from_secs(365 * 24 * 3600);
        tokio::time::Instant::from_std(self.start + at.min(far))
    }
}

/// A duration as the machines count it.
fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
