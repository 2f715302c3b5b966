//! Files that this connection carries together with others.

use std::sync::Arc;

use sandport_protocol::{Extent, Refusal, RefusalCode, UploadId};

use super::{Session, answers};
use crate::error::refusal_kind;
use crate::native::shared_transfer::{Participant, SharedTransfer};
use crate::native::stream::Feed;
use crate::native::upload::Upload;
use crate::{FileError, SendErrorKind, SendEvent};

impl Session<'_> {
    /// Begins to carry a file that this connection has opened, and lets others help.
    pub(super) fn open_transfer(&mut self, id: UploadId, transfer: SharedTransfer) {
        let transfer = Arc::new(transfer);
        let share = transfer.scheduler.open();
        self.feed = transfer.read(share).map(Feed::File);
        self.reading = Some(id);
        self.participants.insert(id, Participant::opened(Arc::clone(&transfer), share));
        self.work.add_transfer(transfer);
    }

    /// Where this connection has nothing else to do, it takes something from others.
    pub(super) fn help(&mut self) -> bool {
        let is_idle = self.feed.is_none()
            && self.ready.is_empty()
            && self.waiting.files == 0
            && !self.work.has_items()
            && self.output.has_room();
        if !is_idle || !self.work.is_shared() {
            return false;
        }
        self.work.transfers().into_iter().any(|transfer| {
            let mine = self
                .participants
                .iter()
                .find(|(_, participant)| Arc::ptr_eq(&participant.transfer, &transfer));
            match mine.map(|(&id, participant)| (id, participant.share_to_read())) {
                Some((id, Some(share))) if transfer.scheduler.has_work(share) => {
                    self.feed = transfer.read(share).map(Feed::File);
                    self.reading = Some(id);
                    true
                }
                Some(_) => false,
                None => self.join(&transfer),
            }
        })
    }

    fn join(&mut self, transfer: &Arc<SharedTransfer>) -> bool {
        if !self.machine.can_offer() || !self.work.divides() || !transfer.is_worth_joining() {
            return false;
        }
        let Some(offer) = transfer.offer() else { return false };
        let Some(id) = self.checked(|machine| machine.offer(offer)) else { return false };
        transfer.join();
        self.participants.insert(id, Participant::joined(Arc::clone(transfer)));
        true
    }

    /// Ends parts that there is nothing to do for any more.
    pub(super) fn tend_parts(&mut self) -> bool {
        let due = self.participants.iter().find_map(|(&id, participant)| {
            let (transfer, is_read) = (&participant.transfer, self.reading == Some(id));
            if participant.finished || (participant.share.is_none() && !transfer.is_given_up()) {
                return None;
            }
            match (transfer.is_over(), is_read) {
                (false, true) => None,
                (false, false) => Some((id, Some(transfer.end()?))),
                // Its share is not at its end, so there is nothing that it could finish.
                (true, true) => Some((id, None)),
                // Somebody else may be at it under the same key: a part that is finished is in nobody's
                // way and discards nothing.
                (true, false) => {
                    Some((id, transfer.late_end().filter(|_| !transfer.is_given_up())))
                }
            }
        });
        match due {
            None => return false,
            Some((id, None)) => self.cancel_part(id),
            Some((id, Some((size, digest)))) => {
                let said = self.checked(|machine| machine.finish(id, size, digest));
                let Some(participant) = self.participants.get_mut(&id) else { return true };
                // Where the server has refused it, that is about to be seen.
                participant.finished = true;
                let transfer = Arc::clone(&participant.transfer);
                let is_first = transfer.finish();
                let report = self.work.report;
                transfer.with(|upload| {
                    upload.expected = Some((size, digest));
                    if is_first && said == Some(true) {
                        report.emit(SendEvent::Verifying { file: Arc::clone(&upload.file) });
                    }
                });
                self.ask_again(&transfer);
            }
        }
        true
    }

    /// The server lets this connection carry a part.
    pub(super) fn part_accepted(&mut self, id: UploadId, missing: &[Extent]) {
        if let Some(participant) = self.participants.get_mut(&id) {
            let scheduler = &participant.transfer.scheduler;
            participant.share = Some(scheduler.open());
            let kept = answers::kept(Some(scheduler.size()), missing);
            self.note_safe(id, kept);
        }
    }

    /// The server has the file meanwhile.
    pub(super) fn part_unwanted(&mut self, id: UploadId) {
        if let Some(participant) = self.participants.get(&id) {
            participant.transfer.close();
        }
        self.cancel_part(id);
    }

    /// The server refuses a part. Others may be luckier with the rest of the file.
    pub(super) fn part_refused(&mut self, id: UploadId, refusal: &Refusal) {
        let Some(participant) = self.remove_participant(id) else { return };
        let transfer = Arc::clone(&participant.transfer);
        transfer.close();
        // Nobody else is where the bytes were for: it is an inbox that takes them in order alone.
        let takes_no_ranges = refusal.code == RefusalCode::OffsetMismatch
            && transfer.was_joined()
            && !transfer.is_doubtful();
        if takes_no_ranges {
            self.work.divide_no_more();
        }
        if transfer.is_over() {
            transfer.lose(&participant);
            return;
        }
        if takes_no_ranges {
            transfer.lose(&participant);
            if let Some(upload) = transfer.give_up() {
                self.work.offer_again([upload.again()].into_iter());
            }
            return;
        }
        transfer.lose(&participant);
        let is_everybodys = match refusal.code {
            // What one connection says of what it has not brought is of no weight.
            RefusalCode::DigestMismatch => participant.announced,
            RefusalCode::OffsetMismatch | RefusalCode::InvalidState => false,
            // Another run has it: so it has all of it.
            RefusalCode::Locked => true,
            code => participant.share.is_some() && refusal_kind(code) != SendErrorKind::Temporary,
        };
        let upload = match (is_everybodys, transfer.is_deserted()) {
            (true, _)
                if refusal_kind(refusal.code) != SendErrorKind::Temporary
                    && refusal.code != RefusalCode::DigestMismatch =>
            {
                transfer.give_up()
            }
            (true, _) | (_, true) => transfer.take(),
            (false, false) => None,
        };
        match upload {
            Some(upload) => self.refused(upload, refusal),
            None => self.ask_again(&transfer),
        }
        self.work.tell();
    }

    /// The file could not be read: nobody needs to go on.
    pub(super) fn fail_part(&mut self, id: UploadId, error: FileError) {
        let upload =
            self.participants.get(&id).and_then(|participant| participant.transfer.give_up());
        self.cancel_part(id);
        if let Some(upload) = upload {
            self.report_failed(&upload, error);
        }
        self.work.tell();
    }

    /// Leaves a part when the connection ends. What is left of the file, where nobody else is at it.
    pub(super) fn leave(&self, participant: &Participant) -> Option<Upload> {
        participant.transfer.lose(participant);
        self.work.tell();
        if participant.transfer.is_deserted() {
            return participant.transfer.take();
        }
        self.ask_again(&participant.transfer);
        None
    }

    pub(super) fn remove_participant(&mut self, id: UploadId) -> Option<Participant> {
        let participant = self.participants.remove(&id)?;
        if self.reading == Some(id) {
            self.stop_reader();
        }
        Some(participant)
    }

    fn cancel_part(&mut self, id: UploadId) {
        let Some(participant) = self.remove_participant(id) else { return };
        participant.transfer.lose(&participant);
        let reason = Refusal::new(RefusalCode::Cancelled, "the sender could not read the file");
        self.checked(|machine| machine.cancel(id, reason));
    }

    /// Where all have finished what they had, and one that was lost may have left something out, only the
    /// server knows what is missing.
    fn ask_again(&self, transfer: &SharedTransfer) {
        if transfer.has_to_be_asked()
            && let Some(upload) = transfer.take()
        {
            self.work.offer_again([upload.again()].into_iter());
        }
    }
}
