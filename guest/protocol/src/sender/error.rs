//! Why a connection ended early, and what a caller did wrong.

use alloc::string::String;

#[cfg(doc)]
use super::Sender;
use crate::{Millis, Refusal};

/// Why a connection ended before all was answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The receiver said goodbye.
    #[error("the receiver ended the connection: {0}")]
    Goodbye(Refusal),
    /// What came back is not this protocol, or breaks it.
    #[error("the server does not speak the Sandport protocol: {0}")]
    Malformed(String),
    /// The connection closed early.
    #[error("the connection closed before the receiver had answered")]
    Closed,
    /// Nothing moved for too long, in either direction.
    #[error("the receiver has stalled: nothing moved for {0} ms")]
    Stalled(Millis),
    /// The receiver gave signs of life, and for too long nothing else that was owed: no answer, and no
    /// payload worth the name was taken. See [`PROGRESS_TIMEOUT_MS`](super::PROGRESS_TIMEOUT_MS).
    #[error("the receiver makes no progress: nothing came further for {0} ms")]
    NoProgress(Millis),
    /// The sender itself gave the connection up: [`Sender::abort`].
    #[error("the sender gave up: {0}")]
    Aborted(Refusal),
}

/// A call that does not fit the state; a bug of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Offers need a welcome and room in the window: see [`Sender::can_offer`].
    #[error("no offer may be made now")]
    NoOffer,
    /// No upload has this number, or it is over, or it is not in the state for the call.
    #[error("the upload is not in the state for this call")]
    WrongState,
    /// More payload ahead of its verdict than was granted: see [`Sender::can_send_ahead`].
    #[error("more bytes ahead of the verdict than the receiver granted")]
    Ahead,
    /// Payload that does not go on where the last ended, or goes beyond the offered size; or a finish
    /// that leaves some of it out.
    #[error("payload out of order, beyond the offered size, or incomplete")]
    OutOfOrder,
    /// A message that is longer than a frame: a name of 64 KiB, say.
    #[error("the message is longer than a frame")]
    TooLong,
}
