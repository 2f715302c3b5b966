//! One request to an upload that has a URL, from its head to its answer.
//!
//! Here is what happens when the inbox or the connection says something; `ways` has what is done then.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::parts::Parts;
use super::{Append, Check, Goal, Speech, Standing, Trouble};
use crate::receiver::http::answer::{Answer, Interim};
use crate::receiver::http::exchange::{Exchange, Intake};
use crate::receiver::http::fields::Fields;
use crate::receiver::io::Io;
use crate::receiver::{Committed, Opened, Output, Status};
use crate::{Millis, Refusal, RefusalCode, UploadId};

/// The one upload of a request.
pub(super) const UPLOAD: UploadId = 0;

/// How long a request waits until an upload that is being committed can be looked at. Milliseconds. Longer than the
/// sync of all but the largest files takes; a client that is told to come again does.
pub(super) const SETTLING_MS: Millis = 10_000;

/// Least time between two words on how much is durable. Milliseconds.
pub(super) const PROGRESS_MS: Millis = 1_000;

/// One request to an upload that has a URL.
pub(in crate::receiver::http) struct Resource {
    pub(super) speech: Box<dyn Speech>,
    pub(super) goal: Goal,
    pub(super) stage: Stage,
    pub(super) standing: Standing,
    /// How many bytes of the upload are here, durable or not.
    pub(super) received: u64,
    /// How many bytes of content have come.
    pub(super) moved: u64,
    /// Somebody knows the URL.
    pub(super) is_told: bool,
    /// Where the upload is gone when it is to be opened, how it has ended is asked once.
    pub(super) looks_again: bool,
    /// The inbox keeps no uploads, and this one ends with its request.
    pub(super) is_plain: bool,
    /// What it is put together out of, where it is.
    pub(super) parts: Option<Parts>,
    pub(super) interims: VecDeque<Interim>,
    pub(super) answer: Option<Answer>,
    /// When waiting is over.
    pub(super) until: Option<Millis>,
    progress: Progress,
}

/// What is told of how much is durable, and when.
#[derive(Default)]
struct Progress {
    told: u64,
    told_at: Option<Millis>,
    durable: u64,
}

/// What is waited for.
pub(super) enum Stage {
    /// How far the upload is.
    Looking,
    /// How far the next of its parts is.
    LookingAtPart,
    /// The upload, to have kept what is here of it before its offset is told.
    Reopening(After),
    /// That it is kept.
    Rekeeping(After),
    /// The upload, to bring content, or to commit it.
    Opening,
    /// That it takes the length it was told.
    Sizing,
    /// Content. `is_open`: a body takes it.
    Body { is_open: bool },
    /// That the content is what its digest says.
    Finishing,
    /// That it is kept.
    Keeping(After),
    /// That it is put together.
    Joining,
    /// The receipt.
    Committing,
    /// That its parts are gone; then this is answered.
    Clearing(Answer),
    /// That the upload is gone; then this is answered.
    Cancelling(Option<Trouble>),
    /// Nothing: the answer is known.
    Done,
}

/// What is answered when what is here is durable.
pub(super) enum After {
    /// How far it is.
    Standing,
    /// That the request failed.
    Failed(Trouble),
}

impl Resource {
    /// Begins what a request is for.
    pub(in crate::receiver::http) fn begin(
        speech: Box<dyn Speech>,
        goal: Goal,
        io: &mut Io,
    ) -> Self {
        let key = match &goal {
            Goal::Create(..) => Vec::new(),
            Goal::Append(key, _) | Goal::Look { key, .. } | Goal::Cancel(key) => key.clone(),
        };
        let mut resource = Self {
            speech,
            stage: Stage::Done,
            standing: Standing { key, ..Standing::default() },
            received: 0,
            moved: 0,
            is_told: !matches!(goal, Goal::Create(..)),
            looks_again: true,
            is_plain: false,
            parts: None,
            interims: VecDeque::new(),
            answer: None,
            until: None,
            progress: Progress::default(),
            goal,
        };
        resource.start(io);
        resource
    }

    /// What the request brings.
    pub(super) fn append(&self) -> Option<&Append> {
        match &self.goal {
            Goal::Create(_, append) | Goal::Append(_, append) => Some(append),
            Goal::Look { .. } | Goal::Cancel(_) => None,
        }
    }

