//! How senders type the address of a server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use sandport_protocol::{Address, DEFAULT_PORT};

/// How a sender on another machine types the address.
pub(super) fn typed_outward(address: &Address) -> String {
    typed(address, outward)
}

/// How a sender types the address. Nobody can connect to "every network": in its place is the address that
/// other machines know this one by, or that of this machine alone where it has no other.
fn typed(address: &Address, outward: impl FnOnce(IpAddr) -> Option<IpAddr>) -> String {
    let Address::Tcp { host, port } = address else { return address.to_string() };
    let unspecified = host.parse::<IpAddr>().ok().filter(IpAddr::is_unspecified);
    let host = match unspecified {
        None => host.clone(),
        Some(every) => outward(every).unwrap_or(loopback(every)).to_string(),
    };
    let full = Address::Tcp { host, port: *port }.to_string();
    match full.strip_suffix(&format!(":{port}")) {
        Some(host) if *port == DEFAULT_PORT => host.to_owned(),
        _ => full,
    }
}

fn loopback(every: IpAddr) -> IpAddr {
    match every {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The address from which this machine would send to the rest of the world, of the family of `every`.
/// Nothing is sent: connecting a UDP socket only looks for the way.
fn outward(every: IpAddr) -> Option<IpAddr> {
    // Addresses for documentation, which are nobody's: RFC 5737 and RFC 3849. The port is that of `discard`.
    let somewhere: IpAddr = match every {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(every, 0)).ok()?;
    socket.connect(SocketAddr::new(somewhere, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn typed_where(address: &str, outward: Option<&str>) -> String {
        typed(&address.parse().unwrap(), |_| outward.map(|ip| ip.parse().unwrap()))
    }

    #[test]
    fn the_next_command_reaches_the_server() {
        for (address, expected) in [
            ("127.0.0.1:6542", "127.0.0.1"),
            ("[::1]:99", "[::1]:99"),
            ("[fe80::1%eth0]:99", "[fe80::1%eth0]:99"),
            ("0.0.0.0:99", "127.0.0.1:99"),
            ("[::]:6542", "[::1]"),
            ("unix:/run/s", "unix:/run/s"),
        ] {
            assert_eq!(typed_where(address, None), expected);
        }
    }

    #[test]
    fn every_network_is_typed_as_the_address_that_others_know() {
        assert_eq!(typed_where("0.0.0.0:6542", Some("192.0.2.7")), "192.0.2.7");
        assert_eq!(typed_where("[::]:99", Some("2001:db8::7")), "[2001:db8::7]:99");
        assert_eq!(typed_where("127.0.0.1:99", Some("192.0.2.7")), "127.0.0.1:99");
    }
}
