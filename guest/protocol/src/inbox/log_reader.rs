//! Reading the receipt log, whatever has become of it.

use alloc::vec::Vec;
use core::ops::Range;

use super::receipt_log::{LOG_HEAD_BYTES, LogEntry, checksum, entry, frame_head};

/// Finds the frames of a log in its bytes, which come piece by piece, from its beginning on.
///
/// Behind what is no frame it goes on at the next one. A checksum of 8 bytes leaves no room for chance, and none of
/// the texts in an entry can have the zero bytes of a length, so nobody can hide a frame in a name.
#[derive(Debug, Default)]
pub struct LogReader {
    /// What is not decided yet, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// Where in the log `start` is.
    offset: u64,
    /// Where the last frame ended.
    end: u64,
}

/// Something in a log.
#[derive(Debug, PartialEq, Eq)]
pub enum LogItem<'a> {
    /// An entry.
    Entry(LogEntry<'a>),
    /// The frame of an entry of a kind that this version does not know.
    Unknown(&'a [u8]),
    /// Bytes that are no frame, before one that is.
    Damaged(Range<u64>),
}

impl LogReader {
    /// Where the last frame ended that was found. Behind it is nothing, or what a crash left.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Takes the next bytes of the log, and calls `each` with what is found in them.
    pub fn handle_bytes(&mut self, bytes: &[u8], each: impl FnMut(LogItem<'_>)) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
        self.find(false, each);
    }

    /// There are no more bytes: a frame that is cut short is none.
    pub fn handle_end(&mut self, each: impl FnMut(LogItem<'_>)) {
        self.find(true, each);
    }

    fn find(&mut self, is_all: bool, mut each: impl FnMut(LogItem<'_>)) {
        loop {
            match frame(&self.buffer[self.start..]) {
                Frame::Short if !is_all => return,
                Frame::Short if self.start == self.buffer.len() => return,
                Frame::Short | Frame::None => {
                    self.start += 1;
                    self.offset += 1;
                }
                Frame::Is(frame) => {
                    if self.offset > self.end {
                        each(LogItem::Damaged(self.end..self.offset));
                    }
                    let payload = &frame[LOG_HEAD_BYTES..];
                    each(entry(payload).map_or(LogItem::Unknown(frame), LogItem::Entry));
                    self.start += frame.len();
                    self.offset += frame.len() as u64;
                    self.end = self.offset;
                }
            }
        }
    }
}

enum Frame<'a> {
    Is(&'a [u8]),
    /// It may become one with more bytes.
    Short,
    None,
}

/// The frame at the beginning of `bytes`.
fn frame(bytes: &[u8]) -> Frame<'_> {
    let Some(head) = bytes.first_chunk::<LOG_HEAD_BYTES>() else {
        return Frame::Short;
    };
    let Some((length, check)) = frame_head(*head) else {
        return Frame::None;
    };
    match bytes.get(LOG_HEAD_BYTES..LOG_HEAD_BYTES + length) {
        None => Frame::Short,
        Some(payload) if checksum(payload) == check => Frame::Is(&bytes[..LOG_HEAD_BYTES + length]),
        Some(_) => Frame::None,
    }
}
