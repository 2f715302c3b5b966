//! The PROXY protocol, versions 1 and 2: what a proxy puts before a connection to say whose it is.
//!
//! Source: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. The header is read to its last byte and not
//! beyond: what follows is the sender's, and for the sandbox alone.

use std::io;

use super::Stream;

mod header;

pub(crate) use header::Told;
use header::{belonging, is_whole, understood};

/// How much is looked at in one go. Bytes.
const PEEK_BYTES: usize = 256;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// What came is none.
    #[error("{0}")]
    Malformed(&'static str),
    /// The connection is gone.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header at the beginning of a connection, and nothing behind it.
///
/// # Errors
/// [`HeaderError`]. A part of what came was read then, so the connection is of no use any more.
pub(crate) async fn read_header(stream: &Stream) -> Result<Told, HeaderError> {
    let mut header = Vec::new();
    let mut seen = [0; PEEK_BYTES];
    loop {
        stream.readable().await?;
        let count = match stream.try_peek(&mut seen) {
            Ok(0) if header.is_empty() => return Ok(Told::Nothing),
            Ok(0) => {
                return Err(HeaderError::Malformed("the connection ended within a PROXY header"));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        let own = belonging(&header, &seen[..count]).map_err(HeaderError::Malformed)?;
        // They are there: nobody else reads.
        let read = stream.try_read(&mut seen[..own])?;
        header.extend_from_slice(&seen[..read]);
        if is_whole(&header) {
            return understood(&header).map_err(HeaderError::Malformed);
        }
    }
}

#[cfg(test)]
mod tests;
