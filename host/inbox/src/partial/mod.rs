//! Uploads that can be resumed: what of them outlives their connections, and the server.
//!
//! ```text
//! DIR/.sandport/partials/
//!     ID.data         the bytes so far, each at its place in the file
//!     ID.journal      which of them are kept (see `sandport_protocol::journal`)
//! ```
//!
//! ID is 32 hexadecimal digits, the first half of a BLAKE3 hash of the sender's identity and the resume
//! key ([`PartialId`](sandport_protocol::journal::PartialId)); the key itself is written nowhere. The second half is what the checks in the journal
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
//! - [`Runtime`] are threads that may wait for the disk, one work of an upload at a time, and the clock;
//! - [`volume::Volume`] is where the bytes lie: [`directory`].
//!
//! **What is reported is kept.** A byte counts as durable when the entry about it is in the journal; and
//! under [`Durability::Full`](super::Durability::Full) the data and then the entry were synced first.
//! Under the other rules nothing is synced while it goes on, and an entry names the boot of the system: it counts
//! after the end of the server, and not after a power cut, which may have kept entries and lost data.

mod asked;
mod cell;
mod commit;
mod copied;
mod directory;
mod empties;
mod ended;
mod hold;
mod lane;
mod loading;
mod look;
mod opening;
#[cfg(test)]
mod races;
mod restarts;
mod session;
mod signals;
#[cfg(test)]
mod simulation;
mod status;
mod volume;
mod work;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use sandport_protocol::journal::PartialId as Id;
use sandport_protocol::upload::Options;
use sandport_protocol::{Refusal, Resume};
use tokio::sync::Notify;

use super::runtime::Runtime;
use super::{Durability, InboxOptions};
use crate::Identity;
pub(super) use asked::Asked;
use cell::Partial;
pub(super) use commit::Submit;
use copied::Copied;
pub(super) use directory::{Directory, RemovedJournals};
#[cfg(test)]
pub(super) use empties::EMPTY_UPLOADS_MAX;
use empties::Empties;
use ended::{Ended, Endings};
pub(super) use hold::Hold;
pub(super) use lane::{Lane, not_checked};
pub(super) use look::unknown;
pub(super) use opening::Opened;
use restarts::Restarts;
pub(super) use session::Session;
pub(super) use signals::Signals;
pub use status::Status;
use volume::Volume;

/// The uploads of an inbox that are open under a resume key.
pub(super) struct Partials {
    volume: Arc<dyn Volume>,
    runtime: Arc<dyn Runtime>,
    options: Options,
    /// How long one is kept that nobody comes for; `None`: for ever. Seconds.
    expiry_s: Option<u64>,
    entries: Mutex<HashMap<Id, Entry>>,
    endings: Mutex<Endings>,
    empties: Empties,
    copied: Mutex<Copied>,
    restarts: Restarts,
}

enum Entry {
    /// Somebody is at its files: it is being opened or removed.
    Busy(Arc<Notify>),
    Open(Arc<Partial>),
}

impl Partials {
    pub(super) fn new(
        volume: Arc<dyn Volume>,
        runtime: Arc<dyn Runtime>,
        options: &InboxOptions,
        boot: u64,
    ) -> Arc<Self> {
        let interval = options.watermark_interval.as_millis();
        let expiry_s = options.partial_expiry.map(|expiry| expiry.as_secs());
        let options = Options {
            size: None,
            size_max: options.size_max,
            is_named: true,
            step_bytes: options.watermark_bytes,
            interval_ms: u64::try_from(interval).unwrap_or(u64::MAX),
            boot: (options.durability != Durability::Full).then_some(boot),
            syncs_at_last: options.durability == Durability::Commit,
            keeps_empty: false,
        };
        Arc::new(Self {
            volume,
            runtime,
            options,
            expiry_s,
            entries: Mutex::default(),
            endings: Mutex::default(),
            empties: Empties::default(),
            copied: Mutex::default(),
            restarts: Restarts::default(),
        })
    }

    fn volume(&self) -> &Arc<dyn Volume> {
        &self.volume
    }

    fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    /// Returns when nobody is at the files of an upload.
    async fn freed(&self, id: Id, busy: &Arc<Notify>) {
        let freed = busy.notified();
        if self.is_busy(id, busy) {
            freed.await;
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

    fn options_of(&self, size: Option<u64>, is_named: bool, keeps_empty: bool) -> Options {
        Options { size, is_named, keeps_empty, ..self.options.clone() }
    }

    /// Removes, in a while, what is left of an upload whose sender has its file here by other means, and so forgets
    /// the key. One that another connection is at goes on.
    pub(super) fn discard_left(self: &Arc<Self>, sender: &Identity, resume: &Resume) {
        let (partials, id) = (Arc::clone(self), Id::of(sender.name(), &resume.key));
        self.runtime.remove(Box::new(move || {
            partials.discard_waiting(id);
        }));
    }

    /// Removes an upload that waits to be resumed, on this thread; whether there was one, and it is gone by now. One
    /// that a connection is at goes on.
    pub(super) fn discard_waiting(self: &Arc<Self>, id: Id) -> bool {
        loop {
            match self.find(id) {
                Ok(partial) => {
                    let is_heard = partial.act(|state, now| {
                        let is_there = !state.upload.is_gone();
                        state.upload.discard_unheld(now);
                        is_there
                    });
                    // Else it was closed since it was found, and its files are there.
                    if is_heard {
                        return false;
                    }
                }
                Err(Some(_)) => return false,
                Err(None) => {
                    let _busy = Busy::new(self, id);
                    return self.volume.remove(id);
                }
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

    /// Forgets an upload that has ended, and remembers how it has, where somebody may ask.
    fn forget(&self, partial: &Partial, ended: Option<Ended>) {
        let id = partial.facts().id;
        // Before it is forgotten: who does not find it looks here.
        if let Some(ended) = ended {
            self.endings().remember(self.runtime.now(), id, ended);
        }
        let mut entries = self.entries();
        if matches!(entries.get(&id), Some(Entry::Open(known)) if std::ptr::eq(&raw const **known, partial))
        {
            entries.remove(&id);
        }
    }

    /// Whether so many more bytes of an upload of `size` bytes are copied into another one for nothing.
    pub(super) fn is_copied_for_nothing(&self, id: Id, size: u64, more: u64) -> bool {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        copied.is_free(id, size, more)
    }

    fn ended(&self, id: Id) -> Option<Ended> {
        self.endings().find(self.runtime.now(), id)
    }

    fn endings(&self) -> MutexGuard<'_, Endings> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
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
