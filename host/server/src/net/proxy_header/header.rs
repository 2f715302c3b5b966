//! The bytes of a header, without the connection on which they come.

use std::net::SocketAddr;

use ppp::{v1, v2};

/// Longest header of version 1 with its line end. Bytes: section 2.1.
const V1_BYTES_MAX: usize = 107;

/// Longest header of version 2. Bytes. Addresses take 52 of IPv6, the rest are what proxies tell of encryption and of
/// their networks: some hundred, and a few thousand with a certificate.
pub(crate) const V2_BYTES_MAX: usize = 8 * 1024;

/// The part of a header of version 2 that says how long it is. Bytes: section 2.2.
const V2_FIXED_BYTES: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The connection is passed on, from this address.
    From(SocketAddr),
    /// The connection is the proxy's own (to see whether the server is there), or comes from where it has no address.
    OwnAddress,
    /// Nothing: the connection ended without a byte.
    Nothing,
}

const NO_HEADER: &str =
    "the connection does not begin with a PROXY header, as those of this proxy do";

/// How many of `next` belong to the header that has begun with `header`, 1 at least.
pub(crate) fn belonging(header: &[u8], next: &[u8]) -> Result<usize, &'static str> {
    let first = header.first().or(next.first());
    let (most, wanted) = match first {
        Some(b'P') => {
            let line_end = next.iter().position(|byte| *byte == b'\n');
            (V1_BYTES_MAX, line_end.map_or(next.len(), |at| at + 1))
        }
        Some(b'\r') => {
            let whole = v2_bytes(header).unwrap_or(V2_FIXED_BYTES);
            (V2_BYTES_MAX, next.len().min(whole - header.len()))
        }
        _ => return Err(NO_HEADER),
    };
    let prefix = if first == Some(&b'P') { &b"PROXY "[..] } else { v2::PROTOCOL_PREFIX };
    let begun = header.iter().chain(&next[..wanted]);
    if begun.zip(prefix).any(|(byte, expected)| byte != expected) {
        return Err(NO_HEADER);
    }
    // Of what one look has seen of a long one, more than fits is not waited for.
    let announced = v2_bytes(header).filter(|_| first == Some(&b'\r')).unwrap_or(0);
    if header.len() + wanted > most || announced > most {
        return Err("the PROXY header is too long");
    }
    Ok(wanted)
}

/// How long a header of version 2 is, once that is known.
fn v2_bytes(header: &[u8]) -> Option<usize> {
    match header.get(V2_FIXED_BYTES - 2..V2_FIXED_BYTES) {
        Some(&[high, low]) => Some(V2_FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Whether all of it is there.
pub(crate) fn is_whole(header: &[u8]) -> bool {
    match header.first() {
        Some(b'P') => header.ends_with(b"\n"),
        _ => v2_bytes(header) == Some(header.len()),
    }
}

/// What a whole header says.
pub(crate) fn understood(header: &[u8]) -> Result<Told, &'static str> {
    if header.starts_with(b"P") { understood_v1(header) } else { understood_v2(header) }
}

fn understood_v1(header: &[u8]) -> Result<Told, &'static str> {
    let malformed = "the PROXY header of version 1 is malformed";
    let parsed = v1::Header::try_from(header).map_err(|_| malformed)?;
    // The parser stops at the first carriage return.
    if parsed.header.len() != header.len() {
        return Err(malformed);
    }
    Ok(match parsed.addresses {
        v1::Addresses::Unknown => Told::OwnAddress,
        v1::Addresses::Tcp4(of) => Told::From((of.source_address, of.source_port).into()),
        v1::Addresses::Tcp6(of) => Told::From((of.source_address, of.source_port).into()),
    })
}

fn understood_v2(header: &[u8]) -> Result<Told, &'static str> {
    let parsed =
        v2::Header::try_from(header).map_err(|_| "the PROXY header of version 2 is malformed")?;
    if parsed.command == v2::Command::Local {
        return Ok(Told::OwnAddress);
    }
    if parsed.protocol == v2::Protocol::Datagram {
        return Err("the PROXY header is of a datagram, and this is a connection");
    }
    Ok(match parsed.addresses {
        v2::Addresses::IPv4(of) => Told::From((of.source_address, of.source_port).into()),
        v2::Addresses::IPv6(of) => Told::From((of.source_address, of.source_port).into()),
        // A local socket of the proxy's machine has no address that means anything here.
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => Told::OwnAddress,
    })
}
