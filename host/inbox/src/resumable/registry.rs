//! The uploads that are open, and what is remembered of others.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sandport_protocol::upload::{Options, Upload};
use sandport_protocol::{Refusal, Resume};
use tokio::sync::Notify;

use super::Id;
use super::cell::ResumableUpload;
use super::copied::Copied;
use super::empties::Empties;
use super::ended::{Ended, Endings};
use super::open_uploads::{Around, OpenUploads};
use super::restarts::Restarts;
use super::volume::{Blob, Facts, Volume};
use crate::runtime::Runtime;
use crate::shared::Resumables;
use crate::usage::Reservation;
use crate::{Durability, Identity, InboxOptions};

/// The uploads of an inbox that are open under a resume key.
pub(crate) struct Registry {
    pub(super) volume: Arc<dyn Volume>,
    pub(super) runtime: Arc<dyn Runtime>,
    options: Options,
    /// How long one is kept that nobody comes for; `None`: for ever. Seconds.
    pub(super) expiry_s: Option<u64>,
    entries: Mutex<HashMap<Id, Entry>>,
    endings: Mutex<Endings>,
    pub(super) empties: Empties,
    copied: Mutex<Copied>,
    pub(super) restarts: Restarts,
}

/// An upload in the table.
pub(super) enum Entry {
    /// Somebody is at its files: it is being opened or removed.
    Busy(Arc<Notify>),
    Open(Arc<ResumableUpload>),
}

impl Registry {
    pub(crate) fn new(
        volume: Arc<dyn Volume>,
        runtime: Arc<dyn Runtime>,
        options: &InboxOptions,
        boot: u64,
    ) -> Arc<Self> {
        let interval = options.watermark_interval.as_millis();
        let expiry_s = options.partial_expiry.map(|expiry| expiry.as_secs());
        let options = Options {
            size: None,
            max_file_size: options.max_file_size,
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

    pub(super) fn volume(&self) -> &Arc<dyn Volume> {
        &self.volume
    }

    pub(super) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    /// Returns when nobody is at the files of an upload.
    pub(super) async fn freed(&self, id: Id, busy: &Arc<Notify>) {
        let freed = busy.notified();
        if self.is_busy(id, busy) {
            freed.await;
        }
    }

    pub(super) fn is_busy(&self, id: Id, busy: &Arc<Notify>) -> bool {
        matches!(self.entries().get(&id), Some(Entry::Busy(now)) if Arc::ptr_eq(now, busy))
    }

    /// The upload that is open under this key; or what tells when nobody is at its files; `None`: now nobody is,
    /// but who has asked.
    pub(super) fn find(&self, id: Id) -> Result<Arc<ResumableUpload>, Option<Arc<Notify>>> {
        match self.entries().entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => match entry.get() {
                Entry::Open(resumable) => Ok(Arc::clone(resumable)),
                Entry::Busy(busy) => Err(Some(Arc::clone(busy))),
            },
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Entry::Busy(Arc::default()));
                Err(None)
            }
        }
    }

    pub(super) fn options_of(
        &self,
        size: Option<u64>,
        is_named: bool,
        keeps_empty: bool,
    ) -> Options {
        Options { size, is_named, keeps_empty, ..self.options.clone() }
    }

    /// Removes, in a while, what is left of an upload whose sender has its file here by other means, and so forgets
    /// the key. One that another connection is at goes on.
    pub(crate) fn discard_left(self: &Arc<Self>, sender: &Identity, resume: &Resume) {
        let (registry, id) = (Arc::clone(self), Id::of(sender.name(), &resume.key));
        self.runtime.remove(Box::new(move || {
            registry.discard_waiting(id);
        }));
    }

    /// Removes an upload that waits to be resumed, on this thread; whether there was one, and it is gone by now. One
    /// that a connection is at goes on.
    pub(super) fn discard_waiting(self: &Arc<Self>, id: Id) -> bool {
        loop {
            match self.find(id) {
                Ok(resumable) => {
                    let is_heard = resumable.act(|state, now| {
                        let is_there = !state.upload.is_gone();
                        state.upload.discard_parked(now);
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
    pub(crate) fn fail_all(&self, why: &Refusal) {
        let all: Vec<_> = self
            .entries()
            .values()
            .filter_map(|entry| match entry {
                Entry::Open(resumable) => Some(Arc::clone(resumable)),
                Entry::Busy(_) => None,
            })
            .collect();
        all.iter()
            .for_each(|resumable| resumable.act(|state, now| state.upload.fail_all(why, now)));
    }

    /// Whether so many more bytes of an upload of `size` bytes are copied into another one for nothing.
    pub(crate) fn is_copied_for_nothing(&self, id: Id, size: u64, more: u64) -> bool {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        copied.is_free(id, size, more)
    }

    pub(super) fn ended(&self, id: Id) -> Option<Ended> {
        self.endings().find(self.runtime.now(), id)
    }

    pub(super) fn endings(&self) -> MutexGuard<'_, Endings> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is to be open.
    pub(super) fn new_upload(
        self: &Arc<Self>,
        facts: Facts,
        blob: Arc<dyn Blob>,
        upload: Upload,
        reservation: Option<Reservation>,
    ) -> Arc<ResumableUpload> {
        let registry: Weak<Self> = Arc::downgrade(self);
        let around = Around {
            registry,
            volume: Arc::clone(&self.volume),
            runtime: Arc::clone(&self.runtime),
        };
        ResumableUpload::new(around, facts, blob, upload, reservation)
    }

    /// Whether none is open.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, HashMap<Id, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resumables for Registry {
    fn discard_waiting(self: Arc<Self>, id: Id) -> bool {
        Self::discard_waiting(&self, id)
    }

    fn fail_all(&self, why: &Refusal) {
        Self::fail_all(self, why);
    }
}

impl OpenUploads for Registry {
    fn due(&self, id: Id) {
        let resumable = match self.entries().get(&id) {
            Some(Entry::Open(resumable)) => Arc::clone(resumable),
            Some(Entry::Busy(_)) | None => return,
        };
        resumable.act(|state, now| state.upload.due(now));
    }

    fn forget(&self, facts: &Facts, ended: Option<Ended>) {
        let id = facts.id;
        // Before it is forgotten: who does not find it looks here.
        if let Some(ended) = ended {
            self.endings().remember(self.runtime.now(), id, ended);
        }
        let mut entries = self.entries();
        if matches!(entries.get(&id), Some(Entry::Open(known)) if std::ptr::eq(known.facts(), facts))
        {
            entries.remove(&id);
        }
    }
}

/// The right to be at the files of an upload.
pub(super) struct Busy {
    pub(super) registry: Arc<Registry>,
    pub(super) id: Id,
    /// It was given up, and somebody else may have it by now.
    is_over: Cell<bool>,
}

impl Busy {
    pub(super) fn new(registry: &Arc<Registry>, id: Id) -> Self {
        Self { registry: Arc::clone(registry), id, is_over: Cell::new(false) }
    }

    /// The upload is open now, and whoever wants it gets that.
    pub(super) fn open(&self, resumable: &Arc<ResumableUpload>) {
        let entry = Entry::Open(Arc::clone(resumable));
        self.free(Some(entry));
    }

    fn free(&self, entry: Option<Entry>) {
        if self.is_over.replace(true) {
            return;
        }
        let mut entries = self.registry.entries();
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
