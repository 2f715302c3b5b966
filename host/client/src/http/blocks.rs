//! A stream on its way: what was read of it is kept until the server says that it is safe, because it cannot be read
//! again.

use std::collections::VecDeque;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sandport_protocol::Digest;

use crate::FileError;
use crate::file_reader::{Chunk, FileReader, Piece};

/// How much of a stream one request brings. Bytes. It is kept in memory until it is answered, and a server makes each
/// durable: less of them, and these are large enough for that not to count.
const BLOCK_BYTES: u64 = 16 * 1024 * 1024;

/// A stream, and what is kept of it.
pub(super) struct Blocks {
    reader: FileReader,
    kept: VecDeque<Bytes>,
    /// Where in the stream `kept` begins and ends.
    range: Range<u64>,
    /// Where what comes next begins.
    position: u64,
    /// Size and digest, once all was read.
    end: Option<(u64, Digest)>,
}

impl Blocks {
    pub(super) fn new(reader: FileReader) -> Self {
        Self { reader, kept: VecDeque::new(), range: 0..0, position: 0, end: None }
    }

    /// Size and digest, once all was read.
    pub(super) fn end(&self) -> Option<(u64, Digest)> {
        self.end
    }

    /// What is kept.
    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    pub(super) fn seek(&mut self, offset: u64) {
        self.position = offset;
    }

    /// Reads the next block. The last one is not kept any longer.
    ///
    /// # Errors
    /// What went wrong with reading it.
    pub(super) async fn fetch(&mut self) -> Result<(), FileError> {
        self.kept.clear();
        self.range.start = self.range.end;
        while self.end.is_none() && self.range.end - self.range.start < BLOCK_BYTES {
            match self.reader.next().await {
                Piece::Chunk(chunk) => {
                    let bytes = self.reader.take(chunk);
                    self.range.end += bytes.len() as u64;
                    self.kept.push_back(bytes);
                }
                Piece::End { size, digest } => self.end = Some((size, digest)),
                Piece::Failed(error) => return Err(error),
                Piece::Dry => {}
            }
        }
        Ok(())
    }

    /// The next bytes. Of what is kept, if something is; else of what is read, which is not kept then.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        most: u64,
    ) -> Poll<Result<Option<Chunk>, FileError>> {
        if let Some(chunk) = self.of_kept(most) {
            return Poll::Ready(Ok(Some(chunk)));
        }
        while self.end.is_none() && self.kept.is_empty() {
            match ready!(self.reader.poll_next(cx)) {
                Piece::Chunk(chunk) => {
                    let bytes = self.reader.take(chunk);
                    let offset = self.position;
                    self.position += bytes.len() as u64;
                    return Poll::Ready(Ok(Some(Chunk::shared(offset, bytes))));
                }
                Piece::End { size, digest } => self.end = Some((size, digest)),
                Piece::Failed(error) => return Poll::Ready(Err(error)),
                Piece::Dry => {}
            }
        }
        Poll::Ready(Ok(None))
    }

    fn of_kept(&mut self, most: u64) -> Option<Chunk> {
        let mut start = self.range.start;
        for bytes in &self.kept {
            let end = start + bytes.len() as u64;
            if (start..end).contains(&self.position) {
                let rest = end - self.position;
                // Less than a chunk, which fits.
                let from = usize::try_from(self.position - start).unwrap_or(0);
                let length = usize::try_from(rest.min(most)).unwrap_or(usize::MAX);
                let part = bytes.slice(from..from + length);
                let chunk = Chunk::shared(self.position, part);
                self.position += length as u64;
                return Some(chunk);
            }
            start = end;
        }
        None
    }
}
