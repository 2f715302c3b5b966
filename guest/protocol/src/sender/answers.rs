//! What each message of the receiver does.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::upload::State;
use super::{EndReason, Event, Granted, Sender, Stage, Welcomed, presentable};
use crate::extents::{Cursor, Order};
use crate::wire::{Accepted, Progress, ReceiverMessage, Refused, Stored, VERSION, Welcome};
use crate::{
    BYTES_AHEAD_MAX, EntryKind, Extent, KEEP_ALIVE_MS_MAX, KEEP_ALIVE_MS_MIN, Millis, Receipt,
    Refusal, RefusalCode, UPLOADS_AHEAD_MAX, UploadId,
};

impl Sender {
    /// Parses what is in `self.input`, all of it.
    pub(super) fn process(&mut self) {
        while !self.input.is_empty() {
            match &mut self.stage {
                Stage::Preface(matcher) => match matcher.advance(&mut self.input) {
                    None => {}
                    Some(true) => self.stage = Stage::Welcome,
                    // Who answers so would not understand a goodbye.
                    Some(false) => {
                        let detail = String::from("it begins with other bytes");
                        self.end(Err(EndReason::Malformed(detail)));
                    }
                },
                Stage::Welcome | Stage::Open | Stage::Shutdown => {
                    match self.frames.next(&mut self.input) {
                        Ok(Some(message)) => self.decode(&message),
                        Ok(None) => {}
                        Err(error) => self.malformed(format!("{error}")),
                    }
                }
                Stage::Ended => self.input.clear(),
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        match ReceiverMessage::decode(bytes) {
            Ok(message) => self.message(message),
            Err(_) => self.malformed("a message does not decode"),
        }
        self.shut_down_if_done();
    }

    fn message(&mut self, message: ReceiverMessage) {
        match message {
            ReceiverMessage::Goodbye(refusal) => self.end(Err(EndReason::Goodbye(refusal))),
            ReceiverMessage::Welcome(welcome) if matches!(self.stage, Stage::Welcome) => {
                self.welcome(welcome);
            }
            ReceiverMessage::Welcome(_) => self.malformed("a second welcome"),
            _ if matches!(self.stage, Stage::Welcome) => {
                self.malformed("the first message is not a welcome");
            }
            ReceiverMessage::Authenticated(identity) if self.authenticating => {
                self.authenticating = false;
                self.course.further(self.now);
                self.events.push_back(Event::Authenticated(identity));
            }
            ReceiverMessage::Authenticated(_) => {
                self.malformed("an identity that was not asked for")
            }
            ReceiverMessage::Accepted(Accepted { id, missing }) => self.accepted(id, missing),
            ReceiverMessage::AlreadyStored(Stored { id, receipt }) => {
                self.already_stored(id, receipt)
            }
            ReceiverMessage::DigestFirst(id) => self.digest_first(id),
            ReceiverMessage::Refused(Refused { id, refusal }) => self.refused(id, refusal),
            ReceiverMessage::Stored(Stored { id, receipt }) => self.stored(id, receipt),
            ReceiverMessage::Progress(progress) => self.progress(progress),
            ReceiverMessage::KeepAlive => self.fruitless(),
        }
    }

    fn progress(&mut self, Progress { id, durable }: Progress) {
        let state = self.uploads.get(&id).map(|upload| &upload.state);
        if state.is_none() {
            self.expect_known(id);
        } else if matches!(state, Some(State::Accepted { .. })) && self.note_durable(id, durable) {
            self.events.push_back(Event::Progress { id, durable });
        } else {
            self.fruitless();
        }
    }

    fn welcome(&mut self, welcome: Welcome) {
        if welcome.version != VERSION {
            let version = welcome.version;
            return self.malformed(format!("it chose version {version}, which was not offered"));
        }
        // Nothing could be offered, or nobody be fast enough, for as long as the connection lasts.
        if welcome.max_uploads_ahead == 0 {
            return self.malformed("it takes no uploads: it lets 0 of them be open");
        }
        if welcome.idle_timeout_ms == 0 {
            return self.malformed("it tolerates silence of 0 ms");
        }
        let max_uploads_ahead = welcome.max_uploads_ahead.min(UPLOADS_AHEAD_MAX);
        let max_bytes_ahead = welcome.max_bytes_ahead.min(BYTES_AHEAD_MAX);
        let third = Millis::from(welcome.idle_timeout_ms) / 3;
        self.granted = Some(Granted {
            max_uploads_ahead,
            max_bytes_ahead,
            keep_alive_ms: third.clamp(KEEP_ALIVE_MS_MIN, KEEP_ALIVE_MS_MAX),
        });
        self.course.further(self.now);
        self.last_sent = self.now;
        self.stage = Stage::Open;
        self.events.push_back(Event::Welcomed(Welcomed {
            version: welcome.version,
            agent: welcome.agent,
            max_file_size: welcome.max_file_size,
            max_uploads_ahead,
            max_bytes_ahead,
            idle_timeout_ms: welcome.idle_timeout_ms,
            challenge: welcome.challenge,
        }));
    }

    fn accepted(&mut self, id: UploadId, missing: Vec<Extent>) {
        let Some(sent) = self.verdict(id, "an acceptance") else { return };
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let Ok(mut cursor) = Cursor::new(&missing, upload.offer.size, Order::of(&upload.offer))
        else {
            return self.malformed("it misses extents that the file does not have");
        };
        let fits = cursor.place(0, sent).is_ok() || sent == 0;
        upload.state = if fits { State::Accepted { cursor } } else { State::Doomed };
        self.events.push_back(Event::Accepted { id, missing });
    }

    fn already_stored(&mut self, id: UploadId, receipt: Receipt) {
        if self.verdict(id, "a receipt for an offer").is_none() {
            return;
        }
        let Some(upload) = self.uploads.remove(&id) else { return };
        let offer = &upload.offer;
        let event = match (offer.kind, offer.digest) {
            (EntryKind::Directory, _) => Event::AlreadyStored { id, receipt },
            (EntryKind::File, Some(digest)) => {
                if receipt.digest == digest && offer.size.is_none_or(|size| size == receipt.size) {
                    Event::AlreadyStored { id, receipt }
                } else {
                    Event::Refused { id, refusal: other_content() }
                }
            }
            // It cannot know that it has the file, and nothing could verify the receipt.
            (EntryKind::File, None) => {
                return self.malformed("a receipt for a file that it knows no digest of");
            }
        };
        self.events.push_back(event);
    }

    fn digest_first(&mut self, id: UploadId) {
        if self.verdict(id, "a request for a digest").is_none() {
            return;
        }
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        if upload.offer.digest.is_some() || upload.offer.kind != EntryKind::File {
            return self.malformed("it asks for a digest that it has, or of a directory");
        }
        upload.state = State::DigestFirst;
        upload.finished = None;
        self.events.push_back(Event::DigestFirst { id });
    }

    fn refused(&mut self, id: UploadId, refusal: Refusal) {
        let Some(upload) = self.uploads.remove(&id) else {
            return self.expect_known(id);
        };
        self.course.further(self.now);
        match upload.state {
            State::Offered { sent, .. } => self.ahead_bytes -= sent,
            State::Cancelled { sent } => {
                self.ahead_bytes -= sent;
                return;
            }
            State::DigestFirst | State::Accepted { .. } | State::Doomed => {}
        }
        self.events.push_back(Event::Refused { id, refusal });
    }

    fn stored(&mut self, id: UploadId, receipt: Receipt) {
        let Some(upload) = self.uploads.get(&id) else {
            return self.expect_known(id);
        };
        match (&upload.state, upload.finished) {
            (State::Accepted { .. } | State::Doomed, Some((size, digest))) => {
                let verified = receipt.size == size && receipt.digest == digest;
                self.uploads.remove(&id);
                self.course.further(self.now);
                self.events.push_back(if verified {
                    Event::Stored { id, receipt }
                } else {
                    Event::Refused { id, refusal: other_content() }
                });
            }
            _ => self.malformed("a receipt for a file that was not sent"),
        }
    }

    /// A verdict came for an upload. Gives the payload that was sent ahead of it; `None` where the
    /// upload waits for no verdict, because it was given up or because the receiver is wrong.
    fn verdict(&mut self, id: UploadId, what: &str) -> Option<u64> {
        match self.uploads.get(&id).map(|upload| &upload.state) {
            Some(State::Offered { sent, .. }) => {
                let sent = *sent;
                self.ahead_bytes -= sent;
                self.course.further(self.now);
                Some(sent)
            }
            Some(State::Cancelled { sent }) => {
                self.ahead_bytes -= *sent;
                self.uploads.remove(&id);
                self.course.further(self.now);
                None
            }
            Some(State::DigestFirst | State::Accepted { .. } | State::Doomed) => {
                self.malformed(format!("{what} after the verdict"));
                None
            }
            None => {
                self.expect_known(id);
                None
            }
        }
    }

    /// What is said of an upload that was given up crosses its cancel on the way. Of a number that was
    /// never given out nothing can be said.
    fn expect_known(&mut self, id: UploadId) {
        if id >= self.next_id {
            return self.malformed(format!("it speaks of the upload {id}, which was not offered"));
        }
        self.fruitless();
    }

    pub(super) fn malformed(&mut self, detail: impl Into<String>) {
        let detail = detail.into();
        let refusal = Refusal::new(RefusalCode::Malformed, detail.clone());
        self.part(presentable(refusal), EndReason::Malformed(detail));
    }
}

/// A receipt that is not for what was sent.
fn other_content() -> Refusal {
    let detail = "the receipt is for another size or digest than what was sent";
    Refusal::new(RefusalCode::DigestMismatch, detail)
}
