//! Uploads that can be resumed: what of them outlives their connections, and the server.
//!
//! ```text
//! DIR/.sandport/partials/
//!     ID.data         the bytes so far, each at its place in the file
//!     ID.journal      which of them are kept (see `sandport_protocol::journal`)
//! ```
//!
//! ID is 32 hexadecimal digits, the first half of a BLAKE3 hash of the sender's identity and the resume
//! key ([`Id`]); the key itself is written nowhere. The second half is what the checks in the journal
//! begin with. Data without a journal is worth nothing and removed at the start; a journal comes with the
//! first watermark, so an upload that is through before has none. A journal without data is of an
//! upload that was published: it is left behind where the name was made up, so that a sender who did
//! not hear of it is told ([`directory`]).
//!
//! The life of an upload is a pure machine, [`sandport_protocol::upload`]. Here is what carries it out:
//!
//! - [`Partials`] knows those that are open, and opens others;
//! - [`cell::Partial`] is one of them: its machine under a mutex that is held for no longer than a call of it;
//! - [`session::Session`] is what a connection has of it, and [`lane::Lane`] what a body writes through;
//! - [`runtime::Runtime`] are threads that may wait for the disk, one work of an upload at a time, and the clock;
//! - [`volume::Volume`] is where the bytes lie: [`directory`].
//!
//! **What is reported is kept.** A byte counts as durable when the entry about it is in the journal; and
//! under [`Durability::Full`](super::Durability::Full) the data and then the entry were synced first.
//! Under the other rules nothing is synced while it goes on, and an entry names the boot of the system: it counts
//! after the end of the server, and not after a power cut, which may have kept entries and lost data.

mod cell;
mod directory;
mod lane;
mod look;
mod runtime;
mod session;
#[cfg(test)]
mod simulation;
mod volume;

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::journal::{GROUP_BYTES, JournalId};
use sandport_protocol::upload::Options;
use sandport_protocol::{EntryName, Offer, Refusal, RefusalCode, Resume, ResumeMode};
use tokio::sync::{Notify, oneshot};

use super::commit::Pending;
use super::upload::Plan;
use super::{Durability, InboxOptions, Verdict};
use crate::Identity;
pub(super) use cell::PublishEnd;
use cell::{Offered, Partial};
pub(super) use directory::{Directory, RemovedJournals, clean, data_name, is_id};
pub(super) use lane::Lane;
use look::{Look, Looked};
#[cfg(test)]
pub(super) use runtime::REMOVER;
pub(super) use runtime::{Pool, Runtime};
pub(super) use session::{Session, Signals, Submit};
use volume::Facts;
pub(super) use volume::{Room, Volume};

/// Where they are, in `.sandport`.
pub(super) const FOLDER: &str = "partials";

/// What the names of data files end with.
pub(super) const DATA_SUFFIX: &str = ".data";

/// And those of journals.
pub(super) const JOURNAL_SUFFIX: &str = ".journal";

/// Where a resume key leads: a hash of it and of the identity that it counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id([u8; 32]);

impl Id {
    pub(super) fn of(identity: &Identity, resume: &Resume) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sandport 2026-11-24 resumable upload");
        let name = identity.name().unwrap_or_default().as_bytes();
        hasher.update(&[u8::from(!identity.is_anonymous())]);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name).update(&resume.key);
        Self(*hasher.finalize().as_bytes())
    }

    pub(in crate::inbox) fn journal(&self) -> JournalId {
        let mut id = JournalId::default();
        id.copy_from_slice(&self.0[16..]);
        id
    }
}

