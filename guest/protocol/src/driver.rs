//! The driving loop of a receiving end, over whatever streams and inbox there are.
//!
//! It carries out what the machine says, in its order, and does nothing by itself. Where it runs is
//! the matter of a [`Host`]: the bindings of a component, a test.
//!
//! > Call [`Driver::step`] until it says [`Step::Wait`]; then wait for what that names, for room in the
//! > connection while anything is unsent, for the oldest commit, and for what was asked. Then step again.
//!
//! Nothing in it blocks. Reads, splices and writes are tried first, and waited for only when there is
//! nothing to do, which saves a call for each when the connection is busy.

use alloc::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::receiver::{Opened, Output, Receiver, Want};
use crate::{ContentDigest, Millis, UploadId};

mod host;
mod intake;
mod step;

pub use host::{Answer, EndOfInput, Host, Question, Reply, Spliced};
pub use step::{On, Step, Wait};

/// While more than this waits to be sent, nothing more is read: a sender that does not read its
/// answers is not served further. Bytes.
pub const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// Answers of more than this are sent before more is read. A few hundred of them: less often costs the
/// sender its lead, more often a call and a packet each time. Bytes.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// And after so many reads in any case.
const HELD_READS_MAX: u32 = 4;

/// One connection being served.
pub struct Driver<S: Host> {
    machine: Receiver,
    uploads: BTreeMap<UploadId, S::Upload>,
    /// Commits under way, the oldest first: they finish in this order.
    commits: VecDeque<(UploadId, S::Commit)>,
    /// What the machine waits for before anything else of the connection counts.
    asked: Option<Asked<S>>,
    /// The time of this step, once it was asked for.
    now: Option<Millis>,
    /// Reads since answers were sent last.
    held_reads: u32,
    /// Payload that came along with a header, and that its upload has not taken. What the machine has
    /// decided after it waits, but for answers.
    unwritten: Option<(UploadId, Bytes)>,
}

/// A question of the machine's that has no answer yet.
pub enum Asked<S: Host> {
    /// To the inbox.
    Opening(UploadId, S::Opening),
    /// To the inbox, about an upload that is here; which one, where it is open.
    Asking(UploadId, S::Asking),
    /// To the gate.
    Authenticating(S::Authenticating),
}

impl<S: Host> Driver<S> {
    /// Drives `machine`.
    pub fn new(machine: Receiver) -> Self {
        Self {
            machine,
            uploads: BTreeMap::new(),
            commits: VecDeque::new(),
            asked: None,
            now: None,
            held_reads: 0,
            unwritten: None,
        }
    }

    /// An open upload.
    pub fn upload(&self, id: UploadId) -> Option<&S::Upload> {
        self.uploads.get(&id)
    }

    /// The uploads that are open.
    pub fn uploads(&self) -> impl Iterator<Item = &S::Upload> {
        self.uploads.values()
    }

    /// The commit that will be done first.
    pub fn oldest_commit(&self) -> Option<&S::Commit> {
        self.commits.front().map(|(_, commit)| commit)
    }

    /// The same, to change it.
    pub fn oldest_commit_mut(&mut self) -> Option<&mut S::Commit> {
        self.commits.front_mut().map(|(_, commit)| commit)
    }

    /// The question that has no answer yet, if one was asked.
    pub fn asked(&self) -> Option<&Asked<S>> {
        self.asked.as_ref()
    }

    /// The same, to change it.
    pub fn asked_mut(&mut self) -> Option<&mut Asked<S>> {
        self.asked.as_mut()
    }

    /// Takes notice of what happened to uploads without a word of the sender's: they came to be
    /// durable, or another connection took them over.
    pub fn hear_news(&mut self, host: &mut S) {
        for (&id, upload) in &mut self.uploads {
            if !host.has_news(upload) {
                continue;
            }
            if let Some(fault) = host.fault(upload) {
                self.machine.handle_fault(host.now(), id, fault);
            } else if let Some(durable) = host.progress(upload) {
                self.machine.handle_progress(host.now(), id, durable);
            }
        }
    }

