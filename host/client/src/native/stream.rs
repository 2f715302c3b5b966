//! A stream on its way: what was read of it is kept until the server has made it durable, because it cannot
//! be read again.

use std::collections::VecDeque;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sandport_protocol::{Digest, Extent};

use crate::FileError;
use crate::file_reader::{Chunk, Content, FileReader, Piece};

/// Most bytes that are kept. Twice what a server leaves undurable by default, so that the next part is on
/// its way while it syncs one. Bytes.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How long reading waits for a server that makes nothing durable. Then the stream goes on without being
/// resumable: there are receivers that keep nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The whole stream.
const ALL: Extent = Extent { offset: 0, length: None };

/// A stream, and what is kept of it.
pub(super) struct Stream {
    reader: FileReader,
    /// The next byte that comes out.
    position: u64,
    kept: VecDeque<Bytes>,
    /// Where in the stream `kept` begins, and where it ends.
    kept_from: u64,
    kept_to: u64,
    /// Size and digest, once all was read.
    end: Option<(u64, Digest)>,
    /// Since when there is no room.
    full_since: Option<Instant>,
    /// Nothing is kept any more.
    given_up: bool,
}

impl Stream {
    /// Begins to read.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader: FileReader::start(Content::Reader(reader), &[ALL]),
            position: 0,
            kept: VecDeque::new(),
            kept_from: 0,
            kept_to: 0,
            end: None,
            full_since: None,
            given_up: false,
        }
    }

    /// Size and digest, once all was read.
    pub(super) fn end(&self) -> Option<(u64, Digest)> {
        self.end
    }

    /// Goes on from `offset`.
    ///
    /// # Errors
    /// [`FileError::StreamGone`]: what is there is not kept.
    pub(super) fn seek(&mut self, offset: u64) -> Result<(), FileError> {
        if offset < self.kept_from || offset > self.kept_to {
            return Err(FileError::StreamGone);
        }
        self.position = offset;
        Ok(())
    }

    /// The server keeps all before `offset`.
    pub(super) fn free(&mut self, offset: u64) {
        while let Some(first) = self.kept.front()
            && self.kept_from + first.len() as u64 <= offset
        {
            self.kept_from += first.len() as u64;
            self.kept.pop_front();
        }
        self.full_since = None;
    }

    /// Whether the next piece may be asked for.
    pub(super) fn has_room(&mut self) -> bool {
        let is_full = self.kept_to - self.kept_from >= KEPT_BYTES_MAX as u64;
        if !is_full || self.given_up || self.position < self.kept_to {
            return true;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            self.given_up = true;
            self.kept.clear();
            self.kept_from = self.kept_to;
        }
        self.given_up
    }

    /// The next piece. Safe to cancel.
    pub(super) async fn next(&mut self) -> Piece {
        if self.position < self.kept_to {
            let mut start = self.kept_from;
            for bytes in &self.kept {
                let end = start + bytes.len() as u64;
                if self.position < end {
                    // Less than a chunk, which fits.
                    let skipped = usize::try_from(self.position - start).unwrap_or(0);
                    let chunk = Chunk::shared(self.position, bytes.slice(skipped..));
                    self.position = end;
                    return Piece::Chunk(chunk);
                }
                start = end;
            }
        }
        if let Some((size, digest)) = self.end {
            return Piece::End { size, digest };
        }
        match self.reader.next().await {
            Piece::Chunk(chunk) => {
                let offset = chunk.offset;
                let bytes = self.reader.take(chunk);
                self.position += bytes.len() as u64;
                self.kept_to = self.position;
                if self.given_up {
                    self.kept_from = self.kept_to;
                } else {
                    self.kept.push_back(bytes.clone());
                }
                Piece::Chunk(Chunk::shared(offset, bytes))
            }
            Piece::End { size, digest } => {
                self.end = Some((size, digest));
                Piece::End { size, digest }
            }
            other @ (Piece::Dry | Piece::Failed(_)) => other,
        }
    }
}

/// What the large file whose turn it is comes from.
pub(super) enum Feed {
    File(FileReader),
    Stream(Box<Stream>),
}

impl Feed {
    /// Whether the next piece may be asked for.
    pub(super) fn has_room(&mut self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Stream(stream) => stream.has_room(),
        }
    }

    /// The next piece. Safe to cancel.
    pub(super) async fn next(&mut self) -> Piece {
        match self {
            Self::File(reader) => reader.next().await,
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// Gives a chunk back that was written.
    pub(super) fn recycle(&self, chunk: Chunk) {
        if let Self::File(reader) = self {
            reader.recycle(chunk);
        }
    }
}
