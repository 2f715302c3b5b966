//! One upload that can be resumed: its machine, and what carries out what that asks for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sandport_protocol::upload::mutation::{Mutant, is};
use sandport_protocol::upload::{Admission, Claimant, Done, Effect, SessionId, Upload, Work};
use sandport_protocol::{Digest, Millis, Refusal, Resume};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Partials;
use super::runtime::Runtime;
use super::session::{Commit, Progress, Session, Signals};
use super::volume::{Blob, Facts, Publication, Room, Volume};
use crate::inbox::commit::Pending;
use crate::inbox::upload::Plan;
use crate::inbox::usage::{Reservation, Usage};

/// An upload under a resume key.
pub(in crate::inbox) struct Partial {
    facts: Facts,
    blob: Arc<dyn Blob>,
    volume: Arc<dyn Volume>,
    runtime: Arc<dyn Runtime>,
    partials: Weak<Partials>,
    /// Held for the length of a call of the machine.
    state: Mutex<State>,
    /// Its part of the quota, where there is one. Apart, because growing it may have to count the inbox.
    reservation: Mutex<Option<Reservation>>,
    progress: Arc<Progress>,
    /// Told when bodies that found no room are to look again.
    room: Notify,
    /// Told when who waits for the upload is to look again.
    changed: Notify,
}

pub(super) struct State {
    pub(super) upload: Upload,
    /// Few, and mostly one.
    sessions: Vec<(SessionId, Arc<Signals>)>,
    /// What sessions want that are through.
    commit: Option<Commit>,
    pending: Option<Pending>,
    /// What it is still to bring of the free space, while a session has it.
    claim: Weak<dyn Room>,
}

/// What becomes of an offer.
pub(super) enum Offered {
    Session(Session),
    Commits(Pending),
    /// When the upload has changed.
    Later,
    /// To its successor.
    Gone,
    Refused(Refusal),
}

impl Partial {
    pub(super) fn new(
        partials: &Arc<Partials>,
        facts: Facts,
        blob: Arc<dyn Blob>,
        upload: Upload,
        reservation: Option<Reservation>,
    ) -> Arc<Self> {
        let progress = Progress::new(upload.durable());
        let nothing: Weak<NoRoom> = Weak::new();
        let (sessions, commit, pending, claim) = (Vec::new(), None, None, nothing);
        Arc::new(Self {
            facts,
            blob,
            volume: Arc::clone(partials.volume()),
            runtime: Arc::clone(partials.runtime()),
            partials: Arc::downgrade(partials),
            state: Mutex::new(State { upload, sessions, commit, pending, claim }),
            reservation: Mutex::new(reservation),
            progress,
            room: Notify::new(),
            changed: Notify::new(),
        })
    }

    pub(in crate::inbox) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The account of the quota, where there is one.
    pub(super) fn usage(&self) -> Option<&Arc<Usage>> {
        self.volume.usage()
    }

    pub(super) fn blob(&self) -> &Arc<dyn Blob> {
        &self.blob
    }

