//! Where a server listens and where a sender connects to, as people write it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::DEFAULT_PORT;

/// The scheme of addresses written as `sandport://host:port`.
const SCHEME: &str = "sandport://";

/// What stands before the path of a local socket.
const UNIX_PREFIX: &str = "unix:";

/// Longest host name in bytes: RFC 1035, section 2.3.4. With room for an IPv6 zone.
const HOST_BYTES_MAX: usize = 255;

/// Longest path of a local socket in bytes: `sun_path` on Linux holds 108, the last one a NUL.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// The address of a server: to listen on, or to connect to.
///
/// Written as `host`, `host:port`, `[v6]:port`, `[v6]`, a bare IPv6 address, `unix:/path`, or
/// `sandport://` before any of the forms with a host. Without a port it is [`DEFAULT_PORT`]. What
/// [`Display`](fmt::Display) writes parses to the same address.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_protocol::Address;
///
/// let address: Address = "files.example".parse()?;
/// assert_eq!(address.to_string(), "files.example:6542");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port of a host.
    Tcp {
        /// A host name, an IPv4 address, or an IPv6 address without brackets (a zone may follow it
        /// after `%`).
        host: String,
        /// The port; 0 lets the system choose one, for listening only.
        port: u16,
    },
    /// A local socket.
    Unix(PathBuf),
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no text.
    #[error("the address is empty")]
    Empty,
    /// There is a port but no host before it.
    #[error(
        "`{0}` names no host: write 127.0.0.1{0} for this machine alone, [::]{0} for every network"
    )]
    NoHost(String),
    /// There are digits alone.
    #[error("`{0}` is a port without a host: write 127.0.0.1:{0}, say")]
    PortAlone(String),
    /// What follows the last colon is not a port.
    #[error("`{0}` is not a port: a port is a number from 0 to 65535")]
    Port(String),
    /// A bracket does not close, encloses no IPv6 address, or is followed by something strange.
    #[error("`{0}` is not an IPv6 address in brackets: write [2001:db8::7]:6542, say")]
    Brackets(String),
    /// A host name with a character that none has, or a colon too many.
    #[error("`{0}` is not a host name or an IP address")]
    Host(String),
    /// A part of a `sandport://` address that has no meaning.
    #[error("a sandport:// address has a host and a port and nothing else, unlike `{0}`")]
    Url(String),
    /// An address as scp and rsync have them: with a user before the host, or a path behind it.
    #[error("`{0}` names a user or a directory of the server: write the host alone, or host:port")]
    Remote(String),
    /// A scheme that is not ours.
    #[error("`{0}` is not a scheme of Sandport: write sandport://host:port, or host:port")]
    Scheme(String),
    /// `unix:` without a path, or with one that is too long.
    #[error(
        "a local socket is written unix:/path, with at most {UNIX_PATH_BYTES_MAX} bytes of path"
    )]
    UnixPath,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
            return parse_unix(path);
        }
        if let Some(rest) = text.strip_prefix(SCHEME) {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            if rest.is_empty() || rest.contains(['/', '?', '#', '@']) {
                return Err(AddressError::Url(text.to_owned()));
            }
            return parse_tcp(rest);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(AddressError::Scheme(scheme.to_owned()));
        }
        parse_tcp(text)
    }
}

fn parse_unix(path: &str) -> Result<Address, AddressError> {
    if path.is_empty() || path.len() > UNIX_PATH_BYTES_MAX || path.contains('\0') {
        return Err(AddressError::UnixPath);
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

fn parse_tcp(text: &str) -> Result<Address, AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let brackets = || AddressError::Brackets(text.to_owned());
        let (host, after) = rest.split_once(']').ok_or_else(brackets)?;
        if !is_ipv6(host) {
            return Err(brackets());
        }
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => DEFAULT_PORT,
            None => return Err(brackets()),
        };
        return Ok(Address::Tcp { host: host.to_owned(), port });
    }
    // `::1:6542` is an IPv6 address too, and read as one: with a port it needs brackets.
    if is_ipv6(text) {
        return Ok(Address::Tcp { host: text.to_owned(), port: DEFAULT_PORT });
    }
    if is_remote(text) {
        return Err(AddressError::Remote(text.to_owned()));
    }
    let (host, port) = match text.split_once(':') {
        Some(("", _)) => return Err(AddressError::NoHost(text.to_owned())),
        Some((host, port)) => {
            if port.contains(':') {
                return Err(AddressError::Host(text.to_owned()));
            }
            (host, parse_port(port)?)
        }
        None => (text, DEFAULT_PORT),
    };
    if host.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::PortAlone(host.to_owned()));
    }
    if !is_host(host) {
        return Err(AddressError::Host(host.to_owned()));
    }
    Ok(Address::Tcp { host: host.to_owned(), port })
}

