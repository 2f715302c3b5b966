//! Reading a file again before it is published: one that an earlier run of the component has written, whose bytes
//! nothing kept others from changing. It goes on a piece at a time, because everybody else waits meanwhile.

use std::collections::VecDeque;

use blake3::Hasher;
use sandport_protocol::journal::ResumableId;
use sandport_protocol::{Digest, Millis, Refusal, RefusalCode};

/// How much is read between two looks at the connections. Bytes. As much as a turn of one of them may bring.
const PIECE_BYTES: usize = 1024 * 1024;

/// For how long files are read in a row, before there are pauses. Milliseconds. A host that watches how much is
/// computed (`wit/RESIDENT.md`) lets a component compute for 5 s, and for a quarter of the time that it waits.
const AT_ONCE_MS: Millis = 1_000;

/// How much longer it pauses then than it reads.
const PAUSE_FACTOR: Millis = 5;

/// Most that is read without a pause for who waits for it. Bytes. A fraction of a second.
const AWAITED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The files that are read again, each for a piece in turn.
pub(super) struct Readings {
    queue: VecDeque<Reading>,
    pace: Pace,
}

/// How fast it goes.
struct Pace {
    /// How long may be read now without a pause, as it was when a piece was read last.
    allowance_ms: Millis,
    /// When that was.
    read_at: Millis,
    /// When the next piece is due.
    due: Millis,
}

impl Default for Readings {
    fn default() -> Self {
        let pace = Pace { allowance_ms: AT_ONCE_MS, read_at: 0, due: 0 };
        Self { queue: VecDeque::new(), pace }
    }
}

impl Readings {
    pub(super) fn push(&mut self, reading: Reading) {
        self.queue.push_back(reading);
    }

    /// When the next piece is to be read; `None`: there is none.
    pub(super) fn due(&self) -> Option<Millis> {
        (!self.queue.is_empty()).then_some(self.pace.due)
    }

    /// Takes the file of which a piece is to be read now. It is to be [given back](Self::push) while it has more.
    pub(super) fn take_due(&mut self, now: Millis) -> Option<Reading> {
        if now < self.pace.due { None } else { self.queue.pop_front() }
    }

    /// Counts the time that a piece took.
    pub(super) fn has_read(&mut self, from: Millis, to: Millis) {
        self.pace.has_read(from, to);
    }

    /// Takes the file of an upload that somebody waits for, where the rest of it is read soon; `None`: it is not
    /// being read, or takes long.
    pub(super) fn take_awaited(&mut self, id: ResumableId) -> Option<Reading> {
        let is_soon = |it: &Reading| it.size - it.read <= AWAITED_BYTES_MAX;
        let place = self.queue.iter().position(|it| it.id == id && is_soon(it))?;
        self.queue.remove(place)
    }
}

impl Pace {
    fn has_read(&mut self, from: Millis, to: Millis) {
        let earned = from.saturating_sub(self.read_at) / PAUSE_FACTOR;
        let allowance = self.allowance_ms.saturating_add(earned).min(AT_ONCE_MS);
        let took = to.saturating_sub(from);
        self.allowance_ms = allowance.saturating_sub(took);
        self.read_at = to;
        let pause = if allowance > took { 0 } else { took.saturating_mul(PAUSE_FACTOR) };
        self.due = to.saturating_add(pause);
    }
}

/// A file that is read again.
pub(super) struct Reading {
    id: ResumableId,
    size: u64,
    /// What it has to come to.
    digest: Digest,
    hasher: Box<Hasher>,
    read: u64,
}

impl Reading {
    pub(super) fn new(id: ResumableId, size: u64, digest: Digest) -> Self {
        Self { id, size, digest, hasher: Box::default(), read: 0 }
    }

    /// Of which upload it is.
    pub(super) fn id(&self) -> ResumableId {
        self.id
    }

    /// Where the next piece is to be read, and how long it is at most.
    pub(super) fn next(&self) -> (u64, usize) {
        let left = usize::try_from(self.size - self.read).unwrap_or(usize::MAX);
        (self.read, left.min(PIECE_BYTES))
    }

    /// Takes the next piece. `Some`: that was the last, and the file is what was sent, of this size and digest.
    ///
    /// # Errors
    /// `digest-mismatch`: it is not.
    pub(super) fn take(&mut self, piece: &[u8]) -> Option<Result<(u64, Digest), Refusal>> {
        self.hasher.update(piece);
        self.read += piece.len() as u64;
        if self.read < self.size && !piece.is_empty() {
            return None;
        }
        let is_same = Digest::Blake3(*self.hasher.finalize().as_bytes()) == self.digest;
        let words = "what was kept of the file is not what arrived";
        let mismatch = || Refusal::new(RefusalCode::DigestMismatch, words);
        Some(is_same.then_some((self.size, self.digest)).ok_or_else(mismatch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reading_takes_a_sixth_of_the_time_and_short_all() {
        let mut pace = Pace { allowance_ms: AT_ONCE_MS, read_at: 0, due: 0 };
        let (mut now, mut computed) = (0, 0);
        for _ in 0..1_000 {
            pace.has_read(now, now + 10);
            computed += 10;
            now = pace.due;
            if now < AT_ONCE_MS {
                assert_eq!(now, computed, "no pause");
            }
        }
        assert!(computed - AT_ONCE_MS <= now / PAUSE_FACTOR, "{computed} of {now}");
        // What was not used is not hoarded.
        now += 1_000_000;
        let begun = now;
        while pace.due <= now {
            pace.has_read(now, now + 10);
            now += 10;
        }
        assert!(now - begun <= AT_ONCE_MS + 10, "{now}");
    }
}
