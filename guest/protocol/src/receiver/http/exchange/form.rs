//! A form with files: `POST` of `multipart/form-data` (RFC 7578), as browsers and `curl -F` send it.
//!
//! Each file is opened when its part begins, and committed when its part ends, while the next one comes. Each has a
//! result of its own: what is stored stays, whatever becomes of a later part.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use super::part::{cut, file_name};
use super::results::{FileJson, FileResult, Outcome};
use super::{Exchange, Intake};
use crate::receiver::http::answer::Answer;
use crate::receiver::http::audience::Audience;
use crate::receiver::http::fields::Fields;
use crate::receiver::http::multipart::{Piece, Scanner};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::request::Request;
use crate::receiver::io::{Io, too_large};
use crate::receiver::{Committed, LogLevel, Opened, Output, Wishes};
use crate::{Extent, Millis, OFFERED_NAME_BYTES_MAX, Offer, Refusal, RefusalCode, UploadId};

/// Most parts of a form. Each is an upload, and its result is kept until the answer. A directory that is chosen in a
/// browser has a few hundred files.
const PARTS_MAX: usize = 4_096;

/// Longest names of a form together. Bytes.
const NAMES_BYTES_MAX: usize = 256 * 1024;

/// How long the answer to a form that was cut waits for the files of it that came whole. Milliseconds. Longer than the
/// sync of all but the largest files takes.
const SETTLING_MS: Millis = 10_000;

pub(in crate::receiver::http) struct Form {
    scanner: Scanner,
    /// The path that the form was sent to. Its files go below it.
    directory: Option<String>,
    part: Part,
    parts: usize,
    names_bytes: usize,
    /// The results of the files, in their order. The number of a file is its upload's.
    files: Vec<FileResult>,
    /// Commits under way.
    commits: usize,
    /// Why nothing more of the form is read.
    broken: Option<Refusal>,
    is_whole: bool,
    /// When the commits of a form that was cut are no longer waited for.
    until: Option<Millis>,
    audience: Audience,
    answer: Option<Answer>,
}

/// What becomes of the payload of a part.
enum Part {
    /// Between two parts, or in one that is passed over.
    Skipped,
    /// A file waits to be opened, until fewer commits are under way.
    Waiting,
    /// The inbox is asked for the last of the files.
    Opening,
    /// It goes into the last of the files, of which so many bytes came.
    Receiving(u64),
}

#[derive(Serialize)]
struct Body {
    files: Vec<FileJson>,
}

impl Form {
    /// Begins to take a form in.
    ///
    /// # Errors
    /// The answer to one that names no boundary.
    pub(in crate::receiver::http) fn begin(request: &Request) -> Result<Self, Problem> {
        let content_type = request.fields.single("content-type").map_err(Problem::ours)?;
        Ok(Self {
            scanner: Scanner::new(content_type.unwrap_or_default()).map_err(Problem::ours)?,
            directory: request.target.name(),
            part: Part::Skipped,
            parts: 0,
            names_bytes: 0,
            files: Vec::new(),
            commits: 0,
            broken: None,
            is_whole: false,
            until: None,
            audience: request.audience,
            answer: None,
        })
    }

    /// Goes on with what was scanned, until the inbox is asked.
    fn advance(&mut self, io: &mut Io) {
        if matches!(self.part, Part::Waiting) {
            self.open(io);
        }
        while self.broken.is_none() && !matches!(self.part, Part::Waiting | Part::Opening) {
            match self.scanner.next() {
                Ok(Piece::More) => break,
                Ok(Piece::Part(fields)) => self.begin_part(io, &fields),
                Ok(Piece::Payload(bytes)) => self.payload(io, bytes),
                Ok(Piece::PartEnd) => self.end_part(io),
                Err(refusal) => self.break_off(io, refusal),
            }
        }
        self.conclude();
    }

    fn begin_part(&mut self, io: &mut Io, fields: &Fields) {
        self.parts += 1;
        self.part = Part::Skipped;
        if self.parts > PARTS_MAX {
            let detail = format!("a form has {PARTS_MAX} parts at most");
            return self.break_off(io, Refusal::new(RefusalCode::TooMany, detail));
        }
        match file_name(fields) {
            Ok(None) => {}
            Ok(Some(name)) => self.file(io, name),
            // What the part is is not certain, and so nothing after it is.
            Err(refusal) if refusal.code == RefusalCode::Malformed => self.break_off(io, refusal),
            Err(refusal) => {
                self.files.push(FileResult { offered: None, outcome: Outcome::Pending });
                self.refuse_last(io, refusal);
            }
        }
    }

