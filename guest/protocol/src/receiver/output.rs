//! What a receiver asks its driver to do, and to wait for.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

#[cfg(doc)]
use super::Receiver;
use super::Wishes;
use crate::{
    Algorithm, ContentDigest, Credential, Digest, Extent, Offer, Receipt, Refusal, UploadId,
};

/// How much a log line matters: `log.level` of the WIT package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the four usual ones")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What the driver has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes to the peer.
    Send(Bytes),
    /// Ask the inbox to open `offer`, and answer with [`Receiver::handle_opened`] when it has. Until then
    /// [`Receiver::want`] wants nothing.
    Open {
        /// The upload that the answer is about.
        id: UploadId,
        /// What to open.
        offer: Offer,
        /// What is wanted of it besides. By default nothing.
        wishes: Wishes,
    },
    /// Open a body of the upload, for the writes and splices that follow. An earlier body of it can
    /// be dropped. If it fails, call [`Receiver::handle_fault`] and ignore the writes that follow.
    Body {
        /// The upload.
        id: UploadId,
        /// Where the bytes that follow belong.
        extent: Extent,
        /// They count only when [`Output::Finish`] says what they hash to by this.
        check: Option<Algorithm>,
    },
    /// Write bytes that were read along with a header into the upload's body.
    Write {
        /// The upload.
        id: UploadId,
        /// A part of what [`Receiver::handle_input`] was given.
        bytes: Bytes,
    },
    /// End the checked body that was begun last, and answer with [`Receiver::handle_finished`].
    Finish {
        /// The upload.
        id: UploadId,
        /// What the extent hashes to.
        expect: ContentDigest,
    },
    /// Say how long the file will be, and answer with [`Receiver::handle_sized`] at once.
    SetSize {
        /// The upload.
        id: UploadId,
        /// Size in bytes.
        size: u64,
    },
    /// Have all that was written by now made durable, and answer with [`Receiver::handle_kept`] when it is.
    Keep {
        /// The upload.
        id: UploadId,
    },
    /// Make the content of the upload out of those of others, and answer with [`Receiver::handle_concatenated`] when it
    /// is.
    Concatenate {
        /// The upload.
        id: UploadId,
        /// The keys of the others, in the order of their contents.
        parts: Vec<Vec<u8>>,
    },
    /// Ask how far an upload has come, and answer with [`Receiver::handle_looked`].
    Look {
        /// Its key.
        key: Vec<u8>,
        /// Whether whoever holds it loses it first.
        settle: bool,
    },
    /// End an upload, whoever holds it, and answer with [`Receiver::handle_abandoned`].
    Abandon {
        /// Its key.
        key: Vec<u8>,
    },
    /// Commit the upload; when the outcome is known, call [`Receiver::handle_committed`].
    Commit {
        /// The upload.
        id: UploadId,
        /// Size in bytes.
        size: u64,
        /// The digest that the sender claims, if it claims one.
        digest: Option<Digest>,
        /// Digests of other kinds that it claims, which were not known when the upload was opened.
        digests: Vec<ContentDigest>,
    },
    /// Discard the upload. It may have no body yet.
    Discard {
        /// The upload.
        id: UploadId,
        /// What the operator should hear of it. `None`: [`Output::Close`] will say it.
        reason: Option<Refusal>,
    },
    /// Drop an upload that can be resumed: what it has stays for the next offer with its key. It may
    /// have no body yet.
    Release {
        /// The upload.
        id: UploadId,
    },
    /// Tell the gate where a trusted proxy says that the sender is: `gate.forwarded` of the WIT package.
    Forwarded(String),
    /// Ask the gate, and answer with [`Receiver::handle_authenticated`] when it has. Until then
    /// [`Receiver::want`] wants nothing.
    Authenticate(Credential),
    /// A line for the operator's log.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The line, not yet sanitized.
        message: String,
    },
    /// This receiver is over and the connection goes on: another one is to be given what comes, and nothing comes
    /// after this from this one. `receiver.ending.again` of the WIT package.
    Next {
        /// How many of the bytes that were read last belong to the next one.
        unread: usize,
    },
    /// The connection is over; nothing comes after this. An error is the refusal that ended it.
    Close(Result<(), Refusal>),
}

/// What the driver should wait for on the connection, besides the timeout and running commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// Read up to `max` bytes and call [`Receiver::handle_input`], or [`Receiver::handle_eof`].
    Read {
        /// Most bytes to read. Never 0.
        max: usize,
    },
    /// Splice up to `max` bytes from the connection into the upload's body and call
    /// [`Receiver::handle_spliced`], or [`Receiver::handle_eof`].
    Splice {
        /// The upload.
        id: UploadId,
        /// Most bytes to splice. Never 0.
        max: u64,
    },
    /// Skip up to `max` bytes of the connection and call [`Receiver::handle_spliced`], or
    /// [`Receiver::handle_eof`].
    Skip {
        /// Most bytes to skip. Never 0.
        max: u64,
    },
    /// Nothing: wait for commits and the timeout alone.
    Nothing,
}

/// The inbox's answer to an offer: `inbox.answer` of the WIT package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The file is here already.
    Stored(Receipt),
    /// An upload is open, and these extents are missing.
    Accepted(Vec<Extent>),
    /// An upload is open under a key that the host made up, and nothing of it is here.
    Begun {
        /// The key: 64 bytes at most, and a secret.
        key: Vec<u8>,
    },
    /// Offer it again with its digest.
    DigestFirst,
}
