//! Large buffers for payload on its way from a socket into a file, used again and again: a fresh
//! megabyte costs 256 page faults, which is a tenth of what moving it costs.

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// Size of one step from the socket into the file, in bytes. Smaller ones pay for more calls, larger
/// ones fall out of the processor's cache between reading, hashing and writing.
pub(super) const STEP_BYTES: usize = 1024 * 1024;

/// Buffers that are kept when nobody uses them. More connections at once only allocate more often.
const KEPT_BUFFERS: usize = 8;

#[derive(Default)]
pub(crate) struct Buffers {
    free: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    /// An empty buffer with room for [`STEP_BYTES`].
    pub(super) fn take(&self) -> BytesMut {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| BytesMut::with_capacity(STEP_BYTES))
    }

    /// Gives a buffer back, if it was one and nobody else holds a part of it.
    pub(super) fn put(&self, bytes: Bytes) {
        if let Ok(buffer) = bytes.try_into_mut() {
            self.put_back(buffer);
        }
    }

    pub(super) fn put_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() >= STEP_BYTES {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < KEPT_BUFFERS {
                free.push(buffer);
            }
        }
    }
}
