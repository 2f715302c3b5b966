//! What answers of a server come to for an upload.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use super::{HttpUpload, Stage};
use crate::sender::http::answer::HttpAnswer;
use crate::sender::http::judge::{Judgement, code, judge, retry_after_ms};
use crate::sender::http::redirect::{self, Redirect};
use crate::sender::http::said::Said;
use crate::sender::http::server::Protocol;
use crate::sender::http::speech;
use crate::sender::http::step::{Anew, HttpEvent, Outcome, Pause};
use crate::{Refusal, RefusalCode};

impl HttpUpload {
    pub(super) fn created(&mut self, answer: &HttpAnswer, is_whole: bool) {
        match redirect::of(&self.at, &self.target, answer, self.redirects) {
            Redirect::None => {}
            // What was sent of a stream is gone.
            Redirect::Follow(target) if !(is_whole && self.file.size.is_none()) => {
                self.redirects += 1;
                self.target = target;
                return;
            }
            Redirect::Follow(_) => {
                self.over(Outcome::Lost);
                return;
            }
            Redirect::Refused(refusal) => {
                self.over(Outcome::Refused(refusal));
                return;
            }
        }
        if !self.is_done(answer) {
            // What was sent of a stream is gone, so it is not tried again.
            if is_whole
                && self.file.size.is_none()
                && let Some(Pause { refusal: Some(refusal), .. }) = self.pause.take()
            {
                self.never(refusal);
            }
            return;
        }
        let state = speech::state(self.server.protocol, answer);
        let is_stored = match self.server.protocol {
            Protocol::Plain => true,
            // Who does not say that it is incomplete has answered as the target does.
            Protocol::Resumable => is_whole && state.is_complete != Some(false),
            Protocol::Tus => self
                .file
                .size
                .is_some_and(|size| size == 0 || (is_whole && state.offset == Some(size))),
        };
        if is_stored {
            self.over(Outcome::Stored(Said::of(answer)));
            return;
        }
        let location = answer.field("location").unwrap_or_default();
        let Some(url) = self.at.resolve(&self.target, location) else {
            let location = crate::text::sanitize(location, crate::DETAIL_BYTES_MAX / 2);
            let words = match location.is_empty() {
                true => {
                    String::from("the server has begun an upload, and does not say where it is")
                }
                false => format!(
                    "the server says that the upload is at `{location}`, which is not the server that it is sent to"
                ),
            };
            self.never(Refusal::new(RefusalCode::Malformed, words));
            return;
        };
        self.events.push_back(HttpEvent::Begun { url: url.clone() });
        self.url = Some(url);
        self.server.limit(answer);
        (self.offset, self.safe) = (0, 0);
        self.stage = if is_whole { Stage::Asking } else { Stage::Ready };
    }

    pub(super) fn asked(&mut self, answer: &HttpAnswer) {
        if matches!(answer.status, 404 | 410) {
            self.anew(Anew::Gone);
            return;
        }
        if !self.is_done(answer) {
            return;
        }
        let state = speech::state(self.server.protocol, answer);
        let Some(offset) = state.offset else {
            let words = "the server does not say how far the upload is";
            self.never(Refusal::new(RefusalCode::Malformed, words));
            return;
        };
        if !self.fits(offset, state) {
            self.anew(Anew::Damaged);
            return;
        }
        self.reach(offset);
        self.is_size_told |= state.size.is_some();
        if state.is_complete == Some(true) {
            self.stage = Stage::Finishing;
            return;
        }
        let is_tus = self.server.protocol == Protocol::Tus;
        if is_tus && self.is_size_told && self.file.size == Some(offset) {
            self.over(Outcome::Stored(Said::default()));
            return;
        }
        if offset < self.content.start {
            self.over(Outcome::Lost);
            return;
        }
        if offset > 0 {
            self.events.push_back(HttpEvent::Resumed { kept: offset });
        }
        self.stage = Stage::Ready;
    }

    pub(super) fn appended(&mut self, answer: &HttpAnswer, part: Range<u64>, completes: bool) {
        self.stage = Stage::Asking;
        match answer.status {
            404 | 410 => {
                self.anew(Anew::Gone);
                return;
            }
            409 if matches!(code(answer), None | Some(RefusalCode::OffsetMismatch)) => {
                self.set_back(answer);
                return;
            }
            413 => {
                let before = self.server.max_append_size;
                self.server.limit(answer);
                let most =
                    self.server.max_append_size.filter(|_| self.server.max_append_size != before);
                if most.is_some_and(|most| most < part.end - part.start) {
                    return;
                }
            }
            // Another run has taken it over, and a server that stores it says so otherwise.
            423 if self.server.protocol == Protocol::Resumable
                && code(answer) == Some(RefusalCode::Locked) =>
            {
                if let Judgement::Later(refusal) | Judgement::Never(refusal) = judge(answer) {
                    self.never(refusal);
                }
                return;
            }
            _ => {}
        }
        if !self.is_done(answer) {
            return;
        }
        let state = speech::state(self.server.protocol, answer);
        let is_stored = self.server.protocol != Protocol::Tus && completes;
        if is_stored && state.is_complete != Some(false) {
            self.reach(part.end);
            self.over(Outcome::Stored(Said::of(answer)));
            return;
        }
        let implied = (self.server.protocol != Protocol::Tus && !completes).then_some(part.end);
        match state.offset.or(implied).filter(|offset| part.contains(offset) || *offset == part.end)
        {
            Some(offset) => {
                let came_further = offset > self.offset;
                self.reach(offset);
                self.is_size_told |= completes;
                if completes && offset == part.end {
                    self.over(Outcome::Stored(Said::default()));
                } else if came_further || part.is_empty() {
                    self.stage = Stage::Ready;
                } else {
                    self.set_back(answer);
                }
            }
            // It is asked.
            None => self.set_back(answer),
        }
    }

    /// Whether it was done; else what follows from that.
    fn is_done(&mut self, answer: &HttpAnswer) -> bool {
        match judge(answer) {
            Judgement::Done => return true,
            Judgement::Later(refusal) => {
                let at_least_ms = retry_after_ms(answer);
                self.pause = Some(Pause { refusal: Some(refusal), at_least_ms });
            }
            Judgement::Never(refusal) => self.never(refusal),
        }
        false
    }
}
