//! One upload that can be resumed: its machine, and what carries out what that asks for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sandport_protocol::upload::mutation::{Mutant, is};
use sandport_protocol::upload::{Admission, Claimant, Effect, KeepId, SessionId, Upload, Work};
use sandport_protocol::{Digest, Millis, Refusal, RefusalCode};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::asked::Asked;
use super::commit::Commit;
use super::ended::Ended;
use super::open_uploads::{Around, OpenUploads};
use super::signals::{Progress, Signals};
use super::volume::{Blob, Facts, Volume};
use crate::completion::CommitHandle;
use crate::finishing::{Finish, Finishing};
use crate::memory::{Held, MemoryAccount};
use crate::runtime::Runtime;
use crate::space::Room;
use crate::usage::{Reservation, Usage};

/// An upload under a resume key.
pub(crate) struct ResumableUpload {
    facts: Facts,
    blob: Arc<dyn Blob>,
    volume: Arc<dyn Volume>,
    runtime: Arc<dyn Runtime>,
    registry: Weak<dyn OpenUploads>,
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
    /// Who waits until all is kept that was here.
    keeps: Vec<(KeepId, Finish)>,
    /// What sessions want that are through.
    pub(super) commit: Option<Commit>,
    pending: Option<CommitHandle>,
    /// It is certain what becomes of the file: nobody who comes from now on is answered by this commit.
    pub(super) is_decided: bool,
    /// What it is still to bring of the free space, while a session has it.
    pub(super) claim: Weak<dyn Room>,
    /// What groups that are begun take of memory, and of whose.
    held: Held,
}

/// What becomes of an offer.
pub(super) enum Offered<S> {
    Session(S),
    Commits(CommitHandle),
    /// When the upload has changed.
    Later,
    /// The same, as one that takes over.
    Anew,
    /// To its successor.
    Gone,
    Refused(Refusal),
}

