//! Where messages begin and end, whatever pieces the connection cuts them into.

use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};

use super::PREFACE;
use crate::FRAME_BYTES_MAX;

/// Most bytes of the length of a frame. [`FRAME_BYTES_MAX`] has three groups of seven bits.
const LENGTH_BYTES_MAX: u32 = 3;

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A message has at least one byte, its case.
    #[error("a frame is empty")]
    Empty,
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame is too long")]
    TooLong,
    /// The length is written with more bytes than it needs.
    #[error("the length of a frame is not in its shortest form")]
    Overlong,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// What is known of the length, and how many of its bytes have come.
    length: usize,
    length_bytes: u32,
    /// Whether the length is whole.
    in_body: bool,
    /// The beginning of a message whose end has not come. It grows with what arrives, not with what
    /// was announced.
    body: Vec<u8>,
}

impl FrameDecoder {
    /// Takes the next frame off the front of `input` and gives the message in it. `None`: `input` was
    /// used up and the frame is not whole yet.
    ///
    /// # Errors
    /// [`FrameError`]. The stream cannot be read on after it.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, FrameError> {
        while !self.in_body {
            if !input.has_remaining() {
                return Ok(None);
            }
            self.length_byte(input.get_u8())?;
        }
        let missing = self.length - self.body.len();
        if self.body.is_empty() && input.len() >= missing {
            *self = Self::default();
            return Ok(Some(input.split_to(missing)));
        }
        let piece = input.split_to(missing.min(input.len()));
        self.body.extend_from_slice(&piece);
        if self.body.len() < self.length {
            return Ok(None);
        }
        Ok(Some(mem::take(self).body.into()))
    }

    /// Whether the last frame is whole and the next has not begun.
    pub fn is_between_frames(&self) -> bool {
        self.length_bytes == 0
    }

    /// How many bytes of the message are known to be missing; 0 where its length is not known.
    pub fn missing(&self) -> usize {
        if self.in_body { self.length - self.body.len() } else { 0 }
    }

    fn length_byte(&mut self, byte: u8) -> Result<(), FrameError> {
        self.length |= usize::from(byte & 0x7f) << (7 * self.length_bytes);
        self.length_bytes += 1;
        if byte & 0x80 != 0 {
            return if self.length_bytes < LENGTH_BYTES_MAX {
                Ok(())
            } else {
                Err(FrameError::TooLong)
            };
        }
        if byte == 0 && self.length_bytes > 1 {
            return Err(FrameError::Overlong);
        }
        match self.length {
            0 => Err(FrameError::Empty),
            length if length > FRAME_BYTES_MAX => Err(FrameError::TooLong),
            _ => {
                self.in_body = true;
                Ok(())
            }
        }
    }
}

/// Compares the first bytes of a side with [`PREFACE`].
#[derive(Debug, Default)]
pub struct PrefaceMatcher {
    matched: usize,
}

impl PrefaceMatcher {
    /// Takes bytes off the front of `input`. `Some(true)`: the preface is whole; `Some(false)`: it is
    /// another; `None`: so far it fits.
    pub fn advance(&mut self, input: &mut Bytes) -> Option<bool> {
        let rest = PREFACE.get(self.matched..).unwrap_or_default();
        let piece = input.split_to(rest.len().min(input.len()));
        if !rest.starts_with(&piece) {
            return Some(false);
        }
        self.matched += piece.len();
        (self.matched == PREFACE.len()).then_some(true)
    }
}
