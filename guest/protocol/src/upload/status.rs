//! How far an upload is, for those who only look; and its size, where that is told late.

use alloc::vec::Vec;

use super::ids::SessionId;
use super::machine::{Upload, lost};
use super::mutation::{Mutant, is};
use super::phase::{Next, Phase};
use crate::inbox::too_large;
use crate::{Extent, Millis, Refusal, RefusalCode};

/// How far an upload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadProgress {
    /// How long the file will be; `None`: not known. Bytes.
    pub size: Option<u64>,
    /// How many bytes from the start are here.
    pub received: u64,
    /// How many bytes from the start are kept.
    pub durable: u64,
    /// What is not here, in ascending order.
    pub missing: Vec<Extent>,
}

impl Upload {
    /// How far it is. What is on its way is not here.
    pub fn progress(&self) -> UploadProgress {
        let (received, missing) = self.ledger.here();
        UploadProgress {
            size: self.ledger.size(),
            received,
            durable: self.ledger.durable(),
            missing,
        }
    }

    /// Takes it from those who hold it, who are told that it is `locked`. What they have brought stays, and
    /// is certain when [`Self::is_certain`]. All who are through are left alone: it is being published.
    pub fn settle(&mut self, now: Millis) {
        if let Phase::Open | Phase::Closing { .. } | Phase::Settling(Next::Open) = self.phase {
            let words = "somebody asked how far the upload is, and goes on with it";
            self.evict(&Refusal::new(RefusalCode::Locked, words));
            if self.bodies.lent() > 0 && !is(Mutant::LooksUnsettled) {
                self.phase = Phase::Settling(Next::Open);
            }
        }
        self.advance(now);
    }

    /// Whether it goes on, and all is here that those have brought who have lost it. Where not:
    /// [`Effect::Changed`](super::Effect::Changed) and [`Effect::Gone`](super::Effect::Gone) say when to look again.
    pub fn is_certain(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing { .. })
    }

    /// Whether it is about to be gone, or is: what it has says nothing any more.
    pub fn is_ending(&self) -> bool {
        matches!(
            self.phase,
            Phase::Settling(Next::Remove | Next::Abandon) | Phase::Leaving | Phase::Gone
        )
    }

    /// Says how long the file will be, where that was not known.
    ///
    /// # Errors
    /// `invalid-state`: it is known, and another. `offset-mismatch`: more is here than that. `too-large`. `locked`: the
    /// session has lost the upload.
    pub fn set_size(&mut self, session: SessionId, size: u64, now: Millis) -> Result<(), Refusal> {
        if !self.owners.is_sound(session) {
            return Err(lost());
        }
        match self.ledger.size() {
            Some(known) if known == size => return Ok(()),
            Some(_) => {
                let words = "the size of the upload is known, and is another";
                return Err(Refusal::new(RefusalCode::InvalidState, words));
            }
            None => {}
        }
        if self.options.max_file_size.is_some_and(|most| size > most) {
            return Err(too_large(self.options.max_file_size));
        }
        if self.ledger.end_of_bytes().max(self.bodies.end_of_grants()) > size {
            let words = "more bytes are here than the file is to have";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        self.ledger.set_size(size);
        self.is_size_told = is(Mutant::ForgetsSizes);
        self.advance(now);
        Ok(())
    }
}
