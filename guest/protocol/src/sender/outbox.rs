//! The outputs that a sender has decided on and its driver has not taken yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use super::SenderOutput;

/// A queue of outputs in which messages that follow each other are one.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<SenderOutput>,
    /// The messages after the last output of the queue.
    send: Vec<u8>,
}

impl Outbox {
    /// Adds bytes to the receiver.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.send.extend_from_slice(bytes);
    }

    /// Adds an output other than bytes.
    pub(super) fn push(&mut self, output: SenderOutput) {
        self.flush();
        self.queue.push_back(output);
    }

    /// Whether the driver has taken all.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.send.is_empty()
    }

    /// Takes the next output.
    pub(super) fn poll(&mut self) -> Option<SenderOutput> {
        if self.queue.is_empty() {
            self.flush();
        }
        self.queue.pop_front()
    }

    fn flush(&mut self) {
        if !self.send.is_empty() {
            self.queue.push_back(SenderOutput::Send(mem::take(&mut self.send).into()));
        }
    }
}
