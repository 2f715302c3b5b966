//! What is handed from the thread that reads to the connection.

use std::ops::Range;

use bytes::Bytes;
use sandport_protocol::Digest;

use crate::FileError;

/// What comes out.
pub(crate) enum Piece {
    Chunk(Chunk),
    /// All was read.
    End {
        size: u64,
        digest: Digest,
    },
    /// There is nothing to read in a share at the moment.
    Dry,
    Failed(FileError),
}

/// Some bytes of the file.
pub(crate) struct Chunk {
    /// Where in the file the rest of the chunk belongs.
    pub(crate) offset: u64,
    pub(super) buffer: Buffer,
    pub(super) rest: Range<usize>,
}

/// Where the bytes of a chunk are.
pub(super) enum Buffer {
    /// One of the buffers that go round.
    Own(Vec<u8>),
    /// Kept by someone else too.
    Shared(Bytes),
}

impl Chunk {
    /// A chunk of bytes that are kept.
    pub(crate) fn shared(offset: u64, bytes: Bytes) -> Self {
        let rest = 0..bytes.len();
        Self { offset, buffer: Buffer::Shared(bytes), rest }
    }

    /// What of it was not taken yet.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Own(buffer) => &buffer[self.rest.clone()],
            Buffer::Shared(bytes) => &bytes[self.rest.clone()],
        }
    }

    /// The buffer that goes round, if it is in one.
    pub(crate) fn into_buffer(self) -> Option<Vec<u8>> {
        match self.buffer {
            Buffer::Own(buffer) => Some(buffer),
            Buffer::Shared(_) => None,
        }
    }

    /// Takes `count` bytes away.
    pub(crate) fn advance(&mut self, count: usize) {
        let count = count.min(self.rest.len());
        self.rest.start += count;
        self.offset += count as u64;
    }
}
