//! What can be done with an upload that can be resumed, wherever its session is.

use std::sync::Arc;

use sandport_protocol::upload::{self, BodyId, SessionId};
use sandport_protocol::{Algorithm, Extent, Refusal, RefusalCode};
use tokio::sync::OwnedMutexGuard;

use super::Id;
use super::cell::ResumableUpload;
use super::range_writer::RangeWriter;
use super::signals::Signals;
use crate::Identity;
use crate::finishing::Finishing;
use crate::memory::MemoryAccount;
use crate::space::Room;
use crate::sums::Hasher;

/// What can be done with an upload as long as a session has it. It does not keep the session.
#[derive(Clone)]
pub(crate) struct SessionHandle {
    pub(super) resumable: Arc<ResumableUpload>,
    pub(super) session: SessionId,
    pub(super) signals: Arc<Signals>,
    /// That of the upload, as long as a session has it.
    pub(super) claim: Arc<dyn Room>,
    /// Held by who copies bytes of other uploads: a copy that nobody waits for any more may be under way still.
    copying: Arc<tokio::sync::Mutex<()>>,
}

impl SessionHandle {
    pub(super) fn new(
        resumable: Arc<ResumableUpload>,
        session: SessionId,
        signals: Arc<Signals>,
        claim: Arc<dyn Room>,
    ) -> Self {
        Self { resumable, session, signals, claim, copying: Arc::default() }
    }

    /// Returns when nobody else copies. What is returned is to be kept while bytes are copied.
    pub(crate) async fn copy_alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.copying).lock_owned().await
    }

    /// Which upload it is.
    pub(crate) fn id(&self) -> Id {
        self.resumable.facts().id
    }

    /// Whose upload it is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.resumable.facts().identity
    }

    /// What is not here and nobody is bringing, in ascending order.
    pub(crate) fn missing(&self) -> Vec<Extent> {
        self.resumable.act(|state, _| state.upload.missing())
    }

    /// How far the upload is.
    pub(crate) fn progress(&self) -> upload::UploadProgress {
        self.resumable.act(|state, _| state.upload.progress())
    }

    /// What its bytes are copied from.
    pub(crate) fn source(&self) -> Arc<ResumableUpload> {
        Arc::clone(&self.resumable)
    }

    /// What groups that are begun take of memory is on this account from now on.
    pub(crate) fn hold_memory(&self, account: Arc<dyn MemoryAccount>) {
        self.resumable.hold_memory(account);
    }

    /// Tells when all is kept that is here now.
    pub(crate) fn keep(&self) -> Finishing {
        let kept = match self.signals.fault() {
            Some(fault) => Err(fault.clone()),
            None => self.resumable.keep(self.session),
        };
        kept.unwrap_or_else(|refusal| Finishing::ended(Err(self.why(refusal))))
    }

    /// # Errors
    /// As of [`Upload::body`](crate::Upload::body).
    pub(crate) fn body(&self, extent: Extent) -> Result<RangeWriter, Refusal> {
        self.check()?;
        let begun = self.resumable.act_frugally(|upload| upload.body(self.session, extent));
        self.writer(begun, extent.offset, None)
    }

    /// The same for bytes that do not count before they are found to be what they should be.
    ///
    /// # Errors
    /// As of [`Upload::body_checked`](crate::Upload::body_checked).
    pub(crate) fn body_checked(
        &self,
        extent: Extent,
        algorithm: Algorithm,
    ) -> Result<RangeWriter, Refusal> {
        self.check()?;
        let hasher = Hasher::new(algorithm)?;
        let begun = self.resumable.act_frugally(|upload| upload.body_checked(self.session, extent));
        self.writer(begun, extent.offset, Some(hasher))
    }

    fn writer(
        &self,
        begun: Result<BodyId, Refusal>,
        position: u64,
        check: Option<Hasher>,
    ) -> Result<RangeWriter, Refusal> {
        let body = begun.map_err(|refusal| self.why(refusal))?;
        let (signals, claim) = (Arc::clone(&self.signals), Arc::clone(&self.claim));
        Ok(RangeWriter::new(Arc::clone(&self.resumable), body, position, signals, claim, check))
    }

    /// Says how long the file will be, where that was not known.
    ///
    /// # Errors
    /// As of [`Upload::set_size`](crate::Upload::set_size).
    pub(crate) fn set_size(&self, size: u64) -> Result<(), Refusal> {
        self.check()?;
        let known = self.progress();
        if known.size.is_none() {
            self.claim.check(Some(size.saturating_sub(known.received)))?;
            self.resumable.grow(size)?;
        }
        let set = self.resumable.act(|state, now| state.upload.set_size(self.session, size, now));
        set.map_err(|refusal| self.why(refusal))
    }

    /// # Errors
    /// The fault that the session has met.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.signals.fault().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Why it is not held any more, where that may be about to be said.
    pub(crate) fn lost(&self) -> Refusal {
        self.why(Refusal::new(RefusalCode::Locked, "the upload was taken over"))
    }

    /// The fault that the session has met, or else this.
    fn why(&self, refusal: Refusal) -> Refusal {
        self.signals.fault().cloned().unwrap_or(refusal)
    }
}
