//! The state of one connection: which uploads are under way, and what comes next.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use sandport_protocol::sender::{Event, Misuse, Output as MachineOutput, Sender};
use sandport_protocol::{EntryKind, Extent, Millis, Refusal, RefusalCode, ResumeMode, UploadId};

use super::output::{Outgoing, Output, Wrote};
use super::stream::{Feed, Stream};
use super::upload::{self, Body, Hashed, Hashing, Origin, Upload};
use crate::sender::error::refusal_kind;
use crate::sender::event::Report;
use crate::sender::prepare::Item;
use crate::sender::pump::{Chunk, Content, Piece, Pump};
use crate::sender::{FileError, RestartReason, SendError, SendErrorKind, SendEvent};

/// Most payload under one `data` message. Between two of them small files get their turn, and a
/// refusal takes effect; each costs the receiver one read of messages. Bytes.
const FRAME_PAYLOAD_MAX: u64 = 8 * 1024 * 1024;

/// Large files that are offered before the first of them is through: their verdicts come while
/// others are sent, and a receiver stages no more than that in vain.
const LARGE_AHEAD_MAX: usize = 64;

/// Small files kept in memory for their verdicts, where their data may not be sent ahead. Bytes.
const RETAINED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Progress of a large file is reported in steps of this size. Bytes.
const PROGRESS_STEP_BYTES: u64 = 1024 * 1024;

/// One connection, without its socket.
pub(super) struct Session<'a, 'e> {
    pub(super) machine: Sender,
    pub(super) report: &'a mut Report<'e>,
    pub(super) output: Output,
    /// What reads the large file whose turn it is.
    pub(super) feed: Option<Feed>,
    /// The part of that file that is being written.
    pub(super) chunk: Option<Chunk>,
    pub(super) hashing: Hashing,
    pumped: Option<UploadId>,
    uploads: HashMap<UploadId, Upload>,
    batch: VecDeque<Item>,
    /// Contents of small files whose payload was announced to the machine, in order.
    announced: VecDeque<Bytes>,
    /// Accepted large files that wait for their turn.
    ready: VecDeque<(UploadId, Vec<Extent>)>,
    /// Uploads with a body that waits for a pump.
    large_waiting: usize,
    /// Bytes in [`Body::Retained`].
    retained: u64,
    /// Whether small files are sent without waiting for their verdicts. Not while the server turns
    /// out to have them: a tree that is sent again should cost its names only.
    ahead: bool,
    bytes_ahead_max: u64,
    exhausted: bool,
    progressed: bool,
    closed: bool,
    end: Option<Result<(), SendError>>,
}

impl<'a, 'e> Session<'a, 'e> {
    pub(super) fn new(machine: Sender, first: VecDeque<Item>, report: &'a mut Report<'e>) -> Self {
        Self {
            machine,
            report,
            output: Output::new(),
            feed: None,
            chunk: None,
            hashing: Hashing::default(),
            pumped: None,
            uploads: HashMap::new(),
            batch: first,
            announced: VecDeque::new(),
            ready: VecDeque::new(),
            large_waiting: 0,
            retained: 0,
            ahead: true,
            bytes_ahead_max: 0,
            exhausted: false,
            progressed: false,
            closed: false,
            end: None,
        }
    }

    /// Does all that can be done without waiting.
    pub(super) fn advance(&mut self) {
        self.drain();
        while self.end.is_none() && (self.admit() || self.start_frame() || self.start_pump()) {
            self.drain();
        }
        if self.exhausted && self.batch.is_empty() && !self.closed && self.end.is_none() {
            self.closed = true;
            self.machine.close();
            self.drain();
        }
    }

    /// How the connection ended, if it did.
    pub(super) fn take_end(&mut self) -> Option<Result<(), SendError>> {
        self.end.take()
    }

    pub(super) fn wants_batch(&self) -> bool {
        self.batch.is_empty() && !self.exhausted
    }

    pub(super) fn wants_piece(&mut self) -> bool {
        self.chunk.is_none() && self.feed.as_mut().is_some_and(Feed::has_room)
    }

    /// Whether anything came further: an outcome, or more that the server keeps.
    pub(super) fn has_progressed(&self) -> bool {
        self.progressed
    }

    /// Whether all was offered.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// What has no outcome, in the order in which it was begun, and what was not offered.
    pub(super) fn into_left(mut self) -> VecDeque<Item> {
        if let (Some(Feed::Stream(stream)), Some(id)) = (self.feed.take(), self.pumped)
            && let Some(upload) = self.uploads.get_mut(&id)
        {
            upload.body = Body::Stream(stream);
        }
        let mut uploads: Vec<Upload> = self.uploads.drain().map(|(_, upload)| upload).collect();
        uploads.sort_by_key(|upload| upload.file.number);
        uploads.into_iter().map(Upload::again).chain(self.batch.drain(..)).collect()
    }

