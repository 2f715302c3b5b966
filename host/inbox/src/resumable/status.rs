//! What is said of an upload to who looks at it.

use sandport_protocol::upload::UploadProgress;
use sandport_protocol::{Extent, Metadata, Receipt, Refusal};

/// How far an upload is, or how it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadStatus {
    /// How long the file will be, or is; `None`: not known. Bytes.
    pub size: Option<u64>,
    /// How many bytes from the start are here.
    pub received: u64,
    /// How many bytes from the start are kept: see [`Upload::durable`](crate::Upload::durable).
    pub durable: u64,
    /// What is not here, in ascending order. Nothing, where it has ended.
    pub missing: Vec<Extent>,
    /// How it has ended, if it has, a short while ago; `None`: it goes on.
    pub outcome: Option<Result<Receipt, Refusal>>,
    /// How long it is kept if nobody comes with more of it; `None`: for ever, or it has ended. Seconds.
    pub expires_in_s: Option<u64>,
    /// What its sender has said of it.
    pub metadata: Metadata,
}

impl UploadStatus {
    /// Of one that goes on.
    pub(super) fn of(
        progress: UploadProgress,
        expires_in_s: Option<u64>,
        metadata: Metadata,
    ) -> Self {
        let UploadProgress { size, received, durable, missing } = progress;
        Self { size, received, durable, missing, outcome: None, expires_in_s, metadata }
    }

    /// Of one that has ended.
    pub(super) fn ended(
        outcome: Option<Result<Receipt, Refusal>>,
        size: Option<u64>,
        metadata: Metadata,
    ) -> Self {
        let stored = outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let (size, here) = (stored.map(|it| it.size).or(size), stored.map_or(0, |it| it.size));
        let (missing, expires_in_s) = (Vec::new(), None);
        Self { size, received: here, durable: here, missing, outcome, expires_in_s, metadata }
    }
}
