//! A look at the files of an upload that nobody has open: it is opened or begun, and offered what there is to offer.

use std::sync::Arc;

use sandport_protocol::upload::Upload;
use sandport_protocol::{EntryName, Refusal, Resume, ResumeMode};
use tokio::sync::oneshot;

use super::Busy;
use super::cell::{Offered, Partial};
use super::volume::{Facts, Loaded};
use crate::inbox::upload::Plan;

/// What a look has come to.
pub(super) enum Looked {
    Offered(Offered),
    /// It was published under this name.
    Published(EntryName),
}

type Answer = oneshot::Sender<Result<Looked, Refusal>>;

/// Who has come for an upload, and the right to be at its files.
pub(super) struct Look {
    pub(super) busy: Busy,
    pub(super) plan: Plan,
    /// Whether the sender chose the name.
    pub(super) is_named: bool,
    pub(super) resume: Resume,
    /// Whether it matters that it was published.
    pub(super) heeds_published: bool,
}

impl Look {
    /// Looks, on a thread that may wait for the disk. Whoever has gone when it answers has released it by that.
    pub(super) fn now(self, answer: Answer) {
        let restarts = self.resume.mode == ResumeMode::Restart;
        let looked = match self.volume().load(self.busy.id) {
            // Before there is any room asked for: what is there may be in the way.
            Ok(Some(Loaded::Partial { blob, .. })) if restarts => {
                drop(blob);
                return self.begin_anew(answer);
            }
            Ok(Some(Loaded::Published(name))) if self.heeds_published => {
                Ok(Looked::Published(name))
            }
            // Its journal would speak of the bytes that come now, where a crash comes before the first entry.
            Ok(Some(Loaded::Published(_) | Loaded::Unusable)) => return self.begin_anew(answer),
            Ok(None) => self.begin(),
            Ok(Some(Loaded::Partial { name, size, found, blob })) => {
                let (partials, identity) = (&self.busy.partials, self.plan.identity.clone());
                let (id, is_named) = (self.busy.id, self.is_named);
                let facts = Facts { id, identity, name, is_named, size };
                let upload = Upload::resume(partials.options_of(&facts), found);
                let bytes = size.unwrap_or_else(|| upload.whole_bytes());
                let reserved = self.volume().reserve_found(&self.plan.identity, id, bytes);
                reserved.map(|reservation| {
                    self.open(&Partial::new(partials, facts, blob, upload, reservation))
                })
            }
            Err(refusal) => Err(refusal),
        };
        let _ = answer.send(looked);
    }

    /// Removes what is there and begins it, where nobody waits for who removes.
    fn begin_anew(self, answer: Answer) {
        let runtime = Arc::clone(self.busy.partials.runtime());
        runtime.remove(Box::new(move || {
            self.volume().remove(self.busy.id);
            let _ = answer.send(self.begin());
        }));
    }

    fn begin(self) -> Result<Looked, Refusal> {
        let (partials, plan) = (&self.busy.partials, &self.plan);
        let (identity, name, size) = (plan.identity.clone(), plan.name.clone(), plan.size);
        let reservation = self.volume().reserve(&identity, size)?;
        let (id, is_named) = (self.busy.id, self.is_named);
        let facts = Facts { id, identity, name, is_named, size };
        let upload = Upload::begin(partials.options_of(&facts));
        let blob = self.volume().begin(id)?;
        Ok(self.open(&Partial::new(partials, facts, blob, upload, reservation)))
    }

    /// The upload is open now.
    fn open(&self, partial: &Arc<Partial>) -> Looked {
        self.busy.open(partial);
        Looked::Offered(partial.offer(&self.plan, self.is_named, &self.resume))
    }

    fn volume(&self) -> &Arc<dyn super::Volume> {
        self.busy.partials.volume()
    }
}
