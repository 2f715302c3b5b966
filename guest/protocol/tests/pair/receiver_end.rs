//! A receiver with its driver: does what the machine asks, and checks what a driver may rely on.

use std::collections::BTreeSet;

use bytes::Bytes;
use sandport_protocol::receiver::{Committed, LogLevel, Output, Receiver, Want};
use sandport_protocol::{Authenticated, Limits, Millis, Refusal, RefusalCode, UploadId};

use super::inbox::Inbox;

pub const CHALLENGE: [u8; 32] = [7; 32];

pub struct ReceiverEnd {
    pub machine: Receiver,
    pub inbox: Inbox,
    /// All that was sent so far.
    pub sent: Vec<u8>,
    pub closed: Option<Result<(), Refusal>>,
    /// The uploads that were discarded, and what the operator was told of each.
    pub discarded: Vec<(UploadId, Option<RefusalCode>)>,
    pub logs: Vec<(LogLevel, String)>,
    pub identity: Result<Authenticated, Refusal>,
    /// How many bytes went to bodies by splice, and how many by write.
    pub spliced: u64,
    pub written: u64,
    faulted: BTreeSet<UploadId>,
}

impl ReceiverEnd {
    pub fn new(limits: Limits, now: Millis) -> Self {
        let machine = Receiver::new(limits, CHALLENGE.to_vec(), "receiver/1".into(), now);
        Self {
            machine,
            inbox: Inbox::default(),
            sent: vec![],
            closed: None,
            discarded: vec![],
            logs: vec![],
            identity: Err(RefusalCode::NotPermitted.into()),
            spliced: 0,
            written: 0,
            faulted: BTreeSet::new(),
        }
    }

    /// Gives the machine bytes from the front of `incoming` as it wants them, `most` at the most.
    /// Says how many it took.
    pub fn feed(&mut self, now: Millis, incoming: &[u8], most: usize) -> usize {
        let take = |max: u64| max.min(most as u64).min(incoming.len() as u64) as usize;
        let count = match self.machine.want() {
            Want::Read { max } => {
                assert!(max > 0);
                let count = take(max as u64);
                self.machine.handle_input(now, Bytes::copy_from_slice(&incoming[..count]));
                count
            }
            Want::Splice { id, max } => {
                assert!(max > 0);
                let count = take(max);
                let written = self.inbox.write(id, &incoming[..count]);
                self.spliced += count as u64;
                self.machine.handle_spliced(now, count as u64);
                if let Err(fault) = written {
                    self.fault(now, id, fault);
                }
                count
            }
            Want::Skip { max } => {
                assert!(max > 0);
                let count = take(max);
                self.machine.handle_spliced(now, count as u64);
                count
            }
            _ => 0,
        };
        self.settle(now);
        count
    }

    /// The sender's side ended. Says whether the machine wanted to know.
    pub fn eof(&mut self, now: Millis) -> bool {
        let wanted = self.machine.want() != Want::Nothing;
        if wanted {
            self.machine.handle_eof(now);
            self.settle(now);
        }
        wanted
    }

    /// The clock went on: timeouts and commits that are due.
    pub fn tick(&mut self, now: Millis) {
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.machine.handle_timeout(now);
        }
        self.settle(now);
        let due = self.machine.poll_timeout();
        assert!(due.is_none_or(|due| due > now), "a timeout that stays due: {due:?} at {now}");
    }

    /// When something happens without the sender.
    pub fn next_due(&self) -> Option<Millis> {
        self.machine.poll_timeout().into_iter().chain(self.inbox.commit_due()).min()
    }

    /// Carries outputs out until there are none, and tells of commits that are done.
    pub fn settle(&mut self, now: Millis) {
        self.drain(now);
        while let Some((id, outcome)) = self.inbox.next_committed(now) {
            self.machine.handle_committed(now, id, outcome.map(Committed::from));
            self.drain(now);
        }
        let stuck = self.closed.is_none()
            && self.machine.want() == Want::Nothing
            && self.machine.poll_timeout().is_none()
            && self.inbox.commits() == 0;
        assert!(!stuck, "the machine waits for nothing and is not closed");
        if self.closed.is_some() {
            assert_eq!(self.machine.want(), Want::Nothing);
            assert_eq!(self.machine.poll_timeout(), None);
            assert_eq!(self.inbox.open_uploads(), 0, "uploads that were left behind");
            assert_eq!(self.inbox.commits(), 0, "commits that were left behind");
        }
    }

    fn drain(&mut self, now: Millis) {
        while let Some(output) = self.machine.poll_output() {
            assert!(self.closed.is_none(), "an output after the close: {output:?}");
            self.carry_out(now, output);
        }
    }

    fn carry_out(&mut self, now: Millis, output: Output) {
        match output {
            Output::Send(bytes) => {
                assert!(!bytes.is_empty());
                self.sent.extend_from_slice(&bytes);
            }
            Output::Open { id, offer, .. } => {
                let opened = self.inbox.open(id, offer);
                self.machine.handle_opened(now, id, opened);
            }
            Output::Body { id, extent, .. } => {
                if let Err(fault) = self.inbox.body(id, extent) {
                    self.fault(now, id, fault);
                }
            }
            Output::Write { id, bytes } => {
                assert!(!bytes.is_empty());
                // What follows a fault is ignored, as the interface says.
                if self.inbox.is_open(id) && !self.faulted.contains(&id) {
                    self.written += bytes.len() as u64;
                    if let Err(fault) = self.inbox.write(id, &bytes) {
                        self.fault(now, id, fault);
                    }
                }
            }
            Output::Commit { id, size, digest, .. } => self.inbox.commit(now, id, size, digest),
            Output::Discard { id, reason } => {
                self.discarded.push((id, reason.map(|reason| reason.code)));
                self.inbox.discard(id);
            }
            Output::Release { id } => self.inbox.discard(id),
            Output::Authenticate(_) => {
                self.machine.handle_authenticated(now, self.identity.clone());
            }
            Output::Log { level, message } => self.logs.push((level, message)),
            Output::Close(result) => self.closed = Some(result),
            other => panic!("an output that no driver knows: {other:?}"),
        }
    }

    fn fault(&mut self, now: Millis, id: UploadId, fault: Refusal) {
        self.faulted.insert(id);
        self.machine.handle_fault(now, id, fault);
    }

    /// The code with which the connection was closed.
    pub fn code(&self) -> Option<RefusalCode> {
        self.closed.clone()?.err().map(|refusal| refusal.code)
    }
}
