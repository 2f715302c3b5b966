//! Connecting to a server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sandport_protocol::Millis;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::attempts::Attempts;
use super::clock::Clock;
use super::platform::{self, LocalStream};
use super::shared::Shared;
use super::tls::{Connector, TlsStream};
use super::{Options, SendError};
use sandport_protocol::Address;

/// What waits in a socket of several to be sent, at most. Bytes. What the system has taken, no other
/// connection can carry, however slow this one turns out to be; it is more than goes out while the sender is
/// woken and fills it again.
const UNSENT_BYTES_MAX: u32 = 256 * 1024;

/// A connection of any kind.
pub(super) enum Connection {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Local(LocalStream),
}

/// Where the connections of one run go.
///
/// Each goes to the address that has answered the first, as long as that answers: behind one name there may be
/// several servers, and only one of them has what the run has begun.
pub(super) struct Target<'a> {
    to: &'a Address,
    /// What encrypts them; `None`: nothing does.
    tls: Option<&'a Connector>,
    answered: Shared<Option<SocketAddr>>,
}

impl<'a> Target<'a> {
    pub(super) fn new(to: &'a Address, tls: Option<&'a Connector>) -> Self {
        Self { to, tls, answered: Shared::new(None) }
    }

    /// Connects to the address of the host that answers first; the time for it is one for all of them, and for the
    /// handshake of TLS.
    ///
    /// # Errors
    /// [`SendError::Resolve`], [`SendError::Connect`], [`SendError::ConnectTimeout`], [`SendError::Tls`].
    pub(super) async fn connect(&self, options: &Options) -> Result<Connection, SendError> {
        let deadline = Instant::now() + options.connect_timeout;
        let too_late = || SendError::ConnectTimeout {
            to: self.to.to_string(),
            seconds: options.connect_timeout.as_secs_f64(),
        };
        let failed = |source| SendError::Connect { to: self.to.to_string(), source };
        match self.to {
            Address::Unix(path) => {
                match timeout_at(deadline, platform::connect_local(path)).await {
                    Ok(connected) => connected.map(Connection::Local).map_err(failed),
                    Err(_) => Err(too_late()),
                }
            }
            Address::Tcp { host, port } => {
                let resolve = |source| SendError::Resolve { host: host.clone(), source };
                let found = timeout_at(deadline, lookup_host((host.as_str(), *port))).await;
                let found = found.map_err(|_| too_late())?.map_err(resolve)?.collect();
                let attempts = |now| Attempts::new(found, self.answered.get(), now);
                let stream = match race(attempts, deadline).await {
                    Ok(stream) => stream,
                    Err(tried) if tried.is_silent() => return Err(too_late()),
                    Err(tried) => return Err(failed(tried.into_error())),
                };
                // Who is gone again by now has no address.
                self.answered.set(stream.peer_addr().ok());
                // Messages are gathered into large writes here; what is left is worth sending at once.
                stream.set_nodelay(true).map_err(failed)?;
                if options.connections.are_several() {
                    // Without it, a slow connection only holds the others up for longer.
                    platform::bound_unsent(&stream, UNSENT_BYTES_MAX);
                }
                let Some(tls) = self.tls else { return Ok(Connection::Tcp(stream)) };
                let to = self.to.to_string();
                match timeout_at(deadline, tls.connect(stream, host, &to)).await {
                    Ok(secured) => secured.map(|stream| Connection::Tls(Box::new(stream))),
                    Err(_) => Err(too_late()),
                }
            }
        }
    }
}

/// The addresses that were tried in vain.
#[derive(Default)]
struct Tried {
    failed: Vec<(SocketAddr, io::Error)>,
    /// They had not answered at the deadline.
    silent: Vec<SocketAddr>,
}

/// Connects to the first of the addresses that answers.
async fn race(
    attempts: impl FnOnce(Millis) -> Attempts,
    deadline: Instant,
) -> Result<TcpStream, Tried> {
    let clock = Clock::start();
    let mut attempts = attempts(clock.now());
    let mut running = FuturesUnordered::new();
    let mut tried = Tried::default();
    loop {
        while let Some(address) = attempts.poll_start(clock.now()) {
            tried.silent.push(address);
            running.push(async move { (address, TcpStream::connect(address).await) });
        }
        let next = attempts.poll_timeout().map(|at| clock.instant(at));
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                None => return Err(tried),
                Some((_, Ok(stream))) => return Ok(stream),
                Some((address, Err(error))) => {
                    attempts.handle_failure(clock.now());
                    tried.silent.retain(|it| *it != address);
                    tried.failed.push((address, error));
                }
            },
            () = sleep_until(next.unwrap_or(deadline)), if next.is_some() => {}
            () = sleep_until(deadline) => return Err(tried),
        }
    }
}

impl Tried {
    /// Whether all that is known is that nobody answered.
    fn is_silent(&self) -> bool {
        self.failed.is_empty() && !self.silent.is_empty()
    }

    /// Why none was reached: of several addresses with the reason of each, under the kind of the most
    /// telling one.
    fn into_error(mut self) -> io::Error {
        if self.silent.is_empty() && self.failed.len() == 1 {
            return self.failed.remove(0).1;
        }
        let failed = self.failed.iter().map(|(address, error)| (address, error.to_string()));
        let silent = self.silent.iter().map(|address| (address, String::from("no answer")));
        let reasons: Vec<String> =
            failed.chain(silent).map(|(address, why)| format!("{}: {why}", address.ip())).collect();
        let kinds = || self.failed.iter().map(|(_, error)| error.kind());
        // A host that refuses is there, which is more than a network without a way to another address.
        let kind = kinds()
            .find(|kind| *kind == io::ErrorKind::ConnectionRefused)
            .or_else(|| kinds().next())
            .unwrap_or(io::ErrorKind::AddrNotAvailable);
        let words = if reasons.is_empty() {
            String::from("the name has no address")
        } else {
            reasons.join("; ")
        };
        io::Error::new(kind, words)
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
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Local(stream) => Pin::new(stream).poll_read(cx, buf),
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
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Local(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Local(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Local(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Local(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
