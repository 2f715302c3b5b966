//! How to send.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::selection::Selection;

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
    pub(super) fn are_several(self) -> bool {
        matches!(self, Self::Exactly(number) if number > NonZeroUsize::MIN)
    }
}

/// How to send. Begin with the default and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendOptions {
    /// What to speak to an [`Address`](sandport_protocol::Address). To an address of HTTP it is HTTP.
    pub dialect: Dialect,
    /// How long to try to connect, name resolution and all addresses of the host included.
    pub connect_timeout: Duration,
    /// How long nothing may move in either direction, while the server owes an answer or has to take
    /// bytes, before it counts as stalled.
    pub stall_timeout: Duration,
    /// How many connections to the server there are at once. Files are spread over them, and a large one
    /// that can be resumed is divided among those that have nothing else to do. The classic dialect has one
    /// for each file, and one after the other. Over HTTP no file is divided, and [`Connections::Auto`] means 4 at most.
    pub connections: Connections,
    /// How often to connect again after a connection that was cut, without anything having come further
    /// in between. 0: a cut is the end. A first connection that fails is never tried again.
    pub retries: u32,
    /// Whether large files and streams are offered so that they can be resumed.
    pub resume: bool,
    /// Where resume keys are kept, so that a later run resumes what this one began; `None`: it cannot.
    pub state_dir: Option<PathBuf>,
    /// What of trees is sent.
    pub selection: Selection,
    /// Whether to count all files first, beside sending, for [`SendEvent::Totals`](super::SendEvent::Totals). It walks each
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
