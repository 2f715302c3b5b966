//! What goes out: messages and small files gathered into large writes, large payload straight from
//! the buffer that it was read into.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::file_reader::Chunk;

/// Gathered bytes beyond which no more files are taken in: one large write. Bytes.
const GATHERED_BYTES: usize = 512 * 1024;

/// One output of the machine, with its content.
pub(super) enum Outgoing {
    Message(Bytes),
    /// Payload of a small file.
    Content(Bytes),
    /// Payload that is in the chunk: its length in bytes, no more than the chunk has.
    Frame(u64),
    Shutdown,
}

/// What one write has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrote {
    /// Bytes of the chunk.
    pub(super) of_chunk: usize,
    /// Payload bytes; `None`: there were messages alone. Among small files, messages count as payload too.
    pub(super) payload: Option<u64>,
}

/// Everything that waits to be written.
pub(super) struct Output {
    waiting: VecDeque<Outgoing>,
    gathered: Vec<u8>,
    /// How much of `gathered` was written.
    written: usize,
    /// Payload bytes among what is gathered, less what was written since.
    content: u64,
    /// Payload bytes that still have to follow what is gathered. The chunk has all of them: what was
    /// announced can always be sent, and is never made up.
    frame: u64,
    shutdown: bool,
    broken: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            gathered: Vec::with_capacity(2 * GATHERED_BYTES),
            written: 0,
            content: 0,
            frame: 0,
            shutdown: false,
            broken: false,
        }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if !self.broken {
            self.waiting.push_back(outgoing);
        }
        self.gather();
    }

    /// Whether another file may be taken in.
    pub(super) fn has_room(&self) -> bool {
        !self.broken && !self.is_in_frame() && self.gathered.len() - self.written < GATHERED_BYTES
    }

    /// Whether payload in the chunk was announced and not written to its end.
    pub(super) fn is_in_frame(&self) -> bool {
        self.frame > 0
    }

    /// The connection takes nothing any more: what waits is dropped.
    pub(super) fn set_broken(&mut self) {
        self.broken = true;
        self.waiting.clear();
        self.gathered.clear();
        self.written = 0;
        self.content = 0;
        self.frame = 0;
        self.shutdown = false;
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether [`Output::write`] has something to do.
    pub(super) fn can_write(&self, chunk: Option<&Chunk>) -> bool {
        self.written < self.gathered.len() || self.shutdown || (self.frame > 0 && chunk.is_some())
    }

    /// Writes once; gives what [`Output::wrote`] wants to know. Safe to cancel.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn write(
        &self,
        connection: &mut (impl AsyncWrite + Unpin),
        chunk: Option<&Chunk>,
    ) -> io::Result<usize> {
        let gathered = &self.gathered[self.written..];
        let payload = chunk.map_or(&[][..], Chunk::bytes);
        let payload = &payload[..clamp(self.frame, payload.len())];
        if gathered.is_empty() && payload.is_empty() {
            connection.shutdown().await?;
            return Ok(0);
        }
        let count = if payload.is_empty() {
            connection.write(gathered).await?
        } else if gathered.is_empty() {
            connection.write(payload).await?
        } else {
            let both = [IoSlice::new(gathered), IoSlice::new(payload)];
            connection.write_vectored(&both).await?
        };
        if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
    }

    /// Notes what was written.
    pub(super) fn wrote(&mut self, count: usize) -> Wrote {
        if count == 0 {
            self.shutdown = false;
            return Wrote::default();
        }
        let has_payload = self.content > 0 || self.frame > 0;
        let of_gathered = count.min(self.gathered.len() - self.written);
        let of_chunk = count - of_gathered;
        let of_content = self.content.min(of_gathered as u64);
        self.content -= of_content;
        self.written += of_gathered;
        if self.written == self.gathered.len() {
            self.gathered.clear();
            self.written = 0;
            self.content = 0;
        } else if self.written >= GATHERED_BYTES {
            // A connection that takes a little at a time may never take all.
            self.gathered.drain(..self.written);
            self.written = 0;
        }
        self.frame -= of_chunk as u64;
        if self.frame == 0 {
            self.gather();
        }
        Wrote { of_chunk, payload: has_payload.then_some(of_chunk as u64 + of_content) }
    }

    /// Gathers what waits, up to the next payload of the reader.
    fn gather(&mut self) {
        while self.frame == 0 {
            match self.waiting.pop_front() {
                Some(Outgoing::Message(bytes)) => self.gathered.extend_from_slice(&bytes),
                Some(Outgoing::Content(bytes)) => {
                    self.gathered.extend_from_slice(&bytes);
                    self.content += bytes.len() as u64;
                }
                Some(Outgoing::Frame(length)) => self.frame = length,
                Some(Outgoing::Shutdown) => self.shutdown = true,
                None => return,
            }
        }
    }
}

fn clamp(value: u64, max: usize) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX).min(max)
}
