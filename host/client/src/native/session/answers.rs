//! What the server says of uploads.

use std::sync::Arc;

use sandport_protocol::sender::Event;
use sandport_protocol::{EntryKind, Extent, Refusal, RefusalCode, UploadId};

use super::Session;
use crate::error::refusal_kind;
use crate::native::stream::Feed;
use crate::native::upload::{Body, Origin, Upload};
use crate::{RestartReason, SendError, SendErrorKind, SendEvent};

impl Session<'_> {
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Welcomed(welcomed) => {
                self.welcomed = true;
                self.max_bytes_ahead = welcomed.max_bytes_ahead;
                self.emit(SendEvent::Connected { agent: welcomed.agent });
            }
            Event::Accepted { id, missing } if self.participants.contains_key(&id) => {
                self.part_accepted(id, &missing);
            }
            Event::Accepted { id, missing } => {
                self.ahead = true;
                self.send_accepted(id, missing);
            }
            Event::DigestFirst { id } if self.participants.contains_key(&id) => {
                self.part_unwanted(id)
            }
            Event::DigestFirst { id } => self.hash_first(id),
            Event::AlreadyStored { id, receipt } => {
                let Some(upload) = self.remove(id) else { return };
                self.progress.has_outcome = true;
                upload.forget_key();
                let file = Arc::clone(&upload.file);
                self.emit(match upload.file.kind {
                    EntryKind::File => SendEvent::AlreadyStored { file, receipt },
                    _ => SendEvent::DirectoryStored { file, receipt },
                });
                if upload.file.kind == EntryKind::File {
                    self.ahead = false;
                }
                self.work.ended();
            }
            Event::Stored { id, receipt } => {
                let participant =
                    self.remove_participant(id).map(|participant| participant.transfer.take());
                if let Some(upload) = participant.unwrap_or_else(|| self.remove(id)) {
                    self.progress.has_outcome = true;
                    upload.forget_key();
                    self.emit(SendEvent::Stored { file: upload.file, receipt });
                    self.work.ended();
                }
            }
            Event::Refused { id, refusal } if self.participants.contains_key(&id) => {
                self.part_refused(id, &refusal);
            }
            Event::Refused { id, refusal } => {
                if let Some(upload) = self.remove(id) {
                    self.refused(upload, &refusal);
                }
            }
            Event::Progress { id, durable } => {
                self.note_safe(id, durable);
                if self.reading == Some(id)
                    && let Some(Feed::Stream(stream)) = &mut self.feed
                {
                    stream.free(durable);
                }
            }
            Event::Ended(end) => self.end = Some(end.map_err(SendError::from)),
            // There is no identity to hear of yet.
            _ => {}
        }
    }

    /// The server says that so much of an upload is safe.
    pub(super) fn note_safe(&mut self, id: UploadId, bytes: u64) {
        let more = match self.participants.get(&id) {
            Some(participant) => participant.transfer.with(|upload| upload.note_safe(bytes)),
            None => self.uploads.get_mut(&id).map(|upload| upload.note_safe(bytes)),
        };
        self.progress.safe = self.progress.safe.saturating_add(more.unwrap_or(0));
    }

    /// An upload is refused. Where that may be because of what the server had of it, or of how it was put
    /// together, it is begun anew, once.
    pub(super) fn refused(&mut self, mut upload: Upload, refusal: &Refusal) {
        let reason = match refusal.code {
            RefusalCode::DigestMismatch if upload.kept > 0 || upload.was_joined => {
                Some(RestartReason::Damaged)
            }
            RefusalCode::InvalidState if upload.key.is_some() => Some(RestartReason::Mixed),
            _ => None,
        };
        if let Some(reason) = reason
            && !upload.restarted
            && matches!(upload.origin, Origin::File(_))
        {
            upload.restart();
            self.emit(SendEvent::Restarted { file: Arc::clone(&upload.file), reason });
            self.work.offer_again([upload.again()].into_iter());
            return;
        }
        if refusal.code == RefusalCode::Locked {
            self.work.lose_to_another_run();
        }
        if refusal_kind(refusal.code) != SendErrorKind::Temporary {
            upload.forget_key();
        }
        self.emit(SendEvent::Refused { file: upload.file, refusal: refusal.clone() });
        self.work.ended();
    }

    fn send_accepted(&mut self, id: UploadId, missing: Vec<Extent>) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        upload.accepted();
        let kept = kept(upload.file.size, &missing);
        upload.kept = kept;
        self.progress.safe = self.progress.safe.saturating_add(upload.note_safe(kept));
        if kept > 0 {
            (upload.sent, upload.reported) = (kept, kept);
            self.work.report.emit(SendEvent::Resumed { file: Arc::clone(&upload.file), kept });
        }
        if upload.waits_for_reader() {
            self.ready.push_back((id, missing));
        } else if let Body::Retained(content) = &upload.body {
            let content = content.clone();
            self.retained -= content.len() as u64;
            upload.body = Body::Gone;
            self.send_small(id, &content, &missing);
        }
    }
}

/// How much of a file is not missing. Bytes.
pub(super) fn kept(size: Option<u64>, missing: &[Extent]) -> u64 {
    match size {
        Some(size) => {
            let rest = |extent: &Extent| extent.length.unwrap_or(size - extent.offset.min(size));
            size.saturating_sub(missing.iter().map(rest).fold(0, u64::saturating_add))
        }
        None => missing.first().map_or(0, |extent| extent.offset),
    }
}
