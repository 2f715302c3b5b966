//! The sending end of a connection in the native dialect.
//!
//! > After each call that takes `&mut self`, call [`Sender::poll_output`] until it returns `None` and
//! > carry out each output in order, then [`Sender::poll_event`] until it returns `None`; then read
//! > from the connection, but no longer than until [`Sender::poll_timeout`].

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Digest, Extent, Identity, Millis, Offer, Receipt, Refusal, UploadId};

pub mod classic;

/// What the driver has to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes.
    Send(Bytes),
    /// Send exactly `length` bytes of the upload's content from `offset` on.
    Payload {
        /// The upload.
        id: UploadId,
        /// The first byte, from 0.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// Shut the sending side of the connection down; go on reading.
    Shutdown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The receiver granted its limits: offers may go out.
    Welcomed(Welcomed),
    /// The receiver knows the sender by this identity.
    Authenticated(Identity),
    /// Send these extents of the upload, then finish it.
    Accepted {
        /// The upload.
        id: UploadId,
        /// What is missing, in ascending order.
        missing: Vec<Extent>,
    },
    /// Hash the file and call [`Sender::offer_digest`].
    DigestFirst {
        /// The upload.
        id: UploadId,
    },
    /// The receiver has the file already; the upload is over.
    AlreadyStored {
        /// The upload.
        id: UploadId,
        /// What the receiver has.
        receipt: Receipt,
    },
    /// The file is whole, verified, durable and visible; the upload is over.
    Stored {
        /// The upload.
        id: UploadId,
        /// What the receiver has.
        receipt: Receipt,
    },
    /// The upload is refused and over; the connection goes on.
    Refused {
        /// The upload.
        id: UploadId,
        /// Why.
        refusal: Refusal,
    },
    /// This many bytes of the upload are durable at the receiver.
    Progress {
        /// The upload.
        id: UploadId,
        /// Bytes.
        durable: u64,
    },
    /// The connection is over. Uploads without an outcome have none.
    Ended(Result<(), EndReason>),
}

/// What a welcome grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcomed {
    /// The protocol version that both speak.
    pub version: u32,
    /// The receiver's name and version, not sanitised.
    pub agent: String,
    /// The largest file in bytes.
    pub size_max: Option<u64>,
    /// Most open uploads at once.
    pub uploads_ahead_max: u32,
    /// Most bytes of payload ahead of their verdicts.
    pub bytes_ahead_max: u64,
    /// Silence that ends the connection. Milliseconds.
    pub idle_timeout_ms: u32,
    /// The challenge of this connection.
    pub challenge: Vec<u8>,
}

/// Why a connection ended before all was answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The receiver said goodbye.
    #[error("the receiver ended the connection: {0}")]
    Goodbye(Refusal),
    /// What came back is not this protocol, or breaks it.
    #[error("the other side does not speak the Sandport protocol: {0}")]
    Malformed(String),
    /// The connection closed early.
    #[error("the connection closed before the receiver had answered")]
    Closed,
    /// Nothing moved for too long, in either direction.
    #[error("the receiver has stalled: nothing moved for {0} ms")]
    Stalled(Millis),
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
    /// Payload that does not go on where the last ended, or goes beyond the offered size.
    #[error("payload out of order or beyond the offered size")]
    OutOfOrder,
}

/// The sending end of one native connection.
pub struct Sender {}

impl Sender {
    /// Begins a connection at `now`: preface and hello are the first output. `agent` is this
    /// program's name and version. `stall_timeout_ms` ends the connection when nothing has moved in
    /// either direction for that long while something was owed.
    pub fn new(agent: String, stall_timeout_ms: Millis, now: Millis) -> Self {
        let _ = (agent, stall_timeout_ms, now);
        Self {}
    }

    /// Bytes arrived.
    pub fn handle_input(&mut self, now: Millis, bytes: Bytes) {
        let _ = (now, bytes);
    }

    /// The receiver shut its side down, or the connection broke.
    pub fn handle_eof(&mut self, now: Millis) {
        let _ = now;
    }

    /// The connection took some bytes: the receiver is reading. Call it as payload goes out.
    pub fn handle_sent(&mut self, now: Millis) {
        let _ = now;
    }

    /// The moment that [`Sender::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Millis) {
        let _ = now;
    }

    /// Whether [`Sender::offer`] may be called: welcomed, not ended, room in the window.
    pub fn can_offer(&self) -> bool {
        false
    }

    /// Whether `length` bytes of payload may go out now for an upload without a verdict.
    pub fn can_send_ahead(&self, length: u64) -> bool {
        let _ = length;
        false
    }

    /// Offers a file or a directory and gives the number of the upload.
    ///
    /// # Errors
    /// [`Misuse::NoOffer`].
    pub fn offer(&mut self, offer: Offer) -> Result<UploadId, Misuse> {
        let _ = offer;
        Err(Misuse::NoOffer)
    }

    /// Offers an upload again with its digest, after [`Event::DigestFirst`].
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn offer_digest(&mut self, id: UploadId, digest: Digest) -> Result<(), Misuse> {
        let _ = (id, digest);
        Err(Misuse::WrongState)
    }

    /// Announces payload: an [`Output::Payload`] comes out. To be called for accepted uploads, or
    /// ahead of the verdict within [`Sender::can_send_ahead`]. On an upload that is over already (its
    /// refusal came in meanwhile) it does nothing and returns `Ok(false)`.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn data(&mut self, id: UploadId, offset: u64, length: u64) -> Result<bool, Misuse> {
        let _ = (id, offset, length);
        Err(Misuse::WrongState)
    }

    /// Says that all of the file was sent. `Ok(false)` as with [`Sender::data`].
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn finish(&mut self, id: UploadId, size: u64, digest: Digest) -> Result<bool, Misuse> {
        let _ = (id, size, digest);
        Err(Misuse::WrongState)
    }

    /// Gives one upload up; no event follows for it. `Ok(false)` as with [`Sender::data`].
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub fn cancel(&mut self, id: UploadId, reason: Refusal) -> Result<bool, Misuse> {
        let _ = (id, reason);
        Err(Misuse::WrongState)
    }

    /// No more offers will come: shuts down when every upload has its outcome.
    pub fn close(&mut self) {}

    /// Ends the connection at once, telling the receiver why.
    pub fn abort(&mut self, reason: Refusal) {
        let _ = reason;
    }

    /// What to send next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When to call [`Sender::handle_timeout`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Millis> {
        None
    }
}
