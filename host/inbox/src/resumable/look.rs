//! Looking at an upload without having it, and ending it from outside.

use std::sync::Arc;

use sandport_protocol::upload::{Upload, UploadProgress};
use sandport_protocol::{EntryName, Metadata, Receipt, Refusal, RefusalCode};
use tokio::sync::oneshot;

use super::Id;
use super::cell::ResumableUpload;
use super::registry::{Busy, Registry};
use super::status::UploadStatus;
use super::volume::{Facts, Loaded};
use crate::Identity;

/// Longest key of an upload. Bytes. Those that senders and the inbox make have
/// [`RESUME_KEY_BYTES`](sandport_protocol::RESUME_KEY_BYTES).
pub const KEY_BYTES_MAX: usize = 64;

/// What is seen of an upload.
pub(super) enum Seen {
    /// How far it is, or how it has ended.
    Status(UploadStatus),
    /// It was published, under this name.
    Published(EntryName),
}

/// Says that there is no such upload, to who has made a key up and to who has somebody else's alike.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(RefusalCode::InvalidState, "unknown upload")
}

/// Which upload of `sender` a key leads to.
///
/// # Errors
/// `malformed`: it is longer than any.
pub(crate) fn id_of(sender: &Identity, key: &[u8]) -> Result<Id, Refusal> {
    if key.len() > KEY_BYTES_MAX {
        let words = format!("the key of an upload has {KEY_BYTES_MAX} bytes at most");
        return Err(Refusal::new(RefusalCode::Malformed, words));
    }
    Ok(Id::of(sender.name(), key))
}

impl Registry {
    /// How far the upload of a key is. `settles`: whoever has it loses it first. `receipt`: that of a file that was
    /// published under this name, where there is one.
    ///
    /// # Errors
    /// `invalid-state`: there is no such upload. `io` and the like: its files cannot be read.
    pub(crate) async fn status(
        self: &Arc<Self>,
        id: Id,
        settles: bool,
        receipt: impl Fn(&EntryName) -> Option<Receipt>,
    ) -> Result<UploadStatus, Refusal> {
        match self.seen(id, settles).await? {
            Seen::Status(status) => Ok(status),
            Seen::Published(name) => {
                let receipt = receipt(&name).ok_or_else(unknown)?;
                Ok(UploadStatus::ended(Some(Ok(receipt)), None, Metadata::default()))
            }
        }
    }

    /// The same, where no receipt is needed.
    ///
    /// # Errors
    /// As of [`Self::status`].
    pub(super) async fn seen(self: &Arc<Self>, id: Id, mut settles: bool) -> Result<Seen, Refusal> {
        let waits_for_losers = settles;
        loop {
            match self.find(id) {
                Ok(resumable) => {
                    let changed = resumable.changed();
                    let takes = std::mem::take(&mut settles);
                    match resumable.look(takes, waits_for_losers) {
                        Looked::Goes(progress) => {
                            let metadata = resumable.facts().notes.metadata.clone();
                            let status = UploadStatus::of(progress, self.expiry_s, metadata);
                            return Ok(Seen::Status(status));
                        }
                        Looked::Later => changed.await,
                        Looked::Gone => {}
                    }
                }
                Err(Some(busy)) => self.freed(id, &busy).await,
                Err(None) => {
                    let busy = Busy::new(self, id);
                    if let Some(ended) = self.ended(id) {
                        drop(busy);
                        return Ok(Seen::Status(ended.status().await));
                    }
                    let registry = Arc::clone(self);
                    return self.on_pool(move || registry.see(busy)).await;
                }
            }
        }
    }