/// `user@host`, `host:path/of/a/file`, and both.
fn is_remote(text: &str) -> bool {
    let (user, rest) = text.split_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
    let (host, path) = rest.split_once(':').map_or((rest, None), |(host, path)| (host, Some(path)));
    let has_path = path.is_some_and(|path| path.contains(['/', '~']));
    is_host(host) && !host.is_empty() && (has_path || user.is_some_and(|user| !user.is_empty()))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits => Ok(port),
        _ => Err(AddressError::Port(text.to_owned())),
    }
}

/// An IPv6 address, with a zone after `%` where it is link-local.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    text.len() <= HOST_BYTES_MAX && is_zone(zone) && address.parse::<Ipv6Addr>().is_ok()
}

/// The name or the number of a network interface.
fn is_zone(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A name that a resolver may be asked for: letters of any script, digits, `-`, `_` and `.`.
fn is_host(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    text.len() <= HOST_BYTES_MAX
        && !text.starts_with(['-', '.'])
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl From<SocketAddr> for Address {
    /// A link-local address keeps its zone, by the number of the interface: without it nobody can connect.
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            _ => address.ip().to_string(),
        };
        Self::Tcp { host, port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            // A host of this name would be read as a local socket.
            Self::Tcp { host, port } if UNIX_PREFIX.strip_suffix(':') == Some(host) => {
                write!(f, "{SCHEME}{host}:{port}")
            }
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::net::SocketAddrV6;

    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn every_form_of_an_address_is_understood() {
        for (text, expected) in [
            ("localhost", tcp("localhost", 6542)),
            ("files.example:80", tcp("files.example", 80)),
            ("my_host-2:1", tcp("my_host-2", 1)),
            ("127.0.0.1:0", tcp("127.0.0.1", 0)),
            ("0.0.0.0", tcp("0.0.0.0", 6542)),
            ("[::1]:65535", tcp("::1", 65535)),
            ("[::1]", tcp("::1", 6542)),
            ("::1", tcp("::1", 6542)),
            ("::", tcp("::", 6542)),
            ("[fe80::1%eth0]:7", tcp("fe80::1%eth0", 7)),
            ("sandport://files.example", tcp("files.example", 6542)),
            ("sandport://files.example/", tcp("files.example", 6542)),
            ("sandport://[2001:db8::7]:99", tcp("2001:db8::7", 99)),
            ("unix:/run/sandport.sock", Address::Unix("/run/sandport.sock".into())),
            ("unix:here.sock", Address::Unix("here.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_written_parses_to_the_same_address() {
        let texts =
            ["h", "h:1", "[::1]:2", "::1", "[fe80::1%eth0]", "1.2.3.4:5", "unix:/x y", "unix"];
        for text in texts {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn a_link_local_address_keeps_its_zone() {
        let at = |scope| {
            let v6 = SocketAddrV6::new("fe80::1".parse().unwrap(), 7, 0, scope);
            Address::from(SocketAddr::V6(v6)).to_string()
        };
        assert_eq!(at(3), "[fe80::1%3]:7");
        assert_eq!(at(0), "[fe80::1]:7");
        assert_eq!(at(3).parse::<Address>().unwrap().to_string(), at(3));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        use AddressError as E;
        let owned = str::to_owned;
        for (text, expected) in [
            ("", E::Empty),
            (":6542", E::NoHost(owned(":6542"))),
            ("6542", E::PortAlone(owned("6542"))),
            ("host:", E::Port(owned(""))),
            ("host:65536", E::Port(owned("65536"))),
            ("host:+1", E::Port(owned("+1"))),
            ("host:port", E::Port(owned("port"))),
            ("[::1", E::Brackets(owned("[::1"))),
            ("[::1]x", E::Brackets(owned("[::1]x"))),
            ("[host]:1", E::Brackets(owned("[host]:1"))),
            ("a:b:c", E::Host(owned("a:b:c"))),
            ("a b", E::Host(owned("a b"))),
            ("./file", E::Host(owned("./file"))),
            ("-l", E::Host(owned("-l"))),
            ("me@host", E::Remote(owned("me@host"))),
            ("me@host:7", E::Remote(owned("me@host:7"))),
            ("me@host:/srv/in", E::Remote(owned("me@host:/srv/in"))),
            ("host:/srv/in", E::Remote(owned("host:/srv/in"))),
            ("host:in/here", E::Remote(owned("host:in/here"))),
            ("host:~", E::Remote(owned("host:~"))),
            ("./me@host", E::Remote(owned("./me@host"))),
            ("sandport://", E::Url(owned("sandport://"))),
            ("sandport://host/path", E::Url(owned("sandport://host/path"))),
            ("sandport://me@host", E::Url(owned("sandport://me@host"))),
            ("http://host", E::Scheme(owned("http"))),
            ("unix:", E::UnixPath),
        ] {
            assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        }
        assert_eq!(format!("unix:/{}", "x".repeat(107)).parse::<Address>(), Err(E::UnixPath));
    }
}
