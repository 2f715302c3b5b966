//! How tus says what has come of a request.
//!
//! Clients try again after 409, 423 and 5xx, and after nothing else: what no repetition mends gets none of these.

use alloc::string::ToString;
use core::slice;

use super::{concat, fields};
use crate::receiver::Committed;
use crate::receiver::http::answer::Answer;
use crate::receiver::http::audience::Audience;
use crate::receiver::http::date;
use crate::receiver::http::digests;
use crate::receiver::http::fields::Fields;
use crate::receiver::http::key;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::resource::{Append, Notes, Role, Speech, Standing, Trouble};
use crate::{Algorithm, ContentDigest, Receipt, Refusal, RefusalCode};

pub(super) const VERSION: &str = "1.0.0";

/// The name under which is kept what `Upload-Metadata` said.
const NOTE_METADATA: &str = "upload-metadata";

/// What is kept with an upload of tus. `metadata`: as it came.
pub(super) fn notes(metadata: &str) -> Notes {
    Notes::default().with(Notes::PROTOCOL, "tus").with(NOTE_METADATA, metadata)
}

/// Whether tus has begun the upload.
pub(in crate::receiver::http) fn is_of_tus(standing: &Standing) -> bool {
    standing.notes.get(Notes::PROTOCOL).as_deref() == Some("tus")
}

/// A client of tus.
#[derive(Clone, Copy, Debug)]
pub(in crate::receiver::http) struct Tus {
    audience: Audience,
    /// The request went to a target that ends in `/`.
    is_below: bool,
    /// The digest that it wants of the file.
    want: Option<Algorithm>,
}

impl Tus {
    /// For a client whose request went to `/files/` (`is_below`), or to `/files` or an upload.
    pub(in crate::receiver::http) fn new(audience: Audience, is_below: bool) -> Self {
        Self { audience, is_below, want: None }
    }

    /// For one that wants this digest of the whole file (`Want-Repr-Digest`, RFC 9530).
    pub(super) fn wanting(self, want: Option<Algorithm>) -> Self {
        Self { want, ..self }
    }

    /// Adds the digest that is wanted, if it is among those of the file.
    fn with_digest(self, answer: Answer, receipt: &Receipt, others: &[ContentDigest]) -> Answer {
        let of_receipt = ContentDigest::from(receipt.digest);
        let mut all = others.iter().chain([&of_receipt]);
        match all.find(|digest| Some(digest.algorithm) == self.want) {
            Some(digest) => answer.with("Repr-Digest", digests::write(slice::from_ref(digest))),
            None => answer,
        }
    }

    /// What every answer has.
    pub(super) fn sign(self, answer: Answer) -> Answer {
        answer.with("Tus-Resumable", VERSION)
    }

    /// The URL is told relative to that of the request where that can be done without a `/` at the beginning. So it is
    /// right behind a proxy that has `/files/` under another path, and for aiotus, which takes no such `/`.
    fn begun(self, standing: &Standing, is_complete: bool) -> Answer {
        let location = match self.is_below {
            true => key::segment(&standing.key),
            false => key::path(&standing.key),
        };
        self.standing(201, standing, is_complete).with("Location", location)
    }

    fn problem(self, problem: Problem) -> Answer {
        self.sign(problem.answer(self.audience))
    }

    fn standing(self, status: u16, standing: &Standing, is_complete: bool) -> Answer {
        let mut answer = self.sign(Answer::new(status));
        if has_offset(standing, is_complete) {
            answer = answer.with("Upload-Offset", standing.offset.to_string());
        }
        if let Some(expires) = standing.expires_unix_s {
            answer = answer.with("Upload-Expires", date::format(expires));
        }
        answer
    }
}

/// What the upload has to do with others.
pub(in crate::receiver::http) fn role(standing: &Standing) -> Role {
    concat::role_of(&standing.notes)
}

/// Whether its offset means something. That of an upload which is put together does when it was.
fn has_offset(standing: &Standing, is_complete: bool) -> bool {
    is_complete || !matches!(role(standing), Role::Final(_))
}

/// Adds how far an upload is to the answer to who asks for it.
pub(in crate::receiver::http) fn add_state(
    mut answer: Answer,
    standing: &Standing,
    is_complete: bool,
) -> Answer {
    let has_offset = has_offset(standing, is_complete);
    if has_offset {
        answer = answer.with("Upload-Offset", standing.offset.to_string());
    }
    answer = match standing.size {
        Some(size) => answer.with("Upload-Length", size.to_string()),
        // Nobody is to say how long it will be.
        None if !has_offset => answer,
        None => answer.with("Upload-Defer-Length", "1"),
    };
    if let Some(concat) = concat::recall(&standing.notes) {
        answer = answer.with("Upload-Concat", concat);
    }
    if let Some(metadata) = standing.notes.get(NOTE_METADATA) {
        answer = answer.with("Upload-Metadata", metadata);
    }
    if let Some(expires) = standing.expires_unix_s {
        answer = answer.with("Upload-Expires", date::format(expires));
    }
    answer
}