impl fmt::Display for Id {
    /// As in the names of its files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Whether an offer is worth a journal: one that may be longer than a group.
pub(super) fn resumable(offer: &Offer) -> Option<Resume> {
    offer.resume.filter(|_| offer.size.is_none_or(|size| size > GROUP_BYTES))
}

/// The uploads of an inbox that are open under a resume key.
pub(super) struct Partials {
    volume: Arc<dyn Volume>,
    runtime: Arc<dyn Runtime>,
    options: Options,
    entries: Mutex<HashMap<Id, Entry>>,
}

enum Entry {
    /// Somebody is at its files: it is being opened or removed.
    Busy(Arc<Notify>),
    Open(Arc<Partial>),
}

/// What becomes of an offer with a resume key.
pub(super) enum Opened {
    /// Send what is missing.
    Session(Session),
    /// Another connection commits it just now.
    Committing(Pending),
    /// The same, and only its digest tells whether it is what this one wants to send.
    DigestFirst,
    /// It was published; what is to be said of that.
    Published(Verdict),
}

impl Partials {
    pub(super) fn new(
        volume: Arc<dyn Volume>,
        runtime: Arc<dyn Runtime>,
        options: &InboxOptions,
        boot: u64,
    ) -> Arc<Self> {
        let interval = options.watermark_interval.as_millis();
        let options = Options {
            size: None,
            size_max: options.size_max,
            is_named: true,
            step_bytes: options.watermark_bytes,
            interval_ms: u64::try_from(interval).unwrap_or(u64::MAX),
            boot: (options.durability != Durability::Full).then_some(boot),
            syncs_at_last: options.durability == Durability::Commit,
        };
        Arc::new(Self { volume, runtime, options, entries: Mutex::default() })
    }

    fn volume(&self) -> &Arc<dyn Volume> {
        &self.volume
    }

    fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    /// Opens the upload of a key, or begins it. `published`: what is to be said of one that was published.
    ///
    /// # Errors
    /// `locked`: a later run has it. `invalid-state`: it is an upload of another name or size.
    /// `quota-exceeded`, `io`.
    pub(super) async fn open(
        self: &Arc<Self>,
        plan: &Plan,
        is_named: bool,
        resume: Resume,
        published: impl Fn(&EntryName) -> Option<Verdict>,
    ) -> Result<Opened, Refusal> {
        let id = Id::of(&plan.identity, &resume);
        let mut heeds_published = resume.mode != ResumeMode::Restart;
        loop {
            let offered = match self.find(id) {
                Ok(partial) => {
                    let changed = partial.changed();
                    let offered = partial.offer(plan, is_named, &resume);
                    if let Offered::Later = offered {
                        changed.await;
                    }
                    offered
                }
                Err(Some(busy)) => {
                    let freed = busy.notified();
                    if self.is_busy(id, &busy) {
                        freed.await;
                    }
                    continue;
                }
                Err(None) => match self.look(id, plan, is_named, resume, heeds_published).await? {
                    Looked::Offered(offered) => offered,
                    Looked::Published(name) => match published(&name) {
                        Some(verdict) => return Ok(Opened::Published(verdict)),
                        None => {
                            heeds_published = false;
                            continue;
                        }
                    },
                },
            };
            match offered {
                Offered::Session(session) => {
                    session.settled().await?;
                    return Ok(Opened::Session(session));
                }
                Offered::Commits(pending) => {
                    return Ok(match plan.digest {
                        Some(_) => Opened::Committing(pending),
                        None => Opened::DigestFirst,
                    });
                }
                Offered::Refused(refusal) => return Err(refusal),
                Offered::Later | Offered::Gone => {}
            }
        }
    }

    fn is_busy(&self, id: Id, busy: &Arc<Notify>) -> bool {
        matches!(self.entries().get(&id), Some(Entry::Busy(now)) if Arc::ptr_eq(now, busy))
    }