    /// Drops what is open, or about to be: nothing of it becomes visible.
    pub fn drop_uploads(&mut self) {
        self.asked = None;
        self.uploads.clear();
    }

    /// Does one thing, or says what to wait for.
    pub fn step(&mut self, host: &mut S) -> Step {
        self.now = None;
        self.write_rest(host);
        while self.unwritten.is_none()
            && let Some(output) = self.machine.poll_output()
        {
            match output {
                Output::Close(outcome) => return Step::Closed(outcome),
                Output::Next { unread } => return Step::Next { unread },
                output => self.carry_out(host, output),
            }
        }
        // Before anything is sent: the receipts of a read full of small files go out in one write with
        // the answers to their offers.
        if self.collect_answer(host) | self.collect_commits(host) {
            return Step::Again;
        }
        // The connection first, then the clock: silence has a meaning in the classic dialect, and
        // bytes that are here already, while this program was not running, are not silence.
        let on = match self.unwritten {
            Some((id, _)) => {
                while let Some(answers) = self.machine.poll_send() {
                    host.send(&answers);
                }
                self.no_room(host, id)
            }
            None => {
                let unsent = if self.holds_answers(host) { 0 } else { self.flush(host) };
                let Some(on) = self.advance(host, unsent) else {
                    return Step::Again;
                };
                on
            }
        };
        // There is nothing to read that would bring more of them.
        self.flush(host);
        let until = self.machine.poll_timeout();
        if let Some(at) = until {
            // Not the time before a read that found nothing.
            let now = host.now();
            if at <= now {
                self.machine.handle_timeout(now);
                return Step::Again;
            }
        }
        Step::Wait(Wait { on, until })
    }

    /// Whether answers wait until there is nothing to read, or more of them.
    fn holds_answers(&self, host: &S) -> bool {
        (1..=HELD_BYTES_MAX).contains(&host.unsent())
            && self.held_reads < HELD_READS_MAX
            && matches!(self.machine.want(), Want::Read { .. })
    }

    /// Writes what an upload had no room for.
    fn write_rest(&mut self, host: &mut S) {
        if let Some((id, bytes)) = self.unwritten.take() {
            self.write(host, id, bytes);
        }
    }

    fn write(&mut self, host: &mut S, id: UploadId, bytes: Bytes) {
        if let Some(upload) = self.uploads.get_mut(&id)
            && host.has_body(upload)
        {
            let rest = host.write(upload, bytes);
            self.unwritten = (!rest.is_empty()).then_some((id, rest));
        }
    }

    /// The peer is not to blame for what is not read meanwhile.
    fn no_room(&mut self, host: &mut S, id: UploadId) -> On {
        self.machine.handle_no_room(host.now());
        On::Body(id)
    }

    fn flush(&mut self, host: &mut S) -> usize {
        self.held_reads = 0;
        if host.unsent() == 0 { 0 } else { host.flush() }
    }

    /// The time of this step, which is asked for once: next to nothing in one takes long.
    fn now(&mut self, host: &mut S) -> Millis {
        *self.now.get_or_insert_with(|| host.now())
    }

