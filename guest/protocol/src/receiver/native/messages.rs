//! What each message of the sender does.

use alloc::format;
use alloc::vec::Vec;

use super::super::io::{Io, too_large};
use super::super::{LogLevel, Output, Wishes};
use super::{Native, Stage, Upload, presentable};
use crate::extents::{Order, Placed};
use crate::wire::{
    Cancel, Data, Finish, Hello, NumberedOffer, ReceiverMessage, SenderMessage, VERSION, Welcome,
    cut,
};
use crate::{
    AGENT_BYTES_MAX, HEADER_READ_BYTES_MAX, LARGE_DATA_BYTES, READ_BYTES_MAX, Refusal, RefusalCode,
    UploadId,
};

impl Native {
    /// The first message: a hello, and nothing else but a goodbye.
    pub(super) fn first(&mut self, io: &mut Io, message: SenderMessage) {
        match message {
            SenderMessage::Hello(hello) => self.hello(io, hello),
            SenderMessage::Goodbye(refusal) => self.end(io, Err(presentable(refusal))),
            _ => self.malformed(io, "the first message is not a hello"),
        }
    }

    /// Any message after the hello.
    pub(super) fn message(&mut self, io: &mut Io, message: SenderMessage) {
        match message {
            SenderMessage::Hello(_) => self.out_of_place(io, "a second hello"),
            SenderMessage::Goodbye(refusal) => self.end(io, Err(presentable(refusal))),
            SenderMessage::Authenticate(_) if self.authenticated || self.next_id > 0 => {
                self.out_of_place(io, "an authentication after the first one or after an offer");
            }
            SenderMessage::Authenticate(credential) => {
                self.authenticated = true;
                self.stage = Stage::Authenticating;
                io.out.push(Output::Authenticate(credential));
            }
            SenderMessage::Offer(NumberedOffer { id, offer }) => {
                if !self.admit(io, id, offer.digest.is_some()) {
                    return;
                }
                // Names and sizes are the inbox's to judge.
                let order = Order::of(&offer);
                self.stage = Stage::Opening { id, size: offer.size, order };
                io.out.push(Output::Open { id, offer, wishes: Wishes::default() });
            }
            SenderMessage::Data(data) => self.data(io, data),
            SenderMessage::Finish(finish) => self.finish(io, finish),
            SenderMessage::Cancel(cancel) => self.cancel(io, cancel),
            SenderMessage::KeepAlive => {}
        }
    }

    /// An offer whose name is not UTF-8 is an offer in every other respect.
    pub(super) fn unreadable_name(&mut self, io: &mut Io, id: UploadId) {
        if self.admit(io, id, true) {
            let refusal = Refusal::new(RefusalCode::NameInvalid, "the name is not UTF-8");
            // The inbox hears nothing of it, and so the operator would not either.
            io.out.log(LogLevel::Warn, format!("refused a file: {refusal}"));
            self.refuse(io, id, refusal);
        }
    }

    fn hello(&mut self, io: &mut Io, hello: Hello) {
        let Hello { version_min, version_max, agent } = hello;
        if version_min > version_max {
            return self.malformed(io, "the lowest version is above the highest");
        }
        if !(version_min..=version_max).contains(&VERSION) {
            let detail = format!(
                "the sender speaks versions {version_min} to {version_max}, this receiver {VERSION}"
            );
            return self.fail(io, Refusal::new(RefusalCode::UnsupportedVersion, detail));
        }
        let agent = cut(agent, AGENT_BYTES_MAX);
        io.out.log(LogLevel::Debug, format!("native dialect, version {VERSION}, sender {agent}"));
        self.stage = Stage::Messages;
        let welcome = Welcome {
            version: VERSION,
            agent: cut(core::mem::take(&mut self.agent), AGENT_BYTES_MAX),
            max_file_size: io.limits.max_file_size,
            max_uploads_ahead: io.limits.max_uploads_ahead,
            max_bytes_ahead: io.limits.max_bytes_ahead,
            idle_timeout_ms: io.limits.idle_timeout_ms,
            challenge: core::mem::take(&mut self.challenge),
        };
        self.send(io, &ReceiverMessage::Welcome(welcome));
    }

