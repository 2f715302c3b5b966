//! One connection, with the calls that the sandbox's streams are made of.

use std::io;

use bytes::BytesMut;
use rustix::net::RecvFlags;
use tokio::net::{TcpStream, UnixStream};

/// A connected socket. All calls take `&self`: the two directions are used independently.
#[derive(Debug)]
pub enum Stream {
    /// Over a network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

impl Stream {
    /// The other end, as `peer.address` of the WIT package has it.
    pub fn peer_address(&self) -> String {
        match self {
            Self::Tcp(stream) => match stream.peer_addr() {
                Ok(address) => address.to_string(),
                // It is gone already; reading will say so.
                Err(_) => String::from("unknown"),
            },
            Self::Unix(_) => String::from("unix"),
        }
    }

    /// Waits until a read makes sense.
    ///
    /// # Errors
    /// As tokio's `readable`.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Waits until a write makes sense.
    ///
    /// # Errors
    /// As tokio's `writable`.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    /// Reads what is there into the spare capacity of `buffer`. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise the socket's error.
    pub fn try_read(&self, buffer: &mut bytes::buf::Limit<&mut BytesMut>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; otherwise the socket's error.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Waits for the first byte and leaves it where it is. `false`: the peer closed without one.
    ///
    /// # Errors
    /// The socket's error.
    pub async fn wait_first_byte(&self) -> io::Result<bool> {
        let mut byte = [0_u8; 1];
        loop {
            self.readable().await?;
            let peeked = match self {
                Self::Tcp(stream) => stream.try_io(tokio::io::Interest::READABLE, || {
                    Ok(rustix::net::recv(stream, &mut byte, RecvFlags::PEEK)?.0)
                }),
                Self::Unix(stream) => stream.try_io(tokio::io::Interest::READABLE, || {
                    Ok(rustix::net::recv(stream, &mut byte, RecvFlags::PEEK)?.0)
                }),
            };
            match peeked {
                Ok(count) => return Ok(count > 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// The socket's error; the peer may be gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let how = rustix::net::Shutdown::Write;
        match self {
            Self::Tcp(stream) => rustix::net::shutdown(stream, how)?,
            Self::Unix(stream) => rustix::net::shutdown(stream, how)?,
        }
        Ok(())
    }

    /// Sends small segments at once: answers are short and awaited.
    pub(crate) fn set_nodelay(&self) {
        if let Self::Tcp(stream) = self {
            // Without it the connection is only slower.
            let _ = stream.set_nodelay(true);
        }
    }
}
