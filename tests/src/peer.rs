//! Peers that the tests play themselves: those who listen, and an address where nobody does.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::deadline::found;

/// Hands each connection to `serve`, one after the other, on a thread for which nobody waits.
pub fn serve(listener: TcpListener, mut serve: impl FnMut(TcpStream) + Send + 'static) {
    thread::spawn(move || {
        #[expect(clippy::disallowed_methods, reason = "nobody waits for this thread")]
        while let Ok((stream, _)) = listener.accept() {
            serve(stream);
        }
    });
}

/// Waits until somebody connects.
#[track_caller]
pub fn accept(listener: &TcpListener, what: &str) -> TcpStream {
    let stream = found(what, || accept_now(listener));
    stream.set_nonblocking(false).expect("a socket option");
    stream
}

/// Whether somebody has connected.
pub fn has_connected(listener: &TcpListener) -> bool {
    accept_now(listener).is_some()
}

fn accept_now(listener: &TcpListener) -> Option<TcpStream> {
    listener.set_nonblocking(true).expect("a socket option");
    #[expect(clippy::disallowed_methods, reason = "it does not wait")]
    match listener.accept() {
        Ok((stream, _)) => Some(stream),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// A port at which nobody listens, and that nobody else gets while this is there.
#[derive(Debug)]
pub struct Nobody(Socket);

impl Nobody {
    /// One of the system's choice.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port is free");
        Self(socket)
    }

    /// Its address.
    pub fn address(&self) -> String {
        let address = self.0.local_addr().expect("it was bound");
        address.as_socket().expect("an address and a port").to_string()
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}
