//! A file on its way: read ahead by a thread, and one piece behind it.

use std::sync::mpsc::Sender;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sandport_protocol::{Digest, Extent};

use crate::FileError;
use crate::file_reader::{Chunk, Content, FileReader, Piece};

/// A file from some offset to its end.
///
/// The last piece is handed out when the file was found to be what was offered, and not before: with its last byte the
/// server has it whole.
pub(super) struct Feed {
    reader: FileReader,
    /// Where what comes next begins.
    position: u64,
    held: Option<Chunk>,
    /// What is left of a piece of which somebody wanted only a part.
    rest: Option<Chunk>,
    digest: Option<Digest>,
}

impl Feed {
    /// Begins to read. All of the file is, for its digest.
    pub(super) fn start(content: Content, offset: u64) -> Self {
        let reader = FileReader::start(content, &[Extent { offset, length: None }]);
        Self { reader, position: offset, held: None, rest: None, digest: None }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The digest of the whole, once all was read.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Where buffers go when they are empty.
    pub(super) fn used(&self) -> Sender<Vec<u8>> {
        self.reader.used()
    }

    /// The next bytes. `None`: this is the end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        most: u64,
    ) -> Poll<Result<Option<Chunk>, FileError>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Ok(Some(self.hand_out(rest, most))));
        }
        while self.digest.is_none() {
            match ready!(self.reader.poll_next(cx)) {
                Piece::Chunk(chunk) => {
                    if let Some(held) = self.held.replace(chunk) {
                        return Poll::Ready(Ok(Some(self.hand_out(held, most))));
                    }
                }
                Piece::End { digest, .. } => self.digest = Some(digest),
                Piece::Failed(error) => return Poll::Ready(Err(error)),
                // That is for shares; this is a whole file.
                Piece::Dry => {}
            }
        }
        let last = self.held.take();
        Poll::Ready(Ok(last.map(|held| self.hand_out(held, most))))
    }

    fn hand_out(&mut self, mut chunk: Chunk, most: u64) -> Chunk {
        let length = chunk.bytes().len();
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(length);
        self.position = chunk.offset + taken as u64;
        if taken == length {
            return chunk;
        }
        let part = Chunk::shared(chunk.offset, Bytes::copy_from_slice(&chunk.bytes()[..taken]));
        chunk.advance(taken);
        self.rest = Some(chunk);
        part
    }
}
