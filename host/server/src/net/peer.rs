//! The other end of a connection.

use std::fmt;
use std::sync::Arc;

use sandport_inbox::Identity;

/// The other end of a connection, as the host knows it. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As `peer.address` of the WIT package has it: `192.0.2.7:52114`, or `unix`.
    pub address: Arc<str>,
    /// Who is there, as far as the connection itself shows it: on a local socket the user whose process
    /// connected, by the kernel's word.
    pub identity: Identity,
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