impl Speech for Tus {
    fn found(&self, standing: &Standing, is_complete: bool) -> Answer {
        self.sign(add_state(Answer::new(200), standing, is_complete))
    }

    fn created(&self, standing: &Standing) -> Answer {
        self.begun(standing, false)
    }

    fn appended(&self, standing: &Standing) -> Answer {
        self.standing(204, standing, false)
    }

    fn completed(&self, standing: &Standing, committed: &Committed, is_new: bool) -> Answer {
        let answer = if is_new { self.begun(standing, true) } else { self.appended(standing) };
        self.with_digest(answer, &committed.receipt, &committed.digests)
    }

    fn was_complete(&self, standing: &Standing, receipt: &Receipt, append: &Append) -> Answer {
        let trouble = match append.content {
            _ if append.offset != standing.offset => Trouble::Offset { provided: append.offset },
            Some(0) => return self.with_digest(self.appended(standing), receipt, &[]),
            _ => Trouble::Excess,
        };
        self.failed(trouble, Some(standing))
    }

    fn cancelled(&self) -> Answer {
        self.sign(Answer::new(204))
    }

    fn failed(&self, trouble: Trouble, standing: Option<&Standing>) -> Answer {
        let ours = |status, code, words: &str| Problem::new(status, code, words);
        self.problem(match trouble {
            Trouble::Unknown => unknown(),
            Trouble::Ended(refusal) => Problem::of(refusal).heard_of().status(410),
            Trouble::Busy => ours(423, RefusalCode::Locked, "the upload is being stored"),
            Trouble::Foreign => {
                ours(400, RefusalCode::InvalidState, "the upload was not begun by tus")
            }
            Trouble::Offset { .. } => {
                let words = "the content does not belong where the upload ends";
                let problem = ours(409, RefusalCode::OffsetMismatch, words);
                match standing {
                    Some(standing) => problem.field("Upload-Offset", standing.offset.to_string()),
                    None => problem,
                }
            }
            Trouble::Length => {
                let words = "the upload has another length, or its length cannot be this one";
                ours(400, RefusalCode::InvalidState, words)
            }
            Trouble::Excess => {
                ours(413, RefusalCode::TooLarge, "there is more content than the upload is long")
            }
            Trouble::AppendTooLarge(most) => {
                let words = alloc::format!("a request brings {most} bytes at most");
                ours(413, RefusalCode::TooLarge, &words)
            }
            Trouble::Final => {
                let words = "a final upload has the content of its parts, and takes no other";
                ours(403, RefusalCode::InvalidState, words)
            }
            Trouble::PartUnknown => {
                let words = "a part of the final upload is not there";
                ours(404, RefusalCode::InvalidState, words)
            }
            Trouble::NotAPart => {
                let words = "what is to be a part was not begun with Upload-Concat: partial";
                ours(400, RefusalCode::InvalidState, words)
            }
            Trouble::Mismatch(refusal) => Problem::of(refusal).status(460),
            Trouble::Uncommitted(refusal) | Trouble::Refused(refusal) => refused(refusal),
        })
    }

    fn owns(&self, standing: &Standing) -> bool {
        is_of_tus(standing)
    }

    fn role(&self, standing: &Standing) -> Role {
        role(standing)
    }

    fn ends_at_size(&self) -> bool {
        true
    }

    fn discards_excess(&self) -> bool {
        false
    }

    fn trailer(&self, fields: &Fields, of: Algorithm) -> Result<ContentDigest, Refusal> {
        match fields::checksum(fields, &[of])? {
            Some(digest) => Ok(digest),
            None => {
                let words = "the checksum that was promised did not come";
                Err(Refusal::new(RefusalCode::Malformed, words))
            }
        }
    }
}

/// The answer to who asks for an upload that is not there.
pub(super) fn unknown() -> Problem {
    Problem::new(404, RefusalCode::InvalidState, "there is no such upload")
}

/// A refusal of the inbox, by a status that makes a client try again where that may help.
fn refused(refusal: Refusal) -> Problem {
    let status = match refusal.code {
        RefusalCode::Exists | RefusalCode::InvalidState | RefusalCode::UnsupportedVersion => 400,
        RefusalCode::TooMany => 503,
        _ => return Problem::of(refusal),
    };
    Problem::of(refusal).status(status)
}
