//! The state of one connection: which uploads are under way, and what comes next.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use sandport_protocol::sender::{Event, Misuse, Output as MachineOutput, Sender};
use sandport_protocol::{Digest, EntryKind, Extent, Millis, Refusal, RefusalCode, UploadId};

use super::output::{Outgoing, Output, Wrote};
use super::upload::{self, Body, Hashed, Hashing, Upload};
use crate::sender::event::Report;
use crate::sender::prepare::Item;
use crate::sender::pump::{Chunk, Content, Piece, Pump};
use crate::sender::{FileError, SendError, SendEvent, SendFile};

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
    pub(super) pump: Option<Pump>,
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
    closed: bool,
    end: Option<Result<(), SendError>>,
}

impl<'a, 'e> Session<'a, 'e> {
    pub(super) fn new(machine: Sender, first: Vec<Item>, report: &'a mut Report<'e>) -> Self {
        Self {
            machine,
            report,
            output: Output::new(),
            pump: None,
            chunk: None,
            hashing: Hashing::default(),
            pumped: None,
            uploads: HashMap::new(),
            batch: first.into(),
            announced: VecDeque::new(),
            ready: VecDeque::new(),
            large_waiting: 0,
            retained: 0,
            ahead: true,
            bytes_ahead_max: 0,
            exhausted: false,
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

    pub(super) fn wants_piece(&self) -> bool {
        self.pump.is_some() && self.chunk.is_none()
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
                let Some(Upload { file, .. }) = self.remove(id) else { return };
                let (file, receipt) = (&file, &receipt);
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
                    self.report.emit(SendEvent::Stored { file: &upload.file, receipt: &receipt });
                }
            }
            Event::Refused { id, refusal } => {
                if let Some(upload) = self.remove(id) {
                    self.report.emit(SendEvent::Refused { file: &upload.file, refusal: &refusal });
                }
            }
            Event::Ended(end) => self.end = Some(end.map_err(SendError::from)),
            // Durability is what `Stored` says; there is no identity to hear of yet.
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
        match item {
            Item::Directory(file) => self.offer(file, Body::Gone, None),
            Item::Large(file, links) => self.offer(file, Body::Large(links), None),
            Item::Stream { file, reader } => self.offer(file, Body::Stream(reader), None),
            Item::Small { file, content, digest } => {
                let length = content.len() as u64;
                let sent_ahead = self.ahead && self.machine.can_send_ahead(length);
                let window_opens = self.ahead && length <= self.bytes_ahead_max;
                let memory_is_full =
                    self.retained > 0 && self.retained + length > RETAINED_BYTES_MAX;
                if !sent_ahead && (window_opens || memory_is_full) {
                    self.batch.push_front(Item::Small { file, content, digest });
                    return false;
                }
                let expected = Some((length, digest));
                if sent_ahead {
                    if let Some(id) = self.offer(file, Body::Gone, expected) {
                        self.send_small(id, &content, &[]);
                    }
                    return true;
                }
                self.offer(file, Body::Retained(content), expected)
            }
            local @ (Item::Skipped { .. } | Item::Failed { .. }) => {
                upload::report_local(local, self.report);
                return true;
            }
        };
        true
    }

    fn offer(
        &mut self,
        mut file: SendFile,
        body: Body,
        expected: Option<(u64, Digest)>,
    ) -> Option<UploadId> {
        let offer = upload::offer(&file, expected.map(|(_, digest)| digest));
        let id = match self.machine.offer(offer) {
            Err(Misuse::TooLong) => {
                let error = &FileError::NameTooLong;
                self.report.emit(SendEvent::Failed { path: &file.path, file: None, error });
                return None;
            }
            offered => self.checked(|_| offered)?,
        };
        self.report.start(&mut file);
        let upload = Upload::new(file, body, expected);
        self.large_waiting += usize::from(upload.waits_for_pump());
        self.retained += upload.retained();
        self.uploads.insert(id, upload);
        Some(id)
    }

    fn send_accepted(&mut self, id: UploadId, missing: Vec<Extent>) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
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
        if self.pump.is_some() || self.output.is_in_frame() || self.output.is_broken() {
            return false;
        }
        let Some((id, missing)) = self.ready.pop_front() else { return false };
        let Some(upload) = self.uploads.get_mut(&id) else { return true };
        let content = match std::mem::replace(&mut upload.body, Body::Gone) {
            Body::Large(links) => Content::of(&upload.file, links),
            Body::Stream(reader) => Content::Reader(reader),
            other => {
                upload.body = other;
                return true;
            }
        };
        self.large_waiting -= 1;
        self.pump = Some(Pump::start(content, missing));
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
                self.stop_pump();
                if let Some(upload) = self.uploads.get_mut(&id) {
                    upload.expected = Some((size, digest));
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
            && let Some(pump) = &self.pump
        {
            pump.recycle(chunk);
        }
    }

    /// Gives an upload up.
    fn fail(&mut self, id: UploadId, error: &FileError) {
        let Some(upload) = self.remove(id) else { return };
        let reason = Refusal::new(RefusalCode::Cancelled, "the sender could not read the file");
        self.checked(|machine| machine.cancel(id, reason));
        let file = Some(&upload.file);
        self.report.emit(SendEvent::Failed { path: &upload.file.path, file, error });
    }

    /// Ends the connection on behalf of the caller.
    pub(super) fn abort(&mut self, reason: Refusal) {
        self.stop_pump();
        self.machine.abort(reason);
        self.drain();
    }

    /// Reports the uploads that have no outcome, in the order in which they were begun.
    pub(super) fn report_unanswered(&mut self) {
        let mut files: Vec<SendFile> =
            self.uploads.drain().map(|(_, upload)| upload.file).collect();
        files.sort_by_key(|file| file.number);
        for file in &files {
            self.report.emit(SendEvent::Unanswered { file });
        }
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
        self.pump = None;
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

fn broken_rule(misuse: Misuse) -> SendError {
    SendError::NotSandport(misuse.to_string())
}
