//! The other end of a connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use sandport_inbox::Identity;

use super::{Place, zone};

/// The address of a peer that connects by a local socket.
const LOCAL: &str = "unix";

/// The other end of a connection, as the host knows it. Cloning is cheap.
///
/// ```
/// use std::net::SocketAddr;
///
/// use sandport_inbox::Identity;
/// use sandport_server::net::Peer;
///
/// let peer = Peer::from(SocketAddr::from(([192, 0, 2, 7], 52114)));
/// assert_eq!(peer.to_string(), "192.0.2.7:52114");
/// assert!(peer.identity.is_anonymous());
/// assert_eq!(Peer::local(Identity::user(1000)).to_string(), "unix (uid:1000)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// As `peer.address` of the WIT package has it: `192.0.2.7:52114`, or `unix`.
    pub address: Arc<str>,
    /// Who is there, as far as the connection itself shows it: on a local socket the user whose process
    /// connected, by the kernel's word.
    pub identity: Identity,
}

impl Peer {
    /// One at `address`, of whom the caller knows who it is.
    pub fn new(address: impl Into<Arc<str>>, identity: Identity) -> Self {
        Self { address: address.into(), identity }
    }

    /// One that connects by a local socket.
    pub fn local(identity: Identity) -> Self {
        Self { address: LOCAL.into(), identity }
    }

    /// Where it is, as its address says.
    pub(super) fn place(&self) -> Place {
        if &*self.address == LOCAL {
            return Place::Local;
        }
        match self.address.parse::<SocketAddr>() {
            Ok(address) => Place::of(address.ip()),
            Err(_) => self.address.parse().map_or(Place::Unknown, Place::of),
        }
    }
}

impl From<SocketAddr> for Peer {
    /// One in a network, of whom nothing is known but where it is.
    fn from(address: SocketAddr) -> Self {
        Self { address: zone::named(address).to_string().into(), identity: Identity::ANONYMOUS }
    }
}

impl fmt::Display for Peer {
    /// `192.0.2.7:52114`, `unix (uid:1000)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity.name() {
            Some(name) => write!(f, "{} ({name})", self.address),
            None => f.write_str(&self.address),
        }
    }
}
