//! Reading large files and streams on a blocking thread, hashing on the way: a whole file in order
//! ([`whole`]), or one connection's share of it ([`share`]).
//!
//! The thread is one chunk ahead of the connection: it reads and hashes the next while the last is
//! written. The buffers go round.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::task::{Context, Poll};

use bytes::Bytes;
use sandport_protocol::Extent;
use sandport_protocol::journal::Ranges;
use tokio::sync::mpsc;

use super::FileError;
use super::range_scheduler::{RangeScheduler, ShareId};
use chunk::Buffer;
use exit::{BUFFERS, Exit};

mod chunk;
mod content;
mod exit;
mod share;
mod whole;

pub(super) use chunk::{Chunk, Piece};
pub(super) use content::Content;
pub(super) use whole::{hash, read_through};

/// A running reader. Dropping it ends the thread at its next chunk.
pub(super) struct FileReader {
    pieces: mpsc::Receiver<Piece>,
    used: threads::Sender<Vec<u8>>,
}

impl FileReader {
    /// Starts to read what `extents` (ascending) of the content asks for. All of the content is read,
    /// for the digest; only what lies in the extents comes out.
    pub(super) fn start(content: Content, extents: &[Extent]) -> Self {
        let wanted = Ranges::of_extents(extents, None);
        Self::spawn(move |exit| whole::read(content, &wanted, exit))
    }

    /// Starts to read a share of a file, until there is nothing in it.
    pub(super) fn share(content: Content, scheduler: Arc<RangeScheduler>, share: ShareId) -> Self {
        Self::spawn(move |exit| share::read(content, &scheduler, share, exit))
    }

    fn spawn(
        read: impl FnOnce(&mut Exit) -> Result<Option<Piece>, FileError> + Send + 'static,
    ) -> Self {
        let (to_connection, pieces) = mpsc::channel(BUFFERS - 2);
        let (used, returned) = threads::channel();
        tokio::task::spawn_blocking(move || {
            let mut exit = Exit::new(to_connection, returned);
            let last = match read(&mut exit) {
                Ok(Some(last)) => last,
                Ok(None) => return,
                Err(error) => Piece::Failed(error),
            };
            exit.end(last);
        });
        Self { pieces, used }
    }

    /// The next piece. Safe to cancel.
    pub(super) async fn next(&mut self) -> Piece {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same, for who is polled.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        self.pieces.poll_recv(cx).map(|piece| {
            // The thread sends a last piece before it ends, unless it was never run.
            let gone = || FileError::Read(io::Error::other("the reading thread is gone"));
            piece.unwrap_or_else(|| Piece::Failed(gone()))
        })
    }

    /// Where buffers go that were taken out of chunks.
    pub(super) fn used(&self) -> threads::Sender<Vec<u8>> {
        self.used.clone()
    }

    /// Gives the buffer of a chunk back.
    pub(super) fn recycle(&self, chunk: Chunk) {
        if let Some(buffer) = chunk.into_buffer() {
            // The thread may be through already.
            let _ = self.used.send(buffer);
        }
    }

    /// Takes the bytes out of a chunk, which the thread gets another buffer for.
    pub(super) fn take(&self, chunk: Chunk) -> Bytes {
        match chunk.buffer {
            Buffer::Own(mut buffer) => {
                let _ = self.used.send(vec![0; buffer.len()]);
                buffer.truncate(chunk.rest.end);
                buffer.drain(..chunk.rest.start);
                // A pipe gives little at a time; what is kept should not hold a megabyte for it.
                buffer.shrink_to_fit();
                Bytes::from(buffer)
            }
            Buffer::Shared(bytes) => bytes.slice(chunk.rest),
        }
    }
}
