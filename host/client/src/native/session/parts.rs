//! Files that this connection carries together with others.

use std::sync::Arc;

use sandport_protocol::{Extent, Refusal, RefusalCode, UploadId};

use super::{Session, answers};
use crate::error::refusal_kind;
use crate::native::joint::{Joint, Part};
use crate::native::stream::Feed;
use crate::native::upload::Upload;
use crate::{FileError, SendErrorKind, SendEvent};

impl Session<'_> {
    /// Begins to carry a file that this connection has opened, and lets others help.
    pub(super) fn open_joint(&mut self, id: UploadId, joint: Joint) {
        let joint = Arc::new(joint);
        let share = joint.division.open();
        self.feed = joint.read(share).map(Feed::File);
        self.pumped = Some(id);
        self.parts.insert(id, Part::opened(Arc::clone(&joint), share));
        self.work.add_joint(joint);
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
        self.work.joints().into_iter().any(|joint| {
            let mine = self.parts.iter().find(|(_, part)| Arc::ptr_eq(&part.joint, &joint));
            match mine.map(|(&id, part)| (id, part.share_to_read())) {
                Some((id, Some(share))) if joint.division.has_work(share) => {
                    self.feed = joint.read(share).map(Feed::File);
                    self.pumped = Some(id);
                    true
                }
                Some(_) => false,
                None => self.join(&joint),
            }
        })
    }

    fn join(&mut self, joint: &Arc<Joint>) -> bool {
        if !self.machine.can_offer() || !self.work.divides() || !joint.is_worth_joining() {
            return false;
        }
        let Some(offer) = joint.offer() else { return false };
        let Some(id) = self.checked(|machine| machine.offer(offer)) else { return false };
        joint.join();
        self.parts.insert(id, Part::joined(Arc::clone(joint)));
        true
    }

    /// Ends parts that there is nothing to do for any more.
    pub(super) fn tend_parts(&mut self) -> bool {
        let due = self.parts.iter().find_map(|(&id, part)| {
            let (joint, is_pumped) = (&part.joint, self.pumped == Some(id));
            if part.finished || (part.share.is_none() && !joint.is_given_up()) {
                return None;
            }
            match (joint.is_over(), is_pumped) {
                (false, true) => None,
                (false, false) => Some((id, Some(joint.end()?))),
                // Its share is not at its end, so there is nothing that it could finish.
                (true, true) => Some((id, None)),
                // Somebody else may be at it under the same key: a part that is finished is in nobody's
                // way and discards nothing.
                (true, false) => Some((id, joint.late_end().filter(|_| !joint.is_given_up()))),
            }
        });
        match due {
            None => return false,
            Some((id, None)) => self.cancel_part(id),
            Some((id, Some((size, digest)))) => {
                let said = self.checked(|machine| machine.finish(id, size, digest));
                let Some(part) = self.parts.get_mut(&id) else { return true };
                // Where the server has refused it, that is about to be seen.
                part.finished = true;
                let joint = Arc::clone(&part.joint);
                let is_first = joint.finish();
                let report = self.work.report;
                joint.with(|upload| {
                    upload.expected = Some((size, digest));
                    if is_first && said == Some(true) {
                        report.emit(SendEvent::Verifying { file: Arc::clone(&upload.file) });
                    }
                });
                self.ask_again(&joint);
            }
        }
        true
    }

    /// The server lets this connection carry a part.
    pub(super) fn part_accepted(&mut self, id: UploadId, missing: &[Extent]) {
        if let Some(part) = self.parts.get_mut(&id) {
            let division = &part.joint.division;
            part.share = Some(division.open());
            let kept = answers::kept(Some(division.size()), missing);
            self.note_safe(id, kept);
        }
    }

    /// The server has the file meanwhile.
    pub(super) fn part_unwanted(&mut self, id: UploadId) {
        if let Some(part) = self.parts.get(&id) {
            part.joint.close();
        }
        self.cancel_part(id);
    }

    /// The server refuses a part. Others may be luckier with the rest of the file.
    pub(super) fn part_refused(&mut self, id: UploadId, refusal: &Refusal) {
        let Some(part) = self.remove_part(id) else { return };
        let joint = Arc::clone(&part.joint);
        joint.close();
        // Nobody else is where the bytes were for: it is an inbox that takes them in order alone.
        let takes_no_ranges = refusal.code == RefusalCode::OffsetMismatch
            && joint.was_joined()
            && !joint.is_doubtful();
        if takes_no_ranges {
            self.work.divide_no_more();
        }
        if joint.is_over() {
            joint.lose(&part);
            return;
        }
        if takes_no_ranges {
            joint.lose(&part);
            if let Some(upload) = joint.give_up() {
                self.work.offer_again([upload.again()].into_iter());
            }
            return;
        }
        joint.lose(&part);
        let is_everybodys = match refusal.code {
            // What one connection says of what it has not brought is of no weight.
            RefusalCode::DigestMismatch => part.announced,
            RefusalCode::OffsetMismatch | RefusalCode::InvalidState => false,
            // Another run has it: so it has all of it.
            RefusalCode::Locked => true,
            code => part.share.is_some() && refusal_kind(code) != SendErrorKind::Temporary,
        };
        let upload = match (is_everybodys, joint.is_deserted()) {
            (true, _)
                if refusal_kind(refusal.code) != SendErrorKind::Temporary
                    && refusal.code != RefusalCode::DigestMismatch =>
            {
                joint.give_up()
            }
            (true, _) | (_, true) => joint.take(),
            (false, false) => None,
        };
        match upload {
            Some(upload) => self.refused(upload, refusal),
            None => self.ask_again(&joint),
        }
        self.work.tell();
    }

    /// The file could not be read: nobody needs to go on.
    pub(super) fn fail_part(&mut self, id: UploadId, error: FileError) {
        let upload = self.parts.get(&id).and_then(|part| part.joint.give_up());
        self.cancel_part(id);
        if let Some(upload) = upload {
            self.report_failed(&upload, error);
        }
        self.work.tell();
    }

    /// Leaves a part when the connection ends. What is left of the file, where nobody else is at it.
    pub(super) fn leave(&self, part: &Part) -> Option<Upload> {
        part.joint.lose(part);
        self.work.tell();
        if part.joint.is_deserted() {
            return part.joint.take();
        }
        self.ask_again(&part.joint);
        None
    }

    pub(super) fn remove_part(&mut self, id: UploadId) -> Option<Part> {
        let part = self.parts.remove(&id)?;
        if self.pumped == Some(id) {
            self.stop_pump();
        }
        Some(part)
    }

    fn cancel_part(&mut self, id: UploadId) {
        let Some(part) = self.remove_part(id) else { return };
        part.joint.lose(&part);
        let reason = Refusal::new(RefusalCode::Cancelled, "the sender could not read the file");
        self.checked(|machine| machine.cancel(id, reason));
    }

    /// Where all have finished what they had, and one that was lost may have left something out, only the
    /// server knows what is missing.
    fn ask_again(&self, joint: &Joint) {
        if joint.has_to_be_asked()
            && let Some(upload) = joint.take()
        {
            self.work.offer_again([upload.again()].into_iter());
        }
    }
}
