//! Large buffers for what comes from a socket, used again and again: a fresh megabyte costs 256 page
//! faults, which is a tenth of what moving it costs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Size of one step from the socket into the file, in bytes. Smaller ones pay for more calls, larger
/// ones fall out of the processor's cache between reading, hashing and writing.
pub(super) const STEP_BYTES: usize = 1024 * 1024;

/// Buffers that are kept when nobody uses them. More connections at once only allocate more often.
const KEPT_BUFFERS: usize = 8;

/// The buffers that nobody uses.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// Bytes that `fill` writes into a buffer of [`STEP_BYTES`], of which it says how many they are. The
    /// buffer comes back when the last handle to them is dropped.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(super) fn filled<E>(
        &self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; STEP_BYTES]);
        let mut buffer = Buffer { bytes, length: 0, home: self.clone() };
        let length = fill(&mut buffer.bytes)?;
        buffer.length = length.min(buffer.bytes.len());
        Ok(Bytes::from_owner(buffer))
    }
}

/// A buffer in use.
struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_BUFFERS {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}
