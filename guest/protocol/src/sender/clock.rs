//! When a sender has waited too long, and when it should give a sign.
//!
//! There are two clocks. Silence is short: what is alive says so every ten seconds. But a receiver that only
//! says that it is alive, or takes a byte now and then, can do so for ever, so there is a second, longer
//! one, which only what brings the sender nearer to its end winds up again.

use alloc::string::String;

use super::course::{FRUITLESS_MESSAGES_MAX, PROGRESS_STEP_BYTES, PROGRESS_TIMEOUT_MS};
use super::upload::Upload;
use super::{EndReason, Sender, Stage};
use crate::{Millis, UploadId};

impl Sender {
    pub(super) fn tick(&mut self, now: Millis) {
        self.now = self.now.max(now);
        match (self.is_owed(), self.still_since) {
            (true, None) => self.still_since = Some(self.now),
            (false, Some(_)) => self.still_since = None,
            _ => {}
        }
    }

    pub(super) fn moved(&mut self) {
        self.still_since = self.is_owed().then_some(self.now);
    }

    /// A message has brought nothing further.
    pub(super) fn fruitless(&mut self) {
        self.course.fruitless = self.course.fruitless.saturating_add(1);
        if self.course.fruitless > FRUITLESS_MESSAGES_MAX {
            self.malformed(String::from("it sends messages without end that say nothing new"));
        }
    }

    /// So much of an upload is durable; whether that was not known.
    pub(super) fn note_durable(&mut self, id: UploadId, durable: u64) -> bool {
        let Some(upload) = self.uploads.get_mut(&id) else { return false };
        if durable <= upload.durable {
            return false;
        }
        upload.durable = durable;
        if durable - upload.durable_counted >= PROGRESS_STEP_BYTES {
            upload.durable_counted = durable;
            self.course.further(self.now);
        }
        true
    }

    /// Whether the receiver owes an answer: to the hello, to a credential, to an offer or to the end.
    pub(super) fn is_owed(&self) -> bool {
        match self.stage {
            Stage::Preface(_) | Stage::Welcome | Stage::Shutdown => true,
            Stage::Open => self.authenticating || !self.uploads.is_empty(),
            Stage::Ended => false,
        }
    }

    /// Whether the next step is the receiver's. Not while this side reads a file, or waits for a stream.
    fn is_receivers_turn(&self) -> bool {
        match self.stage {
            Stage::Preface(_) | Stage::Welcome | Stage::Shutdown => true,
            Stage::Open => {
                self.authenticating
                    || self.course.unsent > 0
                    || self.uploads.values().any(Upload::is_receivers_turn)
            }
            Stage::Ended => false,
        }
    }

    pub(super) fn stall_at(&self) -> Option<Millis> {
        let since = self.still_since.filter(|_| self.is_owed())?;
        Some(since.saturating_add(self.stall_timeout_ms))
    }

    pub(super) fn stuck_at(&self) -> Option<Millis> {
        self.is_owed().then(|| self.course.further_at.saturating_add(self.progress_timeout_ms()))
    }

    fn progress_timeout_ms(&self) -> Millis {
        self.stall_timeout_ms.max(PROGRESS_TIMEOUT_MS)
    }

    /// Nothing has come further for long.
    pub(super) fn stuck(&mut self) {
        if self.is_receivers_turn() {
            self.end(Err(EndReason::NoProgress(self.progress_timeout_ms())));
        } else {
            self.course.further(self.now);
        }
    }

    pub(super) fn keep_alive_at(&self) -> Option<Millis> {
        let granted = self.granted.filter(|_| matches!(self.stage, Stage::Open))?;
        Some(self.last_sent.saturating_add(granted.keep_alive_ms))
    }
}
