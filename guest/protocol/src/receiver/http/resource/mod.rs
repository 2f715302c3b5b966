//! Uploads that have a URL, below `/files/`: what tus 1.0 and the resumable uploads of the IETF have in common.
//!
//! A protocol parses a request into a [`Goal`] and speaks by [`Speech`]; what the inbox is asked in between, and when
//! an answer may be given, is the same for both: [`Resource`]. The rules are
//!
//! - An offset in an answer is durable. It never goes back, and the next `PATCH` is taken there.
//! - There is one writer. A newer `HEAD`, `PATCH` or `DELETE` takes the upload from an older one, whose bytes are kept,
//!   and only then looks.
//! - What a client was never told the URL of is discarded with its request; the rest is kept.

use alloc::string::String;
use alloc::vec::Vec;

use super::answer::{Answer, Interim};
use super::fields::Fields;
use crate::receiver::{Committed, Status};
use crate::{Algorithm, ContentDigest, Digest, Receipt, Refusal, RefusalCode};

mod exchange;
mod joining;
mod notes;
mod parts;
mod ways;

pub(super) use exchange::Resource;
pub(super) use notes::Notes;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To begin an upload.
    Create(Creation, Append),
    /// To go on with one.
    Append(Vec<u8>, Append),
    /// To hear how far one is. `settles`: whoever is at it loses it first.
    Look { key: Vec<u8>, settles: bool },
    /// To end one.
    Cancel(Vec<u8>),
}

/// An upload to be begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Creation {
    /// The name of the file, not checked; `None`: the inbox makes one up.
    pub(super) name: Option<String>,
    /// When the file was modified, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) modified_ns: Option<i64>,
    /// What is kept with it.
    pub(super) notes: Notes,
    /// What it has to do with others.
    pub(super) role: Role,
}

/// What an upload has to do with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Alone,
    /// It is to become a part of another one. Nothing of it is published by itself.
    Part,
    /// It is put together out of those with these keys, in this order.
    Final(Vec<Vec<u8>>),
}

/// What a request brings of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Append {
    /// Where its content belongs. Bytes.
    pub(super) offset: u64,
    /// How many bytes it brings; `None`: it does not say.
    pub(super) content: Option<u64>,
    /// How long the upload will be, where the request says so. Bytes.
    pub(super) size: Option<u64>,
    pub(super) check: Check,
    pub(super) ends: Ends,
    /// What the whole file has to hash to.
    pub(super) digests: Vec<ContentDigest>,
    /// Digests of the whole file that the answer shall have.
    pub(super) want: Vec<Algorithm>,
}

impl Append {
    /// Whether an upload of this size is complete with `end` bytes.
    fn completes(&self, size: Option<u64>, end: u64) -> bool {
        match self.ends {
            Ends::AtSize => size == Some(end),
            Ends::Here => true,
            Ends::Later => false,
        }
    }

    /// The digests that the inbox checks and those that it is to compute, as far as it wants to know them before the
    /// content. It computes BLAKE3 of everything; and by that of an offer it would look for a file that is here
    /// already.
    fn for_offer(&self) -> (Vec<ContentDigest>, Vec<Algorithm>) {
        let digests = self.digests.iter().filter(|digest| digest.algorithm != Algorithm::Blake3);
        let want = self.want.iter().filter(|algorithm| **algorithm != Algorithm::Blake3);
        (digests.cloned().collect(), want.copied().collect())
    }

    /// The digest that the inbox is told at the end.
    fn for_commit(&self) -> Option<Digest> {
        let blake3 = self.digests.iter().find(|digest| digest.algorithm == Algorithm::Blake3)?;
        blake3.value.as_slice().try_into().ok().map(Digest::Blake3)
    }
}

/// How the content of a request is checked before it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It is not.
    No,
    /// By this digest.
    Digest(ContentDigest),
    /// By a digest of this algorithm behind it.
    Trailer(Algorithm),
}

/// When an upload is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// When all of its bytes are here.
    AtSize,
    /// When the content of this request is here.
    Here,
    /// Later.
    Later,
}

