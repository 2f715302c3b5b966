//! What a connection has of an upload that can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sandport_protocol::upload::SessionId;
use sandport_protocol::{Digest, RESUME_KEY_BYTES, Refusal};

use super::asked::Asked;
use super::cell::{Offered, ResumableUpload};
use super::commit::{Commit, Submit};
use super::session_handle::SessionHandle;
use super::signals::Signals;
use crate::completion::{CommitHandle, Completer};
use crate::reading::Reading;
use crate::space::Room;

/// One connection's part in an upload. Dropping it leaves the upload as it is, for the next one.
pub(crate) struct Session {
    handle: SessionHandle,
    /// The digest in the offer.
    offered: Option<Digest>,
    /// What it is found by.
    key: [u8; RESUME_KEY_BYTES],
    modified_ns: Option<i64>,
    executable: bool,
    has_ended: AtomicBool,
}

impl Session {
    /// Offers an upload to a connection.
    pub(super) fn offer(resumable: &Arc<ResumableUpload>, asked: &Asked) -> Offered<Self> {
        resumable.offer(asked, |id, signals, claim| {
            Self::new(Arc::clone(resumable), id, signals, claim, asked)
        })
    }

    fn new(
        resumable: Arc<ResumableUpload>,
        id: SessionId,
        signals: Arc<Signals>,
        claim: Arc<dyn Room>,
        asked: &Asked,
    ) -> Self {
        let accepted = &asked.accepted;
        Self {
            handle: SessionHandle::new(resumable, id, signals, claim),
            offered: accepted.digest,
            key: asked.resume.key,
            modified_ns: accepted.modified_ns,
            executable: accepted.executable,
            has_ended: AtomicBool::new(false),
        }
    }

    /// Returns when it is certain what those have brought who have lost the upload to this session.
    ///
    /// # Errors
    /// It has lost the upload itself meanwhile.
    pub(super) async fn settled(&self) -> Result<(), Refusal> {
        loop {
            let changed = self.handle.resumable.changed();
            let session = self.handle.session;
            match self
                .handle
                .resumable
                .act(|state, _| state.upload.holds(session).then(|| state.upload.is_settled()))
            {
                None => return Err(self.handle.lost()),
                Some(true) => return Ok(()),
                Some(false) => changed.await,
            }
        }
    }

    /// How many bytes are here, in chunk groups that are whole.
    pub(crate) fn bytes(&self) -> u64 {
        self.handle.resumable.act(|state, _| state.upload.whole_bytes())
    }

    pub(crate) fn name(&self) -> &str {
        self.handle.resumable.facts().name.as_str()
    }

    pub(crate) fn claim(&self) -> &Arc<dyn Room> {
        &self.handle.claim
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.handle.signals
    }

    /// How many bytes from the start are kept.
    pub(crate) fn durable(&self) -> u64 {
        self.handle.signals.durable()
    }

    /// What can be done with the upload, wherever the session is.
    pub(crate) fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// What the upload is found by.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether it is kept however little of it is here.
    pub(crate) fn keeps_empty(&self) -> bool {
        self.handle.resumable.facts().notes.keeps_empty
    }

    /// It is through. `submit`: where a refusal waits for its turn. `reading`: what is to be found out of the file
    /// before it is published.
    ///
    /// # Errors
    /// It has lost the upload, or met a fault.
    pub(crate) fn commit(
        self,
        submit: Submit,
        size: u64,
        digest: Option<Digest>,
        reading: Option<Reading>,
    ) -> Result<CommitHandle, Refusal> {
        self.handle.check()?;
        self.has_ended.store(true, Ordering::Relaxed);
        let (completer, pending) = Completer::new();
        let (modified_ns, executable) = (self.modified_ns, self.executable);
        let commit = Commit { completer, submit, modified_ns, executable, reading };
        let digests = [digest, self.offered].into_iter().flatten();
        self.handle
            .resumable
            .commit(self.handle.session, size, digests, commit, pending)
            .ok_or_else(|| self.handle.lost())
    }

    /// It has met a fault of its own.
    pub(crate) fn fail(&self, fault: &Refusal) {
        self.handle.resumable.act(|state, now| state.upload.fail(self.handle.session, fault, now));
    }

    /// Ends the upload, for everyone who has it together with this one.
    pub(crate) fn discard(self) {
        self.handle.resumable.act(|state, now| state.upload.discard(self.handle.session, now));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.has_ended.load(Ordering::Relaxed) {
            self.handle.resumable.release(self.handle.session);
        }
    }
}
