//! Where files are sent.

use std::fmt;
use std::str::FromStr;

use sandport_protocol::sender::http::{HttpUrl, HttpUrlError};

use sandport_protocol::{Address, AddressError, Fingerprint, FingerprintError};

/// The scheme that a fingerprint stands behind.
const SCHEME: &str = "sandport://";

/// Where files are sent: a Sandport server, or any server that takes uploads over HTTP.
///
/// Written as an [`Address`]; as `sandport://host:port#FINGERPRINT`, which is the address of a server together with
/// the [`Fingerprint`] of its certificate; or as `http://host/`, `https://host:port/directory/`, or `http://host/name` for
/// a single file.
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
    /// The same with TLS, if it has the certificate with this fingerprint.
    Pinned(Address, Fingerprint),
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
    /// What stands behind `#` is no fingerprint.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
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
            Some("sandport") => match text.split_once('#') {
                Some((address, fingerprint)) => {
                    Ok(Self::Pinned(address.parse()?, fingerprint.parse()?))
                }
                None => Ok(Self::Sandport(text.parse()?)),
            },
            _ => Ok(Self::Sandport(text.parse()?)),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandport(address) => address.fmt(f),
            Self::Pinned(address, fingerprint) => {
                // A name that needs the scheme to be read as one has it already.
                let address = address.to_string();
                let address = address.strip_prefix(SCHEME).unwrap_or(&address);
                write!(f, "{SCHEME}{address}#{fingerprint}")
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_link_with_a_fingerprint_is_read_as_it_was_written() {
        let digits = "0a".repeat(32);
        for (text, written) in [
            ("sandport://files.example#FP", "sandport://files.example:6542#FP"),
            ("sandport://[2001:db8::7]:99/#FP", "sandport://[2001:db8::7]:99#FP"),
            ("sandport://unix#FP", "sandport://unix:6542#FP"),
        ] {
            let [text, written] = [text, written].map(|text| text.replace("FP", &digits));
            let destination: Destination = text.parse().unwrap();
            assert!(matches!(destination, Destination::Pinned(..)), "{text}");
            assert_eq!(destination.to_string(), written);
            assert_eq!(written.parse::<Destination>().unwrap(), destination);
        }
    }

    #[test]
    fn a_fingerprint_that_is_none_is_not_left_out() {
        for text in ["sandport://host#", "sandport://host#abc", "sandport://host:1#token"] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(matches!(error, DestinationError::Fingerprint(_)), "{text}: {error}");
        }
        let bare = format!("host#{}", "0a".repeat(32));
        assert!(bare.parse::<Destination>().is_err(), "nobody would see that it is encrypted");
    }
}
