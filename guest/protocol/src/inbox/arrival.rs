//! How much of an upload has arrived, and whether it is what was announced.

use alloc::format;
use alloc::vec::Vec;

use crate::{Digest, Extent, Refusal, RefusalCode};

use super::too_large;

/// The account of one upload whose bytes come in ascending order, one body at a time.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// As announced; `None`: not known.
    size: Option<u64>,
    /// The largest file that the inbox takes.
    max_file_size: Option<u64>,
    bytes: u64,
    /// The number of the body that may write, while it has room and was not dropped.
    body: Option<u64>,
    bodies: u64,
}

/// The right to add the bytes of one extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    number: u64,
    /// Where the extent ends; `None`: not known.
    end: Option<u64>,
}

impl Arrival {
    /// Nothing of a file of `size` bytes, where that is known, in an inbox that takes `max_file_size`.
    pub(super) fn new(size: Option<u64>, max_file_size: Option<u64>) -> Self {
        Self { size, max_file_size, bytes: 0, body: None, bodies: 0 }
    }

    /// As announced; `None`: not known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub(super) fn missing(&self) -> Vec<Extent> {
        let length = match self.size {
            None => None,
            Some(size) if self.bytes < size => Some(size - self.bytes),
            Some(_) => return Vec::new(),
        };
        Vec::from([Extent { offset: self.bytes, length }])
    }

    /// Begins an extent.
    ///
    /// # Errors
    ///
    /// `offset-mismatch`: the extent does not begin where the last one ended, goes beyond the
    /// announced size, or nothing is missing there. `invalid-state`: an earlier body still has room.
    pub(super) fn begin(&mut self, extent: Extent) -> Result<Body, Refusal> {
        if self.body.is_some() {
            let words = "an earlier body of this upload is not finished";
            return Err(Refusal::new(RefusalCode::InvalidState, words));
        }
        let mismatch = |words| Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        if extent.offset != self.bytes {
            return mismatch("bytes have to come in ascending order, without gaps");
        }
        let end = match (extent.length, self.size) {
            (None, Some(size)) if extent.offset == size => {
                return mismatch("all of the file is here");
            }
            (None, size) => size,
            (Some(length), size) => {
                let end = extent.offset.checked_add(length);
                if end.is_none_or(|end| size.is_some_and(|size| end > size)) {
                    return mismatch("the extent goes beyond the announced size");
                }
                end
            }
        };
        self.bodies += 1;
        if end != Some(extent.offset) {
            self.body = Some(self.bodies);
        }
        Ok(Body { number: self.bodies, end })
    }

    /// Whether `body` may add `length` more bytes: to be asked before they are written.
    ///
    /// # Errors
    ///
    /// The fault of the upload: `too-large`, or `offset-mismatch` for more than was announced.
    pub(super) fn check(&self, body: Body, length: u64) -> Result<(), Refusal> {
        let end = self.bytes.checked_add(length);
        let Some(end) = end.filter(|&end| self.max_file_size.is_none_or(|most| end <= most)) else {
            return Err(too_large(self.max_file_size));
        };
        if self.body != Some(body.number) || body.end.is_some_and(|most| end > most) {
            let words = "more bytes than were announced";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        Ok(())
    }

    /// Counts bytes that [`Arrival::check`] let through and that were written.
    pub(super) fn add(&mut self, body: Body, length: u64) {
        self.bytes = self.bytes.saturating_add(length);
        if body.end == Some(self.bytes) {
            self.body = None;
        }
    }

    /// Ends a body, wherever it is.
    pub(super) fn end(&mut self, body: Body) {
        if self.body == Some(body.number) {
            self.body = None;
        }
    }

    /// Whether what arrived is a file of `size` bytes, and of the announced size.
    ///
    /// # Errors
    ///
    /// `digest-mismatch`.
    pub(super) fn check_size(&self, size: u64) -> Result<(), Refusal> {
        if self.bytes == size && self.size.is_none_or(|announced| announced == size) {
            return Ok(());
        }
        let words = format!("{} bytes arrived of {}", self.bytes, self.size.unwrap_or(size));
        Err(Refusal::new(RefusalCode::DigestMismatch, words))
    }
}

/// Whether what arrived has each digest that anybody claimed for it.
///
/// # Errors
///
/// `digest-mismatch`.
pub fn check_digest(
    computed: Digest,
    claimed: impl IntoIterator<Item = Digest>,
) -> Result<(), Refusal> {
    if claimed.into_iter().any(|claimed| claimed != computed) {
        let words = "what arrived is not what the digest was computed of";
        return Err(Refusal::new(RefusalCode::DigestMismatch, words));
    }
    Ok(())
}
