//! The dialects, told apart by the first byte of a connection.

/// What a connection speaks, going by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The size in decimal digits, `ack`, the bytes.
    Classic,
    /// The Sandport protocol of the WIT interface `wire`.
    Native,
    /// A request of HTTP/1.1, whose methods are upper-case words.
    Http,
    /// A TLS handshake record, which holds the ClientHello.
    Tls,
}

impl Dialect {
    /// The dialect that begins with `byte`, if one does.
    pub const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'0'..=b'9' => Some(Self::Classic),
            0x89 => Some(Self::Native),
            b'A'..=b'Z' => Some(Self::Http),
            0x16 => Some(Self::Tls),
            _ => None,
        }
    }
}
