//! What a connection has of an upload that can be resumed.

use std::rc::Rc;

use sandport_protocol::upload::{BodyId, SessionId};
use sandport_protocol::{Digest, EntryName, Extent, Refusal, RefusalCode};

use super::cell::ResumableUpload;
use super::signals::{Outcome, Signals};
use crate::inbox::accepted_offer::AcceptedOffer;
use crate::inbox::files::Directory;

/// One connection's part in an upload. Dropping it leaves the upload as it is, for the next one.
pub(in crate::inbox) struct Session<F: Directory> {
    resumable: Rc<ResumableUpload<F>>,
    id: SessionId,
    signals: Rc<Signals>,
    body: Option<BodyId>,
    /// The digest in the offer.
    offered: Option<Digest>,
    modified_ns: Option<i64>,
    /// What was last said of what is kept.
    told: u64,
    has_ended: bool,
}

impl<F: Directory> Session<F> {
    pub(super) fn new(
        resumable: &Rc<ResumableUpload<F>>,
        id: SessionId,
        signals: Rc<Signals>,
        accepted: &AcceptedOffer,
    ) -> Self {
        Self {
            resumable: Rc::clone(resumable),
            id,
            signals,
            body: None,
            offered: accepted.digest,
            modified_ns: accepted.modified_ns,
            told: 0,
            has_ended: false,
        }
    }

    pub(in crate::inbox) fn name(&self) -> &EntryName {
        &self.resumable.facts().name
    }

    pub(in crate::inbox) fn missing(&self) -> Vec<Extent> {
        self.resumable.act(|state, _| state.upload.missing())
    }

    pub(in crate::inbox) fn fault(&self) -> Option<&Refusal> {
        self.signals.fault()
    }

    pub(in crate::inbox) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether there is a fault, or more to say of what is kept.
    pub(in crate::inbox) fn has_news(&self) -> bool {
        self.fault().is_some() || self.resumable.durable() > self.told
    }

    /// How many bytes from the start are kept, where that is more than was last said.
    pub(in crate::inbox) fn progress(&mut self) -> Option<u64> {
        let durable = self.resumable.durable();
        (durable > self.told).then(|| {
            self.told = durable;
            durable
        })
    }

    /// # Errors
    /// As of [`Upload::body`](crate::inbox::Upload::body).
    pub(in crate::inbox) fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        self.check_fault()?;
        self.end_body();
        let begun = self.resumable.act(|state, _| state.upload.body(self.id, extent));
        let body = begun.map_err(|refusal| self.fault().cloned().unwrap_or(refusal))?;
        self.body = Some(body);
        Ok(())
    }

    pub(in crate::inbox) fn end_body(&mut self) {
        if let Some(body) = self.body.take() {
            self.resumable.act(|state, now| state.upload.end_body(body, now));
        }
    }

    /// How many bytes there is room for, up to `most`.
    pub(in crate::inbox) fn room(&self, most: usize) -> usize {
        let Some(body) = self.body else { return most };
        let room = |_| self.resumable.act(|state, now| state.upload.room(body, now));
        // Whoever finds none has the watermark moved by that, and finds some then.
        let room = (0..2).map(room).find(|&room| room > 0).unwrap_or(0);
        usize::try_from(room).unwrap_or(usize::MAX).min(most)
    }

    /// Hashes and writes `bytes`. What goes wrong is the fault of the upload, and what comes then is swallowed.
    pub(in crate::inbox) fn write(&mut self, mut bytes: &[u8]) {
        let Some(body) = self.body else { return };
        while !bytes.is_empty() && self.fault().is_none() {
            let length = bytes.len() as u64;
            let rest = self.resumable.act(|state, now| {
                let mut grant = state.upload.claim(body, length, now)?;
                let most = usize::try_from(grant.length()).unwrap_or(usize::MAX);
                let (piece, rest) = bytes.split_at(most.min(bytes.len()));
                let written = match grant.bring(piece) {
                    None => Ok(()),
                    Some(write) => {
                        let held =
                            write.held.map_or(Ok(()), |it| state.files.write(it.at, &it.bytes));
                        held.and_then(|()| state.files.write(write.at, write.bytes))
                    }
                };
                match written {
                    Ok(()) => state.upload.wrote(grant, now),
                    Err(refusal) => state.upload.failed(grant, &refusal, now),
                }
                Some(rest)
            });
            let Some(rest) = rest else { return };
            bytes = rest;
        }
        self.resumable.act(|state, now| state.upload.pause(body, now));
    }

    /// It is through. What becomes of the file is for all who have it together.
    ///
    /// # Errors
    /// It has lost the upload, or met a fault.
    pub(in crate::inbox) fn commit(
        mut self,
        size: u64,
        digest: Option<Digest>,
    ) -> Result<Rc<Outcome>, Refusal> {
        self.check_fault()?;
        self.has_ended = true;
        let digests = [digest, self.offered].into_iter().flatten();
        let outcome = self.resumable.commit(self.id, size, digests, self.modified_ns);
        let taken = || Refusal::new(RefusalCode::Locked, "the upload was taken over");
        outcome.ok_or_else(|| self.fault().cloned().unwrap_or_else(taken))
    }

    /// Ends the upload, for everyone who has it together with this one.
    pub(in crate::inbox) fn discard(self) {
        self.resumable.act(|state, now| state.upload.discard(self.id, now));
    }

    fn check_fault(&self) -> Result<(), Refusal> {
        self.fault().cloned().map_or(Ok(()), Err)
    }
}

impl<F: Directory> Drop for Session<F> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.resumable.release(self.id);
        }
    }
}
