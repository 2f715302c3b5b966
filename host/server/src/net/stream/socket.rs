//! A connected socket, with the calls that the sandbox's streams are made of.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::raw::RawStream;

/// A connected socket. All calls take `&self`: the two directions are used independently.
///
/// While it is watched, each packet that arrives wakes a thread, also when nobody waits for one; see
/// [`Socket::unwatch`].
#[derive(Debug)]
pub(super) struct Socket(Mutex<State>);

#[derive(Debug)]
enum State {
    /// The runtime is told what happens to it.
    Watched(Arc<Watched>),
    /// Nobody is, until somebody waits.
    Unwatched(Unwatched),
    /// The system could not change from one to the other, and closed it.
    Lost,
}

#[derive(Debug)]
enum Watched {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
enum Unwatched {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Waits until a read makes sense.
    ///
    /// # Errors
    /// The system's, which cannot watch more sockets.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &*self.watched()? {
            Watched::Tcp(stream) => stream.readable().await,
            Watched::Unix(stream) => stream.readable().await,
        }
    }

    /// Waits until a write makes sense.
    ///
    /// # Errors
    /// As of [`Socket::readable`].
    pub(super) async fn writable(&self) -> io::Result<()> {
        match &*self.watched()? {
            Watched::Tcp(stream) => stream.writable().await,
            Watched::Unix(stream) => stream.writable().await,
        }
    }

    /// Reads what is there. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise the socket's error.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::empty())
    }

    /// Looks at what is there, and leaves it. 0 is the end.
    ///
    /// # Errors
    /// As of [`Socket::try_read`].
    pub(super) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::PEEK)
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; otherwise the socket's error.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let send = |socket: BorrowedFd<'_>| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL);
        // There nearly always is room, and a socket that is watched again is not known to have any until
        // the runtime has heard of it.
        match self.with_socket(send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.try_io(Interest::WRITABLE, send)
            }
            sent => sent,
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// The socket's error; the peer may be gone.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        let how = rustix::net::Shutdown::Write;
        self.with_socket(|socket| rustix::net::shutdown(socket, how))
    }

    /// Sends small segments at once: answers are short and awaited.
    pub(super) fn set_nodelay(&self) {
        // Without it, as on sockets of this machine, the connection is only slower.
        let _ = self.with_socket(|socket| rustix::net::sockopt::set_tcp_nodelay(socket, true));
    }

    /// For whoever is going to read again in any case: until somebody waits, no packet wakes a thread
    /// for nothing. To watch again costs less than one such wake-up.
    pub(super) fn unwatch(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Lost) {
            State::Watched(watched) => match Arc::try_unwrap(watched) {
                Ok(watched) => watched.unwatch().map_or(State::Lost, State::Unwatched),
                // Somebody waits.
                Err(watched) => State::Watched(watched),
            },
            other => other,
        };
    }

    /// The socket as it was accepted.
    ///
    /// # Errors
    /// The system could not watch it, or somebody waits for it.
    pub(super) fn into_raw(self) -> io::Result<RawStream> {
        let watched = match self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            State::Watched(watched) => Arc::try_unwrap(watched).map_err(|_| lost())?,
            State::Unwatched(socket) => socket.watch()?,
            State::Lost => return Err(lost()),
        };
        Ok(match watched {
            Watched::Tcp(stream) => stream.into(),
            Watched::Unix(stream) => stream.into(),
        })
    }

    fn watched(&self) -> io::Result<Arc<Watched>> {
        let mut state = self.state();
        let watched = match std::mem::replace(&mut *state, State::Lost) {
            State::Watched(watched) => watched,
            // What has happened by now is told too.
            State::Unwatched(socket) => Arc::new(socket.watch()?),
            State::Lost => return Err(lost()),
        };
        *state = State::Watched(Arc::clone(&watched));
        Ok(watched)
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        self.try_io(Interest::READABLE, |socket| {
            rustix::net::recv(socket, &mut *buffer, flags).map(|(count, _)| count)
        })
    }

    /// A watched socket is not asked for what it is known not to have.
    fn try_io<T>(
        &self,
        interest: Interest,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let state = self.state();
        match &*state {
            State::Watched(watched) => match &**watched {
                Watched::Tcp(stream) => stream.try_io(interest, || Ok(call(stream.as_fd())?)),
                Watched::Unix(stream) => stream.try_io(interest, || Ok(call(stream.as_fd())?)),
            },
            State::Unwatched(socket) => Ok(call(socket.as_fd())?),
            State::Lost => Err(lost()),
        }
    }

    fn with_socket<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let called = match &*self.state() {
            State::Watched(watched) => call(watched.as_fd()),
            State::Unwatched(socket) => call(socket.as_fd()),
            State::Lost => return Err(lost()),
        };
        called.map_err(io::Error::from)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Mutex::new(State::Watched(Arc::new(Watched::Tcp(stream)))))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self(Mutex::new(State::Watched(Arc::new(Watched::Unix(stream)))))
    }
}

impl Watched {
    fn unwatch(self) -> io::Result<Unwatched> {
        Ok(match self {
            Self::Tcp(stream) => Unwatched::Tcp(stream.into_std()?),
            Self::Unix(stream) => Unwatched::Unix(stream.into_std()?),
        })
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Unwatched {
    fn watch(self) -> io::Result<Watched> {
        Ok(match self {
            Self::Tcp(stream) => Watched::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Watched::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl AsFd for Unwatched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the system could not watch the connection")
}
