//! A file that can be resumed, under way: carried by one connection, or by several.
//!
//! The one that offered it has a share in it like those that join later. When all is announced and
//! hashed, each of them finishes; the inbox publishes once all have. If one is lost on the way, the others
//! take what it had not announced. What it had announced may or may not have arrived: so after they have
//! finished, the upload is offered again as a whole, and the server says what is missing.

use std::sync::Arc;

use sandport_protocol::{Digest, Offer, Resume, ResumeMode};

use super::upload::{self, Upload};
use crate::file_reader::{Content, FileReader};
use crate::prepare::Links;
use crate::range_scheduler::{RangeScheduler, ShareId};
use crate::shared::Shared;

/// What a share has to have at least when a connection joins to take half of it. Bytes. Twice what a
/// connection of 4 MB/s carries in the time that joining, and reaching its speed, takes it on a path of
/// 200 ms: less would be through before.
pub(super) const JOIN_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// A file under way.
pub(super) struct SharedTransfer {
    pub(super) scheduler: Arc<RangeScheduler>,
    links: Links,
    /// `None`: it is over, or is offered again.
    upload: Shared<Option<Upload>>,
    /// Connections that have a part in it, or have asked for one.
    participants: Shared<usize>,
    /// Whether there was ever more than one.
    joined: Shared<bool>,
    /// How many of them have finished.
    finished: Shared<usize>,
    /// A connection was lost that had announced something.
    doubtful: Shared<bool>,
    /// It was given up: the server is to discard it.
    given_up: Shared<bool>,
    /// The server lets nobody join.
    closed: Shared<bool>,
}

/// What one connection does of it.
pub(super) struct Participant {
    pub(super) transfer: Arc<SharedTransfer>,
    /// `None`: the server has not answered yet.
    pub(super) share: Option<ShareId>,
    /// Whether something was announced.
    pub(super) announced: bool,
    pub(super) finished: bool,
}

impl Participant {
    /// That of the connection that has opened the upload.
    pub(super) fn opened(transfer: Arc<SharedTransfer>, share: ShareId) -> Self {
        Self { transfer, share: Some(share), announced: false, finished: false }
    }

    /// That of one that has asked to join.
    pub(super) fn joined(transfer: Arc<SharedTransfer>) -> Self {
        Self { transfer, share: None, announced: false, finished: false }
    }

    /// The share, where more of it may be read.
    pub(super) fn share_to_read(&self) -> Option<ShareId> {
        self.share.filter(|_| !self.finished)
    }

    /// How much may be announced from `offset` on; `None`: another connection took it.
    pub(super) fn announce(&mut self, offset: u64) -> Option<u64> {
        let length = self.transfer.scheduler.announce(self.share?, offset)?;
        self.announced = true;
        Some(length)
    }
}

impl SharedTransfer {
    /// Divides an upload that was accepted. It has one participant, whoever calls.
    pub(super) fn new(upload: Upload, scheduler: Arc<RangeScheduler>, links: Links) -> Self {
        Self {
            scheduler,
            links,
            upload: Shared::new(Some(upload)),
            participants: Shared::new(1),
            joined: Shared::new(false),
            finished: Shared::new(0),
            doubtful: Shared::new(false),
            given_up: Shared::new(false),
            closed: Shared::new(false),
        }
    }

    /// Whether nothing is to be done for it any more, in this form.
    pub(super) fn is_over(&self) -> bool {
        self.upload.lock().is_none()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful.get()
    }

    /// Whether it is worth it that another connection joins, beside those that wait for an answer.
    pub(super) fn is_worth_joining(&self) -> bool {
        let joining = self.participants.get().saturating_sub(self.scheduler.shares()) as u64;
        let wanted = JOIN_BYTES_MIN.saturating_mul(joining + 1);
        !self.closed.get() && self.scheduler.spare_bytes() >= wanted
    }

    /// Nobody may join any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    /// The offer by which another connection joins; `None`: it is over.
    pub(super) fn offer(&self) -> Option<Offer> {
        let upload = self.upload.lock();
        let offer = upload::offer(upload.as_ref()?);
        let resume = Resume { mode: ResumeMode::Join, ..offer.resume? };
        // Whether the server has the file already is asked by the one that opens it.
        Some(Offer { digest: None, resume: Some(resume), ..offer })
    }

    /// Begins to read a share; `None`: it is over.
    pub(super) fn read(&self, share: ShareId) -> Option<FileReader> {
        let upload = self.upload.lock();
        let content = Content::of(&upload.as_ref()?.file, self.links);
        Some(FileReader::share(content, Arc::clone(&self.scheduler), share))
    }

    /// Does something with the upload, if it is not over.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Upload) -> T) -> Option<T> {
        self.upload.lock().as_mut().map(act)
    }

    /// Takes the upload out: it is over here.
    pub(super) fn take(&self) -> Option<Upload> {
        let mut upload = self.upload.lock().take()?;
        upload.was_joined |= self.joined.get();
        Some(upload)
    }

    /// Takes the upload out, and lets the server discard it.
    pub(super) fn give_up(&self) -> Option<Upload> {
        self.given_up.set(true);
        self.take()
    }

    /// Size and digest, once all is announced and hashed.
    pub(super) fn end(&self) -> Option<(u64, Digest)> {
        if !self.scheduler.is_announced() {
            return None;
        }
        let end = self.late_end()?;
        (!self.is_over()).then_some(end)
    }

    /// The same for a part that comes when it is over.
    pub(super) fn late_end(&self) -> Option<(u64, Digest)> {
        Some((self.scheduler.size(), self.scheduler.digest()?))
    }

    /// A connection asks to take part.
    pub(super) fn join(&self) {
        self.joined.set(true);
        self.participants.set(self.participants.get() + 1);
    }

    /// A participant has finished; whether it is the first.
    pub(super) fn finish(&self) -> bool {
        self.finished.replace(self.finished.get() + 1) == 0
    }

    /// A participant is gone.
    pub(super) fn lose(&self, participant: &Participant) {
        self.participants.set(self.participants.get().saturating_sub(1));
        if participant.finished {
            self.finished.set(self.finished.get().saturating_sub(1));
        }
        if participant.share.is_some_and(|share| self.scheduler.lose(share)) {
            self.doubtful.set(true);
        }
    }

    /// Whether another connection has asked for a part at some time.
    pub(super) fn was_joined(&self) -> bool {
        self.joined.get()
    }

    /// Whether no connection has a part in it.
    pub(super) fn is_deserted(&self) -> bool {
        self.participants.get() == 0
    }

    /// Whether all who are left have finished, and one who is not may have left something out.
    pub(super) fn has_to_be_asked(&self) -> bool {
        self.doubtful.get()
            && self.participants.get() > 0
            && self.finished.get() == self.participants.get()
    }
}