impl ResumableUpload {
    pub(super) fn new(
        around: Around,
        facts: Facts,
        blob: Arc<dyn Blob>,
        upload: Upload,
        reservation: Option<Reservation>,
    ) -> Arc<Self> {
        let Around { registry, volume, runtime } = around;
        let progress = Progress::new(upload.durable());
        let nothing: Weak<NoRoom> = Weak::new();
        let state = State {
            upload,
            sessions: Vec::new(),
            keeps: Vec::new(),
            commit: None,
            pending: None,
            is_decided: false,
            claim: nothing,
            held: Held::default(),
        };
        Arc::new(Self {
            facts,
            blob,
            volume,
            runtime,
            registry,
            state: Mutex::new(state),
            reservation: Mutex::new(reservation),
            progress,
            room: Notify::new(),
            changed: Notify::new(),
        })
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The account of the quota, where there is one.
    pub(super) fn usage(&self) -> Option<&Arc<Usage>> {
        self.volume.usage()
    }

    pub(super) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    pub(super) fn blob(&self) -> &Arc<dyn Blob> {
        &self.blob
    }

    /// Makes sure that what is read of it is what was written: see [`Blob::make_certain`].
    ///
    /// # Errors
    /// `io` and the like.
    pub(crate) fn make_certain(&self) -> Result<(), Refusal> {
        self.blob.make_certain()
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
        let begun = state.upload.begun_memory();
        state.held.set(begun);
        self.carry_out(state);
        answer
    }

    /// The same for what begins a body: where memory is scarce, none is begun that the upload can do without.
    pub(super) fn act_frugally<T>(
        self: &Arc<Self>,
        begin: impl FnOnce(&mut Upload) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.act(|state, _| {
            let is_frugal = state.held.is_full();
            state.upload.set_frugal(is_frugal);
            let begun = begin(&mut state.upload);
            state.upload.set_frugal(false);
            if is_frugal && begun.as_ref().is_err_and(|it| it.code == RefusalCode::TooMany) {
                state.held.handle_refusal();
            }
            begun
        })
    }

    /// From now on, what groups that are begun take of memory is on this account.
    pub(super) fn hold_memory(&self, account: Arc<dyn MemoryAccount>) {
        self.state().held.move_to(account);
    }

    fn carry_out(self: &Arc<Self>, mut guard: MutexGuard<'_, State>) {
        let (mut refused, mut kept) = (None, Vec::new());
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
                Effect::Kept { keep, outcome } => {
                    let at = state.keeps.iter().position(|it| it.0 == keep);
                    kept.extend(at.map(|at| (state.keeps.swap_remove(at).1, outcome)));
                }
                Effect::Gone(ending) => {
                    // First: who begins the same upload anew finds its room.
                    self.release_quota();
                    let (metadata, size) = (&self.facts.notes.metadata, state.upload.size());
                    let ended = Ended::of(ending, state.pending.as_ref(), metadata, size);
                    // Still locked, so that nobody finds one here that is gone.
                    if let Some(registry) = self.registry.upgrade() {
                        registry.forget(&self.facts, ended);
                    }
                    self.changed.notify_waiters();
                }
            }
        }
        let work = state.upload.poll_work();
        let reads = state.commit.as_ref().is_some_and(|commit| commit.reading.is_some());
        drop(guard);
        for (finish, outcome) in kept {
            finish.end(outcome);
        }
        // With nothing locked: where nothing is synced, it is done on this thread.
        if let Some((commit, refusal)) = refused {
            commit.refuse(refusal);
        }
        if let Some(work) = work {
            let resumable = Arc::clone(self);
            // What nothing is kept of is removed too.
            let is_empty = matches!(work, Work::Park { kept_bytes: 0, .. });
            let removes = work == Work::Remove || (is_empty && !self.facts.notes.keeps_empty);
            let is_publication = matches!(work, Work::Publish { .. });
            let task = Box::new(move || resumable.perform(work));
            match removes {
                true => self.runtime.remove(task),
                false if reads && is_publication => self.runtime.read(task),
                false => self.runtime.spawn(task),
            }
        }
    }

    fn wake(self: &Arc<Self>, at: Millis) {
        // By its ID: an upload that is gone leaves nothing but that behind.
        let (registry, id) = (Weak::clone(&self.registry), self.facts.id);
        let wake = move || {
            if let Some(registry) = registry.upgrade() {
                registry.due(id);
            }
        };
        self.runtime.wake(at, Box::new(wake));
    }

    /// A connection wants the upload. `holds`: what it has of it then.
    pub(super) fn offer<S>(
        self: &Arc<Self>,
        asked: &Asked,
        holds: impl FnOnce(SessionId, Arc<Signals>, Arc<dyn Room>) -> S,
    ) -> Offered<S> {
        let Asked { accepted, is_named, resume, .. } = asked;
        let is_same_name = !is_named || accepted.name == self.facts.name;
        let keeps_empty = self.facts.notes.keeps_empty;
        self.act(|state, now| {
            // Its sender has been told, and may begin another under the key, also one that is not the same.
            if state.is_decided && !state.upload.is_gone() {
                return Offered::Later;
            }
            let is_same_size = match (state.upload.size(), accepted.size) {
                // A stream whose end was seen meanwhile has a size now.
                (None, _) => true,
                (Some(known), Some(offered)) => known == offered,
                // Who was given a key knows nothing of what it leads to.
                (Some(_), None) => keeps_empty,
            };
            let claimant = Claimant {
                run: resume.epoch,
                mode: resume.mode,
                is_same: is_same_name && is_same_size,
                digest: accepted.digest,
            };
            match state.upload.offer(&claimant, now) {
                Admission::Holds(session) => {
                    let signals = Arc::new(Signals::new(&self.progress));
                    state.sessions.push((session, Arc::clone(&signals)));
                    let claim = state.claim.upgrade().unwrap_or_else(|| {
                        let here = state.upload.whole_bytes();
                        let missing = state.upload.size().map(|size| size.saturating_sub(here));
                        self.volume.claim(accepted.with_copy(missing))
                    });
                    state.claim = Arc::downgrade(&claim);
                    Offered::Session(holds(session, signals, claim))
                }
                Admission::Commits => {
                    state.pending.clone().map_or(Offered::Later, Offered::Commits)
                }
                Admission::Later if state.upload.is_gone() => Offered::Gone,
                Admission::Later => Offered::Later,
                Admission::Anew => Offered::Anew,
                Admission::Refused(refusal) => Offered::Refused(refusal),
            }
        })
    }

    /// A session is through; `None`: it has lost the upload.
    pub(super) fn commit(
        self: &Arc<Self>,
        session: SessionId,
        size: u64,
        digests: impl IntoIterator<Item = Digest>,
        commit: Commit,
        pending: CommitHandle,
    ) -> Option<CommitHandle> {
        self.act(|state, now| {
            state.sessions.retain(|it| it.0 != session);
            state.upload.commit(session, size, digests, now).ok()?;
            match &mut state.commit {
                // The last one says what becomes of the file, and all wait for the same.
                Some(first) => {
                    first.join(commit);
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

    /// Has all kept that is here.
    pub(super) fn keep(self: &Arc<Self>, session: SessionId) -> Result<Finishing, Refusal> {
        self.act(|state, now| {
            let keep = state.upload.keep(session, now)?;
            let (finish, finishing) = Finishing::begun();
            state.keeps.push((keep, finish));
            Ok(finishing)
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
    pub(super) fn take_back(&self, reservation: Reservation) {
        let state = self.state();
        if !state.upload.is_gone() {
            self.reservation().get_or_insert(reservation);
        }
    }

    pub(super) fn release_quota(&self) {
        let reservation = self.reservation().take();
        if is(Mutant::HoardsQuota) {
            std::mem::forget(reservation);
        }
    }

    pub(super) fn reservation(&self) -> MutexGuard<'_, Option<Reservation>> {
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