    /// The upload that is open under this key; or what tells when nobody is at its files; `None`: now nobody is,
    /// but who has asked.
    fn find(&self, id: Id) -> Result<Arc<Partial>, Option<Arc<Notify>>> {
        match self.entries().entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => match entry.get() {
                Entry::Open(partial) => Ok(Arc::clone(partial)),
                Entry::Busy(busy) => Err(Some(Arc::clone(busy))),
            },
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Entry::Busy(Arc::default()));
                Err(None)
            }
        }
    }

    /// Looks at the files of an upload that is not open, opens or begins it, and offers it what there is to be
    /// offered. All in one go, so that it is closed again also where nobody waits any more.
    async fn look(
        self: &Arc<Self>,
        id: Id,
        plan: &Plan,
        is_named: bool,
        resume: Resume,
        heeds_published: bool,
    ) -> Result<Looked, Refusal> {
        let (answer, answered) = oneshot::channel();
        let busy = Busy::new(self, id);
        let look = Look { busy, plan: plan.clone(), is_named, resume, heeds_published };
        self.runtime.spawn(Box::new(move || look.now(answer)));
        // The threads end after all who could wait.
        answered.await.unwrap_or_else(|_| Err(RefusalCode::Io.into()))
    }

    fn options_of(&self, facts: &Facts) -> Options {
        Options { size: facts.size, is_named: facts.is_named, ..self.options.clone() }
    }

    /// Removes, in a while, what is left of an upload whose sender has its file here by other means, and so forgets
    /// the key. One that another connection is at goes on.
    pub(super) fn discard_left(self: &Arc<Self>, sender: &Identity, resume: &Resume) {
        let (partials, id) = (Arc::clone(self), Id::of(sender, resume));
        self.runtime.remove(Box::new(move || {
            partials.discard_waiting(id);
        }));
    }

    /// Removes an upload that waits to be resumed, on this thread; whether there was one, and it is gone by now. One
    /// that a connection is at goes on.
    pub(super) fn discard_waiting(self: &Arc<Self>, id: Id) -> bool {
        match self.find(id) {
            Ok(partial) => {
                partial.act(|state, now| state.upload.discard_unheld(now));
                false
            }
            Err(Some(_)) => false,
            Err(None) => {
                let _busy = Busy::new(self, id);
                self.volume.remove(id)
            }
        }
    }

    /// Tells all who hold an upload that it goes no further here.
    pub(super) fn fail_all(&self, why: &Refusal) {
        let all: Vec<_> = self
            .entries()
            .values()
            .filter_map(|entry| match entry {
                Entry::Open(partial) => Some(Arc::clone(partial)),
                Entry::Busy(_) => None,
            })
            .collect();
        all.iter().for_each(|partial| partial.act(|state, now| state.upload.fail_all(why, now)));
    }

    /// Time has passed for an upload, or for the one that has its key now.
    fn due(&self, id: Id) {
        let partial = match self.entries().get(&id) {
            Some(Entry::Open(partial)) => Arc::clone(partial),
            Some(Entry::Busy(_)) | None => return,
        };
        partial.act(|state, now| state.upload.due(now));
    }

    /// Forgets an upload that has ended.
    fn forget(&self, partial: &Partial) {
        let id = partial.facts().id;
        let mut entries = self.entries();
        if matches!(entries.get(&id), Some(Entry::Open(known)) if std::ptr::eq(&raw const **known, partial))
        {
            entries.remove(&id);
        }
    }

    /// Whether none is open.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Id, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be at the files of an upload.
struct Busy {
    partials: Arc<Partials>,
    id: Id,
    /// It was given up, and somebody else may have it by now.
    is_over: Cell<bool>,
}

impl Busy {
    fn new(partials: &Arc<Partials>, id: Id) -> Self {
        Self { partials: Arc::clone(partials), id, is_over: Cell::new(false) }
    }

    /// The upload is open now, and whoever wants it gets that.
    fn open(&self, partial: &Arc<Partial>) {
        let entry = Entry::Open(Arc::clone(partial));
        self.free(Some(entry));
    }

    fn free(&self, entry: Option<Entry>) {
        if self.is_over.replace(true) {
            return;
        }
        let mut entries = self.partials.entries();
        if !matches!(entries.get(&self.id), Some(Entry::Busy(_))) {
            return;
        }
        let busy = match entry {
            Some(entry) => entries.insert(self.id, entry),
            None => entries.remove(&self.id),
        };
        drop(entries);
        if let Some(Entry::Busy(busy)) = busy {
            busy.notify_waiters();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.free(None);
    }
}
