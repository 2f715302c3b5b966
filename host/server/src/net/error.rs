//! Why an address cannot be listened on.

use std::io;
use std::path::PathBuf;

use super::Address;
use crate::error_kind::ServerErrorKind;

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
    /// What kind of failure it is.
    pub fn kind(&self) -> ServerErrorKind {
        match self {
            Self::InUse(_) => ServerErrorKind::Temporary,
            Self::Resolve { .. } | Self::NotASocket(_) => ServerErrorKind::Usage,
            Self::Io { .. } => ServerErrorKind::Local,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse(_) => "address-in-use",
            Self::Resolve { .. } => "unresolved",
            Self::NotASocket(_) => "not-a-socket",
            Self::Io { .. } => "listen",
        }
    }
}
