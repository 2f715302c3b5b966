//! What a driver does with uploads: it offers them, announces payload, and ends them.

use super::upload::{State, Upload};
use super::{Misuse, Sender, SenderOutput, Stage, presentable};
use crate::wire::{Cancel, Data, Finish, NumberedOffer, SenderMessage};
use crate::{Credential, Digest, Offer, Refusal, UploadId};

impl Sender {
    /// Whether [`Sender::offer`] may be called: welcomed, not ended, room in the window.
    pub fn can_offer(&self) -> bool {
        let open = self.uploads.len() as u64;
        matches!(self.stage, Stage::Open)
            && !self.closing
            && !self.authenticating
            && self.granted.is_some_and(|granted| open < granted.max_uploads_ahead.into())
    }

    /// Whether `length` bytes of payload may go out now for an upload without a verdict.
    pub fn can_send_ahead(&self, length: u64) -> bool {
        let total = self.ahead_bytes.saturating_add(length);
        self.granted.is_some_and(|granted| total <= granted.max_bytes_ahead)
    }

    /// Shows who the sender is. [`Event::Authenticated`](super::Event::Authenticated) answers; a refusal
    /// ends the connection. No offer may be made before the answer.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] before the welcome, after an offer, and the second time.
    /// [`Misuse::TooLong`].
    pub fn authenticate(&mut self, credential: Credential) -> Result<(), Misuse> {
        if !self.can_offer() || self.next_id > 0 {
            return Err(Misuse::WrongState);
        }
        self.say(&SenderMessage::Authenticate(credential))?;
        self.authenticating = true;
        self.course.further(self.now);
        Ok(())
    }

    /// Offers a file or a directory and gives the number of the upload.
    ///
    /// # Errors
    /// [`Misuse::NoOffer`], [`Misuse::TooLong`].
    pub fn offer(&mut self, offer: Offer) -> Result<UploadId, Misuse> {
        if !self.can_offer() {
            return Err(Misuse::NoOffer);
        }
        let id = self.next_id;
        self.say(&SenderMessage::Offer(NumberedOffer { id, offer: offer.clone() }))?;
        self.next_id += 1;
        self.uploads.insert(id, Upload::new(offer));
        self.course.further(self.now);
        Ok(id)
    }

    /// Offers an upload again with its digest, after
    /// [`Event::DigestFirst`](super::Event::DigestFirst).
    ///
    /// # Errors
    /// [`Misuse::WrongState`], [`Misuse::TooLong`].
    pub fn offer_digest(&mut self, id: UploadId, digest: Digest) -> Result<(), Misuse> {
        let upload = self.uploads.get(&id).ok_or(Misuse::WrongState)?;
        if !matches!(upload.state, State::DigestFirst) || matches!(self.stage, Stage::Ended) {
            return Err(Misuse::WrongState);
        }
        let offer = Offer { digest: Some(digest), ..upload.offer.clone() };
        self.say(&SenderMessage::Offer(NumberedOffer { id, offer: offer.clone() }))?;
        self.uploads.insert(id, Upload::new(offer));
        self.course.further(self.now);
        Ok(())
    }

    /// Announces payload: an [`SenderOutput::Payload`] comes out. To be called for accepted uploads, or
    /// ahead of the verdict within [`Sender::can_send_ahead`]. On an upload that is over already (its
    /// refusal came in meanwhile) or that waits for its digest it does nothing and returns
    /// `Ok(false)`.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn data(&mut self, id: UploadId, offset: u64, length: u64) -> Result<bool, Misuse> {
        let can_send_ahead = self.can_send_ahead(length);
        let Some(upload) = self.taking(id)? else { return Ok(false) };
        match &mut upload.state {
            State::Offered { cursor, sent } => {
                if !can_send_ahead {
                    return Err(Misuse::Ahead);
                }
                cursor.place(offset, length).map_err(|_| Misuse::OutOfOrder)?;
                *sent += length;
                self.ahead_bytes += length;
            }
            State::Accepted { cursor } => {
                cursor.place(offset, length).map_err(|_| Misuse::OutOfOrder)?;
            }
            State::Cancelled { .. } | State::DigestFirst | State::Doomed => return Ok(false),
        }
        self.say(&SenderMessage::Data(Data { id, offset, length }))?;
        if length > 0 {
            self.out.push(SenderOutput::Payload { id, offset, length });
        }
        self.course.announced(self.now, length);
        Ok(true)
    }

    /// Says that all of the file was sent. `Ok(false)` as with [`Sender::data`].
    ///
    /// # Errors
    /// [`Misuse::OutOfOrder`] where something is missing or `size` is not the offered one;
    /// [`Misuse::WrongState`].
    pub fn finish(&mut self, id: UploadId, size: u64, digest: Digest) -> Result<bool, Misuse> {
        let Some(upload) = self.taking(id)? else { return Ok(false) };
        match &upload.state {
            State::Offered { cursor, .. } | State::Accepted { cursor } => {
                if !cursor.is_complete(upload.offer.size, size) {
                    return Err(Misuse::OutOfOrder);
                }
            }
            State::Cancelled { .. } | State::DigestFirst | State::Doomed => return Ok(false),
        }
        upload.finished = Some((size, digest));
        self.say(&SenderMessage::Finish(Finish { id, size, digest }))?;
        self.course.further(self.now);
        Ok(true)
    }

    /// Gives one upload up; no event follows for it. `Ok(false)` as with [`Sender::data`].
    ///
    /// # Errors
    /// [`Misuse::WrongState`], also after [`Sender::finish`].
    pub fn cancel(&mut self, id: UploadId, reason: Refusal) -> Result<bool, Misuse> {
        let Some(upload) = self.taking(id)? else { return Ok(false) };
        match upload.state {
            State::Offered { sent, .. } => upload.state = State::Cancelled { sent },
            State::Cancelled { .. } => return Ok(false),
            State::DigestFirst | State::Accepted { .. } | State::Doomed => {
                self.uploads.remove(&id);
            }
        }
        self.say(&SenderMessage::Cancel(Cancel { id, reason: presentable(reason) }))?;
        self.shut_down_if_done();
        Ok(true)
    }

    /// The upload, if it is not over. Numbers that were never given out and uploads that are finished
    /// already are the caller's error.
    fn taking(&mut self, id: UploadId) -> Result<Option<&mut Upload>, Misuse> {
        if id >= self.next_id {
            return Err(Misuse::WrongState);
        }
        if !matches!(self.stage, Stage::Open) {
            return Ok(None);
        }
        match self.uploads.get_mut(&id) {
            Some(Upload { finished: Some(_), .. }) => Err(Misuse::WrongState),
            upload => Ok(upload),
        }
    }
}
