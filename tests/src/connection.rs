//! A connection on which a test says what it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{PATIENCE, Server};

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
    pub fn to(address: &str) -> Self {
        if let Some(path) = address.strip_prefix("unix:") {
            let socket =
                Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket can be made");
            let to = SockAddr::unix(path).expect("a path that fits an address");
            socket.connect(&to).unwrap_or_else(|error| panic!("{address}: {error}"));
            return Self::patient(socket);
        }
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        Self::of(stream.into())
    }

    /// Connects to the first address of the server, from this address of the machine.
    pub fn from(source: IpAddr, server: &Server) -> Self {
        let server: SocketAddr = server.address().parse().expect("an address and a port");
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)
            .expect("a socket can be made");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of the machine");
        socket.connect(&server.into()).unwrap_or_else(|error| panic!("{server}: {error}"));
        Self::of(socket)
    }

    fn of(stream: Socket) -> Self {
        // Each `say` is a segment of its own.
        stream.set_tcp_nodelay(true).expect("a socket option");
        Self::patient(stream)
    }

    fn patient(stream: Socket) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        Self { stream }
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
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// Reads what there is, up to `count` bytes. Empty: the server has ended the connection.
    pub fn hear_some(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let count = loop {
            match self.stream.read(&mut bytes) {
                Ok(count) => break count,
                Err(error) if is_end(&error) => break 0,
                // A read with a timeout is not taken up again by itself after the machine was halted.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the server neither answers nor closes: {error}"),
            }
        };
        bytes.truncate(count);
        bytes
    }

    /// Reads to the end of the connection.
    pub fn hear_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
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

fn is_end(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
