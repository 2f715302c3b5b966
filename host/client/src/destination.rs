//! Where files are sent.

use std::fmt;
use std::str::FromStr;

use sandport_protocol::sender::http::{HttpUrl, HttpUrlError};

use sandport_protocol::{Address, AddressError};

/// Where files are sent: a Sandport server, or any server that takes uploads over HTTP.
///
/// Written as an [`Address`], or as `http://host/`, `http://host:port/directory/`, or `http://host/name` for a single
/// file.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_client::Destination;
///
/// let server: Destination = "files.example".parse()?;
/// assert_eq!(server.to_string(), "files.example:6542");
/// let server: Destination = "http://files.example/in/".parse()?;
/// assert_eq!(server.to_string(), "http://files.example/in/");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Destination {
    /// A server that speaks the native dialect, or the classic one.
    Sandport(Address),
    /// A server that speaks HTTP.
    Http(HttpUrl),
}

/// Why a text is no [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is no address of HTTP, though it begins like one.
    #[error(transparent)]
    Http(#[from] HttpUrlError),
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => Ok(Self::Http(text.parse()?)),
            _ => Ok(Self::Sandport(text.parse()?)),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandport(address) => address.fmt(f),
            Self::Http(url) => url.fmt(f),
        }
    }
}

impl From<Address> for Destination {
    fn from(address: Address) -> Self {
        Self::Sandport(address)
    }
}

impl From<&Address> for Destination {
    fn from(address: &Address) -> Self {
        Self::Sandport(address.clone())
    }
}

impl From<HttpUrl> for Destination {
    fn from(url: HttpUrl) -> Self {
        Self::Http(url)
    }
}

impl From<&Self> for Destination {
    fn from(destination: &Self) -> Self {
        destination.clone()
    }
}
