//! Zones of link-local addresses, by the names of interfaces.

use std::net::SocketAddr;

use rustix::net::{AddressFamily, SocketType};
use sandport_protocol::Address;

/// The address as people write it: a link-local one has the name of its interface as its zone, or the number where the
/// system does not tell a name, or tells one that no [`Address`] has.
pub(crate) fn named(address: SocketAddr) -> Address {
    let numbered = Address::from(address);
    let SocketAddr::V6(v6) = address else { return numbered };
    let Some(name) = Some(v6.scope_id()).filter(|index| *index != 0).and_then(interface) else {
        return numbered;
    };
    let named = Address::Tcp { host: format!("{}%{name}", v6.ip()), port: v6.port() };
    if named.to_string().parse().as_ref() == Ok(&named) { named } else { numbered }
}

fn interface(index: u32) -> Option<String> {
    // Any socket will do: netdevice(7).
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(socket, index).ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    #[test]
    fn a_link_local_address_has_the_name_of_its_interface() {
        let at = |scope| {
            let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
            named(SocketAddr::V6(SocketAddrV6::new(link_local, 7, 0, scope))).to_string()
        };
        // The loopback interface is the first one of each network namespace.
        assert_eq!(at(1), "[fe80::1%lo]:7");
        assert_eq!(at(u32::MAX), "[fe80::1%4294967295]:7", "there is no such interface");
        assert_eq!(at(0), "[fe80::1]:7");
    }
}
