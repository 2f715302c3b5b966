//! What a trusted proxy says of the request that it passes on: `Forwarded` (RFC 7239), or `X-Forwarded-*` where that
//! is not there.
//!
//! Each proxy adds to the end of these lists, and what a client made up stands before. So the last entry counts, which
//! the proxy wrote that the connection comes from.

use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use super::fields::Fields;
use super::parameters::Parameterised;
use super::problem::Problem;
use crate::RefusalCode;

/// What the proxy says. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// Where the client is: an IP address, with or without a port.
    pub(super) address: Option<String>,
    /// The host and the port that the client sent the request to.
    pub(super) host: Option<String>,
    /// Whether the client sent it encrypted.
    pub(super) is_encrypted: Option<bool>,
}

impl Forwarded {
    /// Reads what a trusted proxy has added. What does not parse says nothing, as `unknown` and made-up names do.
    ///
    /// # Errors
    /// The answer where `Forwarded` and `X-Forwarded-*` contradict each other: most proxies write one of them and pass
    /// the other on as the client made it up, and nothing tells which.
    pub(super) fn of(fields: &Fields) -> Result<Self, Problem> {
        let last = |name| fields.tokens(name).last();
        let plain =
            Self::new(last("x-forwarded-for"), last("x-forwarded-host"), last("x-forwarded-proto"));
        // A line by itself: an earlier one, with a quotation mark left open, would swallow it.
        let Some(line) = fields.all("forwarded").last() else { return Ok(plain) };
        let standard = last_element(line)
            .and_then(|element| {
                // An element has the form of the parameters of a value, without the value.
                Parameterised::parse(&alloc::format!(";{element}")).ok()
            })
            .map_or_else(Self::default, |element| {
                Self::new(element.get("for"), element.get("host"), element.get("proto"))
            });
        match plain == Self::default() || plain.agrees(&standard) {
            true => Ok(standard),
            false => Err(Problem::new(
                400,
                RefusalCode::Malformed,
                "Forwarded and X-Forwarded-* of the request contradict each other",
            )),
        }
    }

    /// Whether the other says nothing else of what this one speaks of.
    fn agrees(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || one == other
        }
        let ip = |address: &Option<String>| address.as_deref().and_then(ip_of);
        agree(&ip(&self.address), &ip(&other.address))
            && agree(&self.host, &other.host)
            && agree(&self.is_encrypted, &other.is_encrypted)
    }

    fn new(address: Option<&str>, host: Option<&str>, scheme: Option<&str>) -> Self {
        Self {
            address: address.filter(|address| ip_of(address).is_some()).map(String::from),
            host: host.map(String::from),
            is_encrypted: scheme.map(|scheme| scheme.eq_ignore_ascii_case("https")),
        }
    }
}

/// The last element of a list, in which quoted strings may have commas.
fn last_element(list: &str) -> Option<&str> {
    let mut from = 0;
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => from = at + 1,
            _ => {}
        }
    }
    let last = list.get(from..)?.trim();
    (!is_quoted && !last.is_empty()).then_some(last)
}

/// The IP address of one with or without a port.
fn ip_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn forwarded(lines: &[(&str, &str)]) -> Forwarded {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name, value.as_bytes());
        }
        Forwarded::of(&fields).unwrap()
    }

    fn address(lines: &[(&str, &str)]) -> Option<String> {
        forwarded(lines).address
    }

    #[test]
    fn the_last_proxy_says_where_the_client_is() {
        let expected = Some("192.0.2.7".into());
        assert_eq!(address(&[("X-Forwarded-For", "10.0.0.1, 192.0.2.7")]), expected);
        let two_lines = [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "192.0.2.7")];
        assert_eq!(address(&two_lines), expected);
        assert_eq!(address(&[("Forwarded", "for=10.0.0.1, for=192.0.2.7;proto=https")]), expected);
        let both = [("X-Forwarded-For", "192.0.2.7:80"), ("Forwarded", "For=192.0.2.7")];
        assert_eq!(address(&both), expected);
        let open = [("Forwarded", "for=\"10.0.0.1"), ("Forwarded", "for=192.0.2.7")];
        assert_eq!(address(&open), expected, "a line of the client's swallows none of the proxy's");
    }

    #[test]
    fn what_contradicts_itself_is_not_believed() {
        for (name, value) in [
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-Forwarded-Host", "files.example"),
            ("X-Forwarded-Proto", "http"),
        ] {
            let mut fields = Fields::default();
            fields.push("Forwarded", b"for=192.0.2.7;proto=https");
            fields.push(name, value.as_bytes());
            assert!(Forwarded::of(&fields).is_err(), "{name}");
        }
    }

    #[test]
    fn addresses_come_in_all_of_their_forms() {
        for (text, expected) in [
            (r#"for="[2001:db8::7]:4711""#, Some("[2001:db8::7]:4711")),
            (r#"for="[2001:db8::7]""#, Some("[2001:db8::7]")),
            (r#"for="192.0.2.7:80""#, Some("192.0.2.7:80")),
            ("for=unknown", None),
            ("for=_hidden", None),
            (r#"for="a, for=192.0.2.7"#, None),
            ("for=192.0.2.7,", None),
            ("", None),
        ] {
            assert_eq!(address(&[("Forwarded", text)]).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn host_and_scheme_are_what_the_client_used() {
        let of = forwarded(&[("Forwarded", "for=192.0.2.7;host=files.example;proto=https")]);
        assert_eq!(of.host.as_deref(), Some("files.example"));
        assert_eq!(of.is_encrypted, Some(true));
        let of = forwarded(&[("X-Forwarded-Host", "a.example"), ("X-Forwarded-Proto", "http")]);
        assert_eq!((of.host.as_deref(), of.is_encrypted), (Some("a.example"), Some(false)));
        assert_eq!(forwarded(&[]), Forwarded::default());
    }
}
