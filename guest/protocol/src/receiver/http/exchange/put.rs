//! One file as the body of a request: `PUT /NAME`, and `POST` of what is no form.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::results::{FileResult, Outcome};
use super::{Exchange, Intake};
use crate::receiver::http::answer::Answer;
use crate::receiver::http::audience::Audience;
use crate::receiver::http::fields::Fields;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::request::{Content, Request};
use crate::receiver::http::{date, digests};
use crate::receiver::io::{Io, too_large};
use crate::receiver::{Committed, Lifetime, Opened, Output, Wishes};
use crate::{
    Algorithm, ContentDigest, Digest, EntryKind, Extent, Offer, Receipt, Refusal, RefusalCode,
    UploadId,
};

/// The one upload of such a request.
const UPLOAD: UploadId = 0;

const NS_PER_S: i64 = 1_000_000_000;

/// The answer says by it that the time of `X-OC-Mtime` was taken, as ownCloud does.
const MTIME_ACCEPTED: (&str, &str) = ("X-OC-Mtime", "accepted");

pub(in crate::receiver::http) struct Put {
    stage: Stage,
    name: Option<String>,
    /// What is offered again without its size, where the inbox would rather compare than receive.
    again: Option<(Offer, Wishes)>,
    /// Bytes that went into the upload.
    moved: u64,
    /// Digests that the head claims, and that trailers must not contradict.
    claimed: Vec<ContentDigest>,
    wanted: Option<Algorithm>,
    takes_mtime: bool,
    audience: Audience,
    answer: Option<Answer>,
}

enum Stage {
    /// The inbox is asked.
    Opening { size: Option<u64> },
    /// The payload is coming.
    Receiving,
    /// The inbox commits.
    Committing,
    /// The answer is known.
    Over,
}

impl Put {
    /// Offers the body of `request` as a file of this name. `None`: the inbox makes one up.
    ///
    /// # Errors
    /// The answer to a request that does not mean a whole file.
    pub(in crate::receiver::http) fn begin(
        request: &Request,
        name: Option<String>,
        io: &mut Io,
    ) -> Result<Self, Problem> {
        check(request)?;
        let fields = &request.fields;
        let claimed = digests::claimed(fields, &io.limits.algorithms)?;
        let wanted = digests::wanted(fields, &io.limits.algorithms);
        let of_client = fields.get("x-oc-mtime").and_then(mtime);
        let size = request.content.length();
        let offer = Offer {
            name: name.clone(),
            kind: EntryKind::File,
            size,
            digest: claimed.iter().find_map(blake3),
            modified_ns: modified_ns(fields),
            executable: false,
            resume: None,
        };
        let wishes = Wishes {
            lifetime: Lifetime::AsOffered,
            digests: claimed
                .iter()
                .filter(|digest| digest.algorithm != Algorithm::Blake3)
                .cloned()
                .collect(),
            want: wanted.into_iter().filter(|one| *one != Algorithm::Blake3).collect(),
            metadata: Vec::new(),
        };
        let again = size.map(|_| (Offer { size: None, ..offer.clone() }, wishes.clone()));
        let takes_mtime = of_client.is_some() && offer.modified_ns.is_some();
        io.out.push(Output::Open { id: UPLOAD, offer, wishes });
        Ok(Self {
            stage: Stage::Opening { size },
            name,
            again,
            moved: 0,
            claimed,
            wanted,
            takes_mtime,
            audience: request.audience,
            answer: None,
        })
    }

    fn refuse(&mut self, problem: Problem) {
        self.stage = Stage::Over;
        self.answer = Some(problem.answer(self.audience));
    }

    /// Gives up what came.
    fn discard(&mut self, io: &mut Io, problem: Problem) {
        io.out.push(Output::Discard { id: UPLOAD, reason: Some(problem.refusal().clone()) });
        self.refuse(problem.heard_of());
    }

    fn commit(&mut self, io: &mut Io, trailers: &Fields) -> Result<(), Problem> {
        let mut all = self.claimed.clone();
        for name in ["content-digest", "repr-digest"] {
            for digest in digests::of_field(trailers, name, &io.limits.algorithms)? {
                digests::add(&mut all, digest)?;
            }
        }
        let late = all.split_off(self.claimed.len());
        self.stage = Stage::Committing;
        io.out.push(Output::Commit { id: UPLOAD, size: self.moved, digest: None, digests: late });
        Ok(())
    }

    fn store(&mut self, status: u16, outcome: Outcome, digests: &[ContentDigest]) {
        let result = FileResult { offered: self.name.take(), outcome };
        let mut answer = match self.audience.wants_json {
            true => Answer::json(status, "application/json", &result.json()),
            false => Answer::text(status, result.line()),
        };
        if let Some(digest) = digests.iter().find(|one| Some(one.algorithm) == self.wanted) {
            answer = answer.with("Repr-Digest", digests::write(core::slice::from_ref(digest)));
        }
        if self.takes_mtime {
            let (name, value) = MTIME_ACCEPTED;
            answer = answer.with(name, Cow::Borrowed(value));
        }
        self.stage = Stage::Over;
        self.answer = Some(answer);
    }

    /// The digests of a receipt, the one of BLAKE3 among them.
    fn digests_of(receipt: &Receipt, others: Vec<ContentDigest>) -> Vec<ContentDigest> {
        let mut digests = others;
        digests.push(ContentDigest::from(receipt.digest));
        digests
    }
}

