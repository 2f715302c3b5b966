//! One upload that can be resumed: its machine, and what carries out what that asks for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use sandport_protocol::upload::{Admission, Claimant, Done, Effect, SessionId, Upload, Work};
use sandport_protocol::{Digest, Millis, Refusal, RefusalCode, Resume};

use super::common::Common;
use super::facts::Facts;
use super::files::Files;
use super::reading::Reading;
use super::signals::{Outcome, Signals};
use crate::inbox::accepted_offer::AcceptedOffer;
use crate::inbox::files::Directory;
use crate::inbox::publish::{Published, Source};

/// An upload under a resume key.
pub(super) struct ResumableUpload<F: Directory> {
    facts: Facts,
    common: Rc<Common<F>>,
    state: RefCell<State<F>>,
    /// How many bytes from the start are kept.
    durable: Cell<u64>,
}

pub(super) struct State<F: Directory> {
    pub(super) upload: Upload,
    pub(super) files: Files<F>,
    sessions: BTreeMap<SessionId, Rc<Signals>>,
    /// What sessions want that are through.
    commit: Option<Commit>,
}

/// What is to become of the file.
struct Commit {
    outcome: Rc<Outcome>,
    /// As the last session that is through says it.
    modified_ns: Option<i64>,
}

/// What becomes of an offer.
pub(super) enum Offered {
    /// The session has it.
    Holds(SessionId, Rc<Signals>),
    /// It is ending.
    Later,
    Refused(Refusal),
}

impl<F: Directory> ResumableUpload<F> {
    pub(super) fn new(
        common: &Rc<Common<F>>,
        facts: Facts,
        upload: Upload,
        files: Files<F>,
    ) -> Rc<Self> {
        let durable = Cell::new(upload.durable());
        let (sessions, commit) = (BTreeMap::new(), None);
        let state = RefCell::new(State { upload, files, sessions, commit });
        Rc::new(Self { facts, common: Rc::clone(common), state, durable })
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.get()
    }

    /// Tells the machine something, and does what that comes to.
    pub(super) fn act<T>(&self, input: impl FnOnce(&mut State<F>, Millis) -> T) -> T {
        let now = self.common.now();
        let answer = input(&mut self.state.borrow_mut(), now);
        self.carry_out();
        answer
    }

