//! When a sender has waited too long, and when it should give a sign.

use super::{Sender, Stage};
use crate::Millis;

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

    /// Whether the receiver owes an answer: to the hello, to a credential, to an offer or to the end.
    pub(super) fn is_owed(&self) -> bool {
        match self.stage {
            Stage::Preface(_) | Stage::Welcome | Stage::Shutdown => true,
            Stage::Open => self.authenticating || !self.uploads.is_empty(),
            Stage::Ended => false,
        }
    }

    pub(super) fn stall_at(&self) -> Option<Millis> {
        let since = self.still_since.filter(|_| self.is_owed())?;
        Some(since.saturating_add(self.stall_timeout_ms))
    }

    pub(super) fn keep_alive_at(&self) -> Option<Millis> {
        let granted = self.granted.filter(|_| matches!(self.stage, Stage::Open))?;
        Some(self.last_sent.saturating_add(granted.keep_alive_ms))
    }
}
