//! Why an address cannot be listened on.

use std::io;
use std::path::PathBuf;

use super::Address;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody listens there already.
    #[error("{0} is in use already")]
    InUse(Address),
    /// The host name has no address.
    #[error("{address}: the name cannot be resolved: {source}")]
    Resolve {
        /// What was asked for.
        address: Address,
        /// What the resolver said.
        source: io::Error,
    },
    /// The path exists and is not a socket.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("{address}: {source}")]
    Io {
        /// What was asked for.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse(_) => "stop the other server, or choose another address with --listen",
            Self::Resolve { address: Address::Tcp { host, .. }, .. } if host.contains('%') => {
                "check the name of the interface behind the %"
            }
            Self::Resolve { .. } => "give an IP address, such as 127.0.0.1 or [::1]",
            Self::NotASocket(_) => "choose another path; the server replaces only stale sockets",
            Self::Io { address, source } => io_hint(address, source.kind()),
        }
    }
}

fn io_hint(address: &Address, kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match (address, kind) {
        (Address::Unix(_), Kind::NotFound) => "create the directory of the socket first",
        (Address::Unix(_), Kind::PermissionDenied) => {
            "give this user write permission on the directory of the socket, or choose another path"
        }
        (Address::Unix(_), _) => "choose another path for the socket",
        (_, Kind::PermissionDenied) => {
            "choose a port above 1023, or give the program the capability CAP_NET_BIND_SERVICE"
        }
        (_, Kind::AddrNotAvailable) => {
            "choose an address that this machine has; 0.0.0.0 and [::] stand for all of them"
        }
        // What the system calls an invalid argument.
        (_, Kind::InvalidInput) => {
            "a link-local address needs its zone, the name of the interface: [fe80::1%eth0]:6542"
        }
        _ => "choose an address of this machine",
    }
}
