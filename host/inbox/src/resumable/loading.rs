//! A look at the files of an upload that nobody has open: it is opened or begun, and offered what there is to offer.

use std::sync::Arc;

use sandport_protocol::upload::Upload;
use sandport_protocol::{EntryName, Refusal, ResumeMode};
use tokio::sync::oneshot;

use super::asked::Asked;
use super::cell::{Offered, ResumableUpload};
use super::empties::Beginner;
use super::look::unknown;
use super::registry::Busy;
use super::session::Session;
use super::volume::{Facts, Loaded, Volume};
use crate::partial_files::data_name;
use crate::usage::Reservation;

/// What it has come to.
pub(super) enum Loading {
    Offered(Offered<Session>),
    /// It was published under this name.
    Published(EntryName),
}

type Answer = oneshot::Sender<Result<Loading, Refusal>>;

/// Who has come for an upload, and the right to be at its files.
pub(super) struct Loader {
    pub(super) busy: Busy,
    pub(super) asked: Asked,
    /// Whether it matters that it was published.
    pub(super) heeds_published: bool,
}

impl Loader {
    /// Looks, on a thread that may wait for the disk. Whoever has gone when it answers has released it by that.
    pub(super) fn load(self, answer: Answer) {
        let restarts = self.asked.resume.mode == ResumeMode::Restart;
        let loading = match self.volume().load(self.busy.id) {
            // Before there is any room asked for: what is there may be in the way.
            Ok(Some(Loaded::ResumableUpload { blob, .. })) if restarts => {
                drop(blob);
                return self.begin_anew(answer);
            }
            Ok(Some(Loaded::Published(name))) if self.heeds_published => {
                Ok(Loading::Published(name))
            }
            // Its journal would speak of the bytes that come now, where a crash comes before the first entry.
            Ok(Some(Loaded::Published(_) | Loaded::Unusable)) => return self.begin_anew(answer),
            Ok(Some(Loaded::ResumableUpload { name, size, notes, found, blob })) => {
                let (registry, identity) =
                    (&self.busy.registry, self.asked.accepted.identity.clone());
                let (id, is_named) = (self.busy.id, self.asked.is_named && !notes.keeps_empty);
                let options = registry.options_of(size, is_named, notes.keeps_empty);
                let facts = Facts { id, identity, name, is_named, size, notes };
                let upload = Upload::resume(options, found);
                let bytes = size.unwrap_or_else(|| upload.whole_bytes());
                let reserved = self.volume().reserve_found(&facts.identity, id, bytes);
                let reserved = reserved.and_then(|it| {
                    let counted = Reservation::count_at(it, self.asked.place);
                    if let (Err(_), Some(usage)) = (&counted, self.volume().usage()) {
                        let name = data_name(id);
                        usage.waits(&facts.identity, name.clone(), upload.whole_bytes());
                        self.asked.place.inspect(|place| usage.waits_at(&name, *place));
                    }
                    counted
                });
                reserved.map(|reservation| {
                    self.open(&registry.new_upload(facts, blob, upload, reservation))
                })
            }
            Ok(None) => self.begin(),
            Err(refusal) => Err(refusal),
        };
        let _ = answer.send(loading);
    }

    /// Removes what is there and begins it, where nobody waits for who removes.
    fn begin_anew(self, answer: Answer) {
        let runtime = Arc::clone(self.busy.registry.runtime());
        runtime.remove(Box::new(move || {
            self.volume().remove(self.busy.id);
            let _ = answer.send(self.begin());
        }));
    }

    fn begin(&self) -> Result<Loading, Refusal> {
        let (registry, id) = (&self.busy.registry, self.busy.id);
        let Asked { accepted, is_named, notes, begins, .. } = &self.asked;
        if !begins {
            return Err(unknown());
        }
        let (identity, name, size) =
            (accepted.identity.clone(), accepted.name.clone(), accepted.size);
        let (notes, volume) = (notes.clone(), self.volume());
        let reservation =
            Reservation::count_at(volume.reserve(&identity, size)?, self.asked.place)?;
        if notes.keeps_empty {
            let open = || registry.open_names();
            let beginner = Beginner { owner: &identity, address: self.asked.address, id };
            registry.empties.enter(&**volume, beginner, open)?;
        }
        // Whoever comes with the key after the end is told of that.
        let is_named = *is_named && !notes.keeps_empty;
        let upload = Upload::begin(registry.options_of(size, is_named, notes.keeps_empty));
        let facts = Facts { id, identity, name, is_named, size, notes };
        let blob = volume.begin(id)?;
        registry.endings().forget(id);
        registry.restarts.begun(id);
        Ok(self.open(&registry.new_upload(facts, blob, upload, reservation)))
    }

    /// The upload is open now.
    fn open(&self, resumable: &Arc<ResumableUpload>) -> Loading {
        self.busy.open(resumable);
        Loading::Offered(Session::offer(resumable, &self.asked))
    }

    fn volume(&self) -> &Arc<dyn Volume> {
        self.busy.registry.volume()
    }
}