    /// Tells how much is durable, if there is something new and it was not told just now.
    fn tell_progress(&mut self, io: &Io) {
        if self.progress_at().is_some_and(|at| io.now >= at) {
            self.progress.told = self.progress.durable;
            self.progress.told_at = Some(io.now);
            self.interims.extend(self.speech.progressed(self.progress.durable));
        }
    }

    fn progress_at(&self) -> Option<Millis> {
        let is_new = self.progress.durable > self.progress.told;
        let tells = is_new && matches!(self.stage, Stage::Body { .. });
        tells.then(|| self.progress.told_at.map_or(0, |at| at.saturating_add(PROGRESS_MS)))
    }
}

impl Exchange for Resource {
    fn intake(&self) -> Intake {
        match self.stage {
            // Nothing comes.
            Stage::Body { .. } if self.append().is_some_and(|it| it.content == Some(0)) => {
                Intake::Skip
            }
            // Also where no body takes it: what comes then is too much.
            Stage::Body { .. } => Intake::Upload(UPLOAD),
            _ => Intake::Wait,
        }
    }

    fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    fn interim(&mut self) -> Option<Interim> {
        self.interims.pop_front()
    }

    fn handle_looked(&mut self, io: &mut Io, looked: Result<Option<Status>, Refusal>) {
        match self.stage {
            Stage::Looking => self.until = None,
            Stage::LookingAtPart => return self.looked_at_part(io, looked),
            _ => return,
        }
        match looked {
            Ok(Some(status)) => self.looked(io, status),
            Ok(None) => self.fail(Trouble::Unknown),
            Err(refusal) => self.fail(Trouble::Refused(refusal)),
        }
    }

