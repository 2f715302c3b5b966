//! The state of one connection: which uploads are under way, and what comes next.
//!
//! [`admit`] takes new work in, [`payload`] sends large files, [`participants`] carries files together with other
//! connections, [`answers`] is what the server says of all that.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sandport_protocol::sender::{Misuse, Sender, SenderOutput as MachineOutput};
use sandport_protocol::{Extent, Refusal, RefusalCode, UploadId};

use super::output::{Outgoing, Output};
use super::shared_transfer::Participant;
use super::stream::Feed;
use super::upload::{Body, Hashing, Upload};
use super::work::Work;
use crate::file_reader::Chunk;
use crate::keys::Key;
use crate::retries::Progress;
use crate::{FileError, SendError, SendEvent};

mod admit;
mod answers;
mod participants;
mod payload;
#[cfg(test)]
mod tests;

/// One connection, without its socket.
pub(super) struct Session<'a> {
    pub(super) machine: Sender,
    pub(super) work: &'a Work<'a>,
    pub(super) output: Output,
    /// What reads the large file whose turn it is.
    pub(super) feed: Option<Feed>,
    /// The part of that file that is being written.
    pub(super) chunk: Option<Chunk>,
    pub(super) hashing: Hashing,
    reading: Option<UploadId>,
    uploads: HashMap<UploadId, Upload>,
    /// What is carried together with other connections.
    participants: HashMap<UploadId, Participant>,
    /// Contents of small files whose payload was announced to the machine, in order.
    announced: VecDeque<Bytes>,
    /// Accepted large files that wait for their turn.
    ready: VecDeque<(UploadId, Vec<Extent>)>,
    /// Uploads with a body that waits for a reader.
    waiting: Waiting,
    /// Bytes in [`Body::Retained`].
    retained: u64,
    /// Whether small files are sent without waiting for their verdicts. Not while the server turns
    /// out to have them: a tree that is sent again should cost its names only.
    ahead: bool,
    max_bytes_ahead: u64,
    welcomed: bool,
    progress: Progress,
    closed: bool,
    end: Option<Result<(), SendError>>,
}

/// How much waits.
#[derive(Default)]
struct Waiting {
    files: usize,
    bytes: u64,
}

impl Waiting {
    /// Counts an upload in, if it waits for a reader.
    fn add(&mut self, upload: &Upload) {
        if upload.waits_for_reader() {
            self.files += 1;
            self.bytes += upload.file.size.unwrap_or(0);
        }
    }

    /// Counts it out.
    fn remove(&mut self, upload: &Upload) {
        if upload.waits_for_reader() {
            self.files -= 1;
            self.bytes -= upload.file.size.unwrap_or(0);
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(machine: Sender, work: &'a Work<'a>) -> Self {
        Self {
            machine,
            work,
            output: Output::new(),
            feed: None,
            chunk: None,
            hashing: Hashing::default(),
            reading: None,
            uploads: HashMap::new(),
            participants: HashMap::new(),
            announced: VecDeque::new(),
            ready: VecDeque::new(),
            waiting: Waiting::default(),
            retained: 0,
            ahead: true,
            max_bytes_ahead: 0,
            welcomed: false,
            progress: Progress::default(),
            closed: false,
            end: None,
        }
    }

    /// Does all that can be done without waiting.
    pub(super) fn advance(&mut self) {
        self.drain();
        while self.end.is_none()
            && (self.admit()
                || self.start_frame()
                || self.start_reader()
                || self.tend_parts()
                || self.help())
        {
            self.drain();
        }
        if self.work.is_over() && !self.closed && self.end.is_none() {
            self.closed = true;
            self.machine.close();
            self.drain();
        }
    }

    /// How the connection ended, if it did.
    pub(super) fn take_end(&mut self) -> Option<Result<(), SendError>> {
        self.end.take()
    }

    pub(super) fn wants_piece(&mut self) -> bool {
        self.chunk.is_none() && self.feed.as_mut().is_some_and(Feed::has_room)
    }

    /// Whether the server has said anything.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// What came further.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// What has no outcome, in the order in which it was begun. What other connections carry too stays
    /// with them.
    pub(super) fn into_left(mut self) -> Vec<Upload> {
        if let (Some(Feed::Stream(stream)), Some(id)) = (self.feed.take(), self.reading)
            && let Some(upload) = self.uploads.get_mut(&id)
        {
            upload.body = Body::Stream(stream);
        }
        let mut uploads: Vec<Upload> = self.uploads.drain().map(|(_, upload)| upload).collect();
        let participants: Vec<Participant> =
            self.participants.drain().map(|(_, participant)| participant).collect();
        uploads.extend(participants.iter().filter_map(|participant| self.leave(participant)));
        uploads.sort_by_key(|upload| upload.file.number);
        uploads.into_iter().map(Upload::again).collect()
    }

    /// Ends the connection on behalf of the caller. Uploads that a later run can go on with stay at the
    /// server; what nobody can go on with would only take room there.
    pub(super) fn interrupt(&mut self) {
        let reason = || Refusal::new(RefusalCode::Cancelled, "the sender was interrupted");
        let is_of_use = |upload: &Upload| upload.key.as_ref().is_none_or(Key::is_kept);
        let uploads = self.uploads.iter().map(|(&id, upload)| (id, is_of_use(upload)));
        let parts = self.participants.iter().map(|(&id, participant)| {
            (id, participant.transfer.with(|upload| is_of_use(upload)).unwrap_or(true))
        });
        for (id, is_of_use) in uploads.chain(parts) {
            if !is_of_use {
                // Of one that is finished the answer is awaited.
                let _ = self.machine.cancel(id, reason());
            }
        }
        self.machine.abort(reason());
        self.drain();
    }

    /// Carries out the machine's outputs and takes notice of its events.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    MachineOutput::Send(bytes) => self.output.push(Outgoing::Message(bytes)),
                    MachineOutput::Payload { id, length, .. } if self.reading == Some(id) => {
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

    /// Gives an upload up.
    fn fail(&mut self, id: UploadId, error: FileError) {
        let Some(upload) = self.remove(id) else { return };
        let reason = Refusal::new(RefusalCode::Cancelled, "the sender could not read the file");
        self.checked(|machine| machine.cancel(id, reason));
        self.report_failed(&upload, error);
    }

    fn report_failed(&self, upload: &Upload, error: FileError) {
        upload.forget_key();
        let (path, file) = (upload.file.path.clone(), Some(Arc::clone(&upload.file)));
        self.emit(SendEvent::Failed { path, file, error });
        self.work.ended();
    }

    /// Takes an upload that is over out of everything.
    fn remove(&mut self, id: UploadId) -> Option<Upload> {
        let upload = self.uploads.remove(&id)?;
        self.waiting.remove(&upload);
        self.retained -= upload.retained();
        if self.reading == Some(id) {
            self.stop_reader();
        }
        Some(upload)
    }

    /// A call of the machine. One that does not fit its state ends the connection: the server asked
    /// for bytes that the file does not have, or the fault is ours.
    fn checked<T>(&mut self, call: impl FnOnce(&mut Sender) -> Result<T, Misuse>) -> Option<T> {
        match call(&mut self.machine) {
            Ok(value) => Some(value),
            Err(misuse) => {
                self.end = Some(Err(SendError::NotSandport(misuse.to_string())));
                None
            }
        }
    }

    fn emit(&self, event: SendEvent) {
        self.work.report.emit(event);
    }
}
