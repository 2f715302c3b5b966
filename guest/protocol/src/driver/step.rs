//! What a step of the loop comes to.

use crate::{Millis, Refusal, UploadId};

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Something moved: step again.
    Again,
    /// Nothing to do before this.
    Wait(Wait),
    /// The connection is over. What is unsent is to be sent, and uploads are to be dropped.
    Closed(Result<(), Refusal>),
    /// This machine is over and the connection goes on: another one is to be given what comes. What is unsent is to
    /// be sent, and uploads are to be dropped.
    Next {
        /// How many of the bytes that were read last belong to the next machine.
        unread: usize,
    },
}

/// What there is to wait for, besides room for what is unsent, the oldest commit and what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What of the connection and its uploads.
    pub on: On,
    /// No longer than until then.
    pub until: Option<Millis>,
}

/// What has to become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The connection's input.
    Input,
    /// Room in the body of this upload.
    Body(UploadId),
    /// None of these.
    Nothing,
}
