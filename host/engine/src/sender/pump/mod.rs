//! Reading large files and streams on a blocking thread, hashing on the way: a whole file in order
//! ([`whole`]), or one connection's share of it ([`share`]).
//!
//! The thread is one chunk ahead of the connection: it reads and hashes the next while the last is
//! written. The buffers go round.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as threads;

use bytes::Bytes;
use rustix::fs::Advice;
use sandport_protocol::{Digest, Extent};
use tokio::sync::mpsc;

use super::division::{Division, ShareId};
use super::prepare::{self, Links};
use super::{FileError, SendFile, walk};

mod share;
mod whole;

/// One read, one update of the hash, one `data` message, one write to the connection. Large enough that a
/// system call's and a thread hop's cost vanish, small enough to stay in the second-level cache. Bytes.
const CHUNK_BYTES: usize = 1024 * 1024;

/// One chunk being written, one waiting, one being read.
const BUFFERS: usize = 3;

/// What is read.
pub(super) enum Content {
    /// The file at a path, as it was described in the offer. Without a size it is read to its end.
    Path { path: PathBuf, links: Links, size: Option<u64>, modified_ns: Option<i64> },
    /// A file that nobody else changes.
    File { file: File, size: u64 },
    /// A stream up to its end.
    Reader(Box<dyn Read + Send>),
}

impl Content {
    /// The content of a file that was found, by its description.
    pub(super) fn of(file: &SendFile, links: Links) -> Self {
        Self::Path {
            path: file.path.clone(),
            links,
            size: file.size,
            modified_ns: file.modified_ns,
        }
    }
}

/// What comes out.
pub(super) enum Piece {
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
pub(super) struct Chunk {
    /// Where in the file the rest of the chunk belongs.
    pub(super) offset: u64,
    buffer: Buffer,
    rest: Range<usize>,
}

/// Where the bytes of a chunk are.
enum Buffer {
    /// One of the buffers that go round.
    Own(Vec<u8>),
    /// Kept by someone else too.
    Shared(Bytes),
}

impl Chunk {
    /// A chunk of bytes that are kept.
    pub(super) fn shared(offset: u64, bytes: Bytes) -> Self {
        let rest = 0..bytes.len();
        Self { offset, buffer: Buffer::Shared(bytes), rest }
    }

    /// What of it was not taken yet.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Own(buffer) => &buffer[self.rest.clone()],
            Buffer::Shared(bytes) => &bytes[self.rest.clone()],
        }
    }

    /// Takes `count` bytes away.
    pub(super) fn advance(&mut self, count: usize) {
        let count = count.min(self.rest.len());
        self.rest.start += count;
        self.offset += count as u64;
    }
}

/// A running pump. Dropping it ends the thread at its next chunk.
pub(super) struct Pump {
    pieces: mpsc::Receiver<Piece>,
    used: threads::Sender<Vec<u8>>,
}

impl Pump {
    /// Starts to read what `extents` (ascending) of the content asks for. All of the content is read,
    /// for the digest; only what lies in the extents comes out.
    pub(super) fn start(content: Content, extents: Vec<Extent>) -> Self {
        Self::spawn(move |exit| whole::read(content, &extents, exit))
    }

    /// Starts to read a share of a file, until there is nothing in it.
    pub(super) fn share(content: Content, division: Arc<Division>, share: ShareId) -> Self {
        Self::spawn(move |exit| share::read(content, &division, share, exit))
    }

    fn spawn(
        read: impl FnOnce(&mut Exit) -> Result<Option<Piece>, FileError> + Send + 'static,
    ) -> Self {
        let (to_connection, pieces) = mpsc::channel(BUFFERS - 2);
        let (used, returned) = threads::channel();
        tokio::task::spawn_blocking(move || {
            let mut exit = Exit { to_connection, returned, made: 0 };
            let last = match read(&mut exit) {
                Ok(Some(last)) => last,
                Ok(None) => return,
                Err(error) => Piece::Failed(error),
            };
            // An error means that nobody listens any more.
            let _ = exit.to_connection.blocking_send(last);
        });
        Self { pieces, used }
    }

    /// The next piece. Safe to cancel.
    pub(super) async fn next(&mut self) -> Piece {
        match self.pieces.recv().await {
            Some(piece) => piece,
            // The thread sends a last piece before it ends, unless it was never run.
            None => Piece::Failed(FileError::Read(io::Error::other("the reading thread is gone"))),
        }
    }

