//! What a connection gives its next instance: the bytes that the one before had read and not consumed.
//!
//! The host keeps what a guest read last. A guest says how many of these bytes it leaves; which bytes they are, it has
//! no say in. As long as the guest goes on they stay in the buffer that they were read into; one that waits may do so
//! for long, and has them copied, so that the buffer is free.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Most bytes that one instance leaves to the next.
const LEFT_BYTES_MAX: usize = 64 * 1024;

/// More bytes were said to be left than were read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver says that it left {said} bytes, and {read} were read last")]
pub(crate) struct NotRead {
    said: u32,
    read: usize,
}

/// The bytes that were read last, and those that are to be read again.
#[derive(Default)]
pub(super) struct Replay {
    /// Which call of the host the guest is in.
    call: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The end of what was read last, and in which call.
    last: Bytes,
    read_in: u64,
    /// Whether it keeps a buffer that others could use.
    is_borrowed: bool,
    again: Bytes,
}

impl Replay {
    /// The guest calls the host.
    pub(super) fn handle_call(&self) {
        // One thread at a time runs the guest.
        self.call.store(self.call.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The guest, or a splice in this call, gets these bytes of the connection.
    pub(super) fn handle_read(&self, bytes: &Bytes) {
        let mut inner = self.lock();
        inner.read_in = self.call.load(Ordering::Relaxed);
        inner.last = bytes.slice(bytes.len().saturating_sub(LEFT_BYTES_MAX)..);
        inner.is_borrowed = true;
    }

    /// The guest writes something. What was read in the same call went there: it was spliced. Whether it was.
    pub(super) fn handle_write(&self) -> bool {
        let mut inner = self.lock();
        let is_spliced = inner.read_in == self.call.load(Ordering::Relaxed);
        if is_spliced {
            inner.last = Bytes::new();
        }
        is_spliced
    }

    /// What was read last is consumed.
    pub(super) fn handle_skip(&self) {
        self.lock().last = Bytes::new();
    }

    /// The guest waits.
    pub(super) fn handle_pause(&self) {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.is_borrowed) {
            inner.last = Bytes::copy_from_slice(&inner.last);
        }
    }

    /// The instance is over, and leaves the last `count` of the bytes that it read.
    ///
    /// # Errors
    /// It did not read so many.
    pub(super) fn leave(&self, count: u32) -> Result<(), NotRead> {
        let mut inner = self.lock();
        let last = std::mem::take(&mut inner.last);
        let read = last.len();
        let start = read.checked_sub(count as usize).ok_or(NotRead { said: count, read })?;
        // What was left before, and not read since, comes after it.
        let rest = std::mem::take(&mut inner.again);
        inner.again = [&last[start..], &rest].concat().into();
        Ok(())
    }

    /// Up to `most` of the bytes that were left.
    pub(super) fn read(&self, most: usize) -> Bytes {
        let mut inner = self.lock();
        let count = most.min(inner.again.len());
        inner.again.split_to(count)
    }

    /// Whether there are bytes that were left.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().again.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A guest that reads, in one call.
    fn read(replay: &Replay, bytes: &[u8]) {
        replay.handle_call();
        replay.handle_read(&Bytes::copy_from_slice(bytes));
    }

    #[test]
    fn what_was_read_last_is_read_again_as_far_as_it_was_left() {
        let replay = Replay::default();
        read(&replay, b"before");
        read(&replay, b"one request, and the next");
        replay.leave(8).unwrap();
        assert_eq!(replay.read(3), "the");
        assert_eq!(replay.read(100), " next");
        assert!(replay.is_empty() && replay.read(100).is_empty());
    }

    #[test]
    fn what_the_next_instance_does_not_read_waits_for_another() {
        let replay = Replay::default();
        read(&replay, b"abcdef");
        replay.leave(5).unwrap();
        let first = replay.read(2);
        read(&replay, &first);
        replay.leave(1).unwrap();
        assert_eq!(replay.read(100), "cdef");
    }

    #[test]
    fn a_guest_that_leaves_what_it_did_not_read_is_found_out() {
        let replay = Replay::default();
        assert_eq!(replay.leave(1), Err(NotRead { said: 1, read: 0 }));
        read(&replay, b"abc");
        assert_eq!(replay.leave(4), Err(NotRead { said: 4, read: 3 }));
        assert!(replay.is_empty());
        read(&replay, &vec![7; LEFT_BYTES_MAX + 10]);
        let said = LEFT_BYTES_MAX as u32 + 1;
        assert_eq!(replay.leave(said), Err(NotRead { said, read: LEFT_BYTES_MAX }));
    }

    #[test]
    fn what_was_spliced_or_skipped_cannot_be_left() {
        let replay = Replay::default();
        // A splice reads and writes in one call.
        read(&replay, b"payload");
        replay.handle_write();
        assert!(replay.leave(1).is_err());
        read(&replay, b"skipped");
        replay.handle_skip();
        assert!(replay.leave(1).is_err());
        // A guest that writes what it has read does so in a call of its own.
        read(&replay, b"head, and the next");
        replay.handle_call();
        replay.handle_write();
        assert_eq!(replay.leave(8), Ok(()));
    }

    #[test]
    fn a_guest_that_waits_keeps_no_buffer_that_others_could_use() {
        let replay = Replay::default();
        let buffer = Bytes::from(b"head, and the next".to_vec());
        replay.handle_call();
        replay.handle_read(&buffer);
        assert!(!buffer.is_unique());
        replay.handle_pause();
        assert!(buffer.is_unique());
        replay.leave(8).unwrap();
        assert_eq!(replay.read(100), "the next");
    }
}