    fn handle_opened(&mut self, io: &mut Io, _id: UploadId, opened: Result<Opened, Refusal>) {
        match core::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Opening => self.opened(io, opened),
            Stage::Reopening(after) => match opened {
                Ok(Opened::Accepted(_)) => {
                    io.out.push(Output::Keep { id: UPLOAD });
                    self.stage = Stage::Rekeeping(after);
                }
                // Another request has stored it, or is about to.
                Ok(Opened::DigestFirst) => self.look(io, true),
                Err(refusal) if refusal.code == RefusalCode::InvalidState && self.looks_again => {
                    self.looks_again = false;
                    self.look(io, true);
                }
                _ => self.conclude(io, after),
            },
            stage => self.stage = stage,
        }
    }

    fn handle_sized(&mut self, io: &mut Io, _id: UploadId, sized: Result<(), Refusal>) {
        if !matches!(self.stage, Stage::Sizing) {
            return;
        }
        match sized {
            Ok(()) => {
                self.standing.size = self.append().and_then(|append| append.size);
                self.take_content(io);
            }
            Err(refusal) => self.give_up(io, Trouble::of(refusal)),
        }
    }

    fn handle_moved(&mut self, io: &mut Io, count: u64) {
        if !matches!(self.stage, Stage::Body { .. }) {
            return;
        }
        self.moved = self.moved.saturating_add(count);
        let end = self.end();
        if self.standing.size.is_some_and(|size| end > size) {
            self.exceed(io);
        } else if let Some(most) = io.limits.max_append_size.filter(|most| self.moved > *most) {
            self.give_up(io, Trouble::AppendTooLarge(most));
        }
    }

    fn handle_body_end(&mut self, io: &mut Io, trailers: &Fields) {
        let Stage::Body { is_open } = self.stage else { return };
        let check = self.append().map(|append| append.check.clone());
        let expect = match check {
            None | Some(Check::No) => return self.content_is_here(io),
            Some(Check::Digest(digest)) => Ok(digest),
            Some(Check::Trailer(algorithm)) => self.speech.trailer(trailers, algorithm),
        };
        match expect {
            Ok(expect) if is_open => {
                io.out.push(Output::Finish { id: UPLOAD, expect });
                self.stage = Stage::Finishing;
            }
            Ok(expect) if expect.value == expect.algorithm.digest_of_nothing() => {
                self.content_is_here(io);
            }
            Ok(_) => {
                let words = "the content is empty, and its digest is another one";
                let refusal = Refusal::new(RefusalCode::DigestMismatch, words);
                self.give_up(io, Trouble::Mismatch(refusal));
            }
            Err(refusal) => self.give_up(io, Trouble::Refused(refusal)),
        }
    }

    fn handle_finished(&mut self, io: &mut Io, _id: UploadId, finished: Result<(), Refusal>) {
        if !matches!(self.stage, Stage::Finishing) {
            return;
        }
        match finished {
            Ok(()) => self.content_is_here(io),
            Err(refusal) if refusal.code == RefusalCode::DigestMismatch => {
                self.give_up(io, Trouble::Mismatch(refusal));
            }
            Err(refusal) => self.give_up(io, Trouble::Refused(refusal)),
        }
    }

    fn handle_kept(&mut self, io: &mut Io, _id: UploadId, kept: Result<(), Refusal>) {
        match core::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Rekeeping(after) => {
                if kept.is_ok() {
                    self.standing.offset = self.received;
                }
                io.out.push(Output::Release { id: UPLOAD });
                self.conclude(io, after);
            }
            Stage::Keeping(after) => match kept {
                Ok(()) => {
                    self.standing.offset = self.end();
                    io.out.push(Output::Release { id: UPLOAD });
                    self.conclude(io, after);
                }
                Err(refusal) => self.give_up(io, Trouble::Refused(refusal)),
            },
            stage => self.stage = stage,
        }
    }

    fn handle_concatenated(
        &mut self,
        io: &mut Io,
        _id: UploadId,
        concatenated: Result<(), Refusal>,
    ) {
        if matches!(self.stage, Stage::Joining) {
            match concatenated {
                Ok(()) => self.joined(io),
                Err(refusal) => self.give_up(io, Trouble::Refused(refusal)),
            }
        }
    }

    fn handle_committed(
        &mut self,
        io: &mut Io,
        _id: UploadId,
        outcome: Result<Committed, Refusal>,
    ) {
        if matches!(self.stage, Stage::Committing) {
            self.committed(io, outcome);
        }
    }

    fn handle_abandoned(&mut self, io: &mut Io, abandoned: Result<bool, Refusal>) {
        match core::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Cancelling(None) => match abandoned {
                Ok(true) => self.answer = Some(self.speech.cancelled()),
                Ok(false) => self.fail(Trouble::Unknown),
                Err(refusal) => self.fail(Trouble::Refused(refusal)),
            },
            Stage::Cancelling(Some(trouble)) => self.fail(trouble),
            Stage::Clearing(answer) => self.clear(io, answer),
            stage => self.stage = stage,
        }
    }

    fn handle_fault(&mut self, io: &mut Io, id: UploadId, fault: Refusal) {
        match core::mem::replace(&mut self.stage, Stage::Done) {
            // More has come than the upload is long. Who says how much comes is refused before.
            Stage::Body { .. }
                if fault.code == RefusalCode::OffsetMismatch
                    && self.append().is_some_and(|append| append.content.is_none()) =>
            {
                self.exceed(io);
            }
            Stage::Sizing
            | Stage::Body { .. }
            | Stage::Finishing
            | Stage::Keeping(_)
            | Stage::Joining => {
                self.give_up(io, Trouble::Refused(fault));
            }
            // The commit names the fault, unless it was not even begun.
            Stage::Committing if io.out.retract_commit(id) => {
                self.give_up(io, Trouble::Refused(fault));
            }
            Stage::Rekeeping(after) => {
                io.out.push(Output::Release { id: UPLOAD });
                self.conclude(io, after);
            }
            stage => self.stage = stage,
        }
    }

    fn handle_progress(&mut self, io: &mut Io, _id: UploadId, durable: u64) {
        self.progress.durable = self.progress.durable.max(durable);
        self.tell_progress(io);
    }

    fn poll_timeout(&self, _io: &Io) -> Option<Millis> {
        self.until.into_iter().chain(self.progress_at()).min()
    }

    fn handle_timeout(&mut self, io: &mut Io) {
        self.tell_progress(io);
        if self.until.is_some_and(|until| io.now >= until) {
            self.until = None;
            match core::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Cancelling(Some(trouble)) => self.fail(trouble),
                // They expire.
                Stage::Clearing(answer) => self.answer = Some(answer),
                _ => self.fail(Trouble::Busy),
            }
        }
    }

    fn handle_cut(&mut self, io: &mut Io, why: &Refusal) {
        if matches!(self.stage, Stage::Body { .. }) {
            self.give_up(io, Trouble::Refused(why.clone()));
        }
    }
}
