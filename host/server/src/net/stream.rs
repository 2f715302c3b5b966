//! One connection, with the calls that the sandbox's streams are made of.

mod adapter;
mod raw;
mod socket;

use std::any::Any;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{Peer, Place, zone};
use adapter::Adapter;
pub(crate) use raw::RawStream;
use sandport_inbox::Identity;
use socket::Socket;

/// A connection. All calls take `&self`: the two directions are used independently.
#[derive(Debug)]
pub(crate) struct Stream {
    peer: Peer,
    place: Place,
    protection: Protection,
    transport: Transport,
}

/// Who is at the other end of a connection, without it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) peer: Peer,
    place: Place,
}

/// Whether it is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Protection {
    /// It is not, and need not be.
    None,
    /// It has to be.
    Required,
    /// It is, by TLS that the server ends itself.
    Tls(Session),
}

/// What is known of a session of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The protocol that both ends agreed on.
    pub(crate) protocol: Option<String>,
    /// Bytes that belong to it alone (`tls-exporter`, RFC 9266).
    pub(crate) binding: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Transport {
    Socket(Socket),
    /// Whatever else can be read and written: TLS over a socket, say.
    Other(Adapter),
}

impl Stream {
    /// A connection that somebody else has accepted, from this peer. What is a socket is used as one.
    pub(crate) fn accepted<T>(io: T, peer: Peer) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let place = peer.place();
        let transport = match downcast::<T, TcpStream>(io) {
            Ok(stream) => Transport::Socket(stream.into()),
            Err(io) => match downcast::<T, UnixStream>(io) {
                Ok(stream) => Transport::Socket(stream.into()),
                Err(io) => Transport::Other(Adapter::new(io)),
            },
        };
        Self { peer, place, protection: Protection::None, transport }
    }

    /// The same, where the peer has to encrypt.
    pub(crate) fn require_tls(self) -> Self {
        Self { protection: Protection::Required, ..self }
    }

    /// Whether the peer has to encrypt.
    pub(crate) fn requires_tls(&self) -> bool {
        self.protection == Protection::Required
    }

    /// Whether the peer encrypts, so that it says where what it sends ends: no end is believed but that one.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.session().is_some()
    }

    /// How it is encrypted; `None`: it is not, or not by this server.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.protection {
            Protection::Tls(session) => Some(session),
            Protection::None | Protection::Required => None,
        }
    }

    /// Who is at the other end, and the connection from its first unread byte.
    ///
    /// # Errors
    /// The system's, which could not watch it.
    pub(crate) fn into_raw(self) -> io::Result<(End, RawStream)> {
        let end = End { peer: self.peer, place: self.place };
        let raw = match self.transport {
            Transport::Socket(socket) => socket.into_raw()?,
            Transport::Other(adapter) => adapter.into_raw(),
        };
        Ok((end, raw))
    }

    /// What TLS has made of a connection.
    pub(crate) fn decrypted(
        end: End,
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        session: Session,
    ) -> Self {
        let transport = Transport::Other(Adapter::new(io));
        Self { peer: end.peer, place: end.place, protection: Protection::Tls(session), transport }
    }

    /// A connection that TLS has made nothing of.
    pub(crate) fn undone(end: End, raw: RawStream) -> Self {
        let transport = Transport::Other(Adapter::new(raw));
        Self { peer: end.peer, place: end.place, protection: Protection::Required, transport }
    }

    /// The other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Where the other end is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The other end was gone before anybody could ask who it was.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.place, Place::Unknown)
    }

    /// The other end only passes on what comes from this address.
    pub(crate) fn pass_on(&mut self, from: SocketAddr) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        self.peer.address = from.to_string().into();
        self.place = Place::Ip(from.ip());
    }

    /// Waits until a read makes sense.
    ///
    /// # Errors
    /// The system's, which cannot watch more sockets.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match &self.transport {
            Transport::Socket(socket) => socket.readable().await,
            Transport::Other(adapter) => {
                adapter.readable().await;
                Ok(())
            }
        }
    }

    /// Waits until a write makes sense.
    ///
    /// # Errors
    /// As of [`Stream::readable`].
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match &self.transport {
            Transport::Socket(socket) => socket.writable().await,
            Transport::Other(adapter) => {
                adapter.writable().await;
                Ok(())
            }
        }
    }

    /// Reads what is there. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise that of the connection.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.transport {
            Transport::Socket(socket) => socket.try_read(buffer),
            Transport::Other(adapter) => adapter.try_read(buffer),
        }
    }

    /// Looks at what is there, and leaves it. 0 is the end.
    ///
    /// # Errors
    /// As of [`Stream::try_read`].
    pub(crate) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.transport {
            Transport::Socket(socket) => socket.try_peek(buffer),
            Transport::Other(adapter) => adapter.try_peek(buffer),
        }
    }

    /// Writes what the connection takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; otherwise that of the connection.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.transport {
            Transport::Socket(socket) => socket.try_write(bytes),
            Transport::Other(adapter) => adapter.try_write(bytes),
        }
    }

    /// Passes on what was written and is kept between here and the peer, as encryption may do. `false`: some of it
    /// still is.
    ///
    /// # Errors
    /// That of the connection.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        match &self.transport {
            Transport::Socket(_) => Ok(true),
            Transport::Other(adapter) => adapter.try_flush(),
        }
    }

    /// Waits for the first byte and leaves it where it is. `false`: the peer closed without one.
    ///
    /// # Errors
    /// That of the connection.
    pub(crate) async fn wait_first_byte(&self) -> io::Result<bool> {
        self.peek_first_byte().await.map(|byte| byte.is_some())
    }

    /// The same; which it is.
    ///
    /// # Errors
    /// That of the connection.
    pub(crate) async fn peek_first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0_u8; 1];
        loop {
            self.readable().await?;
            match self.try_peek(&mut byte) {
                Ok(count) => return Ok((count > 0).then_some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// That of the connection; the peer may be gone.
    pub(crate) async fn shutdown_write(&self) -> io::Result<()> {
        match &self.transport {
            Transport::Socket(socket) => socket.shutdown_write(),
            Transport::Other(adapter) => adapter.shutdown_write().await,
        }
    }

    /// Sends small segments at once: answers are short and awaited.
    pub(crate) fn set_nodelay(&self) {
        if let Transport::Socket(socket) = &self.transport {
            socket.set_nodelay();
        }
    }

    /// For whoever is going to read again in any case: until somebody waits, no packet wakes a thread
    /// for nothing. To watch again costs less than one such wake-up.
    pub(crate) fn unwatch(&self) {
        if let Transport::Socket(socket) = &self.transport {
            socket.unwatch();
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        let (address, place) = match stream.peer_addr() {
            Ok(address) => (zone::named(address).to_string().into(), Place::of(address.ip())),
            // It is gone already; reading will say so.
            Err(_) => ("unknown".into(), Place::Unknown),
        };
        let peer = Peer { address, identity: Identity::ANONYMOUS };
        let protection = Protection::None;
        Self { peer, place, protection, transport: Transport::Socket(stream.into()) }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        // SO_PEERCRED: as it was when the other end connected, whatever became of that process since.
        let identity =
            stream.peer_cred().map_or(Identity::ANONYMOUS, |it| Identity::user(it.uid()));
        let peer = Peer::local(identity);
        let (place, protection) = (Place::Local, Protection::None);
        Self { peer, place, protection, transport: Transport::Socket(stream.into()) }
    }
}

/// The value as what it is; or as it came, where it is something else.
fn downcast<T: 'static, U: 'static>(value: T) -> Result<U, T> {
    let mut value = Some(value);
    let taken = (&mut value as &mut dyn Any).downcast_mut::<Option<U>>().and_then(Option::take);
    match (taken, value) {
        (Some(taken), _) => Ok(taken),
        (None, Some(value)) => Err(value),
        (None, None) => unreachable!("only a downcast takes the value"),
    }
}

#[cfg(test)]
mod tests;