    fn file(&mut self, io: &mut Io, name: String) {
        let name = match &self.directory {
            Some(directory) => format!("{directory}/{name}"),
            None => name,
        };
        // A name that is too long is refused by the inbox, and need not be kept whole for that.
        let name = cut(name, OFFERED_NAME_BYTES_MAX + 1);
        self.names_bytes += name.len();
        if self.names_bytes > NAMES_BYTES_MAX {
            let detail = format!("the names in a form have {NAMES_BYTES_MAX} bytes at most");
            return self.break_off(io, Refusal::new(RefusalCode::TooMany, detail));
        }
        self.files.push(FileResult { offered: Some(name), outcome: Outcome::Pending });
        self.part = Part::Waiting;
        self.open(io);
    }

    /// Offers the file that waits, if the inbox takes another upload of this connection.
    fn open(&mut self, io: &mut Io) {
        let uploads_max = io.limits.max_uploads_ahead.max(1) as usize;
        let (Some(id), Some(file)) = (self.last(), self.files.last()) else { return };
        if self.commits + 1 > uploads_max {
            return;
        }
        let offer = Offer::of_file(file.offered.clone(), None);
        self.part = Part::Opening;
        io.out.push(Output::Open { id, offer, wishes: Wishes::default() });
    }

    fn payload(&mut self, io: &mut Io, bytes: Bytes) {
        let (Part::Receiving(size), Some(id)) = (&mut self.part, self.files.len().checked_sub(1))
        else {
            return;
        };
        *size = size.saturating_add(bytes.len() as u64);
        let max_file_size = io.limits.max_file_size.unwrap_or(u64::MAX);
        if *size > max_file_size {
            return self.discard_last(io, too_large(max_file_size));
        }
        io.out.push(Output::Write { id: id as UploadId, bytes });
    }

    fn end_part(&mut self, io: &mut Io) {
        if let (Part::Receiving(size), Some(id)) = (&self.part, self.last()) {
            let size = *size;
            self.commits += 1;
            io.out.push(Output::Commit { id, size, digest: None, digests: Vec::new() });
        }
        self.part = Part::Skipped;
    }

    /// Refuses the file that comes now, which the inbox holds. The rest of its part is passed over.
    fn discard_last(&mut self, io: &mut Io, refusal: Refusal) {
        if let Some(id) = self.last() {
            io.out.push(Output::Discard { id, reason: Some(refusal.clone()) });
        }
        self.set_last(Outcome::Refused(refusal));
    }

    /// Refuses the file that comes now, of which the inbox knows nothing.
    fn refuse_last(&mut self, io: &mut Io, refusal: Refusal) {
        io.out.log(LogLevel::Warn, format!("refused a file: {refusal}"));
        self.set_last(Outcome::Refused(refusal));
    }

    fn set_last(&mut self, outcome: Outcome) {
        if let Some(file) = self.files.last_mut() {
            file.outcome = outcome;
        }
        self.part = Part::Skipped;
    }

    /// Nothing more of the form is read.
    fn break_off(&mut self, io: &mut Io, refusal: Refusal) {
        if matches!(self.part, Part::Receiving(_)) {
            self.discard_last(io, refusal.clone());
        }
        self.part = Part::Skipped;
        self.broken = Some(refusal);
    }

    /// Gives the answer, if nothing is waited for any more.
    fn conclude(&mut self) {
        let is_over = self.is_whole || self.broken.is_some();
        if !is_over || self.commits > 0 || !matches!(self.part, Part::Skipped) {
            return;
        }
        self.answer = Some(self.conclusion());
    }

