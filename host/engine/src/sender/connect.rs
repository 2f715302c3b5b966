//! Connecting to a server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::{Connections, SendError, SendOptions};
use crate::net::Address;

/// What waits in a socket of several to be sent, at most. Bytes. What the system has taken, no other
/// connection can carry, however slow this one turns out to be; it is more than goes out while the sender is
/// woken and fills it again.
const UNSENT_BYTES_MAX: u32 = 256 * 1024;

/// A connection of either kind.
pub(super) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Connects to the first address of the host that answers.
///
/// # Errors
/// [`SendError::Resolve`], [`SendError::Connect`], [`SendError::ConnectTimeout`].
pub(super) async fn connect(to: &Address, options: &SendOptions) -> Result<Connection, SendError> {
    match tokio::time::timeout(options.connect_timeout, connect_any(to, options)).await {
        Ok(connected) => connected,
        Err(_) => Err(SendError::ConnectTimeout {
            to: to.to_string(),
            seconds: options.connect_timeout.as_secs_f64(),
        }),
    }
}

async fn connect_any(to: &Address, options: &SendOptions) -> Result<Connection, SendError> {
    let failed = |source| SendError::Connect { to: to.to_string(), source };
    match to {
        Address::Tcp { host, port } => {
            let resolve = |source| SendError::Resolve { host: host.clone(), source };
            let addresses: Vec<_> =
                tokio::net::lookup_host((host.as_str(), *port)).await.map_err(resolve)?.collect();
            let stream = TcpStream::connect(&addresses[..]).await.map_err(failed)?;
            // Messages are gathered into large writes here; what is left is worth sending at once.
            stream.set_nodelay(true).map_err(failed)?;
            if matches!(options.connections, Connections::Exactly(number) if number.get() > 1) {
                // Without it, a slow connection only holds the others up for longer.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
            }
            Ok(Connection::Tcp(stream))
        }
        Address::Unix(path) => {
            UnixStream::connect(path).await.map(Connection::Unix).map_err(failed)
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