    /// Returns when who waits for the upload is to look again. To be made before looking.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Returns when bodies that found no room are to look again. To be made before looking.
    pub(super) fn room_changed(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Tells the machine something, and carries out what that comes to.
    pub(super) fn act<T>(self: &Arc<Self>, input: impl FnOnce(&mut State, Millis) -> T) -> T {
        let now = self.runtime.now();
        let mut state = self.state();
        let answer = input(&mut state, now);
        self.carry_out(state);
        answer
    }

    fn carry_out(self: &Arc<Self>, mut guard: MutexGuard<'_, State>) {
        let mut refused = None;
        let state = &mut *guard;
        while let Some(effect) = state.upload.poll_effect() {
            match effect {
                Effect::Fault { session, refusal } => {
                    if let Some((_, signals)) = state.sessions.iter().find(|it| it.0 == session) {
                        signals.fail(refusal);
                    }
                }
                Effect::Durable(bytes) => self.progress.advance(bytes),
                Effect::Room => self.room.notify_waiters(),
                Effect::Changed => self.changed.notify_waiters(),
                Effect::Refuse(refusal) => {
                    refused = state.commit.take().map(|commit| (commit, refusal));
                }
                Effect::Wake(at) => self.wake(at),
                Effect::Gone => {
                    // First: who begins the same upload anew finds its room.
                    self.release_quota();
                    // Still locked, so that nobody finds one here that is gone.
                    if let Some(partials) = self.partials.upgrade() {
                        partials.forget(self);
                    }
                    self.changed.notify_waiters();
                }
            }
        }
        let work = state.upload.poll_work();
        drop(guard);
        // With nothing locked: where nothing is synced, it is done on this thread.
        if let Some((commit, refusal)) = refused {
            commit.refuse(refusal);
        }
        if let Some(work) = work {
            let partial = Arc::clone(self);
            // What nothing is kept of is removed too.
            let removes = matches!(work, Work::Remove | Work::Park { kept_bytes: 0, .. });
            let task = Box::new(move || partial.perform(work));
            if removes { self.runtime.remove(task) } else { self.runtime.spawn(task) }
        }
    }

    fn wake(self: &Arc<Self>, at: Millis) {
        // By its ID: an upload that is gone leaves nothing but that behind.
        let (partials, id) = (Weak::clone(&self.partials), self.facts.id);
        let wake = move || {
            if let Some(partials) = partials.upgrade() {
                partials.due(id);
            }
        };
        self.runtime.wake(at, Box::new(wake));
    }

    /// Does what the machine wants done where the bytes lie.
    fn perform(self: &Arc<Self>, work: Work) {
        let (blob, facts) = (&self.blob, &self.facts);
        let done = match work {
            Work::Keep { held, entries, is_synced } => {
                blob.keep(facts, held.as_ref(), entries, is_synced)
            }
            Work::Write(held) => Done::Written(blob.write(facts, held.at, &held.bytes)),
            Work::Hash { size } => Done::Hashed(blob.hash(facts, size)),
            Work::Publish { size, digest } => return self.publish(size, digest),
            Work::Remove => {
                self.release_quota();
                // Not when the last session is gone: one that was cut off has not noticed yet.
                let claim = self.state().claim.upgrade();
                claim.inspect(|claim| claim.release());
                blob.remove(facts);
                Done::Removed
            }
            Work::Park { kept_bytes, unkept, is_starved } => {
                blob.park(facts, &unkept, kept_bytes, is_starved);
                self.release_quota();
                Done::Parked
            }
        };
        self.act(|state, now| state.upload.done(done, now));
    }

    fn publish(self: &Arc<Self>, size: u64, digest: Digest) {
        let end = PublishEnd(Some(Arc::clone(self)));
        let (commit, claim) = {
            let mut state = self.state();
            (state.commit.take(), state.claim.upgrade())
        };
        let Some(commit) = commit else { return };
        let owner = Arc::downgrade(self);
        let reservation = self.reservation().take().map(|reservation| {
            reservation.returning_to(move |reservation| {
                // Where it is gone, that is given up.
                if let Some(owner) = owner.upgrade() {
                    owner.take_back(reservation);
                }
            })
        });
        // A stream claims what it would bring next.
        let claim = claim.filter(|_| self.facts.size.is_some());
        let publication = Publication { size, digest, commit, reservation, claim, end };
        self.blob.publish(&self.facts, publication);
    }

    /// A connection wants the upload.
    pub(super) fn offer(self: &Arc<Self>, plan: &Plan, is_named: bool, resume: &Resume) -> Offered {
        let is_same_name = !is_named || plan.name == self.facts.name;
        // A stream whose end was seen meanwhile has a size now.
        let is_same_size = self.facts.size.is_none() || plan.size == self.facts.size;
        let claimant = Claimant {
            run: resume.epoch,
            mode: resume.mode,
            is_same: is_same_name && is_same_size,
            digest: plan.digest,
        };
        self.act(|state, now| match state.upload.offer(&claimant, now) {
            Admission::Holds(session) => {
                let signals = Arc::new(Signals::new(&self.progress));
                state.sessions.push((session, Arc::clone(&signals)));
                let claim = state.claim.upgrade().unwrap_or_else(|| {
                    let here = state.upload.whole_bytes();
                    let missing = self.facts.size.map(|size| size.saturating_sub(here));
                    self.volume.claim(plan.with_copy(missing))
                });
                state.claim = Arc::downgrade(&claim);
                Offered::Session(Session::new(Arc::clone(self), session, signals, claim, plan))
            }
            Admission::Commits => state.pending.clone().map_or(Offered::Later, Offered::Commits),
            Admission::Later if state.upload.is_gone() => Offered::Gone,
            Admission::Later => Offered::Later,
            Admission::Refused(refusal) => Offered::Refused(refusal),
        })
    }

    /// A session is through; `None`: it has lost the upload.
    pub(super) fn commit(
        self: &Arc<Self>,
        session: SessionId,
        size: u64,
        digests: impl IntoIterator<Item = Digest>,
        commit: Commit,
        pending: Pending,
    ) -> Option<Pending> {
        self.act(|state, now| {
            state.sessions.retain(|it| it.0 != session);
            state.upload.commit(session, size, digests, now).ok()?;
            match &mut state.commit {
                // The last one says what becomes of the file, and all wait for the same.
                Some(first) => {
                    (first.modified_ns, first.executable) = (commit.modified_ns, commit.executable);
                    state.pending.clone()
                }
                none => {
                    *none = Some(commit);
                    state.pending = Some(pending.clone());
                    Some(pending)
                }
            }
        })
    }

    pub(super) fn release(self: &Arc<Self>, session: SessionId) {
        self.act(|state, now| {
            state.sessions.retain(|it| it.0 != session);
            state.upload.release(session, now);
        });
    }

    /// Makes sure that there may be `bytes` of it.
    ///
    /// # Errors
    /// `quota-exceeded`.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), Refusal> {
        let mut reservation = self.reservation();
        match &mut *reservation {
            Some(reservation) => reservation.grow(bytes),
            // There is no quota; or a commit had it, which failed.
            none => {
                let bytes = self.facts.size.unwrap_or(bytes);
                *none = self.volume.reserve(&self.facts.identity, Some(bytes))?;
                Ok(())
            }
        }
    }

