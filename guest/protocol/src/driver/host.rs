//! What the driving loop runs on: one connection, and the inbox for what comes on it.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::receiver::{Committed, LogLevel, Status, Wishes};
use crate::{
    Algorithm, Authenticated, ContentDigest, Credential, Extent, Millis, Offer, Receipt, Refusal,
};

/// The other side sends nothing more, or the connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfInput;

/// What became of an offer.
#[derive(Debug)]
pub enum Answer<U> {
    /// It is here already.
    Stored(Receipt),
    /// Send it.
    Accepted(U, Vec<Extent>),
    /// Send it; it has this key, which the host made up.
    Begun(U, Vec<u8>),
    /// Offer it again, with a digest.
    DigestFirst,
}

/// What is asked of an inbox about an upload that it has.
#[derive(Debug)]
pub enum Question<'a, U> {
    /// `inbox.look`.
    Look {
        /// The upload's key.
        key: Vec<u8>,
        /// Whether whoever holds it loses it first.
        settle: bool,
    },
    /// `inbox.abandon`.
    Abandon {
        /// The upload's key.
        key: Vec<u8>,
    },
    /// `inbox.upload.keep`.
    Keep {
        /// The upload.
        upload: &'a mut U,
    },
    /// `inbox.upload.concatenate`.
    Concatenate {
        /// The upload.
        upload: &'a mut U,
        /// The keys of its parts, in order.
        parts: Vec<Vec<u8>>,
    },
    /// `inbox.body.finish` of the checked body that was begun last.
    Finish {
        /// The upload.
        upload: &'a mut U,
        /// What its extent hashes to.
        expect: ContentDigest,
    },
}

/// The reply to a [`Question`] of the same kind.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is documented where its question is")]
pub enum Reply {
    Looked(Result<Option<Status>, Refusal>),
    Abandoned(Result<bool, Refusal>),
    Kept(Result<(), Refusal>),
    Concatenated(Result<(), Refusal>),
    Finished(Result<(), Refusal>),
}

/// How far a splice came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spliced {
    /// This many bytes have moved.
    Bytes(u64),
    /// The connection has nothing now.
    NoInput,
    /// The upload takes nothing now.
    NoRoom,
}

/// One connection, and the inbox for what comes on it. No function of it waits.
pub trait Host {
    /// An upload that was accepted, with its body.
    type Upload;
    /// A commit that is under way.
    type Commit;
    /// An offer that the inbox considers.
    type Opening;
    /// A question that the inbox looks into.
    type Asking;
    /// A credential that is being checked.
    type Authenticating;

    /// A reading of the clock.
    fn now(&mut self) -> Millis;

    /// Reads up to `max` bytes. None: the connection has nothing now.
    ///
    /// # Errors
    /// There will be nothing more.
    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput>;

    /// Reads up to `max` bytes and drops them; how many it were.
    ///
    /// # Errors
    /// There will be nothing more.
    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput>;

    /// Takes bytes to be sent.
    fn send(&mut self, bytes: &[u8]);

    /// How many bytes wait to be sent.
    fn unsent(&self) -> usize;

    /// Sends what the connection takes now; how many bytes are left.
    fn flush(&mut self) -> usize;

    /// `inbox.open`.
    fn open(&mut self, offer: Offer, wishes: Wishes) -> Self::Opening;

    /// The answer to an offer, once it is known. It is taken once.
    fn opened(
        &mut self,
        opening: &mut Self::Opening,
    ) -> Option<Result<Answer<Self::Upload>, Refusal>>;

    /// Asks the inbox about an upload that it has.
    fn ask(&mut self, question: Question<'_, Self::Upload>) -> Self::Asking;

    /// The reply, once it is known. It is taken once.
    fn replied(&mut self, asking: &mut Self::Asking) -> Option<Reply>;

    /// `inbox.upload.set-size`.
    ///
    /// # Errors
    /// Those of the inbox.
    fn set_size(&mut self, upload: &mut Self::Upload, size: u64) -> Result<(), Refusal>;

    /// Begins a body of the upload and ends an earlier one.
    ///
    /// # Errors
    /// Those of the inbox.
    fn body(
        &mut self,
        upload: &mut Self::Upload,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal>;

    /// Writes what the body takes now of `bytes`; what is left. What fails is the upload's fault.
    fn write(&mut self, upload: &mut Self::Upload, bytes: Bytes) -> Bytes;

    /// Moves up to `max` bytes from the connection into the body.
    ///
    /// # Errors
    /// There will be nothing more.
    fn splice(&mut self, upload: &mut Self::Upload, max: u64) -> Result<Spliced, EndOfInput>;

    /// Whether there may be something to hear of the upload without a word of the sender's: of one that can be
    /// resumed.
    fn has_news(&self, upload: &Self::Upload) -> bool;

    /// Whether a body can be spliced into: it was begun, and that did not fail.
    fn has_body(&self, upload: &Self::Upload) -> bool;

    /// The fault of an upload, if it has one.
    fn fault(&mut self, upload: &mut Self::Upload) -> Option<Refusal>;

    /// How much of the upload is durable, if that is more than was last said: of one that can be
    /// resumed.
    fn progress(&mut self, upload: &mut Self::Upload) -> Option<u64>;

    /// `inbox.upload.commit`.
    fn commit(
        &mut self,
        upload: Self::Upload,
        size: u64,
        digests: Vec<ContentDigest>,
    ) -> Self::Commit;

    /// The outcome of a commit, once it is known. It is asked for once.
    fn outcome(&mut self, commit: &mut Self::Commit) -> Option<Result<Committed, Refusal>>;

    /// `inbox.upload.discard`.
    fn discard(&mut self, upload: Self::Upload, reason: Option<Refusal>);

    /// `gate.forwarded`. A gate that does not believe it goes by what it knows, and says so to its operator.
    fn forwarded(&mut self, address: &str);

    /// `gate.authenticate`.
    fn authenticate(&mut self, credential: Credential) -> Self::Authenticating;

    /// The answer to a credential, once it is known. It is taken once.
    fn authenticated(
        &mut self,
        authenticating: &mut Self::Authenticating,
    ) -> Option<Result<Authenticated, Refusal>>;

    /// `log.emit`.
    fn log(&mut self, level: LogLevel, message: &str);
}
