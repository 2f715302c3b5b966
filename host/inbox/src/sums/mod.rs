//! Digests of other algorithms than BLAKE3, for senders that claim them or want them in their receipts.
//!
//! Only those that somebody has asked for are computed. Where the offer of a file names them and its bytes come in
//! order, over one connection, they are computed as the bytes come ([`Sums`]). Otherwise the file is read once more
//! before it is published ([`Reading`](super::reading::Reading)), by a thread that nobody else waits for. What that
//! costs the processor is told to whoever counts it ([`Meter`](super::meter::Meter)).

mod hasher;
mod running;

pub(super) use hasher::Hasher;
pub(super) use running::{Due, Feed, Sums};
