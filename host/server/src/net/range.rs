//! Peers that an operator names: networks, and the local sockets.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// How the peers of local sockets are written.
const LOCAL: &str = "unix";

/// Peers that are named together: those of a network, or all that connect by a local socket.
///
/// Written as a network (`10.0.0.0/8`, `2001:db8::/32`), an address that stands for itself, or `unix`. An IPv4 address
/// that comes by an IPv6 socket (`::ffff:192.0.2.7`) is the IPv4 address.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_server::net::PeerRange;
///
/// let range: PeerRange = "127.0.0.1".parse()?;
/// assert_eq!(range.to_string(), "127.0.0.1/32");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerRange(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Network(IpNet),
    Local,
}

/// A text is no [`PeerRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write 10.0.0.0/8, 2001:db8::/32, an address alone, or `unix`")]
pub struct PeerRangeError(String);

impl PeerRange {
    fn contains(&self, place: Place) -> bool {
        match (self.0, place) {
            (Kind::Network(network), Place::Ip(address)) => network.contains(&address),
            (Kind::Local, Place::Local) => true,
            _ => false,
        }
    }
}

impl FromStr for PeerRange {
    type Err = PeerRangeError;

    fn from_str(text: &str) -> Result<Self, PeerRangeError> {
        if text == LOCAL {
            return Ok(Self(Kind::Local));
        }
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())));
        network
            .map(|network| Self(Kind::Network(network.trunc())))
            .map_err(|_| PeerRangeError(text.to_owned()))
    }
}

impl fmt::Display for PeerRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Network(network) => network.fmt(f),
            Kind::Local => f.write_str(LOCAL),
        }
    }
}

/// Where the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At an address, whatever the port.
    Ip(IpAddr),
    /// On this machine, by a local socket.
    Local,
    /// It was gone before anybody could ask.
    Unknown,
}

impl Place {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }
}

/// What stands between a server and its senders, as its operator says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    /// Who is believed where a sender is, by what it says in a request.
    pub(crate) trusted: Vec<PeerRange>,
    /// Whose connections begin with a PROXY header.
    pub(crate) announcing: Vec<PeerRange>,
    /// Whose addresses many senders share.
    pub(crate) shared: Vec<PeerRange>,
}

impl Proxies {
    /// Whether the peers of this place are believed where a sender is.
    pub(crate) fn trust(&self, place: Place) -> bool {
        self.trusted.iter().any(|range| range.contains(place))
    }

    /// Whether many senders share this place.
    pub(crate) fn is_shared(&self, place: Place) -> bool {
        self.shared.iter().any(|range| range.contains(place))
    }

    /// Whether the connections from this place begin with a PROXY header.
    pub(crate) fn expect_header(&self, place: Place) -> bool {
        self.announcing.iter().any(|range| range.contains(place))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn contains(range: &str, address: &str) -> bool {
        range.parse::<PeerRange>().unwrap().contains(Place::of(address.parse().unwrap()))
    }

    #[test]
    fn a_range_is_a_network_an_address_or_the_local_sockets() {
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.1.2.3/8", "10.255.0.1"), "what is behind the prefix does not count");
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("2001:db8::/32", "2001:db8:7::1") && !contains("::1", "::2"));
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.7"));
        assert!(contains("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(!contains("0.0.0.0/0", "::1") && !contains("unix", "127.0.0.1"));
        let unix: PeerRange = "unix".parse().unwrap();
        assert!(unix.contains(Place::Local) && !unix.contains(Place::Unknown));
        let all: PeerRange = "::/0".parse().unwrap();
        assert!(!all.contains(Place::Local) && !all.contains(Place::Unknown));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "fe80::1%eth0", "Unix"]
        {
            assert_eq!(
                wrong.parse::<PeerRange>(),
                Err(PeerRangeError(wrong.to_owned())),
                "{wrong}"
            );
        }
    }
}
