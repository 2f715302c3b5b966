//! A connection, as the HTTP library reads and writes it, and whether anything moves on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::connect::Connection;
use crate::shared::Shared;

/// How much is read at once. Bytes. Answers are short.
const READ_BYTES: usize = 8 * 1024;

/// A connection.
pub(super) struct Wire {
    connection: Connection,
    moved: Arc<Moved>,
}

/// When something last moved.
pub(super) struct Moved {
    at: Shared<Instant>,
    /// The server owes nothing: this side reads a file.
    is_ours: Shared<bool>,
}

impl Moved {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { at: Shared::new(Instant::now()), is_ours: Shared::new(false) })
    }

    /// Something moves.
    pub(super) fn now(&self) {
        self.at.set(Instant::now());
    }

    /// Whether the next step is this side's.
    pub(super) fn set_ours(&self, is_ours: bool) {
        if self.is_ours.replace(is_ours) && !is_ours {
            self.now();
        }
    }

    /// Waits until nothing has moved for so long while the server owed something.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            if self.is_ours.get() {
                self.now();
            }
            let until = self.at.get() + patience;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Wire {
    pub(super) fn new(connection: Connection, moved: Arc<Moved>) -> Self {
        Self { connection, moved }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut room = [0; READ_BYTES];
        let length = room.len().min(into.remaining());
        let mut buffer = ReadBuf::new(&mut room[..length]);
        ready!(Pin::new(&mut this.connection).poll_read(cx, &mut buffer))?;
        this.moved.now();
        into.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.connection).poll_write(cx, bytes))?;
        this.moved.now();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.connection).poll_write_vectored(cx, parts))?;
        this.moved.now();
        Poll::Ready(Ok(count))
    }
}