    /// Reads the files of an upload that nobody has open, and closes them again.
    fn see(&self, busy: Busy) -> Result<Seen, Refusal> {
        let id = busy.id;
        let seen = match self.volume().load(id)? {
            None | Some(Loaded::Unusable) => return Err(unknown()),
            Some(Loaded::Published(name)) => Seen::Published(name),
            Some(Loaded::ResumableUpload { size, found, notes, blob, .. }) => {
                let options = self.options_of(size, true, notes.keeps_empty);
                let progress = Upload::resume(options, found).progress();
                let idle_s = self.volume().idle_s(id);
                let expires_in_s = self.expiry_s.map(|expiry| expiry.saturating_sub(idle_s));
                drop(blob);
                Seen::Status(UploadStatus::of(progress, expires_in_s, notes.metadata))
            }
        };
        drop(busy);
        Ok(seen)
    }

    /// Ends the upload of a key, whoever has it, removes what is here of it, and forgets the key. A file that was
    /// published stays. Where it is being published, this waits for that.
    ///
    /// # Errors
    /// `invalid-state`: there is no such upload.
    pub(crate) async fn abandon(self: &Arc<Self>, id: Id) -> Result<(), Refusal> {
        let waiting = self.restarts.enter(id);
        loop {
            // What was meant is gone, and what is there was begun by somebody else.
            if waiting.is_late() {
                return Err(unknown());
            }
            match self.find(id) {
                Ok(resumable) => {
                    let is_heard = resumable.act(|state, now| {
                        let is_there = !state.upload.is_gone();
                        state.upload.abandon(now);
                        is_there
                    });
                    // It was closed since it was found, and its files are there.
                    if !is_heard {
                        continue;
                    }
                    resumable.gone().await;
                    if !waiting.is_late() {
                        self.endings().forget(id);
                    }
                    return Ok(());
                }
                Err(Some(busy)) => self.freed(id, &busy).await,
                Err(None) => {
                    let busy = Busy::new(self, id);
                    let was_known = self.endings().forget(id);
                    let registry = Arc::clone(self);
                    let removed = move || {
                        let is_there = registry.volume().is_there(busy.id);
                        registry.volume().remove(busy.id);
                        drop(busy);
                        is_there
                    };
                    let (answer, answered) = oneshot::channel();
                    self.runtime().remove(Box::new(move || {
                        // Whoever has gone meanwhile has lost nothing by that.
                        let _ = answer.send(removed());
                    }));
                    // The threads end after all who could wait.
                    let was_there = answered.await.map_err(|_| Refusal::from(RefusalCode::Io))?;
                    return if was_known || was_there { Ok(()) } else { Err(unknown()) };
                }
            }
        }
    }

    /// Has something done by a thread that may wait for the disk, also where nobody waits for that any more.
    pub(crate) async fn on_pool<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.runtime().spawn(Box::new(move || {
            // Whoever has gone meanwhile has lost nothing by that.
            let _ = answer.send(task());
        }));
        // The threads end after all who could wait.
        answered.await.unwrap_or_else(|_| Err(RefusalCode::Io.into()))
    }
}

/// What a look at an upload that is open comes to.
enum Looked {
    Goes(UploadProgress),
    /// When it has changed.
    Later,
    /// There may be a successor.
    Gone,
}

impl ResumableUpload {
    /// How far it is. `takes`: from whoever has it. `waits`: when it is certain what those have brought.
    fn look(self: &Arc<Self>, takes: bool, waits: bool) -> Looked {
        self.act(|state, now| {
            if takes {
                state.upload.settle(now);
            }
            let upload = &state.upload;
            match upload.is_gone() {
                true => Looked::Gone,
                false if waits && !upload.is_certain() => Looked::Later,
                // What is in the file is no upload any more, and how it has ended is said when it is gone.
                false if state.is_decided || upload.is_ending() => Looked::Later,
                false => Looked::Goes(upload.progress()),
            }
        })
    }

    /// Returns when it is gone.
    async fn gone(self: &Arc<Self>) {
        loop {
            let changed = self.changed();
            if self.act(|state, _| state.upload.is_gone()) {
                return;
            }
            changed.await;
        }
    }
}

impl Facts {
    /// Whether something is to be written into its journal beside what it is.
    pub(crate) fn has_notes(&self) -> bool {
        self.notes.keeps_empty || !self.notes.metadata.is_empty()
    }
}
