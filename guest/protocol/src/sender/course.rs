//! What brings a sender nearer to its end, and since when nothing has.

use crate::{KEEP_ALIVE_MS_MIN, Millis};

/// How long a receiver that owes something may bring nothing further, however often it says that it is
/// alive. The longest that an honest one is known to take is to sync what its system holds back of a file:
/// 64 GiB onto a disk of 40 MB/s are 27 minutes. Who is more patient with silence is so with this too.
/// Milliseconds.
pub const PROGRESS_TIMEOUT_MS: Millis = 30 * 60 * 1000;

/// Payload that was taken, or has become durable, counts in steps of this size. In [`PROGRESS_TIMEOUT_MS`]
/// that is 36 bytes a second: less than any network that people send files over. Bytes.
pub(super) const PROGRESS_STEP_BYTES: u64 = 64 * 1024;

/// Most messages in a row that bring nothing further. A receiver that says for all of [`PROGRESS_TIMEOUT_MS`],
/// as often as a sender would, that it is alive says half as many.
pub const FRUITLESS_MESSAGES_MAX: u32 = (2 * PROGRESS_TIMEOUT_MS / KEEP_ALIVE_MS_MIN) as u32;

/// What has come further, and since when nothing has.
pub(super) struct Course {
    /// When something last came further.
    pub(super) further_at: Millis,
    /// Payload that was announced and not taken yet. Bytes.
    pub(super) unsent: u64,
    /// Payload that was taken since something last came further. Bytes.
    taken: u64,
    /// Messages since then.
    pub(super) fruitless: u32,
}

impl Course {
    pub(super) fn new(now: Millis) -> Self {
        Self { further_at: now, unsent: 0, taken: 0, fruitless: 0 }
    }

    /// Something came further.
    pub(super) fn further(&mut self, now: Millis) {
        *self = Self { unsent: self.unsent, ..Self::new(now) };
    }

    /// Payload was announced.
    pub(super) fn announced(&mut self, now: Millis, bytes: u64) {
        self.unsent = self.unsent.saturating_add(bytes);
        self.further(now);
    }

    /// The connection took payload.
    pub(super) fn took(&mut self, now: Millis, bytes: u64) {
        self.unsent = self.unsent.saturating_sub(bytes);
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= PROGRESS_STEP_BYTES {
            self.further(now);
        }
    }
}
