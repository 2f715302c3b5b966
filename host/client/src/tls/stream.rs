//! An encrypted connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client;

/// A connection over which everything is encrypted.
///
/// What it takes it may keep until the socket has room. Whoever writes to a socket does not expect that, so it is sent
/// with the next write, or while something is waited for: whoever has written last reads on.
pub(crate) struct TlsStream {
    stream: client::TlsStream<TcpStream>,
    /// Whether something may be kept.
    holds: bool,
}

impl TlsStream {
    pub(super) fn new(stream: client::TlsStream<TcpStream>) -> Self {
        Self { stream, holds: false }
    }

    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.holds {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.holds = false;
        }
        Poll::Ready(Ok(()))
    }

    /// What was written is sent as far as the socket takes it.
    fn wrote(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<io::Result<usize>> {
        self.holds = true;
        match self.poll_held(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A server that takes nothing more may have said why.
        let _ = this.poll_held(cx);
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_held(cx))?;
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.wrote(cx, count)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_held(cx))?;
        let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        this.wrote(cx, count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_held(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
