//! A final upload: the inbox puts it together out of its parts, and nothing of it passes here.
//!
//! It may be begun while its parts are unfinished. Then it is put together when somebody asks for it and they are
//! whole. Its parts go when it is stored; before that whatever fails leaves them as they are.

use alloc::vec::Vec;

use super::exchange::{After, Resource, SETTLING_MS, Stage, UPLOAD};
use super::parts::Parts;
use super::{Goal, Role, Standing, Trouble};
use crate::receiver::http::answer::Answer;
use crate::receiver::io::{Io, too_large};
use crate::receiver::{Output, Status};
use crate::{Refusal, RefusalCode};

impl Resource {
    /// Looks at the parts of an upload, and puts it together if they are whole.
    pub(super) fn join(&mut self, io: &mut Io, parts: Vec<Vec<u8>>) {
        self.parts = Some(Parts { keys: parts, done: 0, size: Some(0), are_whole: true });
        self.look_at_next(io);
    }

    /// Looks at the next part. Whoever brings it goes on.
    fn look_at_next(&mut self, io: &mut Io) {
        let Some(parts) = &self.parts else { return };
        let Some(key) = parts.keys.get(parts.done) else { return self.parts_are_known(io) };
        io.out.push(Output::Look { key: key.clone(), settle: false });
        self.stage = Stage::LookingAtPart;
        self.until = Some(io.now.saturating_add(SETTLING_MS));
    }

    /// How far a part is, is known.
    pub(super) fn looked_at_part(&mut self, io: &mut Io, looked: Result<Option<Status>, Refusal>) {
        self.until = None;
        let status = match looked {
            Ok(Some(status)) if status.outcome.is_none() => status,
            Ok(_) if matches!(self.goal, Goal::Create(..)) => {
                return self.fail(Trouble::PartUnknown);
            }
            // It is never put together.
            Ok(_) => {
                let words = "a part of the upload is not here any more";
                return self.fail(Trouble::Ended(Refusal::new(RefusalCode::InvalidState, words)));
            }
            Err(refusal) => return self.fail(Trouble::Refused(refusal)),
        };
        let Some(parts) = &mut self.parts else { return };
        parts.are_whole &= status.size == Some(status.received);
        parts.size = parts.size.zip(status.size).and_then(|(sum, one)| sum.checked_add(one));
        parts.done += 1;
        if self.speech.role(&Standing::of(&[], status, None)) != Role::Part {
            return self.fail(Trouble::NotAPart);
        }
        self.look_at_next(io);
    }

    /// All parts were looked at.
    fn parts_are_known(&mut self, io: &mut Io) {
        let Some(parts) = &mut self.parts else { return };
        parts.done = 0;
        let (size, are_whole) = (parts.size, parts.are_whole);
        if let Some(most) = io.limits.max_file_size
            && size.is_some_and(|size| size > most)
        {
            return self.fail(Trouble::Refused(too_large(most)));
        }
        match self.goal {
            Goal::Create(..) => self.start(io),
            _ if are_whole => self.open(io),
            _ => {
                self.standing.size = size;
                self.conclude(io, After::Standing);
            }
        }
    }

    /// The upload is open. It is put together, or kept until its parts are whole.
    pub(super) fn begin_joining(&mut self, io: &mut Io) {
        let Some(parts) = &self.parts else { return };
        if parts.are_whole {
            io.out.push(Output::Concatenate { id: UPLOAD, parts: parts.keys.clone() });
            self.stage = Stage::Joining;
        } else {
            io.out.push(Output::Release { id: UPLOAD });
            self.conclude(io, After::Standing);
        }
    }

    /// All of it is here.
    pub(super) fn joined(&mut self, io: &mut Io) {
        let size = self.parts.as_ref().and_then(|parts| parts.size);
        self.commit(io, size.unwrap_or_default());
    }

    /// It is stored: its parts are removed, and then this is answered.
    pub(super) fn clear(&mut self, io: &mut Io, answer: Answer) {
        let next = self.parts.as_mut().and_then(|parts| {
            parts.done += 1;
            parts.keys.get(parts.done - 1).cloned()
        });
        let Some(key) = next else {
            self.until = None;
            self.stage = Stage::Done;
            self.answer = Some(answer);
            return;
        };
        io.out.push(Output::Abandon { key });
        self.stage = Stage::Clearing(answer);
        self.until = Some(io.now.saturating_add(SETTLING_MS));
    }
}
