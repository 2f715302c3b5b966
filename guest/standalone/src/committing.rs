//! What became of an upload, told once: to its sender, and to who operates the server.

use std::cell::RefCell;
use std::rc::Rc;

use sandport_protocol::{Receipt, Refusal};

use crate::connection::Shared;
use crate::inbox::Commit;
use crate::report::Event;

/// A commit of a connection. Dropped before its outcome is known, it is told by the loop when that is.
pub(crate) struct Committing {
    shared: Rc<Shared>,
    /// `None`: it was told.
    waiting: Option<Waiting>,
}

/// What there is to be told.
pub(crate) struct Waiting {
    commit: Commit,
    peer: Rc<str>,
    /// As it was offered.
    name: Option<String>,
}

/// Commits of connections that are gone.
pub(crate) type Orphans = RefCell<Vec<Waiting>>;

impl Committing {
    pub(crate) fn new(
        shared: &Rc<Shared>,
        commit: Commit,
        peer: &Rc<str>,
        name: Option<String>,
    ) -> Self {
        let waiting = Some(Waiting { commit, peer: Rc::clone(peer), name });
        Self { shared: Rc::clone(shared), waiting }
    }

    /// Whether the outcome is known.
    pub(crate) fn is_ready(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.commit.outcome().is_some())
    }

    /// The outcome, once it is known, for who sent the file. It is asked for once.
    pub(crate) fn take(&mut self) -> Option<Result<Receipt, Refusal>> {
        if !self.is_ready() {
            return None;
        }
        self.waiting.take()?.tell(&self.shared)
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.shared.orphans.borrow_mut().push(waiting);
        }
    }
}

impl Waiting {
    /// Tells of the outcome, where it is known and nobody has.
    fn tell(&self, shared: &Shared) -> Option<Result<Receipt, Refusal>> {
        let outcome = self.commit.outcome()?;
        if self.commit.is_news() {
            shared.form.tell(&match outcome {
                Ok(published) => Event::Stored {
                    peer: &self.peer,
                    name: &published.name,
                    size: published.size,
                    digest: published.digest,
                },
                Err(refusal) => {
                    Event::UploadRefused { peer: &self.peer, name: self.name.as_deref(), refusal }
                }
            });
        }
        Some(outcome.clone().map(|published| published.receipt()))
    }
}

/// Tells of the outcomes that nobody waits for.
pub(crate) fn tell_orphans(shared: &Shared) {
    let mut orphans = shared.orphans.borrow_mut();
    orphans.retain(|waiting| waiting.tell(shared).is_none());
}
