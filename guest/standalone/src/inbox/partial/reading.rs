//! Reading a file again before it is published: one that an earlier run of the component has written, whose bytes
//! nothing kept others from changing. It goes on a piece at a time, because everybody else waits meanwhile.

use std::rc::Rc;

use blake3::Hasher;
use sandport_protocol::journal::PartialId;
use sandport_protocol::{Digest, Refusal, RefusalCode};

use super::cell::Partial;
use crate::inbox::files::Folder;

/// How much is read between two looks at the connections. Bytes. As much as a turn of one of them may bring.
const PIECE_BYTES: usize = 1024 * 1024;

/// A file that is read again.
pub(super) struct Reading<F: Folder> {
    partial: Rc<Partial<F>>,
    size: u64,
    /// What it has to come to.
    digest: Digest,
    hasher: Box<Hasher>,
    read: u64,
}

impl<F: Folder> Reading<F> {
    pub(super) fn new(partial: &Rc<Partial<F>>, size: u64, digest: Digest) -> Self {
        Self { partial: Rc::clone(partial), size, digest, hasher: Box::default(), read: 0 }
    }

    pub(super) fn is_of(&self, id: PartialId) -> bool {
        self.partial.facts().id == id
    }

    /// Reads a piece; `true`: that was the last, and the upload has heard of it.
    pub(super) fn step(&mut self) -> bool {
        let left = usize::try_from(self.size - self.read).unwrap_or(usize::MAX);
        let piece = match self.partial.read(self.read, left.min(PIECE_BYTES)) {
            Ok(piece) => piece,
            Err(refusal) => {
                self.partial.was_misread(refusal);
                return true;
            }
        };
        self.hasher.update(&piece);
        self.read += piece.len() as u64;
        if self.read < self.size && !piece.is_empty() {
            return false;
        }
        if Digest::Blake3(*self.hasher.finalize().as_bytes()) == self.digest {
            self.partial.was_read(self.size, self.digest);
        } else {
            let words = "what was kept of the file is not what arrived";
            self.partial.was_misread(Refusal::new(RefusalCode::DigestMismatch, words));
        }
        true
    }
}
