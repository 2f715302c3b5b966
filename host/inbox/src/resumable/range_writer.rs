//! What a body of a resumable upload writes through.

use std::sync::Arc;

use sandport_protocol::upload::{BodyId, Grant};
use sandport_protocol::{ContentDigest, Refusal, RefusalCode};

use super::cell::ResumableUpload;
use super::signals::Signals;
use super::volume::Source;
use crate::space::Room;
use crate::sums::Hasher;

/// A body: bytes of one extent, in ascending order. It hashes and writes with nothing locked, by a grant for each
/// piece of a chunk group.
pub(crate) struct RangeWriter {
    resumable: Arc<ResumableUpload>,
    body: BodyId,
    signals: Arc<Signals>,
    claim: Arc<dyn Room>,
    /// Where the next byte goes.
    position: u64,
    /// Bytes that it has taken room for and has not brought.
    reserved: u64,
    /// It has found no room in the quota, and what is stored is being counted.
    waits_for_count: bool,
    /// The hash of what it has brought, where that is to be checked.
    check: Option<Box<Hasher>>,
}

/// A grant that is given back whatever happens.
struct Lent<'a> {
    resumable: &'a Arc<ResumableUpload>,
    grant: Option<Grant>,
}

impl RangeWriter {
    pub(super) fn new(
        resumable: Arc<ResumableUpload>,
        body: BodyId,
        position: u64,
        signals: Arc<Signals>,
        claim: Arc<dyn Room>,
        check: Option<Hasher>,
    ) -> Self {
        let (reserved, waits_for_count) = (0, false);
        // Apart: most have none, and it is large.
        let check = check.map(Box::new);
        Self { resumable, body, signals, claim, position, reserved, waits_for_count, check }
    }

    /// It has brought all. What is to be checked is here by that, if it is what it should be.
    ///
    /// # Errors
    /// As of [`Body::finish`](crate::Body::finish).
    pub(crate) fn finish(mut self, expected: Option<ContentDigest>) -> Result<(), Refusal> {
        let check = self.check.take();
        let fault = || self.signals.fault().cloned();
        match (check, expected) {
            (None, None) => fault().map_or(Ok(()), Err),
            (Some(check), Some(expected)) if check.algorithm() != expected.algorithm => {
                let words = "the digest is of another algorithm than the body was begun with";
                Err(Refusal::new(RefusalCode::UnsupportedVersion, words))
            }
            (Some(check), Some(expected)) => {
                let found = check.digest();
                let ended = self
                    .resumable
                    .act(|state, now| state.upload.end_checked(self.body, found, expected, now));
                ended.map_err(|refusal| fault().unwrap_or(refusal))
            }
            (None, Some(_)) => Err(not_checked()),
            (Some(_), None) => {
                let words = "a body that is to be checked ends with its digest";
                Err(Refusal::new(RefusalCode::InvalidState, words))
            }
        }
    }