    fn carry_out(&self) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        loop {
            while let Some(effect) = state.upload.poll_effect() {
                self.tell(state, effect);
            }
            let Some(work) = state.upload.poll_work() else { return };
            let Some(done) = self.perform(state, work) else { return };
            state.upload.done(done, self.common.now());
        }
    }

    fn tell(&self, state: &mut State<F>, effect: Effect) {
        match effect {
            Effect::Fault { session, refusal } => {
                if let Some(signals) = state.sessions.get(&session) {
                    signals.fail(refusal);
                }
                self.common.tell();
            }
            Effect::Durable(bytes) => {
                self.durable.set(self.durable.get().max(bytes));
                self.common.tell();
            }
            Effect::Room => self.common.tell(),
            // Nobody waits for it: it has settled when a call returns.
            Effect::Changed => {}
            Effect::Refuse(refusal) => {
                if let Some(commit) = state.commit.take() {
                    self.end(&commit, Err(refusal));
                }
            }
            Effect::Wake(at) => self.common.wake(at, self.facts.id),
            // Nobody asks here for more than the watermarks.
            Effect::Kept { .. } => {}
            Effect::Gone(_) => self.common.has_ended(self.facts.id),
        }
    }

    fn end(&self, commit: &Commit, result: Result<Published, Refusal>) {
        commit.outcome.set(result);
        self.common.tell();
    }

    /// Does what the machine wants done where the bytes lie; `None`: it takes long, and goes on by itself.
    fn perform(&self, state: &mut State<F>, work: Work) -> Option<Done> {
        let files = &mut state.files;
        Some(match work {
            // No sender says a size late here.
            Work::Checkpoint { held, entries, is_synced, size: _ } => {
                files.keep(&self.facts, held.as_ref(), entries, is_synced)
            }
            Work::Write(held) => Done::Written(files.write(held.at, &held.bytes)),
            Work::Hash { size } => Done::Hashed(files.hash(size)),
            Work::Publish { size, digest } if files.is_made_here() || size == 0 => {
                self.publish(state, size, digest)
            }
            Work::Publish { size, digest } => {
                self.common.read_again(Reading::new(self.facts.id, size, digest));
                return None;
            }
            Work::Remove => {
                files.remove();
                Done::Removed
            }
            Work::Park { .. } => {
                files.park();
                Done::Parked
            }
        })
    }

    /// Gives the file its name.
    fn publish(&self, state: &mut State<F>, size: u64, digest: Digest) -> Done {
        let Some(commit) = state.commit.take() else { return Done::NotPublished };
        let (core, files) = (&self.common.core, &mut state.files);
        if let Err(refusal) = files.finish(size, commit.modified_ns) {
            self.end(&commit, Err(refusal));
            return Done::NotPublished;
        }
        if let Err(refusal) = files.sync() {
            self.end(&commit, Err(refusal.clone()));
            return Done::Lost(refusal);
        }
        let (directory, name) = (&self.common.volume.directory, files.name().data());
        let source = Source {
            directory,
            name: &name,
            offered: &self.facts.name,
            size,
            digest: Some(digest),
        };
        match core.publish(&source) {
            Ok(placed) => {
                files.published(self.facts.is_named);
                self.end(&commit, Ok(placed.published));
                Done::Published
            }
            Err(refusal) => {
                self.end(&commit, Err(refusal));
                Done::NotPublished
            }
        }
    }

    /// Reads a piece of the file again; `true`: that was the last, and the machine has heard of it.
    pub(super) fn read_on(&self, reading: &mut Reading) -> bool {
        let (at, most) = reading.next();
        let piece = self.state.borrow_mut().files.read(at, most);
        match piece.map(|piece| reading.take(&piece)) {
            Ok(None) => return false,
            Ok(Some(Ok((size, digest)))) => self.was_read(size, digest),
            Ok(Some(Err(refusal))) | Err(refusal) => self.was_misread(refusal),
        }
        true
    }

    /// The file was read again, and is what was sent: it is published.
    fn was_read(&self, size: u64, digest: Digest) {
        let mut guard = self.state.borrow_mut();
        let done = self.publish(&mut guard, size, digest);
        drop(guard);
        self.act(|state, now| state.upload.done(done, now));
    }

    /// The file was read again, and is not what was kept, or cannot be read: nobody is to go on with it.
    fn was_misread(&self, refusal: Refusal) {
        self.act(|state, now| {
            if refusal.code == RefusalCode::DigestMismatch {
                state.files.is_damaged();
            }
            if let Some(commit) = state.commit.take() {
                self.end(&commit, Err(refusal.clone()));
            }
            state.upload.done(Done::Lost(refusal), now);
        });
    }

    /// A connection wants the upload.
    pub(super) fn offer(
        &self,
        accepted: &AcceptedOffer,
        is_named: bool,
        resume: &Resume,
    ) -> Offered {
        let is_same_name = !is_named || accepted.name == self.facts.name;
        // A stream whose end was seen meanwhile has a size now.
        let is_same_size = self.facts.size.is_none() || accepted.size == self.facts.size;
        let claimant = Claimant {
            run: resume.epoch,
            mode: resume.mode,
            is_same: is_same_name && is_same_size,
            digest: accepted.digest,
        };
        self.act(|state, now| match state.upload.offer(&claimant, now) {
            Admission::Holds(session) => {
                let signals = Rc::<Signals>::default();
                state.sessions.insert(session, Rc::clone(&signals));
                Offered::Holds(session, signals)
            }
            // What was to be discarded is gone when this returns, and nobody begins anything in between.
            Admission::Commits | Admission::Later | Admission::Anew => Offered::Later,
            Admission::Refused(refusal) => Offered::Refused(refusal),
        })
    }

    /// A session is through; `None`: it has lost the upload.
    pub(super) fn commit(
        &self,
        session: SessionId,
        size: u64,
        digests: impl IntoIterator<Item = Digest>,
        modified_ns: Option<i64>,
    ) -> Option<Rc<Outcome>> {
        self.act(|state, now| {
            state.sessions.remove(&session);
            state.upload.commit(session, size, digests, now).ok()?;
            let commit = state
                .commit
                .get_or_insert_with(|| Commit { outcome: Rc::default(), modified_ns: None });
            commit.modified_ns = modified_ns;
            Some(Rc::clone(&commit.outcome))
        })
    }

    pub(super) fn release(&self, session: SessionId) {
        self.act(|state, now| {
            state.sessions.remove(&session);
            state.upload.release(session, now);
        });
    }
}
