//! Where a page comes from, and the names of a machine: what browsers say in `Origin` and in `Host`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest host name in bytes: RFC 1035, section 2.3.4.
const NAME_BYTES_MAX: usize = 253;

/// A name as it stands in `Host` and in an address of a page: in lower case, and ASCII, since browsers write
/// other scripts as `xn--…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

/// A text is no [`HostName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host name: write files.example, without a port; other scripts as xn--…")]
pub struct HostNameError(String);

impl HostName {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let name = text.to_ascii_lowercase();
        if is_name(&name) { Ok(Self(name)) } else { Err(HostNameError(text.to_owned())) }
    }
}

/// Letters, digits, `-` and `_` in parts between dots. A last part of digits alone would be an IPv4 address to a
/// browser (WHATWG URL, section 3.5).
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= NAME_BYTES_MAX
        && name.split('.').all(is_part)
        && !name.rsplit('.').next().is_some_and(is_number)
}

/// Where a page comes from, as a browser says it in the header `Origin` (RFC 6454): scheme, host and port.
///
/// Written as `https://files.example` or `http://[::1]:8080`; upper case, the scheme's own port and a `/` at the end are
/// taken too. [`Display`](fmt::Display) writes what the header has.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_server::net::Origin;
///
/// let origin: Origin = "HTTPS://Files.Example:443".parse()?;
/// assert_eq!(origin.to_string(), "https://files.example");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    is_secure: bool,
    host: OriginHost,
    /// `None`: the scheme's own.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum OriginHost {
    Name(HostName),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// Why a text is not an [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Another scheme, or none.
    #[error(
        "`{0}` is no origin: it begins with http:// or https://, as https://files.example does"
    )]
    Scheme(String),
    /// Something stands behind host and port.
    #[error(
        "`{0}` is more than an origin: write scheme, host and port alone, as https://files.example:8443"
    )]
    More(String),
    /// What stands in the place of the host is none.
    #[error("`{0}` names no host: write https://files.example, say; other scripts as xn--…")]
    Host(String),
    /// What follows the host is no port.
    #[error("`{0}` has no port behind the colon: a port is a number from 1 to 65535")]
    Port(String),
}

impl Origin {
    /// The name in it, where it has one and no IP address.
    pub fn name(&self) -> Option<&HostName> {
        match &self.host {
            OriginHost::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(OriginError::Scheme(text.to_owned()));
        };
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme(text.to_owned())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@', '\\', '*']) {
            return Err(OriginError::More(text.to_owned()));
        }
        // The colons of an IPv6 address are within its brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host = parse_host(host).ok_or_else(|| OriginError::Host(text.to_owned()))?;
        let usual = if is_secure { 443 } else { 80 };
        let port = match port {
            None => None,
            Some(digits) => {
                let is_number =
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|port: &u16| is_number && *port > 0);
                Some(port.ok_or_else(|| OriginError::Port(text.to_owned()))?)
            }
        };
        Ok(Self { is_secure, host, port: port.filter(|port| *port != usual) })
    }
}

fn parse_host(text: &str) -> Option<OriginHost> {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse().ok().map(OriginHost::V6);
    }
    match text.parse() {
        Ok(address) => Some(OriginHost::V4(address)),
        Err(_) => text.parse().ok().map(OriginHost::Name),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure { "https://" } else { "http://" })?;
        match &self.host {
            OriginHost::Name(name) => f.write_str(name.as_str())?,
            OriginHost::V4(address) => write!(f, "{address}")?,
            OriginHost::V6(address) => write!(f, "[{address}]")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, header) in [
            ("https://files.example", "https://files.example"),
            ("HTTPS://Files.Example:443/", "https://files.example"),
            ("http://files.example:443", "http://files.example:443"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:08080", "http://127.0.0.1:8080"),
            ("http://[0:0::1]:6542", "http://[::1]:6542"),
            ("http://[2001:DB8::7]", "http://[2001:db8::7]"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), header, "{text}");
            assert_eq!(origin.to_string().parse(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_its_reason() {
        use OriginError as E;
        type Kind = fn(String) -> E;
        let cases: &[(&str, Kind)] = &[
            ("", E::Scheme),
            ("null", E::Scheme),
            ("files.example", E::Scheme),
            ("ftp://files.example", E::Scheme),
            ("https://files.example/upload", E::More),
            ("https://files.example?", E::More),
            ("https://me@files.example", E::More),
            ("https://*.example", E::More),
            ("https://", E::Host),
            ("https://:443", E::Host),
            ("https://a..b", E::Host),
            ("https://1.2.3", E::Host),
            ("https://bücher.example", E::Host),
            ("https://::1", E::Host),
            ("https://[::1", E::Host),
            ("https://[::1%lo]", E::Host),
            ("https://files.example:", E::Port),
            ("https://files.example:0", E::Port),
            ("https://files.example:+1", E::Port),
            ("https://files.example:65536", E::Port),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Origin>(), Err(expected((*text).to_owned())), "{text}");
        }
    }

    #[test]
    fn a_host_name_is_ascii_and_in_lower_case_without_a_port() {
        assert_eq!("Box-2.Example".parse::<HostName>().unwrap().as_str(), "box-2.example");
        assert_eq!("my_box".parse::<HostName>().unwrap().as_str(), "my_box");
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for wrong in ["", ".", "box.", ".box", "a b", "box:80", "127.0.0.1", "::1", "bücher", &long]
        {
            assert!(wrong.parse::<HostName>().is_err(), "{wrong}");
        }
    }
}