/// How far an upload is, as answers have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) key: Vec<u8>,
    /// How many bytes of it are durable.
    pub(super) offset: u64,
    /// How long it will be; `None`: not known. Bytes.
    pub(super) size: Option<u64>,
    /// How long it is kept where nobody comes for it. Seconds. `None`: for ever.
    pub(super) expires_in_s: Option<u64>,
    /// The same, as a moment: seconds since 1970-01-01T00:00:00Z. `None`: never, or the time of day is not known.
    pub(super) expires_unix_s: Option<i64>,
    pub(super) notes: Notes,
}

impl Standing {
    fn of(key: &[u8], status: Status, expires_s: Option<u64>) -> Self {
        Self {
            key: key.to_vec(),
            offset: status.durable,
            size: status.size,
            // Nobody tells it while somebody is at it.
            expires_in_s: status.expires_in_s.or(expires_s),
            expires_unix_s: None,
            notes: Notes::of(status.metadata),
        }
    }
}

/// Why a request does not get what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no such upload.
    Unknown,
    /// It was refused, a short while ago.
    Ended(Refusal),
    /// It is being committed, and that takes long.
    Busy,
    /// The other protocol has begun it.
    Foreign,
    /// The content belongs somewhere else: where the standing says.
    Offset { provided: u64 },
    /// The request says another length than was said before, or one that cannot be.
    Length,
    /// More comes than the upload is long.
    Excess,
    /// More comes than one request may bring. Bytes.
    AppendTooLarge(u64),
    /// It is put together out of others, and takes no content.
    Final,
    /// An upload that it is to be put together out of is not there.
    PartUnknown,
    /// An upload that it is to be put together out of was not begun as a part.
    NotAPart,
    /// The content does not hash to its digest.
    Mismatch(Refusal),
    /// All of it is here, and its file does not get its name.
    Uncommitted(Refusal),
    /// The inbox refuses.
    Refused(Refusal),
}

/// How a protocol says what has come of a request.
pub(super) trait Speech: Send {
    /// How far the upload is, or that it is complete.
    fn found(&self, standing: &Standing, is_complete: bool) -> Answer;

    /// It was begun, and is not complete.
    fn created(&self, standing: &Standing) -> Answer;

    /// The content is here, and the upload not complete.
    fn appended(&self, standing: &Standing) -> Answer;

    /// The upload is complete. `is_new`: it was begun by the same request.
    fn completed(&self, standing: &Standing, committed: &Committed, is_new: bool) -> Answer;

    /// A request came to append to an upload that is complete.
    fn was_complete(&self, standing: &Standing, receipt: &Receipt, append: &Append) -> Answer;

    /// It was ended.
    fn cancelled(&self) -> Answer;

    /// The request failed. The standing is that of an upload that goes on, where it is known.
    fn failed(&self, trouble: Trouble, standing: Option<&Standing>) -> Answer;

    /// Whether the upload is one of this protocol.
    fn owns(&self, standing: &Standing) -> bool;

    /// What the upload has to do with others.
    fn role(&self, _standing: &Standing) -> Role {
        Role::Alone
    }

    /// Whether an upload of which all bytes are here is complete by that.
    fn ends_at_size(&self) -> bool;

    /// Whether an upload is gone of which too much has come.
    fn discards_excess(&self) -> bool;

    /// Adds to what a request brings what an earlier one has said of the whole file. `known`: the digests that are
    /// computed here.
    fn recall(&mut self, _standing: &Standing, _append: &mut Append, _known: &[Algorithm]) {}

    /// Tells the URL of an upload that was begun, before anything else is told. `None`: it does not.
    fn announced(&self, _standing: &Standing) -> Option<Interim> {
        None
    }

    /// Tells how much is durable. `None`: it does not.
    fn progressed(&self, _offset: u64) -> Option<Interim> {
        None
    }

    /// The digest behind the content.
    ///
    /// # Errors
    /// There is none, or it is not of this algorithm.
    fn trailer(&self, _fields: &Fields, _of: Algorithm) -> Result<ContentDigest, Refusal> {
        Err(RefusalCode::Malformed.into())
    }
}
