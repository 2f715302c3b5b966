//! What the inbox and the gate answer, handed to the dialect that has asked.

use super::{Committed, Machine, Opened, Receiver, Status};
use crate::{Authenticated, Millis, Refusal, UploadId};

impl Receiver {
    /// The answer to [`Output::Open`](super::Output::Open).
    pub fn handle_opened(&mut self, now: Millis, id: UploadId, opened: Result<Opened, Refusal>) {
        self.io.heard(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            Machine::Undecided => {}
            Machine::Classic(classic) => classic.handle_opened(&mut self.io, opened),
            Machine::Http(http) => http.handle_opened(&mut self.io, id, opened),
            Machine::Native(native) => native.handle_opened(&mut self.io, id, opened),
        }
    }

    /// A body of the upload failed, or could not be opened.
    pub fn handle_fault(&mut self, now: Millis, id: UploadId, fault: Refusal) {
        self.io.tick(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            Machine::Undecided => {}
            Machine::Classic(classic) => classic.handle_fault(&mut self.io, fault),
            Machine::Http(http) => http.handle_fault(&mut self.io, id, fault),
            Machine::Native(native) => native.handle_fault(&mut self.io, id, fault),
        }
    }

    /// This many bytes of an open upload are durable.
    pub fn handle_progress(&mut self, now: Millis, id: UploadId, durable: u64) {
        self.io.tick(now);
        match &mut self.machine {
            Machine::Undecided | Machine::Classic(_) => {}
            Machine::Http(http) => http.handle_progress(&mut self.io, id, durable),
            Machine::Native(native) => native.handle_progress(&mut self.io, id, durable),
        }
    }

    /// The outcome of [`Output::Commit`](super::Output::Commit).
    pub fn handle_committed(
        &mut self,
        now: Millis,
        id: UploadId,
        outcome: Result<Committed, Refusal>,
    ) {
        self.io.heard(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            Machine::Undecided => {}
            Machine::Classic(classic) => classic.handle_committed(&mut self.io, outcome.map(drop)),
            Machine::Http(http) => http.handle_committed(&mut self.io, id, outcome),
            Machine::Native(native) => {
                let outcome = outcome.map(|committed| committed.receipt);
                native.handle_committed(&mut self.io, id, outcome);
            }
        }
    }

    /// The answer to [`Output::Authenticate`](super::Output::Authenticate).
    pub fn handle_authenticated(&mut self, now: Millis, outcome: Result<Authenticated, Refusal>) {
        self.io.heard(now);
        match &mut self.machine {
            Machine::Undecided | Machine::Classic(_) => {}
            Machine::Http(http) => http.handle_authenticated(&mut self.io, outcome),
            Machine::Native(native) => native.handle_authenticated(&mut self.io, outcome),
        }
    }

    /// The answer to [`Output::Look`](super::Output::Look). The inner `None`: no upload has this key.
    pub fn handle_looked(&mut self, now: Millis, looked: Result<Option<Status>, Refusal>) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_looked(&mut self.io, looked);
        }
    }

    /// The answer to [`Output::Abandon`](super::Output::Abandon): whether there was an upload with this key.
    pub fn handle_abandoned(&mut self, now: Millis, abandoned: Result<bool, Refusal>) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_abandoned(&mut self.io, abandoned);
        }
    }

    /// The answer to [`Output::Keep`](super::Output::Keep).
    pub fn handle_kept(&mut self, now: Millis, id: UploadId, kept: Result<(), Refusal>) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_kept(&mut self.io, id, kept);
        }
    }

    /// The answer to [`Output::Finish`](super::Output::Finish).
    pub fn handle_finished(&mut self, now: Millis, id: UploadId, finished: Result<(), Refusal>) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_finished(&mut self.io, id, finished);
        }
    }

    /// The answer to [`Output::Concatenate`](super::Output::Concatenate).
    pub fn handle_concatenated(
        &mut self,
        now: Millis,
        id: UploadId,
        concatenated: Result<(), Refusal>,
    ) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_concatenated(&mut self.io, id, concatenated);
        }
    }

    /// The answer to [`Output::SetSize`](super::Output::SetSize).
    pub fn handle_sized(&mut self, now: Millis, id: UploadId, sized: Result<(), Refusal>) {
        self.io.heard(now);
        if let Machine::Http(http) = &mut self.machine {
            http.handle_sized(&mut self.io, id, sized);
        }
    }
}
