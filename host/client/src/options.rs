//! How to send.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::selection::Selection;

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
    pub(super) fn are_several(self) -> bool {
        matches!(self, Self::Exactly(number) if number > NonZeroUsize::MIN)
    }
}

/// How to send. What each means, and its default, [`ClientBuilder`](super::ClientBuilder) says.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) classic: bool,
    pub(super) tls: bool,
    /// Authorities in PEM; `None`: those of the system.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) connect_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) connections: Connections,
    pub(super) retries: u32,
    pub(super) resume: bool,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) selection: Selection,
    pub(super) count_totals: bool,
    pub(super) agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            classic: false,
            tls: false,
            authorities: None,
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
