//! The outputs that a receiver has decided on and its driver has not taken yet.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::{LogLevel, Output};
use crate::{Refusal, UploadId};

/// How many bytes to the peer are gathered at most before they become an output of their own. One
/// read of small messages is answered with one write as long as the answers stay below it. Bytes.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// A queue of outputs. Bytes to the peer are gathered and come last, because nothing else waits for
/// them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    send: Vec<u8>,
    closed: bool,
}

impl Outbox {
    /// Adds bytes to the peer.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        self.send.extend_from_slice(bytes);
        if self.send.len() >= SEND_BYTES_MAX {
            self.flush();
        }
    }

    /// Adds an output other than bytes to the peer and the end.
    pub(super) fn push(&mut self, output: Output) {
        if !self.closed {
            self.queue.push_back(output);
        }
    }

    /// Adds a line for the log.
    pub(super) fn log(&mut self, level: LogLevel, message: String) {
        self.push(Output::Log { level, message });
    }

    /// Ends the connection. Nothing is added after it.
    pub(super) fn close(&mut self, result: Result<(), Refusal>) {
        self.flush();
        self.push(Output::Close(result));
        self.closed = true;
    }

    /// Ends this receiver and not its connection. Nothing is added after it.
    pub(super) fn next(&mut self, unread: usize) {
        self.flush();
        self.push(Output::Next { unread });
        self.closed = true;
    }

    /// Whether the end was decided.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes writes and the commit of an upload back, where the driver has not begun the commit.
    /// Says whether it had not.
    pub(super) fn retract_commit(&mut self, upload: UploadId) -> bool {
        let committed =
            |output: &Output| matches!(output, Output::Commit { id, .. } if *id == upload);
        if !self.queue.iter().any(committed) {
            return false;
        }
        self.queue.retain(|output| {
            !committed(output)
                && !matches!(output, Output::Body { id, .. } | Output::Write { id, .. } if *id == upload)
        });
        true
    }

    /// Takes the next output.
    pub(super) fn poll(&mut self) -> Option<Output> {
        if self.queue.is_empty() {
            self.flush();
        }
        self.queue.pop_front()
    }

    /// Takes bytes to the peer, also from behind other outputs.
    pub(super) fn poll_send(&mut self) -> Option<Bytes> {
        self.flush();
        let at = self.queue.iter().position(|output| matches!(output, Output::Send(_)))?;
        match self.queue.remove(at) {
            Some(Output::Send(bytes)) => Some(bytes),
            _ => None,
        }
    }

    fn flush(&mut self) {
        if !self.send.is_empty() {
            self.queue.push_back(Output::Send(mem::take(&mut self.send).into()));
        }
    }
}