    pub(super) fn take_batch(&mut self, batch: Option<Vec<Item>>) {
        match batch {
            Some(batch) => self.batch = batch.into(),
            None => self.exhausted = true,
        }
    }

    /// Carries out the machine's outputs and takes notice of its events.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    MachineOutput::Send(bytes) => self.output.push(Outgoing::Message(bytes)),
                    MachineOutput::Payload { id, length, .. } if self.pumped == Some(id) => {
                        self.output.push(Outgoing::Frame(length));
                    }
                    MachineOutput::Payload { .. } => {
                        if let Some(content) = self.announced.pop_front() {
                            self.output.push(Outgoing::Content(content));
                        }
                    }
                    MachineOutput::Shutdown => self.output.push(Outgoing::Shutdown),
                    // The machine is of the same version as this crate.
                    _ => {}
                }
            }
            match self.machine.poll_event() {
                Some(event) => self.handle(event),
                None => return,
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Welcomed(welcomed) => {
                self.bytes_ahead_max = welcomed.bytes_ahead_max;
                self.report.emit(SendEvent::Connected { agent: &welcomed.agent });
            }
            Event::Accepted { id, missing } => {
                self.ahead = true;
                self.send_accepted(id, missing);
            }
            Event::DigestFirst { id } => self.hash_first(id),
            Event::AlreadyStored { id, receipt } => {
                let Some(upload) = self.remove(id) else { return };
                self.progressed = true;
                upload.forget_key();
                let (file, receipt) = (&upload.file, &receipt);
                self.report.emit(match file.kind {
                    EntryKind::File => {
                        self.ahead = false;
                        SendEvent::AlreadyStored { file, receipt }
                    }
                    _ => SendEvent::DirectoryStored { file, receipt },
                });
            }
            Event::Stored { id, receipt } => {
                if let Some(upload) = self.remove(id) {
                    self.progressed = true;
                    upload.forget_key();
                    self.report.emit(SendEvent::Stored { file: &upload.file, receipt: &receipt });
                }
            }
            Event::Refused { id, refusal } => self.refused(id, &refusal),
            Event::Progress { id, durable } => {
                self.progressed = true;
                if self.pumped == Some(id)
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

    /// Takes the next item in; `false` where none is there or it has to wait.
    fn admit(&mut self) -> bool {
        if !self.output.has_room()
            || !self.machine.can_offer()
            || self.large_waiting >= LARGE_AHEAD_MAX
        {
            return false;
        }
        let Some(item) = self.batch.pop_front() else { return false };
        let origin = |links| Origin::File(links);
        let begun = match item {
            Item::Directory(file) => Upload::new(file, Body::Gone, Origin::Nowhere, None, None),
            Item::Large { file, links, key } => {
                Upload::new(file, Body::Large(links), origin(links), None, key)
            }
            Item::Stream { file, reader, key } => {
                let body = Body::Stream(Box::new(Stream::new(reader)));
                Upload::new(file, body, Origin::Stream, None, key)
            }
            Item::Again(upload) => {
                self.offer(*upload, false);
                return true;
            }
            Item::Small { file, content, digest, links } => {
                let length = content.len() as u64;
                let sent_ahead = self.ahead && self.machine.can_send_ahead(length);
                let window_opens = self.ahead && length <= self.bytes_ahead_max;
                let memory_is_full =
                    self.retained > 0 && self.retained + length > RETAINED_BYTES_MAX;
                if !sent_ahead && (window_opens || memory_is_full) {
                    self.batch.push_front(Item::Small { file, content, digest, links });
                    return false;
                }
                let expected = Some((length, digest));
                if sent_ahead {
                    let upload = Upload::new(file, Body::Gone, origin(links), expected, None);
                    if let Some(id) = self.offer(upload, true) {
                        self.send_small(id, &content, &[]);
                    }
                    return true;
                }
                Upload::new(file, Body::Retained(content), origin(links), expected, None)
            }
            local @ (Item::Skipped { .. } | Item::Failed { .. }) => {
                upload::report_local(local, self.report);
                return true;
            }
        };
        self.offer(begun, true);
        true
    }

    /// Offers an upload, the first time or on another connection.
    fn offer(&mut self, mut upload: Upload, first: bool) -> Option<UploadId> {
        if let Body::Stream(stream) = &upload.body {
            upload.expected = stream.end();
        }
        let id = match self.machine.offer(upload::offer(&upload)) {
            Err(Misuse::TooLong) => {
                let error = &FileError::NameTooLong;
                self.report.emit(SendEvent::Failed { path: &upload.file.path, file: None, error });
                return None;
            }
            offered => self.checked(|_| offered)?,
        };
        if first {
            self.report.start(&mut upload.file);
            if upload.key.as_ref().is_some_and(|key| key.changed) {
                let reason = RestartReason::Changed;
                self.report.emit(SendEvent::Restarted { file: &upload.file, reason });
            }
        }
        self.large_waiting += usize::from(upload.waits_for_pump());
        self.retained += upload.retained();
        self.uploads.insert(id, upload);
        Some(id)
    }

    fn refused(&mut self, id: UploadId, refusal: &Refusal) {
        let Some(mut upload) = self.remove(id) else { return };
        let reason = match refusal.code {
            RefusalCode::DigestMismatch if upload.kept > 0 => Some(RestartReason::Damaged),
            RefusalCode::InvalidState if upload.key.is_some() => Some(RestartReason::Mixed),
            _ => None,
        };
        if let Some(reason) = reason
            && !upload.restarted
            && matches!(upload.origin, Origin::File(_))
        {
            (upload.restarted, upload.kept) = (true, 0);
            upload.set_mode(ResumeMode::Restart);
            self.report.emit(SendEvent::Restarted { file: &upload.file, reason });
            self.batch.push_front(upload.again());
            return;
        }
        if refusal_kind(refusal.code) != SendErrorKind::Temporary {
            upload.forget_key();
        }
        self.report.emit(SendEvent::Refused { file: &upload.file, refusal });
    }

    fn send_accepted(&mut self, id: UploadId, missing: Vec<Extent>) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        upload.set_mode(ResumeMode::TakeOver);
        let kept = kept(upload.file.size, &missing);
        self.progressed |= kept > upload.kept;
        upload.kept = kept;
        if kept > 0 {
            (upload.sent, upload.reported) = (kept, kept);
            self.report.emit(SendEvent::Resumed { file: &upload.file, kept });
        }
        if upload.waits_for_pump() {
            self.ready.push_back((id, missing));
        } else if let Body::Retained(content) = &upload.body {
            let content = content.clone();
            self.retained -= content.len() as u64;
            upload.body = Body::Gone;
            self.send_small(id, &content, &missing);
        }
    }

    /// Sends the missing parts of a small file (all of it where nothing is said of them), and
    /// finishes it.
    fn send_small(&mut self, id: UploadId, content: &Bytes, missing: &[Extent]) {
        let all = [Extent { offset: 0, length: None }];
        let size = content.len();
        for extent in if missing.is_empty() { &all[..] } else { missing } {
            let start = usize::try_from(extent.offset).unwrap_or(usize::MAX).min(size);
            let length = extent
                .length
                .map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
            let part = content.slice(start..start.saturating_add(length).min(size));
            if part.is_empty() {
                continue;
            }
            let (offset, length) = (start as u64, part.len() as u64);
            if self.checked(|machine| machine.data(id, offset, length)) == Some(true) {
                self.announced.push_back(part);
            }
        }
        self.finish(id);
    }

    fn finish(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let Some((size, digest)) = upload.expected else { return };
        match self.machine.finish(id, size, digest) {
            Ok(true) => self.report.emit(SendEvent::Verifying { file: &upload.file }),
            Ok(false) => {}
            Err(misuse) => self.end = Some(Err(broken_rule(misuse))),
        }
    }

    fn hash_first(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        match &upload.body {
            Body::Large(links) => self.hashing.push(id, Content::of(&upload.file, *links)),
            // The digest was in the offer, or there cannot be one before the stream is over.
            _ => self.fail(id, &FileError::DigestOfStream),
        }
    }

    pub(super) fn take_hashed(&mut self, (id, hashed): Hashed) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        match hashed {
            Ok(digest) => {
                upload.expected = Some((upload.file.size.unwrap_or(0), digest));
                self.checked(|machine| machine.offer_digest(id, digest));
            }
            Err(error) => self.fail(id, &error),
        }
    }

    /// Begins to read the next accepted large file.
    fn start_pump(&mut self) -> bool {
        if self.feed.is_some() || self.output.is_in_frame() || self.output.is_broken() {
            return false;
        }
        let Some((id, missing)) = self.ready.pop_front() else { return false };
        let Some(upload) = self.uploads.get_mut(&id) else { return true };
        let feed = match std::mem::replace(&mut upload.body, Body::Gone) {
            Body::Large(links) => {
                Feed::File(Pump::start(Content::of(&upload.file, links), missing))
            }
            Body::Stream(mut stream) => {
                let offset = missing.first().map_or(0, |extent| extent.offset);
                if let Err(error) = stream.seek(offset) {
                    self.large_waiting -= 1;
                    self.fail(id, &error);
                    return true;
                }
                stream.free(offset);
                Feed::Stream(stream)
            }
            other => {
                upload.body = other;
                return true;
            }
        };
        self.large_waiting -= 1;
        self.feed = Some(feed);
        self.pumped = Some(id);
        true
    }

    /// Announces the payload that the pump has ready.
    fn start_frame(&mut self) -> bool {
        let (Some(id), Some(chunk)) = (self.pumped, &self.chunk) else { return false };
        if self.output.is_in_frame() || self.output.is_broken() {
            return false;
        }
        let (offset, length) = (chunk.offset, chunk.run.min(FRAME_PAYLOAD_MAX));
        if self.checked(|machine| machine.data(id, offset, length)) == Some(false) {
            self.stop_pump();
        }
        true
    }

    pub(super) fn take_piece(&mut self, piece: Piece) {
        let Some(id) = self.pumped else { return };
        match piece {
            Piece::Chunk(chunk) => self.chunk = Some(chunk),
            Piece::End { size, digest } => {
                let feed = self.feed.take();
                self.stop_pump();
                if let Some(upload) = self.uploads.get_mut(&id) {
                    upload.expected = Some((size, digest));
                    if let Some(Feed::Stream(stream)) = feed {
                        upload.body = Body::Played(stream);
                    }
                }
                self.finish(id);
            }
            Piece::Failed(error) => self.fail(id, &error),
        }
    }

    /// Notes that the connection took `count` bytes.
    pub(super) fn wrote(&mut self, now: Millis, count: usize) {
        let Wrote { of_chunk, has_payload } = self.output.wrote(count);
        if has_payload {
            self.machine.handle_sent(now);
        }
        let Some(chunk) = &mut self.chunk else { return };
        chunk.advance(of_chunk);
        let through = chunk.bytes().is_empty();
        if let Some(upload) = self.pumped.and_then(|id| self.uploads.get_mut(&id)) {
            upload.sent += of_chunk as u64;
            if upload.sent - upload.reported >= PROGRESS_STEP_BYTES || !self.output.is_in_frame() {
                upload.reported = upload.sent;
                self.report.emit(SendEvent::Progress { file: &upload.file, sent: upload.sent });
            }
        }
        if through
            && let Some(chunk) = self.chunk.take()
            && let Some(feed) = &self.feed
        {
            feed.recycle(chunk);
        }
    }

    /// Gives an upload up.
    fn fail(&mut self, id: UploadId, error: &FileError) {
        let Some(upload) = self.remove(id) else { return };
        upload.forget_key();
        let reason = Refusal::new(RefusalCode::Cancelled, "the sender could not read the file");
        self.checked(|machine| machine.cancel(id, reason));
        let file = Some(&upload.file);
        self.report.emit(SendEvent::Failed { path: &upload.file.path, file, error });
    }

    /// Ends the connection on behalf of the caller.
    pub(super) fn abort(&mut self, reason: Refusal) {
        if self.output.is_in_frame() {
            self.output.fill_frame();
        }
        self.machine.abort(reason);
        self.drain();
    }

    /// Takes an upload that is over out of everything.
    fn remove(&mut self, id: UploadId) -> Option<Upload> {
        let upload = self.uploads.remove(&id)?;
        self.large_waiting -= usize::from(upload.waits_for_pump());
        self.retained -= upload.retained();
        if self.pumped == Some(id) {
            self.stop_pump();
        }
        Some(upload)
    }

    /// Ends the reading of a large file. A frame that was begun is filled: its length was announced.
    fn stop_pump(&mut self) {
        self.feed = None;
        self.pumped = None;
        self.chunk = None;
        if self.output.is_in_frame() {
            self.output.fill_frame();
        }
    }

    /// A call of the machine. One that does not fit its state ends the connection: the server asked
    /// for bytes that the file does not have, or the fault is ours.
    fn checked<T>(&mut self, call: impl FnOnce(&mut Sender) -> Result<T, Misuse>) -> Option<T> {
        match call(&mut self.machine) {
            Ok(value) => Some(value),
            Err(misuse) => {
                self.end = Some(Err(broken_rule(misuse)));
                None
            }
        }
    }
}

/// How much of a file is not missing. Bytes.
fn kept(size: Option<u64>, missing: &[Extent]) -> u64 {
    match size {
        Some(size) => {
            let rest = |extent: &Extent| extent.length.unwrap_or(size - extent.offset.min(size));
            size.saturating_sub(missing.iter().map(rest).fold(0, u64::saturating_add))
        }
        None => missing.first().map_or(0, |extent| extent.offset),
    }
}

fn broken_rule(misuse: Misuse) -> SendError {
    SendError::NotSandport(misuse.to_string())
}
