//! Addresses of servers of HTTP, and what these say of other addresses.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

use percent_encoding::percent_decode_str;

use super::encode;

/// What an address begins with.
const SCHEME: &str = "http://";

/// The same with encryption.
const SECURE_SCHEME: &str = "https://";

/// The port of a URL that names none (RFC 9110, section 4.2.1).
const PORT: u16 = 80;

/// The same with encryption (section 4.2.2).
const SECURE_PORT: u16 = 443;

/// Longest address in bytes. RFC 9110 (section 4.1) asks for 8,000 at least.
const URL_BYTES_MAX: usize = 8_000;

/// Where uploads go: `http://host/`, `https://host:port/directory/`, or `http://host/name` for a single file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    /// Whether it is reached with encryption.
    is_secure: bool,
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// Begins with `/`, and is encoded as in a request.
    path: String,
}

/// Why a text is not an [`HttpUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpUrlError {
    /// It begins with another scheme.
    #[error("`{0}` is no http:// or https:// address")]
    Scheme(String),
    /// What stands between `//` and the path is no host with a port.
    #[error("`{0}` names no host, or one that cannot be looked up")]
    Host(String),
    /// A user, a query or a fragment.
    #[error(
        "an http:// or https:// address has a host, a port and a path and nothing else, unlike `{0}`"
    )]
    Part(String),
    /// The path has a `%` that encodes nothing, or it is too long.
    #[error("the path of `{0}` cannot be one")]
    Path(String),
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let owned = || text.to_owned();
        let (is_secure, rest) = split_scheme(text).ok_or_else(|| HttpUrlError::Scheme(owned()))?;
        if rest.contains(['?', '#', '@']) {
            return Err(HttpUrlError::Part(owned()));
        }
        let split = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        let (host, port) = authority_of(authority, usual_port(is_secure))
            .ok_or_else(|| HttpUrlError::Host(owned()))?;
        let path = if path.is_empty() { "/" } else { path };
        if text.len() > URL_BYTES_MAX || !encode::is_encoding_sound(path) {
            return Err(HttpUrlError::Path(owned()));
        }
        Ok(Self { is_secure, host, port, path: encode::path(path) })
    }
}

impl HttpUrl {
    /// Whether it is reached with encryption: it begins with `https`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host: a name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is where files go, under their own names; else it is the name of one.
    pub fn is_collection(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The name that it gives to a single file. `None`: it gives none.
    pub fn file_name(&self) -> Option<String> {
        let last = self.path.rsplit('/').next().filter(|last| !last.is_empty())?;
        Some(percent_decode_str(last).decode_utf8_lossy().into_owned())
    }

    /// The target of a request to it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as the field `Host` has them (RFC 9110, section 7.2).
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        if self.port == usual_port(self.is_secure) { host } else { format!("{host}:{}", self.port) }
    }

    /// The target of a request to a file of this name; `/` separates the parts of it.
    pub(super) fn below(&self, name: &str) -> String {
        format!("{}{}", self.path, encode::name(name))
    }

    /// The target of a request to what a field `Location` says in the answer to a request to `target`.
    ///
    /// # Errors
    /// `None`: it is at another server, or it is none.
    pub(super) fn resolve(&self, target: &str, location: &str) -> Option<String> {
        let location = location.split('#').next().unwrap_or_default();
        let is_sound = location.bytes().all(|byte| byte.is_ascii_graphic());
        if location.is_empty() || location.len() > URL_BYTES_MAX || !is_sound {
            return None;
        }
        let rest = match split_scheme(location) {
            // What is to be encrypted is not sent without, and where it need not be, the other port is another server.
            Some((is_secure, _)) if is_secure != self.is_secure => return None,
            Some((_, rest)) => Some(rest),
            None => location.strip_prefix("//"),
        };
        if let Some(rest) = rest {
            let split = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, target) = rest.split_at(split);
            let (host, port) = authority_of(authority, usual_port(self.is_secure))?;
            let is_here = host.eq_ignore_ascii_case(&self.host) && port == self.port;
            let target =
                if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
            return is_here.then_some(target);
        }
        if location.starts_with('/') {
            return Some(location.to_owned());
        }
        // A scheme that is not ours, before anything that could be a path.
        if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            return None;
        }
        let path = target.split('?').next().unwrap_or_default();
        if location.starts_with('?') {
            return Some(format!("{path}{location}"));
        }
        let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
        Some(format!("{directory}{location}"))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { SECURE_SCHEME } else { SCHEME };
        write!(f, "{scheme}{}{}", self.authority(), self.path)
    }
}

