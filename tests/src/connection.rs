//! A connection on which a test says what it likes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::Server;
use crate::deadline::{Deadline, PATIENCE};

/// Connects to an address; `unix:/path` too. Neither this nor a read or a write of the socket takes longer
/// than [`PATIENCE`].
///
/// # Errors
/// Nobody listens there.
pub fn connect(address: &str) -> io::Result<Socket> {
    let (domain, to) = match address.strip_prefix("unix:") {
        Some(path) => (Domain::UNIX, SockAddr::unix(path)?),
        None => {
            let to: SocketAddr = address.parse().expect("an address and a port");
            (Domain::for_address(to), to.into())
        }
    };
    connect_from(patient(domain)?, &to)
}

fn connect_from(socket: Socket, to: &SockAddr) -> io::Result<Socket> {
    if to.is_unix() {
        // The time for writes is that for this too.
        #[expect(clippy::disallowed_methods, reason = "the socket has its time")]
        socket.connect(to)?;
    } else {
        socket.connect_timeout(to, PATIENCE)?;
        // Each `say` is a segment of its own.
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

fn patient(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: Socket,
}

impl Connection {
    /// Connects to the first address of the server.
    pub fn open(server: &Server) -> Self {
        Self::to(server.address())
    }

    /// Connects to an address; `unix:/path` too.
    #[track_caller]
    pub fn to(address: &str) -> Self {
        Self::try_to(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// Connects to an address where a server may listen.
    ///
    /// # Errors
    /// None does.
    pub fn try_to(address: &str) -> io::Result<Self> {
        connect(address).map(|stream| Self { stream })
    }

    /// Connects to the first address of the server, from this address of the machine.
    #[track_caller]
    pub fn from(source: IpAddr, server: &Server) -> Self {
        let to: SocketAddr = server.address().parse().expect("an address and a port");
        let socket = patient(Domain::for_address(to)).expect("a socket can be made");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of the machine");
        let stream = connect_from(socket, &to.into());
        Self { stream: stream.unwrap_or_else(|error| panic!("{to}: {error}")) }
    }

    /// This end, as the server names it.
    pub fn name(&self) -> String {
        let address = self.stream.local_addr().expect("a connected socket");
        address.as_socket().map_or_else(|| String::from("unix"), |address| address.to_string())
    }

    /// Sends bytes.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends bytes to a server that may have ended the connection. Whether it took them.
    pub fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) if is_end(&error) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        // The server may have ended the connection.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads that many bytes.
    #[track_caller]
    pub fn hear(&mut self, count: usize) -> Vec<u8> {
        let deadline = Deadline::new();
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let some = self.hear_some(count - bytes.len());
            assert!(!some.is_empty(), "the server has closed after {bytes:?}, not {count} bytes");
            bytes.extend_from_slice(&some);
            deadline.check(format_args!("{count} bytes of an answer, of which came {bytes:?}"));
        }
        bytes
    }

    /// Waits until something comes and reads it, up to `count` bytes. Empty: the server has ended the connection.
    #[track_caller]
    pub fn hear_some(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let count = loop {
            match self.stream.read(&mut bytes) {
                Ok(count) => break count,
                Err(error) if is_end(&error) => break 0,
                // A read with a timeout is not taken up again by itself after the machine was halted.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let missed = Deadline::new().missed("an answer or the end of a connection");
                    panic!("{missed}")
                }
                Err(error) => panic!("the connection fails: {error}"),
            }
        };
        bytes.truncate(count);
        bytes
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub fn hear_all(&mut self) -> Vec<u8> {
        let deadline = Deadline::new();
        let mut all = Vec::new();
        loop {
            deadline.check("the end of a connection");
            let some = self.hear_some(64 * 1024);
            if some.is_empty() {
                return all;
            }
            all.extend_from_slice(&some);
        }
    }

    /// Cuts the connection with a reset, as a process that is killed with unread input does.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO))
            .expect("a socket option");
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
