//! A native sender with an application that sends files from memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use sandport_protocol::sender::{EndReason, Event, Sender, SenderOutput};
use sandport_protocol::{
    Credential, EntryKind, Extent, Millis, Offer, Receipt, Refusal, RefusalCode, UploadId,
};

use super::inbox::digest_of;

pub const STALL_MS: Millis = 30_000;

/// A file to send, or a directory.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub content: Vec<u8>,
    pub kind: EntryKind,
    /// Whether the offer says the size, and the digest.
    pub says_size: bool,
    pub says_digest: bool,
    /// Whether the application gives the file up instead of finishing it.
    pub gives_up: bool,
}

impl File {
    pub fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            kind: EntryKind::File,
            says_size: true,
            says_digest: false,
            gives_up: false,
        }
    }

    pub fn directory(name: &str) -> Self {
        Self { kind: EntryKind::Directory, says_size: false, ..Self::new(name, []) }
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Stored(Receipt),
    AlreadyStored(Receipt),
    Refused(Refusal),
    GivenUp,
}

pub struct SenderEnd {
    pub machine: Sender,
    /// What is to go over the connection.
    pub outgoing: VecDeque<u8>,
    pub shut_down: bool,
    pub outcomes: BTreeMap<UploadId, Outcome>,
    pub ended: Option<Result<(), EndReason>>,
    pub credential: Option<Credential>,
    /// Whether files are sent ahead of their verdicts.
    pub ahead: bool,
    /// Most bytes of one `data`.
    pub piece: u64,
    /// Whether the application hangs: it offers nothing and sends nothing.
    pub hangs: bool,
    files: Vec<File>,
    offered: usize,
    ready: bool,
    finished: BTreeMap<UploadId, bool>,
}

impl SenderEnd {
    pub fn new(files: Vec<File>, now: Millis) -> Self {
        let mut end = Self {
            machine: Sender::new("sender/1".into(), STALL_MS, now),
            outgoing: VecDeque::new(),
            shut_down: false,
            outcomes: BTreeMap::new(),
            ended: None,
            credential: None,
            ahead: true,
            piece: 1000,
            hangs: false,
            files,
            offered: 0,
            ready: false,
            finished: BTreeMap::new(),
        };
        end.settle();
        end
    }

    pub fn handle_input(&mut self, now: Millis, bytes: &[u8]) {
        self.machine.handle_input(now, Bytes::copy_from_slice(bytes));
        self.settle();
    }

    pub fn handle_eof(&mut self, now: Millis) {
        self.machine.handle_eof(now);
        self.settle();
    }

    pub fn handle_sent(&mut self, now: Millis, bytes: u64) {
        self.machine.handle_sent(now, bytes);
        self.settle();
    }

    pub fn tick(&mut self, now: Millis) {
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.machine.handle_timeout(now);
            self.settle();
            let due = self.machine.poll_timeout();
            assert!(due.is_none_or(|due| due > now), "a timeout that stays due: {due:?} at {now}");
        }
    }

    pub fn abort(&mut self, reason: Refusal) {
        self.machine.abort(reason);
        self.settle();
    }

    /// The names of files with their outcomes.
    pub fn outcome_of(&self, name: &str) -> Option<&Outcome> {
        let id = self.files.iter().position(|file| file.name == name)?;
        self.outcomes.get(&(id as UploadId))
    }

    fn settle(&mut self) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.carry_out(output);
            }
            match self.machine.poll_event() {
                Some(event) => self.react(event),
                None => {
                    if !self.offer_next() {
                        break;
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, output: SenderOutput) {
        assert!(!self.shut_down, "an output after the shutdown: {output:?}");
        match output {
            SenderOutput::Send(bytes) => self.outgoing.extend(bytes),
            SenderOutput::Payload { id, offset, length } => {
                let content = &self.files[id as usize].content;
                self.outgoing.extend(&content[offset as usize..(offset + length) as usize]);
            }
            SenderOutput::Shutdown => self.shut_down = true,
            other => panic!("an output that no driver knows: {other:?}"),
        }
    }

    fn react(&mut self, event: Event) {
        assert!(self.ended.is_none(), "an event after the end: {event:?}");
        match event {
            Event::Welcomed(_) => match self.credential.take() {
                Some(credential) => self.machine.authenticate(credential).unwrap(),
                None => self.ready = true,
            },
            Event::Authenticated(_) => self.ready = true,
            Event::Accepted { id, missing } => {
                if !self.finished[&id] {
                    self.send(id, &missing);
                }
            }
            Event::DigestFirst { id } => {
                self.finished.insert(id, false);
                let digest = digest_of(&self.files[id as usize].content);
                self.machine.offer_digest(id, digest).unwrap();
            }
            Event::AlreadyStored { id, receipt } => {
                self.settle_file(id, Outcome::AlreadyStored(receipt));
            }
            Event::Stored { id, receipt } => self.settle_file(id, Outcome::Stored(receipt)),
            Event::Refused { id, refusal } => self.settle_file(id, Outcome::Refused(refusal)),
            Event::Progress { .. } => {}
            Event::Ended(result) => self.ended = Some(result),
            other => panic!("an event that no driver knows: {other:?}"),
        }
    }

    fn settle_file(&mut self, id: UploadId, outcome: Outcome) {
        assert_eq!(self.outcomes.insert(id, outcome), None, "a second outcome");
    }

    fn offer_next(&mut self) -> bool {
        if !self.ready || self.hangs || !self.machine.can_offer() {
            return false;
        }
        let Some(file) = self.files.get(self.offered).cloned() else {
            self.machine.close();
            return true;
        };
        self.offered += 1;
        let offer = Offer {
            name: Some(file.name.clone()),
            kind: file.kind,
            size: file.says_size.then(|| file.size()),
            digest: file.says_digest.then(|| digest_of(&file.content)),
            modified_ns: Some(-1),
            executable: false,
            resume: None,
        };
        let id = self.machine.offer(offer).unwrap();
        self.finished.insert(id, false);
        let fits = self.machine.can_send_ahead(file.size());
        if self.ahead && file.kind == EntryKind::File && fits {
            self.send(id, &[Extent { offset: 0, length: Some(file.size()) }]);
        }
        true
    }

    fn send(&mut self, id: UploadId, missing: &[Extent]) {
        let file = self.files[id as usize].clone();
        for extent in missing {
            let end = extent.length.map_or(file.size(), |length| extent.offset + length);
            let mut offset = extent.offset;
            while offset < end {
                let length = self.piece.min(end - offset);
                assert!(self.machine.data(id, offset, length).unwrap());
                offset += length;
            }
        }
        self.finished.insert(id, true);
        if file.gives_up {
            let reason = Refusal::new(RefusalCode::Cancelled, "the file vanished");
            assert!(self.machine.cancel(id, reason).unwrap());
            self.settle_file(id, Outcome::GivenUp);
        } else {
            let digest = digest_of(&file.content);
            assert!(self.machine.finish(id, file.size(), digest).unwrap());
        }
    }
}
