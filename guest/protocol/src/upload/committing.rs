//! How an upload is published, when all of its sessions are through.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::machine::Upload;
use super::mutation::{Mutant, is};
use super::owners::Barrier;
use super::phase::Phase;
use super::work::{Effect, Held, Work};
use crate::{Digest, Millis, Refusal, RefusalCode};

impl Upload {
    pub(super) fn begin_commit(&mut self) {
        let Some(barrier) = self.owners.take_barrier() else {
            self.phase = Phase::Open;
            return;
        };
        match self.check_whole(&barrier) {
            Ok(held) => {
                self.phase = Phase::Committing { barrier, digest: None, is_marked: false };
                match held {
                    Some(held) => self.start(Work::Write(held)),
                    None => self.written(),
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// What was held back of a file, of which all is here.
    ///
    /// # Errors
    /// `digest-mismatch`: not all is here, and it never will be. `cancelled`: a session that joined has left early.
    fn check_whole(&mut self, barrier: &Barrier) -> Result<Option<Held>, Refusal> {
        let size = barrier.size;
        let announced = self.ledger.size();
        if barrier.is_split || announced.is_some_and(|announced| announced != size) {
            let announced = announced.unwrap_or(size);
            return Err(mismatch(format!("{size} bytes were finished of {announced}")));
        }
        if let Some(held) = self.ledger.end(size) {
            return Ok(held);
        }
        if is(Mutant::PublishesHoles) {
            return Ok(None);
        }
        if self.owners.is_joined() {
            let words = "a connection left the upload before it had brought its part";
            return Err(Refusal::new(RefusalCode::Cancelled, words));
        }
        let bytes = self.ledger.whole_bytes();
        Err(mismatch(format!("{bytes} bytes arrived of {size}")))
    }

    pub(super) fn written(&mut self) {
        let Phase::Committing { barrier, .. } = &self.phase else { return };
        let size = barrier.size;
        match self.ledger.root(size) {
            Some(root) => self.hashed(Ok(root)),
            None => self.start(Work::Hash { size }),
        }
    }

    pub(super) fn hashed(&mut self, hashed: Result<Digest, Refusal>) {
        let Phase::Committing { barrier, digest, .. } = &mut self.phase else { return };
        match hashed {
            Ok(computed)
                if barrier.digests.iter().all(|expected| *expected == computed)
                    || is(Mutant::PublishesMismatches) =>
            {
                *digest = Some(computed);
            }
            Ok(_) => {
                let words = "what arrived is not what the digest was computed of";
                self.refuse(mismatch(words.into()));
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(super) fn go_on_committing(&mut self, now: Millis) {
        let Phase::Committing { barrier, digest: Some(digest), is_marked } = &self.phase else {
            return;
        };
        if self.is_working {
            return;
        }
        if *is_marked || self.options.is_named {
            let (size, digest) = (barrier.size, *digest);
            self.start(Work::Publish { size, digest });
            return;
        }
        let is_synced = self.options.boot.is_none();
        if !self.write_down(is_synced, now) {
            // It says the name to a sender that does not hear the receipt, also where nothing is to be kept.
            self.start(Work::Checkpoint { held: None, size: None, entries: Vec::new(), is_synced });
        }
    }

    /// The journal says the name, as far as it can be written: all bodies have ended, and nobody waits for it.
    pub(super) fn mark(&mut self) {
        if let Phase::Committing { digest: Some(_), is_marked, .. } = &mut self.phase {
            *is_marked = true;
        }
    }

    /// The commit has failed. What is here stays for the next try, unless it is not what was to be sent: nobody
    /// can tell which byte is wrong.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let is_wrong = refusal.code == RefusalCode::DigestMismatch;
        if !is(Mutant::ForgetsRefusals) {
            self.effects.push_back(Effect::Refuse(refusal.clone()));
        }
        self.effects.push_back(Effect::Changed);
        self.phase = Phase::Open;
        if is_wrong {
            self.remove(Some(refusal));
        }
    }
}

fn mismatch(words: String) -> Refusal {
    Refusal::new(RefusalCode::DigestMismatch, words)
}
