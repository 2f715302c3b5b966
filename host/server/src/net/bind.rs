//! Binding an address: where a name has several, all of them, on one port.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Address, BindError, zone};

/// How often another port is tried where the system has chosen one that is taken on another address of the
/// same name. Of 28,000 ports few are taken, so that even the second try is seldom.
const PORT_TRIES: u32 = 16;

/// The addresses of a host name, or the one that was written.
///
/// # Errors
/// [`BindError::Resolve`]; what is no TCP address has none.
pub(super) async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, BindError> {
    let failed = |source| BindError::Resolve { address: address.clone(), source };
    let Address::Tcp { host, port } = address else {
        return Err(failed(io::ErrorKind::Unsupported.into()));
    };
    let mut all: Vec<SocketAddr> = Vec::new();
    for found in tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)? {
        // Some resolvers name one twice.
        if !all.contains(&found) {
            all.push(found);
        }
    }
    if all.is_empty() {
        return Err(failed(io::ErrorKind::AddrNotAvailable.into()));
    }
    Ok(all)
}

/// Binds all of them, the addresses of one name. Where they have port 0, the system chooses one port for
/// all. An address of a family that this machine does not have is passed over, and the log says so.
///
/// # Errors
/// [`BindError`], for the first address that cannot be bound; also where no family is there.
pub(super) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Socket>, BindError> {
    let bound = bind_each(addresses, bind_tcp, local_port, is_absent);
    let (sockets, passed_over) = bound.map_err(|(address, source)| {
        let address = zone::named(address);
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            _ => BindError::Io { address, source },
        }
    })?;
    for (address, error) in passed_over {
        let address = zone::named(address);
        tracing::warn!(%address, %error, "not listening there: this machine lacks its address family");
    }
    Ok(sockets)
}

/// An address that could not be bound, and why.
type Failed = (SocketAddr, io::Error);

/// The rule of [`bind_all`]. Gives what was bound, and what was passed over.
fn bind_each<S>(
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<S>,
    port_of: impl Fn(&S) -> io::Result<u16>,
    is_absent: impl Fn(SocketAddr) -> bool,
) -> Result<(Vec<S>, Vec<Failed>), Failed> {
    let mut tries = 0;
    'ports: loop {
        tries += 1;
        let (mut bound, mut passed_over) = (Vec::new(), Vec::new());
        let mut chosen = None;
        for &address in addresses {
            let mut wanted = address;
            if let Some(port) = chosen {
                wanted.set_port(port);
            }
            match bind(wanted) {
                Ok(socket) => {
                    if address.port() == 0 && chosen.is_none() && addresses.len() > 1 {
                        chosen = Some(port_of(&socket).map_err(|error| (address, error))?);
                    }
                    bound.push(socket);
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && chosen.is_some()
                        && tries < PORT_TRIES =>
                {
                    continue 'ports;
                }
                Err(error) if is_absent(address) => passed_over.push((address, error)),
                Err(error) => return Err((wanted, error)),
            }
        }
        return match bound.is_empty().then(|| passed_over.swap_remove(0)) {
            Some(first) => Err(first),
            None => Ok((bound, passed_over)),
        };
    }
}

/// Whether this machine lacks the family of the address: it cannot even bind its loopback address.
fn is_absent(address: SocketAddr) -> bool {
    let loopback = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    };
    bind_tcp(loopback).is_err_and(|error| {
        let no_sockets = error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
        no_sockets || error.kind() == io::ErrorKind::AddrNotAvailable
    })
}

fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    address.map(|it| it.port()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME-WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` can then both be listened on, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use super::*;

    const V4: &str = "127.0.0.1:0";
    const V6: &str = "[::1]:0";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Binds on a machine that gives the ports 1000, 1001 and so on, and on which `refuse` decides.
    fn bind_on(
        texts: &[&str],
        refuse: impl Fn(SocketAddr) -> Option<io::ErrorKind>,
        is_absent: impl Fn(SocketAddr) -> bool,
    ) -> Result<(Vec<SocketAddr>, usize), (SocketAddr, io::ErrorKind)> {
        let next = RefCell::new(1_000);
        let bind = |address: SocketAddr| {
            if let Some(kind) = refuse(address) {
                return Err(kind.into());
            }
            let mut bound = address;
            if address.port() == 0 {
                bound.set_port(next.replace_with(|next| *next + 1));
            }
            Ok(bound)
        };
        bind_each(&addresses(texts), bind, |bound| Ok(bound.port()), is_absent)
            .map(|(bound, passed_over)| (bound, passed_over.len()))
            .map_err(|(address, error)| (address, error.kind()))
    }

    #[test]
    fn all_addresses_of_a_name_are_bound_on_one_port() {
        let bound = bind_on(&[V6, V4], |_| None, |_| false);
        assert_eq!(bound, Ok((addresses(&["[::1]:1000", "127.0.0.1:1000"]), 0)));
        let bound = bind_on(&["[::1]:7", "127.0.0.1:7"], |_| None, |_| false);
        assert_eq!(bound, Ok((addresses(&["[::1]:7", "127.0.0.1:7"]), 0)));
    }

    #[test]
    fn another_port_is_tried_where_one_is_free_on_one_address_alone() {
        let taken_below = |port| {
            move |address: SocketAddr| {
                (address.is_ipv4() && address.port() < port).then_some(io::ErrorKind::AddrInUse)
            }
        };
        let bound = bind_on(&[V6, V4], taken_below(1_003), |_| false);
        assert_eq!(bound, Ok((addresses(&["[::1]:1003", "127.0.0.1:1003"]), 0)));
        let (address, kind) = bind_on(&[V6, V4], taken_below(u16::MAX), |_| false).unwrap_err();
        assert_eq!((address.is_ipv4(), kind), (true, io::ErrorKind::AddrInUse), "not for ever");
    }

    #[test]
    fn a_port_that_was_asked_for_is_not_exchanged() {
        let in_use = |address: SocketAddr| address.is_ipv4().then_some(io::ErrorKind::AddrInUse);
        let failed = bind_on(&["[::1]:7", "127.0.0.1:7"], in_use, |_| false);
        assert_eq!(failed, Err((addresses(&["127.0.0.1:7"])[0], io::ErrorKind::AddrInUse)));
    }

    #[test]
    fn an_absent_family_is_passed_over_where_another_is_there() {
        let gone =
            |address: SocketAddr| address.is_ipv6().then_some(io::ErrorKind::AddrNotAvailable);
        let bound = bind_on(&[V6, V4], gone, |address| address.is_ipv6());
        assert_eq!(bound, Ok((addresses(&["127.0.0.1:1000"]), 1)));
        let failed = bind_on(&[V6], gone, |address| address.is_ipv6());
        assert_eq!(failed, Err((addresses(&[V6])[0], io::ErrorKind::AddrNotAvailable)));
        let failed = bind_on(&[V6, V4], gone, |_| false);
        assert!(failed.is_err(), "the family is there: it is another machine's address");
    }
}
