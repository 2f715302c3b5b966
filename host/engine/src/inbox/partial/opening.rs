//! Offers of uploads that have a key: whether there is such an upload, and what becomes of an offer of it.

use std::sync::Arc;

use sandport_protocol::journal::Notes;
use sandport_protocol::upload::{self, Upload};
use sandport_protocol::{EntryName, Offer, Refusal, Resume, ResumeMode};

use super::cell::{Offered, Partial};
use super::look::unknown;
use super::restarts::Restart;
use super::session::Session;
use super::volume::{Facts, Loaded};
use super::{Busy, Id, Partials};
use crate::Identity;
use crate::inbox::Verdict;
use crate::inbox::commit::Pending;
use crate::inbox::upload::Plan;

/// An offer of an upload that has a key.
#[derive(Clone)]
pub(in crate::inbox) struct Asked {
    pub(in crate::inbox) plan: Plan,
    /// Whether the sender chose the name.
    pub(in crate::inbox) is_named: bool,
    pub(in crate::inbox) resume: Resume,
    /// What is to be known of it, where it is begun.
    pub(in crate::inbox) notes: Notes,
    /// Whether it is begun where there is none.
    pub(in crate::inbox) begins: bool,
}

/// What becomes of an offer with a resume key.
pub(in crate::inbox) enum Opened {
    /// Send what is missing.
    Session(Session),
    /// Another connection commits it just now.
    Committing(Pending),
    /// The same, and only its digest tells whether it is what this one wants to send.
    DigestFirst,
    /// It was published; what is to be said of that.
    Published(Verdict),
}

/// What a look at the files of an upload has come to.
enum Looked {
    Offered(Offered),
    Published(EntryName),
}

impl Partials {
    /// The key of an offer that leads to an upload: one of a file that may be longer than a group and so is worth a
    /// journal, or one that an upload has already.
    pub(in crate::inbox) fn resumable(&self, sender: &Identity, offer: &Offer) -> Option<Resume> {
        let resume = offer.resume?;
        let is_worth_it = upload::resumable(offer).is_some();
        let is_known = || {
            let id = Id::of(sender.name(), &resume.key);
            self.entries().contains_key(&id) || self.volume.is_there(id)
        };
        (is_worth_it || is_known()).then_some(resume)
    }

    /// Opens the upload of a key, or begins it. `published`: what is to be said of one that was published.
    ///
    /// # Errors
    /// `locked`: a later run has it. `invalid-state`: it is an upload of another name or size, or there is none.
    /// `too-many`: its sender has too many of which nothing came. `quota-exceeded`, `io`.
    pub(in crate::inbox) async fn open(
        self: &Arc<Self>,
        mut asked: Asked,
        published: impl Fn(&EntryName) -> Option<Verdict>,
    ) -> Result<Opened, Refusal> {
        let id = Id::of(asked.plan.identity.name(), &asked.resume.key);
        let restarts = asked.resume.mode == ResumeMode::Restart;
        let restart = restarts.then(|| self.restarts.enter(id));
        let mut heeds_published = !restarts;
        loop {
            // What was there is gone, and this was begun by somebody else.
            if restart.as_ref().is_some_and(Restart::is_late)
                && asked.resume.mode == ResumeMode::Restart
            {
                (asked.resume.mode, heeds_published) = (ResumeMode::TakeOver, true);
            }
            let offered = match self.find(id) {
                Ok(partial) => {
                    let changed = partial.changed();
                    let offered = partial.offer(&asked);
                    if let Offered::Later | Offered::Anew = offered {
                        changed.await;
                    }
                    offered
                }
                Err(Some(busy)) => {
                    self.freed(id, &busy).await;
                    continue;
                }
                Err(None) => match self.look(id, &asked, heeds_published).await? {
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
                    return Ok(match asked.plan.digest {
                        Some(_) => Opened::Committing(pending),
                        None => Opened::DigestFirst,
                    });
                }
                Offered::Refused(refusal) => return Err(refusal),
                Offered::Anew => {
                    (asked.resume.mode, heeds_published) = (ResumeMode::TakeOver, true);
                }
                Offered::Later | Offered::Gone => {}
            }
        }
    }

    /// Looks at the files of an upload that is not open, opens or begins it, and offers it what there is to be
    /// offered. All in one go, so that it is closed again also where nobody waits any more.
    async fn look(
        self: &Arc<Self>,
        id: Id,
        asked: &Asked,
        heeds_published: bool,
    ) -> Result<Looked, Refusal> {
        let (partials, asked) = (Arc::clone(self), asked.clone());
        let busy = Busy { partials: Arc::clone(self), id };
        self.on_pool(move || partials.look_now(busy, &asked, heeds_published)).await
    }

    fn look_now(
        self: &Arc<Self>,
        busy: Busy,
        asked: &Asked,
        heeds_published: bool,
    ) -> Result<Looked, Refusal> {
        let (id, plan) = (busy.id, &asked.plan);
        let restarts = asked.resume.mode == ResumeMode::Restart;
        let found = match self.volume.load(id)? {
            // Before there is any room asked for: what is there may be in the way.
            Some(Loaded::Partial { blob, .. }) if restarts => {
                drop(blob);
                self.volume.remove(id);
                None
            }
            Some(Loaded::Published(name)) if heeds_published => {
                return Ok(Looked::Published(name));
            }
            // Its journal would speak of the bytes that come now, where a crash comes before the first entry.
            Some(Loaded::Published(_)) => {
                self.volume.remove(id);
                None
            }
            found => found,
        };
        let (identity, is_named) = (plan.identity.clone(), asked.is_named);
        let partial = match found {
            Some(Loaded::Partial { name, size, notes, found, blob }) => {
                let is_named = is_named && !notes.keeps_empty;
                let options = self.options_of(size, is_named, notes.keeps_empty);
                let facts = Facts { id, identity, name, is_named, size, notes };
                let upload = Upload::resume(options, found);
                let bytes = size.unwrap_or_else(|| upload.whole_bytes());
                let reservation = self.volume.reserve_found(&plan.identity, id, bytes)?;
                Partial::new(self, facts, blob, upload, reservation)
            }
            Some(Loaded::Published(_)) | None if !asked.begins => return Err(unknown()),
            Some(Loaded::Published(_)) | None => {
                let (name, size, notes) = (plan.name.clone(), plan.size, asked.notes.clone());
                let reservation = self.volume.reserve(&identity, size)?;
                if notes.keeps_empty {
                    let is_open = |name: &str| self.is_open(name);
                    self.empties.enter(&*self.volume, &identity, id, is_open)?;
                }
                // Whoever comes with the key after the end is told of that.
                let is_named = is_named && !notes.keeps_empty;
                let upload = Upload::begin(self.options_of(size, is_named, notes.keeps_empty));
                let facts = Facts { id, identity, name, is_named, size, notes };
                self.endings().forget(id);
                self.restarts.begun(id);
                Partial::new(self, facts, self.volume.begin(id), upload, reservation)
            }
        };
        busy.open(&partial);
        Ok(Looked::Offered(partial.offer(asked)))
    }

    /// Whether an upload is open whose files are called so.
    fn is_open(&self, name: &str) -> bool {
        self.entries().keys().any(|id| id.to_string() == name)
    }
}
