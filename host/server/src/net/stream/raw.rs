//! What a connection is made of, for whoever reads and writes it in the way of tokio: encryption, say.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What can be read and written, whatever it is.
pub(super) trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection from its first byte, or from the one behind a PROXY header.
pub(crate) struct RawStream {
    /// Was looked at, and is still to be read.
    peeked: Bytes,
    io: Kind,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Other(Pin<Box<dyn Io>>),
}

impl RawStream {
    pub(super) fn other(peeked: Bytes, io: Pin<Box<dyn Io>>) -> Self {
        Self { peeked, io: Kind::Other(io) }
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match &mut self.get_mut().io {
            Kind::Tcp(stream) => Pin::<&mut TcpStream>::new(stream),
            Kind::Unix(stream) => Pin::<&mut UnixStream>::new(stream),
            Kind::Other(io) => io.as_mut(),
        }
    }
}

impl From<TcpStream> for RawStream {
    fn from(stream: TcpStream) -> Self {
        Self { peeked: Bytes::new(), io: Kind::Tcp(stream) }
    }
}

impl From<UnixStream> for RawStream {
    fn from(stream: UnixStream) -> Self {
        Self { peeked: Bytes::new(), io: Kind::Unix(stream) }
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.peeked.is_empty() {
            let count = self.peeked.len().min(buf.remaining());
            buf.put_slice(&self.peeked[..count]);
            self.peeked.advance(count);
            return Poll::Ready(Ok(()));
        }
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            Kind::Unix(stream) => stream.is_write_vectored(),
            Kind::Other(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream").finish_non_exhaustive()
    }
}
