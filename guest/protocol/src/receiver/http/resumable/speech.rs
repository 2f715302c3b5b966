//! How the drafts say what has come of a request.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::interop::{Interop, ToComplete};
use super::{limit, problems};
use crate::http::structured;
use crate::receiver::Committed;
use crate::receiver::http::answer::{Answer, Interim};
use crate::receiver::http::audience::Audience;
use crate::receiver::http::exchange::results::{FileResult, Outcome};
use crate::receiver::http::fields::Fields;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::resource::{Append, Ends, Goal, Notes, Speech, Standing, Trouble};
use crate::receiver::http::{digests, key};
use crate::{Algorithm, Limits, Receipt, RefusalCode};

pub(super) const NOTE_NUMBER: &str = "interop";
pub(super) const NOTE_OFFERED: &str = "name";
pub(super) const NOTE_DIGEST: &str = "repr-digest";
pub(super) const NOTE_WANT: &str = "want-repr-digest";

/// Fields of the representation that are kept: under which name, which field, and how long it may be. Bytes.
pub(super) const NOTE_FIELDS: [(&str, &str, usize); 2] =
    [("Content-Type", "content-type", 256), ("Content-Disposition", "content-disposition", 1_024)];

/// A client of resumable uploads.
pub(in crate::receiver::http) struct Resumable {
    interop: Interop,
    takes_interim: bool,
    audience: Audience,
    limits: Limits,
    /// The name that was offered, where this request has begun the upload.
    offered: Option<String>,
    want: Vec<Algorithm>,
}

impl Resumable {
    pub(super) fn new(
        interop: Interop,
        takes_interim: bool,
        audience: Audience,
        limits: &Limits,
        goal: &Goal,
    ) -> Self {
        let (offered, want) = match goal {
            Goal::Create(creation, append) => (creation.name.clone(), append.want.clone()),
            _ => (None, Vec::new()),
        };
        Self { interop, takes_interim, audience, limits: limits.clone(), offered, want }
    }

    /// An answer that says how complete the upload is.
    fn with_completeness(&self, answer: Answer, is_complete: bool) -> Answer {
        let (name, value) = self.interop.completeness(is_complete);
        answer.with(name, value)
    }

    fn with_limit(&self, answer: Answer, standing: &Standing) -> Answer {
        match limit::write(self.interop.limit, &self.limits, standing.expires_in_s) {
            Some(limit) => answer.with("Upload-Limit", limit),
            None => answer,
        }
    }

    fn interim(&self) -> Option<Interim> {
        let number = self.interop.number.filter(|_| self.takes_interim)?;
        Some(Interim::new(104).with("Upload-Draft-Interop-Version", number.to_string()))
    }

    /// What the target of the request that has begun the upload says of its file.
    fn of_target(&self, status: u16, standing: &Standing, outcome: Outcome) -> Answer {
        let offered = self.offered.clone().or_else(|| standing.notes.get(NOTE_OFFERED));
        let result = FileResult { offered, outcome };
        match self.audience.wants_json {
            true => Answer::json(status, "application/json", &result.json()),
            false => Answer::text(status, result.line()),
        }
    }

    /// The answer again of a request that has completed the upload.
    fn again(&self, standing: &Standing, receipt: &Receipt) -> Answer {
        let answer = self.of_target(201, standing, Outcome::Stored(receipt.clone()));
        self.with_completeness(answer, true).with("Upload-Offset", offset(standing))
    }
}

impl Speech for Resumable {
    fn found(&self, standing: &Standing, is_complete: bool) -> Answer {
        let mut answer = Answer::new(204).with("Upload-Offset", offset(standing));
        answer = self.with_completeness(answer, is_complete);
        if let Some(size) = standing.size {
            answer = answer.with("Upload-Length", structured::write_unsigned(size));
        }
        for (name, _, _) in NOTE_FIELDS {
            if let Some(value) = standing.notes.get(name) {
                answer = answer.with(name, value);
            }
        }
        self.with_limit(answer, standing)
    }

    fn created(&self, standing: &Standing) -> Answer {
        let answer = Answer::new(201)
            .with("Location", key::path(&standing.key))
            .with("Upload-Offset", offset(standing));
        let answer = self.with_completeness(answer, false);
        self.with_limit(answer, standing)
    }

    fn appended(&self, standing: &Standing) -> Answer {
        let answer = Answer::new(self.interop.appended).with("Upload-Offset", offset(standing));
        let answer = self.with_completeness(answer, false);
        self.with_limit(answer, standing)
    }

    fn completed(&self, standing: &Standing, committed: &Committed, is_new: bool) -> Answer {
        let mut answer = self.again(standing, &committed.receipt);
        let mut found = committed.digests.clone();
        found.push(committed.receipt.digest.into());
        found.retain(|digest| self.want.contains(&digest.algorithm));
        if !found.is_empty() {
            answer = answer.with("Repr-Digest", digests::write(&found));
        }
        if is_new && !standing.key.is_empty() {
            answer = self.with_limit(answer.with("Location", key::path(&standing.key)), standing);
        }
        answer
    }

