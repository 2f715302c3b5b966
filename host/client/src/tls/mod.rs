//! TLS on the sending side: whom to believe that a server is the one that was meant.
//!
//! Without the feature `tls` there is nothing to encrypt with, and what asks for it is refused before anything is sent.

#[cfg(feature = "tls")]
mod connector;
#[cfg(feature = "tls")]
mod pin;
#[cfg(feature = "tls")]
mod stream;

#[cfg(not(feature = "tls"))]
mod absent;

use sandport_protocol::Fingerprint;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Connector, TlsStream};
#[cfg(feature = "tls")]
pub(crate) use connector::Connector;
#[cfg(feature = "tls")]
pub(crate) use stream::TlsStream;

/// Whom to believe.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) enum Trust {
    /// Whoever has a certificate for the name of the host from an authority: one of these, in PEM, or one that the
    /// system knows.
    Authorities(Option<Vec<u8>>),
    /// Whoever has this certificate.
    Pin(Fingerprint),
}

/// What is spoken within: RFC 7301.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) enum Protocol {
    Native,
    Http,
    /// It has no name.
    Classic,
}
