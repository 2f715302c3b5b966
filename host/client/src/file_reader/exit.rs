//! Where the thread's pieces go, and its buffers come from.

use std::sync::mpsc as threads;

use tokio::sync::mpsc;

use super::chunk::{Chunk, Piece};

/// One read, one update of the hash, one `data` message, one write to the connection. Large enough that a
/// system call's and a thread hop's cost vanish, small enough to stay in the second-level cache. Bytes.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// One chunk being written, one waiting, one being read.
pub(super) const BUFFERS: usize = 3;

/// Where the thread's pieces go, and its buffers come from.
pub(super) struct Exit {
    to_connection: mpsc::Sender<Piece>,
    returned: threads::Receiver<Vec<u8>>,
    made: usize,
}

impl Exit {
    pub(super) fn new(
        to_connection: mpsc::Sender<Piece>,
        returned: threads::Receiver<Vec<u8>>,
    ) -> Self {
        Self { to_connection, returned, made: 0 }
    }

    /// Hands the last piece over.
    pub(super) fn end(self, last: Piece) {
        // An error means that nobody listens any more.
        let _ = self.to_connection.blocking_send(last);
    }

    /// Hands a chunk over; `false` when nobody listens.
    pub(super) fn send(&self, chunk: Chunk) -> bool {
        self.to_connection.blocking_send(Piece::Chunk(chunk)).is_ok()
    }

    /// A buffer that is free; `None` when nobody listens.
    #[expect(clippy::disallowed_methods, reason = "the end of the connection ends it")]
    pub(super) fn buffer(&mut self, size: Option<u64>) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.returned.try_recv() {
            return Some(buffer);
        }
        if self.made < BUFFERS {
            self.made += 1;
            let fitting = size.map_or(CHUNK_BYTES, |size| {
                usize::try_from(size).unwrap_or(usize::MAX).clamp(1, CHUNK_BYTES)
            });
            return Some(vec![0; fitting]);
        }
        self.returned.recv().ok()
    }
}