impl Exchange for Put {
    fn intake(&self) -> Intake {
        match self.stage {
            Stage::Opening { .. } | Stage::Committing => Intake::Wait,
            Stage::Receiving => Intake::Upload(UPLOAD),
            Stage::Over => Intake::Skip,
        }
    }

    fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    fn handle_opened(&mut self, io: &mut Io, _id: UploadId, opened: Result<Opened, Refusal>) {
        let Stage::Opening { size } = self.stage else { return };
        match opened {
            Ok(Opened::Accepted(_)) => {
                if size != Some(0) {
                    let extent = Extent { offset: 0, length: size };
                    io.out.push(Output::Body { id: UPLOAD, extent, check: None });
                }
                self.stage = Stage::Receiving;
            }
            Ok(Opened::Stored(receipt)) => {
                let digests = Self::digests_of(&receipt, Vec::new());
                let outcome = Outcome::AlreadyStored(receipt);
                self.store(200, outcome, &digests);
            }
            // A client of HTTP does not know the digest before it sends the file, and does not ask. A file whose size
            // is not known is received.
            Ok(Opened::DigestFirst) => match self.again.take() {
                Some((offer, wishes)) => io.out.push(Output::Open { id: UPLOAD, offer, wishes }),
                None => self.refuse(Problem::ours(unexpected())),
            },
            Ok(Opened::Begun { .. }) => self.discard(io, Problem::ours(unexpected())),
            Err(refusal) => self.refuse(Problem::of(refusal)),
        }
    }

    fn handle_moved(&mut self, io: &mut Io, count: u64) {
        self.moved = self.moved.saturating_add(count);
        let max_file_size = io.limits.max_file_size.unwrap_or(u64::MAX);
        if self.moved > max_file_size && matches!(self.stage, Stage::Receiving) {
            self.discard(io, Problem::of(too_large(max_file_size)));
        }
    }

    fn handle_body_end(&mut self, io: &mut Io, trailers: &Fields) {
        if !matches!(self.stage, Stage::Receiving) {
            return;
        }
        if let Err(problem) = self.commit(io, trailers) {
            self.discard(io, problem);
        }
    }

    fn handle_cut(&mut self, io: &mut Io, _why: &Refusal) {
        if matches!(self.stage, Stage::Receiving) {
            // The end of the connection says why.
            io.out.push(Output::Discard { id: UPLOAD, reason: None });
            self.stage = Stage::Over;
        }
    }

    fn handle_committed(
        &mut self,
        _io: &mut Io,
        _id: UploadId,
        outcome: Result<Committed, Refusal>,
    ) {
        if !matches!(self.stage, Stage::Committing) {
            return;
        }
        match outcome {
            Ok(Committed { receipt, digests }) => {
                let digests = Self::digests_of(&receipt, digests);
                let outcome = Outcome::Stored(receipt);
                self.store(201, outcome, &digests);
            }
            Err(refusal) => self.refuse(Problem::of(refusal)),
        }
    }

    fn handle_fault(&mut self, io: &mut Io, _id: UploadId, fault: Refusal) {
        match self.stage {
            Stage::Receiving => self.discard(io, Problem::of(fault)),
            // The commit names the fault, unless it was not even begun.
            Stage::Committing if io.out.retract_commit(UPLOAD) => {
                self.discard(io, Problem::of(fault));
            }
            _ => {}
        }
    }
}

/// A body that is one whole file as it is.
fn check(request: &Request) -> Result<(), Problem> {
    let fields = &request.fields;
    if request.content == Content::None {
        let detail = "the request says neither how long its body is nor that it comes in chunks";
        return Err(Problem::new(411, RefusalCode::Malformed, detail));
    }
    if fields.has("content-range") {
        // RFC 9110, section 14.5.
        let detail = "a part of a file cannot be sent by itself";
        return Err(Problem::new(400, RefusalCode::Malformed, detail));
    }
    if fields.tokens("content-encoding").any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        let detail =
            "what is sent is stored as it comes, and so it comes without a Content-Encoding";
        let problem = Problem::new(415, RefusalCode::UnsupportedVersion, detail);
        return Err(problem.field("Accept-Encoding", "identity"));
    }
    if fields.has("if-match") {
        // Nothing can be had from here, so nothing matches (RFC 9110, section 13.1.1).
        let detail = "no file here has an entity tag";
        return Err(Problem::new(412, RefusalCode::InvalidState, detail));
    }
    Ok(())
}

/// When the file was modified, as the fields of a request say: in nanoseconds since 1970-01-01T00:00:00Z.
pub(in crate::receiver::http) fn modified_ns(fields: &Fields) -> Option<i64> {
    let of_client = fields.get("x-oc-mtime").and_then(mtime);
    let modified = of_client.or_else(|| fields.get("last-modified").and_then(date::parse));
    modified.and_then(|seconds| seconds.checked_mul(NS_PER_S))
}

/// A modification time of ownCloud: seconds since 1970 in decimal, with a fraction or without, which is dropped.
fn mtime(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    let is_number = [digits, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_number.then(|| seconds.parse().ok()).flatten()
}

fn blake3(digest: &ContentDigest) -> Option<Digest> {
    (digest.algorithm == Algorithm::Blake3)
        .then(|| digest.value.as_slice().try_into().ok().map(Digest::Blake3))
        .flatten()
}

fn unexpected() -> Refusal {
    Refusal::new(RefusalCode::Other, "the inbox gave an answer that nobody has asked for")
}