    fn was_complete(&self, standing: &Standing, receipt: &Receipt, append: &Append) -> Answer {
        let problem = match self.interop.to_complete {
            ToComplete::Refused => problems::completed(),
            ToComplete::AnswersAgain if append.content != Some(0) => {
                problems::inconsistent_length()
            }
            ToComplete::AnswersAgain if append.offset != standing.offset => {
                problems::mismatching_offset(standing.offset, append.offset)
                    .field("Upload-Offset", offset(standing))
            }
            ToComplete::AnswersAgain if append.ends == Ends::Later => problems::completed(),
            ToComplete::AnswersAgain => return self.again(standing, receipt),
        };
        self.with_completeness(problem.answer(self.audience), true)
    }

    fn cancelled(&self) -> Answer {
        Answer::new(204)
    }

    fn failed(&self, trouble: Trouble, standing: Option<&Standing>) -> Answer {
        let ours = |status, code, words: &str| Problem::new(status, code, words);
        let is_limit = match &trouble {
            Trouble::AppendTooLarge(_) => true,
            Trouble::Refused(refusal) => refusal.code == RefusalCode::TooLarge,
            _ => false,
        };
        // The file is whole then, and is not stored: what would help is said by the refusal, and no other append.
        let is_final = match &trouble {
            Trouble::Uncommitted(refusal) => !refusal.code.is_temporary(),
            _ => false,
        };
        let problem = match trouble {
            Trouble::Unknown => ours(404, RefusalCode::InvalidState, "there is no such upload"),
            Trouble::Ended(refusal) => Problem::of(refusal).heard_of().status(410),
            Trouble::Busy => ours(503, RefusalCode::Locked, "the upload is being stored"),
            Trouble::Foreign | Trouble::Final | Trouble::PartUnknown | Trouble::NotAPart => {
                ours(400, RefusalCode::InvalidState, "the upload was begun by another protocol")
            }
            Trouble::Offset { provided } => {
                let expected = standing.map_or(0, |standing| standing.offset);
                problems::mismatching_offset(expected, provided)
                    .field("Upload-Offset", structured::write_unsigned(expected))
            }
            Trouble::Length | Trouble::Excess => problems::inconsistent_length(),
            Trouble::AppendTooLarge(most) => {
                let words = alloc::format!("a request brings {most} bytes at most");
                ours(413, RefusalCode::TooLarge, &words)
            }
            Trouble::Mismatch(refusal)
            | Trouble::Uncommitted(refusal)
            | Trouble::Refused(refusal) => Problem::of(refusal),
        };
        let mut answer = problem.answer(self.audience);
        if is_limit {
            let expires_in_s = standing.map_or(self.limits.expires_s, |it| it.expires_in_s);
            let limit = limit::write(self.interop.limit, &self.limits, expires_in_s);
            answer = match limit {
                Some(limit) => answer.with("Upload-Limit", limit),
                None => answer,
            };
        }
        match standing.is_some() || is_final {
            true => self.with_completeness(answer, is_final),
            false => answer,
        }
    }

    fn owns(&self, standing: &Standing) -> bool {
        standing.notes.get(Notes::PROTOCOL).as_deref() == Some("resumable")
    }

    fn ends_at_size(&self) -> bool {
        false
    }

    fn discards_excess(&self) -> bool {
        true
    }

    fn recall(&mut self, standing: &Standing, append: &mut Append, known: &[Algorithm]) {
        let mut fields = Fields::default();
        for name in [NOTE_DIGEST, NOTE_WANT] {
            if let Some(value) = standing.notes.get(name) {
                fields.push(name, value.as_bytes());
            }
        }
        append.digests = digests::of_field(&fields, NOTE_DIGEST, known).unwrap_or_default();
        append.want = digests::wanted(&fields, known).into_iter().collect();
        self.want.clone_from(&append.want);
    }

    fn announced(&self, standing: &Standing) -> Option<Interim> {
        let interim = self.interim()?.with("Location", key::path(&standing.key));
        Some(match limit::write(self.interop.limit, &self.limits, standing.expires_in_s) {
            Some(limit) => interim.with("Upload-Limit", limit),
            None => interim,
        })
    }

    fn progressed(&self, offset: u64) -> Option<Interim> {
        let interim = self.interim().filter(|_| self.interop.has_progress)?;
        Some(interim.with("Upload-Offset", structured::write_unsigned(offset)))
    }
}

/// Adds how far an upload is to the answer to who asks for it without saying by which protocol.
pub(in crate::receiver::http) fn add_state(
    answer: Answer,
    is_complete: bool,
    limits: &Limits,
    standing: &Standing,
) -> Answer {
    let answer = answer.with("Upload-Complete", structured::write_boolean(is_complete));
    match limit::write(super::interop::Limit::MaxAge, limits, standing.expires_in_s) {
        Some(limit) => answer.with("Upload-Limit", limit),
        None => answer,
    }
}

fn offset(standing: &Standing) -> String {
    structured::write_unsigned(standing.offset)
}
