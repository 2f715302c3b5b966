//! What became of an upload, told once: to its sender, and to who operates the server.

use std::cell::RefCell;
use std::rc::Rc;

use sandport_protocol::{Receipt, Refusal};

use crate::inbox::Commit;
use crate::report::{Event, Form};

/// A commit of a connection. Dropped before its outcome is known, it is told by the loop when that is.
pub(crate) struct Committing {
    orphans: Rc<Orphans>,
    /// `None`: it was told.
    waiting: Option<Waiting>,
}

/// What there is to be told.
struct Waiting {
    commit: Commit,
    peer: Rc<str>,
    /// As it was offered.
    name: Option<String>,
}

/// Commits of connections that are gone.
pub(crate) struct Orphans {
    waiting: RefCell<Vec<Waiting>>,
    form: Form,
}

impl Committing {
    pub(crate) fn new(
        orphans: &Rc<Orphans>,
        commit: Commit,
        peer: &Rc<str>,
        name: Option<String>,
    ) -> Self {
        let waiting = Some(Waiting { commit, peer: Rc::clone(peer), name });
        Self { orphans: Rc::clone(orphans), waiting }
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
        self.waiting.take()?.tell(self.orphans.form)
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.orphans.waiting.borrow_mut().push(waiting);
        }
    }
}

impl Waiting {
    /// Tells of the outcome, where it is known and nobody has.
    fn tell(&self, form: Form) -> Option<Result<Receipt, Refusal>> {
        let outcome = self.commit.outcome()?;
        if self.commit.is_news() {
            form.tell(&match outcome {
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

impl Orphans {
    /// None. `form`: how what becomes of uploads is told.
    pub(crate) fn new(form: Form) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), form })
    }

    /// Tells of the outcomes that are known, and that nobody waits for.
    pub(crate) fn tell(&self) {
        self.waiting.borrow_mut().retain(|waiting| waiting.tell(self.form).is_none());
    }
}
