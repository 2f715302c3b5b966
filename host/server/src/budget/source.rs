//! Who counts as one where something is shared out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who counts as one where something is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// All connections from an address of IPv4, also where it comes by an IPv6 socket.
    V4(Ipv4Addr),
    /// All connections from a network of IPv6: the first 64 bits, which one household or one machine has to itself
    /// (RFC 6177).
    V6(u64),
    /// All local connections of somebody who is known, as a number that stands for the name.
    User(u64),
    /// All local connections of those of whom nothing is known.
    Local,
    /// A proxy that is believed, as long as it has not said whose connection it passes on; `None`: it comes by a local
    /// socket.
    Proxy(Option<IpAddr>),
    /// A connection that counts by itself, since many senders share its address.
    Single(u64),
    /// It was gone before anybody could ask.
    Unknown,
}

impl Source {
    /// Where a connection from this address counts.
    pub(crate) fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d].iter().fold(0, |bits, part| bits << 16 | u64::from(*part)))
            }
        }
    }

    /// The address that it is, or the first one of the network; `None`: it is something else.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::V4(address) => Some(address.into()),
            Self::V6(network) => Some(Ipv6Addr::from_bits(u128::from(network) << 64).into()),
            _ => None,
        }
    }

    /// Whether the most for one address holds for it: for all but a proxy, behind which are many.
    pub(crate) fn has_a_most(self) -> bool {
        !matches!(self, Self::Proxy(_))
    }

    /// Whether it stands for somebody who may come back: not for a proxy, behind which are many, nor for one
    /// connection.
    pub(crate) fn is_somebody(self) -> bool {
        matches!(self, Self::V4(_) | Self::V6(_) | Self::User(_) | Self::Local)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(address: &str) -> Source {
        Source::at(address.parse().unwrap())
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_by_either_kind_of_socket() {
        assert_eq!(at("::ffff:192.0.2.7"), at("192.0.2.7"));
        assert_ne!(at("192.0.2.7"), at("192.0.2.8"));
    }

    #[test]
    fn all_addresses_of_a_network_of_ipv6_are_one() {
        assert_eq!(at("2001:db8:0:7::1"), at("2001:db8:0:7:ffff::2"));
        assert_ne!(at("2001:db8:0:7::1"), at("2001:db8:0:8::1"));
        assert_ne!(at("::1"), at("0.0.0.1"));
    }

    #[test]
    fn a_source_has_the_address_that_it_is() {
        assert_eq!(at("::ffff:192.0.2.7").address(), "192.0.2.7".parse().ok());
        assert_eq!(at("2001:db8:0:7::1").address(), "2001:db8:0:7::".parse().ok());
        assert_eq!(Source::Proxy(None).address(), None);
        assert_eq!(Source::Single(7).address(), None);
    }

    #[test]
    fn behind_a_proxy_are_many() {
        assert!(!Source::Proxy(None).has_a_most() && at("192.0.2.7").has_a_most());
        assert!(!Source::Proxy(None).is_somebody() && at("192.0.2.7").is_somebody());
        assert!(!Source::Single(7).is_somebody() && Source::User(7).is_somebody());
    }
}
