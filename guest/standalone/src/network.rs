//! Listening, by WASI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::report::Failed;

/// Connections that the system keeps while nobody accepts them. As many as the usual limit of Linux
/// for those of one socket (`somaxconn`) lets through.
const BACKLOG: u64 = 4_096;

/// A socket that listens.
pub(crate) struct Listener {
    // Declared before the socket that it belongs to, and dropped before it.
    pub(crate) ready: Pollable,
    socket: TcpSocket,
    pub(crate) address: SocketAddr,
}

/// A connection that was accepted. The streams are declared before the socket that they belong to.
pub(crate) struct Accepted {
    pub(crate) input: InputStream,
    pub(crate) output: OutputStream,
    pub(crate) socket: TcpSocket,
    pub(crate) peer: String,
}

impl Listener {
    /// Listens on `address`.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, Failed> {
        let socket = listen(address).map_err(|code| cannot_listen(address, code))?;
        let bound = socket.local_address().map_err(|code| cannot_listen(address, code))?;
        Ok(Self { ready: socket.subscribe(), socket, address: from_wasi(bound) })
    }

    /// The next connection. `None`: there is none now.
    ///
    /// # Errors
    /// In the system's words; the listener is as it was.
    pub(crate) fn accept(&self) -> Result<Option<Accepted>, String> {
        match self.socket.accept() {
            Ok((socket, input, output)) => {
                let peer = socket.remote_address();
                let peer =
                    peer.map_or_else(|_| "unknown".to_owned(), |it| from_wasi(it).to_string());
                Ok(Some(Accepted { input, output, socket, peer }))
            }
            // The last two: a peer that is gone again.
            Err(
                ErrorCode::WouldBlock | ErrorCode::ConnectionAborted | ErrorCode::ConnectionReset,
            ) => Ok(None),
            Err(code) => Err(words(code)),
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpSocket, ErrorCode> {
    let family = match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    };
    let socket = create_tcp_socket(family)?;
    socket.start_bind(&instance_network(), to_wasi(address))?;
    finish(&socket, TcpSocket::finish_bind)?;
    // A hint: a runtime that does not take it has another.
    let _ = socket.set_listen_backlog_size(BACKLOG);
    socket.start_listen()?;
    finish(&socket, TcpSocket::finish_listen)?;
    Ok(socket)
}

/// Waits for the second half of an operation.
fn finish(
    socket: &TcpSocket,
    half: impl Fn(&TcpSocket) -> Result<(), ErrorCode>,
) -> Result<(), ErrorCode> {
    loop {
        match half(socket) {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            done => return done,
        }
    }
}

fn cannot_listen(address: SocketAddr, code: ErrorCode) -> Failed {
    let (name, condition, hint) = match code {
        ErrorCode::AddressInUse => (
            "address-in-use",
            "the address is in use",
            "stop the other server, or choose another address with --listen; port 0 lets the system \
             choose",
        ),
        ErrorCode::AddressNotBindable => (
            "listen",
            "this machine does not have the address",
            "choose one that it has with --listen, or 0.0.0.0 for all",
        ),
        ErrorCode::AccessDenied => (
            "listen",
            "the runtime does not allow it, or the system does not",
            "let the runtime give network: wasmtime run -S inherit-network …; below port 1024 the \
             system may ask for rights",
        ),
        ErrorCode::NotSupported => (
            "listen",
            "the runtime has no such sockets",
            "choose an address of IPv4, or a runtime with wasi:sockets 0.2",
        ),
        _ => ("listen", "", "look at the state of the network and at the runtime's options"),
    };
    let condition = if condition.is_empty() { words(code) } else { condition.to_owned() };
    Failed::new(name, format!("cannot listen on {address}: {condition}"), hint)
}

fn words(code: ErrorCode) -> String {
    code.name().replace('-', " ")
}

fn to_wasi(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(it) => {
            let [a, b, c, d] = it.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: it.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: it.port(),
                flow_info: it.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: it.scope_id(),
            })
        }
    }
}

fn from_wasi(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(it) => {
            let (a, b, c, d) = it.address;
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), it.port)
        }
        IpSocketAddress::Ipv6(it) => {
            let (a, b, c, d, e, f, g, h) = it.address;
            let ip = Ipv6Addr::new(a, b, c, d, e, f, g, h);
            SocketAddr::V6(SocketAddrV6::new(ip, it.port, it.flow_info, it.scope_id))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_the_same_on_its_way_through_wasi() {
        for text in ["127.0.0.1:7", "[2001:db8::1]:7", "[fe80::1%3]:7"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_wasi(to_wasi(address)), address);
        }
    }
}