/// What follows a scheme, whose letters may be large.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let first = text.get(..scheme.len())?;
    first.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

/// Whether the scheme asks for encryption, and what follows it.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    let secure = strip_scheme(text, SECURE_SCHEME).map(|rest| (true, rest));
    secure.or_else(|| strip_scheme(text, SCHEME).map(|rest| (false, rest)))
}

fn usual_port(is_secure: bool) -> u16 {
    if is_secure { SECURE_PORT } else { PORT }
}

/// Host and port, which is the usual one where none is there; IPv6 addresses without their brackets.
fn authority_of(text: &str, usual: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        let port = match after.strip_prefix(':') {
            Some(port) => port_of(port, usual)?,
            None => after.is_empty().then_some(usual)?,
        };
        return Some((host.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port_of(port, usual)?),
        None => (text, usual),
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = !host.is_empty() && !host.starts_with(['-', '.']) && host.bytes().all(is_of_name);
    // RFC 1035, section 2.3.4.
    (is_name && host.len() <= 255).then(|| (host.to_owned(), port))
}

/// A port to connect to. No digits mean the usual one (RFC 3986, section 3.2.3).
fn port_of(text: &str, usual: u16) -> Option<u16> {
    if text.is_empty() {
        return Some(usual);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        match text.parse() {
            Ok(url) => url,
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn what_is_written_parses_to_the_same_address() {
        for (text, written) in [
            ("http://files.example", "http://files.example/"),
            ("HTTP://files.example:80/in/", "http://files.example/in/"),
            ("HTTPS://files.example:443/in/", "https://files.example/in/"),
            ("https://files.example:80", "https://files.example:80/"),
            ("http://[::1]:6542/", "http://[::1]:6542/"),
            ("http://192.0.2.7:/a b/\u{e4}%20c", "http://192.0.2.7/a%20b/%C3%A4%20c"),
        ] {
            assert_eq!(format!("{}", url(text)), written);
            assert_eq!(url(written), url(text));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        use HttpUrlError as E;
        let parse = |text: &str| text.parse::<HttpUrl>();
        assert!(url("HTTPS://h").is_secure() && !url("HTTP://h").is_secure());
        for text in
            ["http://", "http:///a", "http://:80/", "http://h:0/", "http://h:x/", "http://[h]/"]
        {
            assert_eq!(parse(text), Err(E::Host(text.to_owned())));
        }
        for text in ["http://me@h/", "http://h/?a", "http://h/#a", "http://h?a"] {
            assert_eq!(parse(text), Err(E::Part(text.to_owned())));
        }
        assert_eq!(parse("ftp://h/"), Err(E::Scheme("ftp://h/".to_owned())));
        assert_eq!(parse("http://h/%zz"), Err(E::Path("http://h/%zz".to_owned())));
    }

    #[test]
    fn names_go_below_a_collection() {
        assert!(url("http://h/").is_collection() && !url("http://h/a").is_collection());
        assert_eq!(url("http://h/in/").below("a/b c?.txt"), "/in/a/b%20c%3F.txt");
    }

    #[test]
    fn a_location_is_followed_at_the_same_server_alone() {
        let at = url("http://h:81/files/");
        let resolve = |location: &str| at.resolve("/files/", location);
        for (location, target) in [
            ("/files/1", "/files/1"),
            ("http://H:81/files/1?x=y#z", "/files/1?x=y"),
            ("//h:81/1", "/1"),
            ("1", "/files/1"),
            ("?upload=1", "/files/?upload=1"),
            ("http://h:81", "/"),
        ] {
            assert_eq!(resolve(location).as_deref(), Some(target), "{location}");
        }
        let secure = url("https://h/files/");
        assert_eq!(secure.resolve("/files/", "https://h:443/1").as_deref(), Some("/1"));
        assert_eq!(secure.resolve("/files/", "//h/1").as_deref(), Some("/1"));
        assert_eq!(
            secure.resolve("/files/", "http://h:443/1"),
            None,
            "nothing is sent in plaintext"
        );
        for location in [
            "http://h/1",
            "https://h:81/1",
            "http://other:81/1",
            "//other:81/1",
            "",
            "data:x",
            "/a b",
            "http://me@h:81/1",
            "/a\r\nb",
        ] {
            assert_eq!(resolve(location), None, "{location}");
        }
    }
}
