//! What a sender asks its driver to do, and tells it.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::EndReason;
#[cfg(doc)]
use super::Sender;
use crate::{Authenticated, Extent, Receipt, Refusal, UploadId};

/// What the driver has to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderOutput {
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
    Authenticated(Authenticated),
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
    /// The receiver's name and version, not sanitized.
    pub agent: String,
    /// The largest file in bytes.
    pub max_file_size: Option<u64>,
    /// Most open uploads at once, by the receiver's word and within [`crate::UPLOADS_AHEAD_MAX`].
    pub max_uploads_ahead: u32,
    /// Most bytes of payload ahead of their verdicts, in the same way within
    /// [`crate::BYTES_AHEAD_MAX`].
    pub max_bytes_ahead: u64,
    /// Silence that ends the connection. Milliseconds.
    pub idle_timeout_ms: u32,
    /// The challenge of this connection.
    pub challenge: Vec<u8>,
}