    /// How many bytes there is room for; 0: [`Self::has_room`] waits. What is swallowed needs none.
    pub(crate) fn room(&self) -> usize {
        if self.waits_for_count() {
            return 0;
        }
        let room = self.resumable.act(|state, now| state.upload.room(self.body, now));
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Returns once there is room, or nothing is to come any more.
    pub(crate) async fn has_room(&self) {
        loop {
            if let (true, Some(usage)) = (self.waits_for_count(), self.resumable.usage()) {
                usage.count_end().await;
            }
            let changed = self.resumable.room_changed();
            if self.room() > 0 {
                return;
            }
            changed.await;
        }
    }

    /// Takes room for the next write, up to `most` bytes; how many.
    pub(crate) fn reserve(&mut self, most: usize) -> usize {
        let reserve =
            |state: &mut super::cell::State, now| state.upload.reserve(self.body, most as u64, now);
        self.reserved = self.resumable.act(reserve);
        self.waits_for_count = self.finds_count();
        if self.waits_for_count {
            self.reserved = 0;
            self.resumable.act(|state, now| state.upload.pause(self.body, now));
        }
        usize::try_from(self.reserved).unwrap_or(usize::MAX)
    }

    /// Takes room in the quota for what is reserved of a stream; whether there is none, and there may be some when what
    /// is stored is counted.
    fn finds_count(&self) -> bool {
        if self.resumable.facts().size.is_some() || self.signals.fault().is_some() {
            return false;
        }
        let grown = self.resumable.grow(self.position.saturating_add(self.reserved));
        grown.is_err_and(|refusal| refusal.code == RefusalCode::InsufficientSpace)
    }

    fn waits_for_count(&self) -> bool {
        self.waits_for_count && self.resumable.usage().is_some_and(|usage| usage.is_being_counted())
    }

    /// Stages and hashes `bytes`, whether or not there is room for them.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.signals.fault().is_none() {
            self.stage(bytes);
            self.position = self.position.saturating_add(bytes.len() as u64);
        }
        if std::mem::take(&mut self.reserved) != bytes.len() as u64 {
            self.resumable.act(|state, now| state.upload.pause(self.body, now));
        }
    }

    fn stage(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = bytes.len() as u64;
            let claim =
                |state: &mut super::cell::State, now| state.upload.claim(self.body, length, now);
            let Some(grant) = self.resumable.act(claim) else { return };
            let most = usize::try_from(grant.length()).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(most.min(bytes.len()));
            let mut lent = Lent { resumable: &self.resumable, grant: Some(grant) };
            match self.bring(&mut lent, now) {
                Ok(()) => {
                    lent.wrote();
                    if let Some(hasher) = &mut self.check {
                        hasher.update(now);
                    }
                }
                Err(refusal) => return lent.failed(&refusal),
            }
            bytes = later;
        }
    }

    /// Stages and hashes `length` bytes that another upload has, from `from` on, on a thread that may wait for the
    /// disk. Whether they are here: where not, the upload has met a fault or is not held any more.
    pub(crate) fn copy(&mut self, source: &ResumableUpload, mut from: u64, length: u64) -> bool {
        let mut left = length;
        let mut buffer = Vec::new();
        while left > 0 && self.signals.fault().is_none() {
            let claim =
                |state: &mut super::cell::State, now| state.upload.claim(self.body, left, now);
            let Some(grant) = self.resumable.act(claim) else { break };
            let piece = grant.length().min(left);
            buffer.resize(usize::try_from(piece).unwrap_or(0), 0);
            let mut lent = Lent { resumable: &self.resumable, grant: Some(grant) };
            match self.bring_copy(&mut lent, source, from, &mut buffer) {
                Ok(()) => lent.wrote(),
                Err(refusal) => {
                    lent.failed(&refusal);
                    break;
                }
            }
            (from, left) = (from + piece, left - piece);
        }
        let brought = length - left;
        self.position = self.position.saturating_add(brought);
        if std::mem::take(&mut self.reserved) != brought {
            self.resumable.act(|state, now| state.upload.pause(self.body, now));
        }
        left == 0
    }

    fn bring_copy(
        &self,
        lent: &mut Lent<'_>,
        source: &ResumableUpload,
        from: u64,
        bytes: &mut [u8],
    ) -> Result<(), Refusal> {
        let Some(grant) = &mut lent.grant else { return Ok(()) };
        let length = bytes.len() as u64;
        self.resumable.grow(grant.at() + length)?;
        self.claim.bring(length)?;
        let (blob, facts) = (self.resumable.blob(), self.resumable.facts());
        let source = Source { blob: &**source.blob(), facts: source.facts() };
        blob.copy(facts, grant.at(), &source, from, bytes)?;
        // They are written. What was held back before them is not.
        match grant.bring(bytes).and_then(|write| write.held) {
            Some(held) => blob.write(facts, held.at, &held.bytes),
            None => Ok(()),
        }
    }

    fn bring(&self, lent: &mut Lent<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(grant) = &mut lent.grant else { return Ok(()) };
        let length = bytes.len() as u64;
        self.resumable.grow(grant.at() + length)?;
        self.claim.bring(length)?;
        let Some(write) = grant.bring(bytes) else { return Ok(()) };
        let (blob, facts) = (self.resumable.blob(), self.resumable.facts());
        match &write.held {
            Some(held) => blob.write_after(facts, held, write.bytes),
            None => blob.write(facts, write.at, write.bytes),
        }
    }
}

/// Says that nobody has asked for a check.
pub(crate) fn not_checked() -> Refusal {
    let words = "the bytes of this body are not to be checked";
    Refusal::new(RefusalCode::InvalidState, words)
}

impl Lent<'_> {
    fn wrote(mut self) {
        if let Some(grant) = self.grant.take() {
            self.resumable.act(|state, now| state.upload.wrote(grant, now));
        }
    }

    fn failed(&mut self, refusal: &Refusal) {
        if let Some(grant) = self.grant.take() {
            self.resumable.act(|state, now| state.upload.failed(grant, refusal, now));
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A write has panicked. Whoever waits for the grant is not to wait for ever.
        self.failed(&Refusal::new(RefusalCode::Io, "a write was not finished"));
    }
}

impl Drop for RangeWriter {
    fn drop(&mut self) {
        self.resumable.act(|state, now| state.upload.end_body(self.body, now));
    }
}