    fn conclusion(&self) -> Answer {
        let files: Vec<FileJson> = self.files.iter().map(FileResult::json).collect();
        let lines: String = self.files.iter().map(FileResult::line).collect();
        let of_file = self.files.iter().find_map(FileResult::refusal).cloned();
        let problem = match (&self.broken, of_file) {
            // A client that ended its side may still read.
            (Some(broken), _) if broken.code == RefusalCode::Cancelled => {
                Problem::ours(broken.clone()).status(400)
            }
            (Some(broken), _) => Problem::ours(broken.clone()),
            // Each refusal was told when it happened.
            (None, Some(refusal)) => Problem::of(refusal),
            (None, None) if self.files.is_empty() => {
                let detail = "the form has no file";
                Problem::new(400, RefusalCode::Malformed, detail)
            }
            (None, None) if self.audience.wants_json => {
                return Answer::json(201, "application/json", &Body { files });
            }
            (None, None) => return Answer::text(201, lines),
        };
        let files = serde_json::to_value(files).unwrap_or_default();
        let is_of_form = self.broken.is_some() || self.files.is_empty();
        let mut answer = problem.member("files", files).answer(self.audience);
        if !self.audience.wants_json && !self.files.is_empty() {
            let of_form = if is_of_form { core::mem::take(&mut answer.body) } else { Vec::new() };
            answer.body = [lines.into_bytes(), of_form].concat();
        }
        answer.closes = self.broken.is_some();
        answer
    }

    /// The upload of the file that came last.
    fn last(&self) -> Option<UploadId> {
        self.files.len().checked_sub(1).map(|index| index as UploadId)
    }
}

impl Exchange for Form {
    fn intake(&self) -> Intake {
        match self.part {
            Part::Waiting | Part::Opening => Intake::Wait,
            // Its last commits are waited for.
            _ if self.broken.is_some() => Intake::Wait,
            Part::Skipped | Part::Receiving(_) => Intake::Scan,
        }
    }

    fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    fn handle_bytes(&mut self, io: &mut Io, bytes: Bytes) {
        self.scanner.push(bytes);
        self.advance(io);
    }

    fn handle_opened(&mut self, io: &mut Io, id: UploadId, opened: Result<Opened, Refusal>) {
        if !matches!(self.part, Part::Opening) || self.last() != Some(id) {
            return;
        }
        match opened {
            Ok(Opened::Accepted(_)) => {
                let extent = Extent { offset: 0, length: None };
                io.out.push(Output::Body { id, extent, check: None });
                self.part = Part::Receiving(0);
            }
            Ok(Opened::Stored(receipt)) => self.set_last(Outcome::AlreadyStored(receipt)),
            Ok(Opened::DigestFirst) => self.refuse_last(io, unexpected()),
            Ok(Opened::Begun { .. }) => self.discard_last(io, unexpected()),
            Err(refusal) => self.set_last(Outcome::Refused(refusal)),
        }
        self.advance(io);
    }

    fn handle_body_end(&mut self, io: &mut Io, _trailers: &Fields) {
        if !self.scanner.is_over() && self.broken.is_none() {
            let detail = "the form ends before its last boundary";
            self.break_off(io, Refusal::new(RefusalCode::Malformed, detail));
        }
        self.is_whole = true;
        self.conclude();
    }

    fn handle_cut(&mut self, io: &mut Io, why: &Refusal) {
        self.break_off(io, why.clone());
        self.until = Some(io.now.saturating_add(SETTLING_MS));
        self.conclude();
    }

    fn settles(&self) -> bool {
        self.until.is_some()
    }

    fn poll_timeout(&self, _io: &Io) -> Option<Millis> {
        self.until
    }

    fn handle_timeout(&mut self, io: &mut Io) {
        if self.until.take_if(|until| io.now >= *until).is_some() {
            // The commits come to their end all the same, and nobody hears of it.
            self.commits = 0;
            self.conclude();
        }
    }

    fn handle_committed(&mut self, io: &mut Io, id: UploadId, outcome: Result<Committed, Refusal>) {
        let Some(file) = self.files.get_mut(id as usize) else { return };
        if !matches!(file.outcome, Outcome::Pending) || self.commits == 0 {
            return;
        }
        self.commits -= 1;
        file.outcome = match outcome {
            Ok(Committed { receipt, .. }) => Outcome::Stored(receipt),
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.advance(io);
    }

    fn handle_fault(&mut self, io: &mut Io, id: UploadId, fault: Refusal) {
        if matches!(self.part, Part::Receiving(_)) && self.last() == Some(id) {
            self.discard_last(io, fault);
        } else if io.out.retract_commit(id) {
            // The commit names the fault, unless it was not even begun.
            self.commits = self.commits.saturating_sub(1);
            io.out.push(Output::Discard { id, reason: Some(fault.clone()) });
            if let Some(file) = self.files.get_mut(id as usize) {
                file.outcome = Outcome::Refused(fault);
            }
        }
        self.advance(io);
    }
}

fn unexpected() -> Refusal {
    Refusal::new(RefusalCode::Other, "the inbox gave an answer that nobody has asked for")
}