    /// The file that was to be published got no name: what is here of it counts on.
    fn take_back(&self, reservation: Reservation) {
        let state = self.state();
        if !state.upload.is_gone() {
            self.reservation().get_or_insert(reservation);
        }
    }

    fn release_quota(&self) {
        let reservation = self.reservation().take();
        if is(Mutant::HoardsQuota) {
            std::mem::forget(reservation);
        }
    }

    fn reservation(&self) -> MutexGuard<'_, Option<Reservation>> {
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to say how the publication of an upload has ended. Dropping it says that it got no name, and stays.
pub(in crate::inbox) struct PublishEnd(Option<Arc<Partial>>);

impl PublishEnd {
    /// It is certain that the file has its name, or that nobody needs it: nobody who comes from now on is answered by
    /// this commit.
    pub(in crate::inbox) fn is_decided(&self) {
        if let Some(partial) = &self.0 {
            partial.state().pending = None;
            partial.blob.close();
        }
    }

    /// The file has its name, or nobody needs it.
    pub(in crate::inbox) fn published(mut self) {
        self.is_decided();
        if let Some(partial) = self.0.take() {
            let runtime = Arc::clone(&partial.runtime);
            // Not here: it removes the journal, and other files are being published.
            runtime.remove(Box::new(move || {
                partial.blob.published(&partial.facts);
                partial.act(|state, now| state.upload.done(Done::Published, now));
            }));
        }
    }

    /// The disk has failed: nobody is to go on with what it was given since the last watermark.
    pub(in crate::inbox) fn lost(mut self, fault: &Refusal) {
        if let Some(partial) = self.0.take() {
            partial.act(|state, now| state.upload.done(Done::Lost(fault.clone()), now));
        }
    }
}

impl Drop for PublishEnd {
    fn drop(&mut self) {
        if let Some(partial) = self.0.take() {
            partial.act(|state, now| state.upload.done(Done::NotPublished, now));
        }
    }
}

/// Stands where nothing is claimed.
enum NoRoom {}

impl Room for NoRoom {
    fn check(&self, _: Option<u64>) -> Result<(), Refusal> {
        match *self {}
    }

    fn bring(&self, _: u64) -> Result<(), Refusal> {
        match *self {}
    }

    fn release(&self) {
        match *self {}
    }
}