    fn carry_out(&mut self, host: &mut S, output: Output) {
        match output {
            Output::Send(bytes) => host.send(&bytes),
            Output::Open { id, offer, wishes } => {
                self.asked = Some(Asked::Opening(id, host.open(offer, wishes)));
                self.collect_answer(host);
            }
            Output::Body { id, extent, check } => {
                let Some(upload) = self.uploads.get_mut(&id) else { return };
                if let Err(refusal) = host.body(upload, extent, check) {
                    self.machine.handle_fault(host.now(), id, refusal);
                }
            }
            Output::Write { id, bytes } => self.write(host, id, bytes),
            Output::Finish { id, expect } => {
                let Some(upload) = self.uploads.get_mut(&id) else { return };
                let asking = host.ask(Question::Finish { upload, expect });
                self.ask(host, id, asking);
            }
            Output::Keep { id } => {
                let Some(upload) = self.uploads.get_mut(&id) else { return };
                let asking = host.ask(Question::Keep { upload });
                self.ask(host, id, asking);
            }
            Output::Concatenate { id, parts } => {
                let Some(upload) = self.uploads.get_mut(&id) else { return };
                let asking = host.ask(Question::Concatenate { upload, parts });
                self.ask(host, id, asking);
            }
            Output::Look { key, settle } => {
                let asking = host.ask(Question::Look { key, settle });
                self.ask(host, UploadId::MAX, asking);
            }
            Output::Abandon { key } => {
                let asking = host.ask(Question::Abandon { key });
                self.ask(host, UploadId::MAX, asking);
            }
            Output::SetSize { id, size } => {
                let Some(upload) = self.uploads.get_mut(&id) else { return };
                let sized = host.set_size(upload, size);
                self.machine.handle_sized(host.now(), id, sized);
            }
            Output::Commit { id, size, digest, digests } => {
                if let Some(upload) = self.uploads.remove(&id) {
                    let claimed = digest.map(ContentDigest::from).into_iter().chain(digests);
                    let commit = host.commit(upload, size, claimed.collect());
                    self.commits.push_back((id, commit));
                }
            }
            Output::Release { id } => drop(self.uploads.remove(&id)),
            Output::Discard { id, reason } => {
                if let Some(upload) = self.uploads.remove(&id) {
                    host.discard(upload, reason);
                }
            }
            Output::Forwarded(address) => host.forwarded(&address),
            Output::Authenticate(credential) => {
                self.asked = Some(Asked::Authenticating(host.authenticate(credential)));
                self.collect_answer(host);
            }
            Output::Log { level, message } => host.log(level, &message),
            // `step` has ended with it.
            Output::Close(_) | Output::Next { .. } => {}
        }
    }

    fn ask(&mut self, host: &mut S, id: UploadId, asking: S::Asking) {
        self.asked = Some(Asked::Asking(id, asking));
        self.collect_answer(host);
    }

    /// Reports the answer to what was asked, if there is one.
    fn collect_answer(&mut self, host: &mut S) -> bool {
        match &mut self.asked {
            None => false,
            Some(Asked::Opening(id, opening)) => {
                let id = *id;
                let Some(answer) = host.opened(opening) else { return false };
                self.asked = None;
                let opened = match answer {
                    Ok(Answer::Stored(receipt)) => Ok(Opened::Stored(receipt)),
                    Ok(Answer::DigestFirst) => Ok(Opened::DigestFirst),
                    Ok(Answer::Accepted(upload, missing)) => {
                        self.uploads.insert(id, upload);
                        Ok(Opened::Accepted(missing))
                    }
                    Ok(Answer::Begun(upload, key)) => {
                        self.uploads.insert(id, upload);
                        Ok(Opened::Begun { key })
                    }
                    Err(refusal) => Err(refusal),
                };
                let now = self.now(host);
                self.machine.handle_opened(now, id, opened);
                true
            }
            Some(Asked::Asking(id, asking)) => {
                let id = *id;
                let Some(reply) = host.replied(asking) else { return false };
                self.asked = None;
                let now = self.now(host);
                match reply {
                    Reply::Looked(looked) => self.machine.handle_looked(now, looked),
                    Reply::Abandoned(abandoned) => self.machine.handle_abandoned(now, abandoned),
                    Reply::Kept(kept) => self.machine.handle_kept(now, id, kept),
                    Reply::Concatenated(it) => self.machine.handle_concatenated(now, id, it),
                    Reply::Finished(finished) => self.machine.handle_finished(now, id, finished),
                }
                true
            }
            Some(Asked::Authenticating(authenticating)) => {
                let Some(outcome) = host.authenticated(authenticating) else { return false };
                self.asked = None;
                let now = self.now(host);
                self.machine.handle_authenticated(now, outcome);
                true
            }
        }
    }

    /// Reports the commits that are done. Only the oldest is asked, until one is not done.
    fn collect_commits(&mut self, host: &mut S) -> bool {
        let mut any = false;
        while let Some((id, commit)) = self.commits.front_mut()
            && let Some(outcome) = host.outcome(commit)
        {
            let id = *id;
            self.commits.pop_front();
            let now = self.now(host);
            self.machine.handle_committed(now, id, outcome);
            any = true;
        }
        any
    }
}
