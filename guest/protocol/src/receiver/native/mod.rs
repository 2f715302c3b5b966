//! The native dialect: frames, and payload between them.
//!
//! This file decides what bytes mean at which moment; `messages` what each message does; `ending` how
//! a connection comes to its end.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::io::{Io, cut_off};
use super::{Opened, Output, Want};
use crate::extents::{Account, Order};
use crate::wire::{
    Accepted, DecodeError, FrameDecoder, PREFACE, PrefaceMatcher, Progress, ReceiverMessage,
    Refused, SenderMessage, Stored,
};
use crate::{
    Authenticated, DETAIL_BYTES_MAX, KEEP_ALIVE_MS_MAX, Millis, READ_BYTES_MAX, Receipt, Refusal,
    RefusalCode, UploadId,
};

mod ending;
mod messages;

/// The receiving end of a native connection.
pub(super) struct Native {
    stage: Stage,
    frames: FrameDecoder,
    /// The open uploads, from their offers to their outcomes. Bounded by `max_uploads_ahead`. What is
    /// said of an upload below `next_id` that is not here is skipped: it is over, and the sender may
    /// not have known.
    uploads: BTreeMap<UploadId, Upload>,
    next_id: UploadId,
    /// How many of the uploads are being committed.
    commits: usize,
    /// Most bytes to read at the next header.
    read_bytes_max: usize,
    /// What goes into the welcome.
    challenge: Vec<u8>,
    agent: String,
    preface_sent: bool,
    last_sent: Millis,
    authenticated: bool,
}

enum Stage {
    /// The sender's preface is coming.
    Preface(PrefaceMatcher),
    /// The first message is coming.
    Hello,
    /// Messages are coming.
    Messages,
    /// The gate is asked.
    Authenticating,
    /// The inbox is asked. The size is the offered one.
    Opening { id: UploadId, size: Option<u64>, order: Order },
    /// Payload is coming. `None`: it is skipped.
    Payload { id: Option<UploadId>, remaining: u64 },
    /// Nothing more is read. Commits that run are waited for.
    Ending(Ending),
}

/// How the connection will end when no commit runs any more.
struct Ending {
    /// Whether the refusal is told to the sender.
    goodbye: bool,
    result: Result<(), Refusal>,
}

/// An open upload.
enum Upload {
    /// It has to be offered again with its digest.
    DigestFirst,
    /// The inbox has accepted it.
    Receiving { offered: Option<u64>, account: Account },
    /// The inbox commits it.
    Committing,
}

impl Native {
    pub(super) fn new(challenge: Vec<u8>, agent: String, now: Millis) -> Self {
        Self {
            stage: Stage::Preface(PrefaceMatcher::default()),
            frames: FrameDecoder::default(),
            uploads: BTreeMap::new(),
            next_id: 0,
            commits: 0,
            read_bytes_max: READ_BYTES_MAX,
            challenge,
            agent,
            preface_sent: false,
            last_sent: now,
            authenticated: false,
        }
    }

    /// Parses what is in `io.input`, as far as it goes.
    pub(super) fn process(&mut self, io: &mut Io) {
        while !io.input.is_empty() {
            match &mut self.stage {
                Stage::Preface(matcher) => match matcher.advance(&mut io.input) {
                    None => {}
                    Some(true) => self.stage = Stage::Hello,
                    Some(false) => {
                        self.malformed(io, "the preface is damaged, as a channel for text does it");
                    }
                },
                Stage::Hello | Stage::Messages => match self.frames.next(&mut io.input) {
                    Ok(Some(message)) => self.decode(io, &message),
                    Ok(None) => {}
                    Err(error) => self.malformed(io, format!("{error}")),
                },
                Stage::Authenticating | Stage::Opening { .. } => return,
                Stage::Payload { id, remaining } => {
                    let length = (*remaining).min(io.input.len() as u64);
                    let bytes = io.input.split_to(length as usize);
                    if let Some(id) = *id {
                        io.out.push(Output::Write { id, bytes });
                    }
                    self.advance(length);
                }
                Stage::Ending(_) => io.input.clear(),
            }
        }
    }

    pub(super) fn handle_spliced(&mut self, io: &mut Io, count: u64) {
        if let Stage::Payload { remaining, .. } = self.stage {
            self.advance(count.min(remaining));
            self.process(io);
        }
    }

