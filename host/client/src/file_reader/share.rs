//! One connection's share of a file that several carry.

use std::ops::Range;

use blake3::hazmat::HasherExt;
use bytes::Bytes;
use sandport_protocol::journal::{GROUP_BYTES, group_hasher};

use super::chunk::{Buffer, Chunk, Piece};
use super::content::{self, Content, Opened};
use super::exit::Exit;
use crate::FileError;
use crate::platform;
use crate::range_scheduler::{RangeScheduler, ShareId};

/// Reads and hashes group after group, as the scheduler gives them out, and hands over what the server
/// misses of each. Gives the last piece, or `None` when nobody listens.
pub(super) fn read(
    content: Content,
    scheduler: &RangeScheduler,
    share: ShareId,
    exit: &mut Exit,
) -> Result<Option<Piece>, FileError> {
    let mut source = content::open(content)?;
    let mut spare: Option<Vec<u8>> = None;
    loop {
        let Some(mut buffer) = spare.take().or_else(|| exit.buffer(Some(GROUP_BYTES))) else {
            return Ok(None);
        };
        let Some(taken) = scheduler.take(share) else { break };
        let within = scheduler.range(taken.group);
        let length = length(&within);
        if let Err(error) = source.read_at(&mut buffer[..length], within.start) {
            scheduler.put_back(taken.group);
            return Err(error);
        }
        if !scheduler.is_hashed(taken.group) {
            let mut hasher = group_hasher(taken.group);
            hasher.update(&buffer[..length]);
            scheduler.hashed(taken.group, hasher.finalize_non_root());
        }
        let wanted = if taken.is_sent { scheduler.missing(taken.group) } else { Vec::new() };
        match &wanted[..] {
            [] => spare = Some(buffer),
            [one] => {
                let start = place(one, &within);
                let rest = start..start + self::length(one);
                if !exit.send(Chunk { offset: one.start, buffer: Buffer::Own(buffer), rest }) {
                    return Ok(None);
                }
            }
            // An inbox that keeps less than groups.
            several => {
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                spare = Some(buffer);
                for part in several {
                    let start = place(part, &within);
                    let part_bytes = bytes.slice(start..start + self::length(part));
                    if !exit.send(Chunk::shared(part.start, part_bytes)) {
                        return Ok(None);
                    }
                }
            }
        }
    }
    source.check_unchanged()?;
    Ok(Some(Piece::Dry))
}

/// How many bytes a part of a group has.
fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

/// Where in its group a part begins.
fn place(part: &Range<u64>, group: &Range<u64>) -> usize {
    usize::try_from(part.start - group.start).unwrap_or(usize::MAX)
}

impl Opened {
    /// Fills `buffer` from `offset` on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), FileError> {
        let Some(watched) = &self.watched else { return Err(FileError::Special) };
        match platform::read_exact_at(&watched.file, buffer, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.too_short())
            }
            Err(error) => Err(FileError::Read(error)),
        }
    }
}
