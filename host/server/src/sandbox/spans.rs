//! Spans for whoever traces: one for each connection, and one for each upload within it. They are at debug level, and
//! cost nothing where nobody wants them.

use sandport_protocol::text::sanitize;
use sandport_protocol::{Receipt, Refusal};
use tracing::Span;
use tracing::field::Empty;

use super::output::LOGGED_CHARS_MAX;
use crate::net::Peer;

/// A connection, from its first byte to its end.
pub(crate) fn connection(peer: &Peer) -> Span {
    tracing::debug_span!("connection", peer = %sanitize(&peer.to_string(), LOGGED_CHARS_MAX))
}

/// An upload that was accepted, until its outcome is known. A name comes from the sender.
pub(super) fn upload(name: Option<&str>) -> Span {
    tracing::debug_span!(
        "upload",
        name = name.map(|name| display(sanitize(name, LOGGED_CHARS_MAX))),
        outcome = Empty,
    )
}

/// The outcome of an upload.
pub(super) fn end(upload: &Span, outcome: Result<&Receipt, &Refusal>) {
    if upload.is_disabled() {
        return;
    }
    upload.record("outcome", outcome.map_or_else(|refusal| refusal.code.as_str(), |_| "stored"));
    let _inside = upload.enter();
    match outcome {
        Ok(receipt) => tracing::debug!(size = receipt.size, "stored"),
        Err(refusal) => tracing::debug!(code = %refusal.code, "not stored"),
    }
}