    pub(super) fn handle_eof(&mut self, io: &mut Io) {
        let is_open = |upload: &Upload| !matches!(upload, Upload::Committing);
        match &self.stage {
            Stage::Preface(_) | Stage::Hello => self.end(io, Err(cut_off("before the hello"))),
            Stage::Payload { .. } => self.end(io, Err(cut_off("within payload"))),
            Stage::Messages if !self.frames.is_between_frames() => {
                self.end(io, Err(cut_off("within a message")));
            }
            Stage::Messages => match self.uploads.values().filter(|upload| is_open(upload)).count()
            {
                0 => self.end(io, Ok(())),
                open => self.end(io, Err(cut_off(&format!("before {open} uploads were finished")))),
            },
            // The answer comes before anything else, and the end will be seen again.
            Stage::Authenticating | Stage::Opening { .. } => {}
            Stage::Ending(_) => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, io: &mut Io) {
        if self.idle_at(io).is_some_and(|due| io.now >= due) {
            let refusal = io.timeout();
            self.fail(io, refusal);
        } else if self.keep_alive_at(io).is_some_and(|due| io.now >= due) {
            self.send(io, &ReceiverMessage::KeepAlive);
        }
    }

    pub(super) fn handle_opened(
        &mut self,
        io: &mut Io,
        id: UploadId,
        opened: Result<Opened, Refusal>,
    ) {
        let Stage::Opening { id: opening, size, order } = self.stage else { return };
        if opening != id {
            return;
        }
        self.stage = Stage::Messages;
        match opened {
            Ok(Opened::Accepted(missing)) => match Account::new(&missing, size, order) {
                Ok(account) => {
                    self.uploads.insert(id, Upload::Receiving { offered: size, account });
                    self.send(io, &ReceiverMessage::Accepted(Accepted { id, missing }));
                }
                Err(_) => {
                    let detail = "the inbox misses extents that the file does not have";
                    self.discard(io, id, Refusal::new(RefusalCode::Other, detail));
                }
            },
            Ok(Opened::Stored(receipt)) => {
                self.send(io, &ReceiverMessage::AlreadyStored(Stored { id, receipt }));
            }
            Ok(Opened::DigestFirst) => {
                self.uploads.insert(id, Upload::DigestFirst);
                self.send(io, &ReceiverMessage::DigestFirst(id));
            }
            Ok(Opened::Begun { .. }) => {
                let detail = "the inbox made up a key that nobody has asked for";
                self.discard(io, id, Refusal::new(RefusalCode::Other, detail));
            }
            Err(refusal) => self.refuse(io, id, refusal),
        }
        self.process(io);
    }

    pub(super) fn handle_fault(&mut self, io: &mut Io, id: UploadId, fault: Refusal) {
        match self.uploads.get(&id) {
            Some(Upload::Receiving { .. }) => self.discard(io, id, fault),
            // The commit names the fault, unless it was not even begun.
            Some(Upload::Committing) if io.out.retract_commit(id) => {
                self.commits -= 1;
                self.discard(io, id, fault);
                self.conclude(io);
            }
            _ => {}
        }
    }

    pub(super) fn handle_progress(&mut self, io: &mut Io, id: UploadId, durable: u64) {
        if matches!(self.uploads.get(&id), Some(Upload::Receiving { .. } | Upload::Committing)) {
            self.send(io, &ReceiverMessage::Progress(Progress { id, durable }));
        }
    }

    pub(super) fn handle_committed(
        &mut self,
        io: &mut Io,
        id: UploadId,
        outcome: Result<Receipt, Refusal>,
    ) {
        if !matches!(self.uploads.get(&id), Some(Upload::Committing)) {
            return;
        }
        self.commits -= 1;
        self.uploads.remove(&id);
        match outcome {
            Ok(receipt) => self.send(io, &ReceiverMessage::Stored(Stored { id, receipt })),
            Err(refusal) => self.refuse(io, id, refusal),
        }
        self.conclude(io);
    }

    pub(super) fn handle_authenticated(
        &mut self,
        io: &mut Io,
        outcome: Result<Authenticated, Refusal>,
    ) {
        if !matches!(self.stage, Stage::Authenticating) {
            return;
        }
        match outcome {
            Ok(identity) => {
                self.stage = Stage::Messages;
                self.send(io, &ReceiverMessage::Authenticated(identity));
                self.process(io);
            }
            Err(refusal) => self.fail(io, refusal),
        }
    }

    pub(super) fn want(&self) -> Want {
        match self.stage {
            Stage::Preface(_) | Stage::Hello | Stage::Messages => {
                Want::Read { max: self.read_bytes_max.max(self.frames.missing()) }
            }
            Stage::Payload { id: Some(id), remaining } => Want::Splice { id, max: remaining },
            Stage::Payload { id: None, remaining } => Want::Skip { max: remaining },
            Stage::Authenticating | Stage::Opening { .. } | Stage::Ending(_) => Want::Nothing,
        }
    }

    pub(super) fn poll_timeout(&self, io: &Io) -> Option<Millis> {
        let keep_alive = self.keep_alive_at(io);
        self.idle_at(io).into_iter().chain(keep_alive).min()
    }

    /// When the peer has been silent for too long. Not while it waits for commits: it may have nothing
    /// more to say.
    fn idle_at(&self, io: &Io) -> Option<Millis> {
        let peers_turn =
            !matches!(self.stage, Stage::Authenticating | Stage::Opening { .. } | Stage::Ending(_));
        (peers_turn && self.commits == 0).then(|| io.idle_at())
    }

    /// When the peer should hear of us, as long as it waits for something: an upload, or the answer to what
    /// it just said.
    fn keep_alive_at(&self, io: &Io) -> Option<Millis> {
        let third = Millis::from(io.limits.idle_timeout_ms) / 3;
        // A timeout of next to nothing must not become a busy loop.
        let interval = third.clamp(1, KEEP_ALIVE_MS_MAX);
        let waits = matches!(self.stage, Stage::Authenticating | Stage::Opening { .. })
            || !self.uploads.is_empty();
        waits.then(|| self.last_sent.saturating_add(interval))
    }

    fn decode(&mut self, io: &mut Io, bytes: &[u8]) {
        match SenderMessage::decode(bytes) {
            Ok(message) if matches!(self.stage, Stage::Hello) => self.first(io, message),
            Ok(message) => self.message(io, message),
            Err(DecodeError::NameNotUtf8 { id }) if matches!(self.stage, Stage::Messages) => {
                self.unreadable_name(io, id);
            }
            Err(_) => self.malformed(io, "a message does not decode"),
        }
    }

    /// `length` bytes of payload went to the body or were skipped.
    fn advance(&mut self, length: u64) {
        if let Stage::Payload { remaining, .. } = &mut self.stage {
            *remaining -= length;
            if *remaining == 0 {
                self.stage = Stage::Messages;
            }
        }
    }

    /// Refuses an upload that the inbox holds. The rest of it is skipped.
    fn discard(&mut self, io: &mut Io, id: UploadId, refusal: Refusal) {
        // What is wrong with one `data` says nothing against those before it. A wrong size does, and a
        // stream that is too long is never let in, whoever goes on with it.
        let keeps = !matches!(refusal.code, RefusalCode::DigestMismatch | RefusalCode::TooLarge)
            && matches!(self.uploads.get(&id), Some(Upload::Receiving { account, .. })
                if account.order() == Order::Any);
        io.out.push(match keeps {
            true => Output::Release { id },
            false => Output::Discard { id, reason: Some(presentable(refusal.clone())) },
        });
        self.refuse(io, id, refusal);
    }

    /// Refuses an upload that the inbox does not hold. The rest of it is skipped.
    fn refuse(&mut self, io: &mut Io, id: UploadId, refusal: Refusal) {
        self.uploads.remove(&id);
        if let Stage::Payload { id: target, .. } = &mut self.stage
            && *target == Some(id)
        {
            *target = None;
        }
        let refusal = presentable(refusal);
        self.send(io, &ReceiverMessage::Refused(Refused { id, refusal }));
    }

    /// Sends a message, after the preface if it is the first.
    fn send(&mut self, io: &mut Io, message: &ReceiverMessage) {
        match message.encode_frame() {
            Ok(frame) => {
                if !self.preface_sent {
                    self.preface_sent = true;
                    io.out.send(&PREFACE);
                }
                io.out.send(&frame);
                self.last_sent = io.now;
            }
            // What the sandbox's host says is bounded, except in a host with an error: extents by the
            // thousand, a receipt's name of many kilobytes.
            Err(error) => {
                let detail = format!("the inbox gave an answer that cannot be sent: {error}");
                self.fail(io, Refusal::new(RefusalCode::Other, detail));
            }
        }
    }
}

/// Cuts the words of a refusal to what is sent at most.
fn presentable(refusal: Refusal) -> Refusal {
    let detail = refusal.detail.map(|detail| crate::wire::cut(detail, DETAIL_BYTES_MAX));
    Refusal { detail, ..refusal }
}
