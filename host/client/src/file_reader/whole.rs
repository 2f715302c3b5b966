//! A whole file or stream, from its beginning to its end.

use sandport_protocol::Digest;
use sandport_protocol::journal::Ranges;

use super::chunk::{Buffer, Chunk, Piece};
use super::content::{self, Content};
use super::exit::{CHUNK_BYTES, Exit};
use crate::FileError;

/// Reads all of the content, for its digest, and hands over what is wanted of it. Gives the last
/// piece, or `None` when nobody listens.
pub(super) fn read(
    content: Content,
    wanted: &Ranges,
    exit: &mut Exit,
) -> Result<Option<Piece>, FileError> {
    let mut source = content::open(content)?;
    let mut hasher = blake3::Hasher::new();
    let mut position = 0u64;
    let mut spare: Option<Vec<u8>> = None;
    loop {
        let Some(mut buffer) = spare.take().or_else(|| exit.buffer(source.size)) else {
            return Ok(None);
        };
        let (is_wanted, border) = wanted.run_at(position);
        let room = usize::try_from(border - position).unwrap_or(usize::MAX).min(buffer.len());
        let count = source.read(&mut buffer[..room], position)?;
        if count == 0 {
            source.check_unchanged()?;
            let digest = Digest::Blake3(*hasher.finalize().as_bytes());
            return Ok(Some(Piece::End { size: position, digest }));
        }
        hasher.update(&buffer[..count]);
        if is_wanted {
            let buffer = Buffer::Own(buffer);
            if !exit.send(Chunk { offset: position, buffer, rest: 0..count }) {
                return Ok(None);
            }
        } else {
            spare = Some(buffer);
        }
        position += count as u64;
    }
}

/// Computes the digest of a whole file.
pub(crate) fn hash(content: Content) -> Result<Digest, FileError> {
    let mut hasher = blake3::Hasher::new();
    read_through(content, |bytes| {
        hasher.update(bytes);
    })?;
    Ok(Digest::Blake3(*hasher.finalize().as_bytes()))
}

/// Reads a whole file, and shows what it reads.
pub(crate) fn read_through(content: Content, mut see: impl FnMut(&[u8])) -> Result<(), FileError> {
    let mut source = content::open(content)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut position = 0;
    loop {
        let count = source.read(&mut buffer, position)?;
        if count == 0 {
            return source.check_unchanged();
        }
        see(&buffer[..count]);
        position += count as u64;
    }
}
