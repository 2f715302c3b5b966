//! What an upload asks its driver to do, and tells it.

use alloc::string::String;

use super::request::Request;
use super::said::Said;
#[cfg(doc)]
use super::upload::HttpUpload;
use crate::{Millis, Refusal};

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpStep {
    /// Send this, and call [`HttpUpload::handle_answer`] or [`HttpUpload::handle_cut`].
    Send(Request),
    /// Call [`HttpUpload::handle_content`] when more of the stream is there.
    Fetch,
    /// It came to nothing. Wait before the next step, longer after each further pause, or give up.
    Wait(Pause),
    /// It is over.
    Over(Outcome),
}

/// Why nothing can be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What the server has answered; `None`: the request was cut.
    pub refusal: Option<Refusal>,
    /// How long the server asks to wait at least. Milliseconds.
    pub at_least_ms: Millis,
}

/// What becomes of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server says that it has stored the file.
    Stored(Said),
    /// It does not take it.
    Refused(Refusal),
    /// It has less of a stream than can be sent again.
    Lost,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpEvent {
    /// The upload has this URL, with which a later run goes on: the target of requests to it.
    Begun {
        /// The target.
        url: String,
    },
    /// The URL is of no use any more.
    Forgotten,
    /// The server has so much of it, and the rest is sent.
    Resumed {
        /// Bytes.
        kept: u64,
    },
    /// It is sent from its beginning, whatever the server had.
    Restarted(Anew),
    /// So much is safe at the server, and more than ever before.
    Safe {
        /// Bytes.
        bytes: u64,
    },
}

/// Why an upload is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anew {
    /// The file has changed since it was begun.
    Changed,
    /// The server does not know the upload any more.
    Gone,
    /// The server has less than it has said, or more than there is.
    Damaged,
}
