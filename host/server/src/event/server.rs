//! What a server tells its owner.

use std::time::Duration;

use sandport_protocol::{Fingerprint, Receipt, Refusal};

use super::claim::Claim;
use crate::net::{Address, Peer};

/// Something that happened on a connection. Names, details, reasons and last words may come from the peer:
/// [`sanitize`](sandport_protocol::text::sanitize) them before they reach a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The receiver is being compiled, and has been for half a second. Nothing is accepted meanwhile.
    Compiling {
        /// What the receiver is called: its file.
        name: String,
    },
    /// A connection's sandbox is set up and about to run.
    SandboxReady {
        /// The other end.
        peer: Peer,
        /// From the first byte to the instance: store, linking, memory.
        setup: Duration,
    },
    /// A file is whole, verified, visible, and as durable as the setting says.
    Stored {
        /// Who sent it.
        peer: Peer,
        /// What was stored.
        receipt: Receipt,
    },
    /// A directory that was offered is there, with the directories above it; it may have been before.
    Directory {
        /// Who sent it.
        peer: Peer,
        /// Its path in the inbox.
        name: String,
    },
    /// One upload was refused; its connection may go on.
    UploadRefused {
        /// Who sent it.
        peer: Peer,
        /// The name in the offer.
        name: Option<String>,
        /// Why.
        refusal: Refusal,
    },
    /// A connection ended with a refusal.
    ConnectionRefused {
        /// Who it was.
        peer: Peer,
        /// Why.
        refusal: Refusal,
    },
    /// A receiver trapped or went over its budget; its connection was cut.
    Trapped {
        /// Who was connected.
        peer: Peer,
        /// The reason.
        reason: String,
        /// The end of what the receiver had written to its standard output and standard error: 4 KiB at most.
        /// Empty: nothing, or receivers trap too often to tell of each.
        last_words: String,
    },
    /// No connection can be accepted for the moment; it is tried again.
    AcceptFailed {
        /// The system's reason.
        reason: String,
    },
    /// A resident receiver is started.
    ReceiverStarted,
    /// A resident receiver listens. It may be told again, after a restart.
    ReceiverListening {
        /// Where, with the ports that the system chose.
        addresses: Vec<Address>,
    },
    /// A resident receiver ended, and all of its connections with it.
    ReceiverEnded {
        /// How.
        reason: String,
        /// Whether it trapped or went over its budget; otherwise it ended by itself.
        trapped: bool,
        /// The end of what it had written that was no report: 4 KiB at most.
        last_words: String,
        /// When it is started again.
        restart_after: Duration,
    },
    /// Something happened, as a resident receiver says. Nobody has checked it.
    Claimed(Claim),
    /// Events that [`Events`](super::Events) had no room for. They happened after the last event that
    /// was taken from it.
    Missed {
        /// How many.
        count: u64,
    },
    /// Refusals, traps and lines of receivers that were not told, since too many were: of a connection, of an address,
    /// or of all. They happened before the event that follows.
    Untold {
        /// How many.
        count: u64,
    },
    /// The inbox cannot go on, so the server stops as if it was told to. Uploads that it refuses for that have no
    /// event of their own.
    InboxLost {
        /// A stable word for the condition: `inbox-gone`, `inbox-not-writable` or `inbox-stopped`.
        code: &'static str,
        /// The condition, with the path of the inbox.
        reason: String,
    },
    /// The files of the server's certificate have changed, and what is in them is shown from now on.
    CertificateChanged {
        /// The SHA-256 digest of the certificate.
        fingerprint: Fingerprint,
    },
    /// The files of the server's certificate have changed and cannot be used. What was shown before is shown on.
    CertificateKept {
        /// A stable word for the condition: that of a [`TlsError`](crate::TlsError).
        code: &'static str,
        /// The condition.
        reason: String,
    },
    /// The server stopped accepting and waits for connections that are under way.
    Draining {
        /// How many there are.
        connections: usize,
    },
}
