//! What the machines of all dialects share, and what they say alike.

use alloc::format;

use bytes::Bytes;

use super::outbox::Outbox;
use crate::{Limits, Millis, Refusal, RefusalCode};

/// What the machines of all dialects share.
pub(super) struct Io {
    pub(super) limits: Limits,
    pub(super) out: Outbox,
    /// What was read and is not parsed yet.
    pub(super) input: Bytes,
    /// The latest clock reading.
    pub(super) now: Millis,
    /// Since when the peer has been silent while it was its turn.
    pub(super) quiet_since: Millis,
    /// What time of day it was at some moment, in seconds since 1970-01-01T00:00:00Z.
    pub(super) date: Option<(Millis, i64)>,
    pub(super) crossing: Crossing,
}

/// How the bytes of a connection came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Crossing {
    /// They crossed the network encrypted.
    pub(super) is_encrypted: bool,
    /// They come from a proxy whose words about the request count.
    pub(super) is_of_trusted_proxy: bool,
}

impl Io {
    pub(super) fn new(limits: Limits, now: Millis) -> Self {
        Self {
            limits,
            out: Outbox::default(),
            input: Bytes::new(),
            now,
            quiet_since: now,
            date: None,
            crossing: Crossing::default(),
        }
    }

    pub(super) fn tick(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    /// The time of day, in seconds since 1970-01-01T00:00:00Z; `None`: nobody has said.
    pub(super) fn unix_s(&self) -> Option<i64> {
        let (at, unix_s) = self.date?;
        unix_s.checked_add_unsigned(self.now.saturating_sub(at) / 1_000)
    }

    /// The peer, or someone it had to wait for, gave a sign.
    pub(super) fn heard(&mut self, now: Millis) {
        self.tick(now);
        self.quiet_since = self.now;
    }

    pub(super) fn append(&mut self, bytes: Bytes) {
        self.input = if self.input.is_empty() {
            bytes
        } else {
            [self.input.as_ref(), bytes.as_ref()].concat().into()
        };
    }

    pub(super) fn idle_at(&self) -> Millis {
        self.quiet_since.saturating_add(self.limits.idle_timeout_ms.into())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.now >= self.idle_at()
    }

    pub(super) fn timeout(&self) -> Refusal {
        let message = format!("nothing arrived for {} ms", self.limits.idle_timeout_ms);
        Refusal::new(RefusalCode::Timeout, message)
    }
}

/// The sender closed before it was done.
pub(super) fn cut_off(what: &str) -> Refusal {
    Refusal::new(RefusalCode::Cancelled, format!("the connection was cut {what}"))
}

/// A file that is larger than the limit.
pub(super) fn too_large(max_file_size: u64) -> Refusal {
    Refusal::new(RefusalCode::TooLarge, format!("a file may have {max_file_size} bytes at most"))
}
