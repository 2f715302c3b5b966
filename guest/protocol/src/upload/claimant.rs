//! Who comes for an upload, and what becomes of that.

use super::ids::SessionId;
use crate::journal::GROUP_BYTES;
use crate::{Digest, Offer, Refusal, Resume, ResumeMode};

/// The resume key of an offer that is worth a journal: of a file that may be longer than a chunk group.
pub fn resumable(offer: &Offer) -> Option<Resume> {
    offer.resume.filter(|_| offer.size.is_none_or(|size| size > GROUP_BYTES))
}

/// An offer of an upload whose key is known.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Which run of its sender it is of.
    pub run: u64,
    /// What is to become of those who hold it.
    pub mode: ResumeMode,
    /// Whether its name and its size are those of the upload.
    pub is_same: bool,
    /// The digest that was offered.
    pub digest: Option<Digest>,
}

/// What becomes of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The session has it, and is to be released when its connection is gone. What is missing can be told when the
    /// upload [has settled](super::Upload::is_settled).
    Holds(SessionId),
    /// It is being published; the outcome is for this one too.
    Commits,
    /// Offer again after the next [`Changed`](super::Effect::Changed) or [`Gone`](super::Effect::Gone), and when it is
    /// gone, to its successor. What is gone already tells of nothing any more.
    Later,
    /// The same, as one that takes over: what was to be discarded is being removed, and what comes after that is
    /// another's.
    Anew,
    /// `locked`: a later run holds it. `invalid-state`: it is another upload that has this key.
    Refused(Refusal),
}
