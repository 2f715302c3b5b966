//! The records and variants of `wit/wire.wit`, field by field and case by case: the encoding follows
//! from their order. What they mean is documented there. Limits are named as in the rest of this crate, and have
//! the names of the text for serde.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Authenticated, Credential, Digest, Extent, Offer, Receipt, Refusal, UploadId};

/// The sender's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The lowest version that the sender speaks.
    pub version_min: u32,
    /// The highest version that the sender speaks.
    pub version_max: u32,
    /// Name and version of the program.
    pub agent: String,
}

/// The receiver's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u32,
    /// Name and version of the program.
    pub agent: String,
    /// The largest file in bytes.
    #[serde(rename = "size_max")]
    pub max_file_size: Option<u64>,
    /// Most open uploads at once.
    #[serde(rename = "uploads_ahead_max")]
    pub max_uploads_ahead: u32,
    /// Most bytes of payload ahead of their verdicts.
    #[serde(rename = "bytes_ahead_max")]
    pub max_bytes_ahead: u64,
    /// Silence that ends the connection. Milliseconds.
    pub idle_timeout_ms: u32,
    /// The challenge of this connection.
    pub challenge: Vec<u8>,
}

/// An offer under a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedOffer {
    /// The number of the upload.
    pub id: UploadId,
    /// What is offered.
    pub offer: Offer,
}

/// Announces payload, which follows the frame bare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// The number of the upload.
    pub id: UploadId,
    /// Where in the file the payload belongs. Bytes.
    pub offset: u64,
    /// How many bytes follow.
    pub length: u64,
}

/// All of a file was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// The number of the upload.
    pub id: UploadId,
    /// The size of the file in bytes.
    pub size: u64,
    /// The digest over the whole file.
    pub digest: Digest,
}

/// The sender gives one upload up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The number of the upload.
    pub id: UploadId,
    /// Why.
    pub reason: Refusal,
}

/// What a sender says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SenderMessage {
    /// The first message.
    Hello(Hello),
    /// The sender ends the connection.
    Goodbye(Refusal),
    /// The sender shows who it is.
    Authenticate(Credential),
    /// A file or a directory is offered.
    Offer(NumberedOffer),
    /// Payload follows.
    Data(Data),
    /// All of a file was sent.
    Finish(Finish),
    /// One upload is given up.
    Cancel(Cancel),
    /// Nothing to say, but alive.
    KeepAlive,
}

/// Send what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The number of the upload.
    pub id: UploadId,
    /// What is missing, in ascending order.
    pub missing: Vec<Extent>,
}

/// A file is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The number of the upload.
    pub id: UploadId,
    /// What is here.
    pub receipt: Receipt,
}

/// One upload is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The number of the upload.
    pub id: UploadId,
    /// Why.
    pub refusal: Refusal,
}

/// How far an upload is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of the upload.
    pub id: UploadId,
    /// Bytes that would survive a power cut.
    pub durable: u64,
}

/// What a receiver says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReceiverMessage {
    /// The answer to the hello.
    Welcome(Welcome),
    /// The receiver ends the connection.
    Goodbye(Refusal),
    /// The sender is known by this identity.
    Authenticated(Authenticated),
    /// The upload is open.
    Accepted(Accepted),
    /// The file is here already.
    AlreadyStored(Stored),
    /// The upload has to be offered again with its digest.
    DigestFirst(UploadId),
    /// One upload is refused.
    Refused(Refused),
    /// The file is whole, verified, durable, visible.
    Stored(Stored),
    /// How far an upload is safe.
    Progress(Progress),
    /// Nothing to say, but alive.
    KeepAlive,
}
