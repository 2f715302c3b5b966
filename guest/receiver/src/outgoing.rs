//! Answers on their way to the peer.

use alloc::vec::Vec;

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::OutputStream;

/// Answers that the connection has not taken yet, in one buffer: many small ones become one write.
pub(crate) struct Outgoing<'a> {
    stream: &'a OutputStream,
    ready: Pollable,
    bytes: Vec<u8>,
    /// The peer takes nothing any more. The end of its input will tell the machine.
    broken: bool,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(stream: &'a OutputStream) -> Self {
        Self { stream, ready: stream.subscribe(), bytes: Vec::new(), broken: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What to poll before [`Outgoing::flush`] can do more, if anything is left.
    pub(crate) fn waits_for(&self) -> Option<&Pollable> {
        (!self.bytes.is_empty()).then_some(&self.ready)
    }

    /// Writes what the connection takes now.
    pub(crate) fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.bytes.len() {
            match self.stream.check_write() {
                Ok(0) => break,
                Ok(room) => {
                    let end = self.bytes.len().min(sent.saturating_add(room as usize));
                    if self.stream.write(&self.bytes[sent..end]).is_err() {
                        self.broken = true;
                    }
                    sent = end;
                }
                Err(_) => self.broken = true,
            }
            if self.broken {
                self.bytes = Vec::new();
                return;
            }
        }
        self.bytes.drain(..sent);
    }

    /// Writes all that is left, however long that takes.
    pub(crate) fn drain(&mut self) {
        loop {
            self.flush();
            match self.waits_for() {
                Some(ready) => ready.block(),
                None => return,
            }
        }
    }
}