    /// Whether an offer under this number may come now. Where not, the connection ends.
    fn admit(&mut self, io: &mut Io, id: UploadId, has_digest: bool) -> bool {
        match self.uploads.get(&id) {
            Some(Upload::DigestFirst) if has_digest => {
                self.uploads.remove(&id);
                true
            }
            Some(Upload::DigestFirst) => {
                self.out_of_place(io, "an offer without the digest that was asked for");
                false
            }
            _ if id != self.next_id => {
                let next = self.next_id;
                self.malformed(io, format!("an offer has the number {id} and not {next}"));
                false
            }
            _ if self.uploads.len() as u64 >= u64::from(io.limits.max_uploads_ahead) => {
                let max = io.limits.max_uploads_ahead;
                let detail = format!("more than {max} uploads are open at once");
                self.fail(io, Refusal::new(RefusalCode::TooMany, detail));
                false
            }
            _ => {
                self.next_id += 1;
                true
            }
        }
    }

    fn data(&mut self, io: &mut Io, data: Data) {
        let Data { id, offset, length } = data;
        if !self.is_known(io, id) {
            return;
        }
        self.read_bytes_max =
            if length >= LARGE_DATA_BYTES { HEADER_READ_BYTES_MAX } else { READ_BYTES_MAX };
        let mut target = None;
        match self.uploads.get_mut(&id) {
            Some(Upload::Receiving { account, offered }) => {
                let max_file_size = io.limits.max_file_size.unwrap_or(u64::MAX);
                match account.place(offset, length) {
                    _ if offset.saturating_add(length) > max_file_size => {
                        self.discard(io, id, too_large(max_file_size));
                    }
                    Ok(placed) => {
                        target = Some(id);
                        if let Placed::Begins(extent) = placed {
                            io.out.push(Output::Body { id, extent, check: None });
                        }
                    }
                    Err(error) => {
                        let detail = match *offered {
                            Some(size) if offset.saturating_add(length) > size => {
                                format!(
                                    "{length} bytes for offset {offset} go beyond the announced \
                                     size of {size}"
                                )
                            }
                            _ => format!("{length} bytes for offset {offset}: {error}"),
                        };
                        self.discard(io, id, Refusal::new(RefusalCode::OffsetMismatch, detail));
                    }
                }
            }
            Some(Upload::Committing) => return self.out_of_place(io, "data after a finish"),
            Some(Upload::DigestFirst) | None => {}
        }
        if length > 0 {
            self.stage = Stage::Payload { id: target, remaining: length };
        }
    }

    fn finish(&mut self, io: &mut Io, finish: Finish) {
        let Finish { id, size, digest } = finish;
        if !self.is_known(io, id) {
            return;
        }
        match self.uploads.get_mut(&id) {
            Some(upload @ Upload::Receiving { .. }) => {
                if matches!(upload, Upload::Receiving { offered, account }
                    if account.is_complete(*offered, size))
                {
                    *upload = Upload::Committing;
                    self.commits += 1;
                    io.out.push(Output::Commit {
                        id,
                        size,
                        digest: Some(digest),
                        digests: Vec::new(),
                    });
                } else {
                    let detail = "the bytes that came, the size in the offer and the size at the end \
                                  are not the same";
                    self.discard(io, id, Refusal::new(RefusalCode::DigestMismatch, detail));
                }
            }
            Some(Upload::Committing) => self.out_of_place(io, "a second finish"),
            Some(Upload::DigestFirst) | None => {}
        }
    }

    fn cancel(&mut self, io: &mut Io, cancel: Cancel) {
        let Cancel { id, reason } = cancel;
        if !self.is_known(io, id) {
            return;
        }
        match self.uploads.get(&id) {
            Some(Upload::Receiving { .. }) => {
                self.uploads.remove(&id);
                io.out.push(Output::Discard { id, reason: Some(presentable(reason)) });
            }
            Some(Upload::DigestFirst) => {
                self.uploads.remove(&id);
            }
            Some(Upload::Committing) => self.out_of_place(io, "a cancel after the finish"),
            None => {}
        }
    }

    /// Whether the number was ever offered. Where not, the connection ends.
    fn is_known(&mut self, io: &mut Io, id: UploadId) -> bool {
        let known = id < self.next_id;
        if !known {
            self.malformed(io, format!("the number {id} was not offered"));
        }
        known
    }
}
