//! Bytes of a connection that the host has read before the guest asked for them.
//!
//! Where payload comes in pieces with a line or a header between them, as in chunks of HTTP, the guest reads the line
//! by itself, so that the piece behind it is spliced: two system calls for each piece. The host reads more than the
//! line then, and what it has in hand goes where the guest has it go next, without being copied.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Who asks for less than this asks for a line or a header. Bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Larger pieces are worth a system call of their own. Bytes.
const PIECE_BYTES_MAX: usize = 512 * 1024;

/// How much is read for a line. Bytes.
const READ_BYTES: usize = 256 * 1024;

/// What was read ahead, and whether it would be worth it.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Bytes,
    /// How much was spliced since the last line. Bytes.
    piece: usize,
}

impl Ahead {
    /// So many bytes were spliced into an upload.
    pub(super) fn handle_splice(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.piece = inner.piece.saturating_add(bytes);
    }

    /// How much to read from the socket for a guest that asks for `size` bytes: more, where a line comes between two
    /// pieces of payload.
    pub(super) fn read_bytes(&self, size: usize) -> usize {
        if size >= LINE_BYTES_MAX {
            return size;
        }
        match std::mem::take(&mut self.lock().piece) {
            1..PIECE_BYTES_MAX => READ_BYTES,
            _ => size,
        }
    }

    /// What the guest gets of the bytes that were read: up to `size`. The rest is kept.
    pub(super) fn keep(&self, mut bytes: Bytes, size: usize) -> Bytes {
        if bytes.len() <= size {
            return bytes;
        }
        let now = bytes.split_to(size);
        self.lock().bytes = bytes;
        now
    }

    /// Up to `most` of the bytes that were read ahead.
    pub(super) fn read(&self, most: usize) -> Bytes {
        let mut inner = self.lock();
        let count = most.min(inner.bytes.len());
        if count > 0 && most < LINE_BYTES_MAX {
            inner.piece = 0;
        }
        inner.bytes.split_to(count)
    }

    /// Whether nothing was.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().bytes.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_read_for_a_line_between_pieces_alone() {
        let ahead = Ahead::default();
        assert_eq!(ahead.read_bytes(30), 30);
        ahead.handle_splice(65_536);
        assert_eq!(ahead.read_bytes(65_536), 65_536);
        assert_eq!(ahead.read_bytes(30), READ_BYTES);
        assert_eq!(ahead.read_bytes(30), 30);
        ahead.handle_splice(PIECE_BYTES_MAX / 2);
        ahead.handle_splice(PIECE_BYTES_MAX / 2);
        assert_eq!(ahead.read_bytes(30), 30);
    }

    #[test]
    fn what_was_read_ahead_comes_next_and_in_order() {
        let ahead = Ahead::default();
        assert_eq!(ahead.keep(Bytes::from_static(b"line|piece|line"), 5), "line|");
        assert!(!ahead.is_empty());
        assert_eq!(ahead.read(6), "piece|");
        assert_eq!(ahead.read(100), "line");
        assert!(ahead.is_empty() && ahead.read(100).is_empty());
        assert_eq!(ahead.keep(Bytes::from_static(b"all"), 5), "all");
        assert!(ahead.is_empty());
    }
}