    /// Gives the buffer of a chunk back.
    pub(super) fn recycle(&self, chunk: Chunk) {
        if let Buffer::Own(buffer) = chunk.buffer {
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

/// Computes the digest of a whole file.
pub(super) fn hash(content: Content) -> Result<Digest, FileError> {
    let mut source = open(content)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut position = 0;
    loop {
        let count = source.read(&mut buffer, position)?;
        if count == 0 {
            source.check_unchanged()?;
            return Ok(Digest::Blake3(*hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..count]);
        position += count as u64;
    }
}

/// Where the thread's pieces go, and its buffers come from.
struct Exit {
    to_connection: mpsc::Sender<Piece>,
    returned: threads::Receiver<Vec<u8>>,
    made: usize,
}

impl Exit {
    /// Hands a chunk over; `false` when nobody listens.
    fn send(&self, chunk: Chunk) -> bool {
        self.to_connection.blocking_send(Piece::Chunk(chunk)).is_ok()
    }

    /// A buffer that is free; `None` when nobody listens.
    #[expect(clippy::disallowed_methods, reason = "the end of the connection ends it")]
    fn buffer(&mut self, size: Option<u64>) -> Option<Vec<u8>> {
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

/// Opened content.
struct Opened {
    reader: Box<dyn Read>,
    /// The size that was offered.
    size: Option<u64>,
    /// A stream has ended. A terminal would begin again after its end.
    at_end: bool,
    /// To be compared at the end.
    watched: Option<Watched>,
}

/// A file that others may write to.
struct Watched {
    file: File,
    /// As it was when it was opened.
    metadata: Metadata,
}

fn open(content: Content) -> Result<Opened, FileError> {
    match content {
        Content::Reader(reader) => Ok(Opened { reader, size: None, at_end: false, watched: None }),
        Content::File { file, size } => {
            Ok(Opened { reader: Box::new(file), size: Some(size), at_end: false, watched: None })
        }
        Content::Path { path, links, size, modified_ns } => {
            let (file, metadata) = prepare::open(&path, links)?;
            // Small files were read before they were offered: their sizes are those of their contents,
            // which the system need not tell.
            let is_told = size.is_some_and(|size| size > prepare::SMALL_BYTES_MAX);
            let is_other = is_told && Some(metadata.len()) != size;
            if is_other || walk::modified_ns(&metadata) != modified_ns {
                return Err(FileError::Changed);
            }
            // Advice only: a file system that takes none reads as well.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
            let watched = Watched { file: file.try_clone().map_err(FileError::Open)?, metadata };
            let reader = Box::new(file);
            Ok(Opened { reader, size, at_end: false, watched: Some(watched) })
        }
    }
}

impl Opened {
    /// Fills `buffer` as far as the content goes; 0 at its end.
    fn read(&mut self, buffer: &mut [u8], position: u64) -> Result<usize, FileError> {
        let room = match self.size {
            Some(size) => usize::try_from(size - position).unwrap_or(usize::MAX).min(buffer.len()),
            None => buffer.len(),
        };
        let mut filled = 0;
        while filled < room && !self.at_end {
            match self.reader.read(&mut buffer[filled..room]) {
                Ok(0) if self.size.is_some() => return Err(self.too_short()),
                Ok(0) => self.at_end = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Read(error)),
            }
        }
        Ok(filled)
    }

    /// Whether the file is still what was offered, at its end.
    fn check_unchanged(&mut self) -> Result<(), FileError> {
        let Some(watched) = &self.watched else { return Ok(()) };
        // Where the size is none that the system tells, only reading shows whether this is the end.
        let may_go_on = self.size.is_some_and(|size| size != watched.metadata.len());
        if !watched.is_unchanged()? || (may_go_on && self.reads_on()?) {
            return Err(FileError::Changed);
        }
        Ok(())
    }

    fn reads_on(&mut self) -> Result<bool, FileError> {
        self.reader.read(&mut [0; 1]).map(|count| count > 0).map_err(FileError::Read)
    }

    /// Why the content has ended before the size that was offered.
    fn too_short(&self) -> FileError {
        match self.watched.as_ref().map(Watched::is_unchanged) {
            Some(Ok(true)) => FileError::WrongSize,
            Some(Err(error)) => error,
            Some(Ok(false)) | None => FileError::Changed,
        }
    }
}

impl Watched {
    /// Whether nobody has written to it since it was opened.
    fn is_unchanged(&self) -> Result<bool, FileError> {
        let now = self.file.metadata().map_err(FileError::Read)?;
        Ok(prepare::is_unchanged(&self.metadata, &now))
    }
}
