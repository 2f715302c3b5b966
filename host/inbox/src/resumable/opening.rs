//! Offers of uploads that have a key: whether there is such an upload, and what becomes of an offer of it.

use std::collections::HashSet;
use std::sync::Arc;

use sandport_protocol::upload;
use sandport_protocol::{EntryName, Offer, Refusal, RefusalCode, Resume, ResumeMode};
use tokio::sync::oneshot;

use super::Id;
use super::asked::Asked;
use super::cell::Offered;
use super::loading::{Loader, Loading};
use super::registry::{Busy, Registry};
use super::restarts::Restart;
use super::session::Session;
use crate::Identity;
use crate::completion::CommitHandle;

/// What becomes of an offer with a resume key.
pub(crate) enum Opened<T> {
    /// Send what is missing.
    Session(Session),
    /// Another connection commits it just now.
    Committing(CommitHandle),
    /// The same, and only its digest tells whether it is what this one wants to send.
    DigestFirst,
    /// It was published; what is to be said of that.
    Published(T),
}

impl Registry {
    /// The key of an offer that leads to an upload: one of a file that may be longer than a group and so is worth a
    /// journal, or one that an upload has already.
    pub(crate) fn resumable(&self, sender: &Identity, offer: &Offer) -> Option<Resume> {
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
    pub(crate) async fn open<T>(
        self: &Arc<Self>,
        mut asked: Asked,
        published: impl Fn(&EntryName) -> Option<T>,
    ) -> Result<Opened<T>, Refusal> {
        let id = Id::of(asked.accepted.identity.name(), &asked.resume.key);
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
                Ok(resumable) => {
                    let changed = resumable.changed();
                    let offered = Session::offer(&resumable, &asked);
                    if let Offered::Later | Offered::Anew = offered {
                        changed.await;
                    }
                    offered
                }
                Err(Some(busy)) => {
                    self.freed(id, &busy).await;
                    continue;
                }
                Err(None) => match self.load(id, &asked, heeds_published).await? {
                    Loading::Offered(offered) => offered,
                    Loading::Published(name) => match published(&name) {
                        Some(said) => return Ok(Opened::Published(said)),
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
                    return Ok(match asked.accepted.digest {
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
    async fn load(
        self: &Arc<Self>,
        id: Id,
        asked: &Asked,
        heeds_published: bool,
    ) -> Result<Loading, Refusal> {
        let (answer, answered) = oneshot::channel();
        let (busy, asked) = (Busy::new(self, id), asked.clone());
        let loader = Loader { busy, asked, heeds_published };
        self.runtime.spawn(Box::new(move || loader.load(answer)));
        // The threads end after all who could wait.
        answered.await.unwrap_or_else(|_| Err(RefusalCode::Io.into()))
    }

    /// What the files of the uploads are called that are open.
    pub(super) fn open_names(&self) -> HashSet<String> {
        self.entries().keys().map(Id::to_string).collect()
    }
}
