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
//! not hear of it is told ([`store`]).
//!
//! - [`Partials`] knows those that are open; [`partial::Partial`] is one of them, [`holder::Holder`] what
//!   a connection has of it, and [`lane`] what a body writes through.
//! - [`keeper::Keeper`] is the thread that moves watermarks: data to the disk, then the entry about it.
//!
//! **What is reported is kept.** A byte counts as durable when the entry about it is in the journal; and
//! under [`Durability::Full`](super::Durability::Full) the data and then the entry were synced first.
//! Under the other rules nothing is synced here, and an entry names the boot of the system: it counts
//! after the end of the server, and not after a power cut, which may have kept entries and lost data.

mod holder;
mod keeper;
mod lane;
#[expect(clippy::module_inception, reason = "it is what the module is about")]
mod partial;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::journal::{GROUP_BYTES, JournalId};
use sandport_protocol::{EntryName, Offer, Refusal, RefusalCode, Resume, ResumeMode};

use super::commit::Pending;
use super::upload::Plan;
use super::{Core, Verdict};
use crate::Identity;
pub(super) use holder::{Holder, Signals};
pub(super) use keeper::Keeper;
use keeper::Request;
pub(super) use lane::Lane;
pub(super) use partial::Partial;
use store::Found;

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

/// The uploads of an inbox that are open under a resume key.
pub(super) struct Partials {
    open: Mutex<HashMap<Id, Arc<Partial>>>,
}

/// What becomes of an offer with a resume key.
pub(super) enum Opened {
    /// Send what is missing.
    Holder(Holder),
    /// Another connection commits it just now.
    Committing(Pending),
    /// The same, and only its digest tells whether it is what this one wants to send.
    DigestFirst,
    /// It was published; what is to be said of that.
    Published(Verdict),
}

/// Whether an offer is worth a journal: one that may be longer than a group.
pub(super) fn resumable(offer: &Offer) -> Option<Resume> {
    offer.resume.filter(|_| offer.size.is_none_or(|size| size > GROUP_BYTES))
}

pub(super) use store::{clean, data_name, is_id};

impl Partials {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::default() })
    }

    /// Opens the upload of a key, or begins it. It reads the journal, and up to a group of data.
    ///
    /// # Errors
    /// `locked`: a later run has it. `invalid-state`: it is an upload of another name or size.
    /// `quota-exceeded`, `io`.
    pub(super) fn open(
        self: &Arc<Self>,
        core: &Arc<Core>,
        keeper: &Sender<Request>,
        plan: &Plan,
        named: bool,
        resume: &Resume,
        published: impl Fn(&EntryName) -> Option<Verdict>,
    ) -> Result<Opened, Refusal> {
        let id = Id::of(&plan.identity, resume);
        let mut restart = resume.mode == ResumeMode::Restart;
        let begin = || Partial::begin(core, self, keeper, id, plan, named);
        // It goes round again where the upload that was found has ended meanwhile.
        loop {
            let known = self.known().get(&id).map(Arc::clone);
            let partial = match known {
                Some(partial) => partial,
                None => {
                    let mut known = self.known();
                    if known.contains_key(&id) {
                        continue;
                    }
                    let partial = match store::load(core, id)? {
                        Some(Found::Partial(loaded)) => {
                            Partial::resume(core, self, keeper, id, *loaded, plan, named)?
                        }
                        Some(Found::Published(name)) => match published(&name) {
                            Some(verdict) if !restart => return Ok(Opened::Published(verdict)),
                            _ => begin()?,
                        },
                        None => begin()?,
                    };
                    Arc::clone(known.entry(id).or_insert(partial))
                }
            };
            if let Some(pending) = partial.committing() {
                return Ok(match plan.digest {
                    Some(_) => Opened::Committing(pending),
                    None => Opened::DigestFirst,
                });
            }
            if restart {
                restart = !partial.discard_for(resume)?;
                continue;
            }
            check_same(plan, named, &partial)?;
            // Under the lock, so that nobody forgets what is about to be held.
            let known = self.known();
            let is_current = known.get(&id).is_some_and(|known| Arc::ptr_eq(known, &partial));
            let held = if is_current { partial.hold(plan, resume)? } else { None };
            drop(known);
            if let Some((holder, evicted)) = held {
                partial.dismiss(evicted);
                return Ok(Opened::Holder(holder));
            }
            // It is about to end.
            #[expect(clippy::disallowed_methods, reason = "whoever ends it has begun to")]
            std::thread::yield_now();
        }
    }

    /// Removes what is left of an upload whose sender has its file here by other means, and so forgets the key.
    /// One that another connection is at goes on.
    pub(super) fn discard_left(&self, core: &Core, sender: &Identity, resume: &Resume) {
        self.discard_waiting(core, Id::of(sender, resume));
    }

    /// Removes an upload that waits to be resumed; whether there was one. One that a connection is at goes on.
    pub(super) fn discard_waiting(&self, core: &Core, id: Id) -> bool {
        // Under the lock, so that nobody opens it meanwhile.
        let known = self.known();
        match known.get(&id).map(Arc::clone) {
            None => store::remove(core, id),
            Some(partial) => {
                drop(known);
                // Its journal may be held by who waits for a body of it.
                !partial.is_held() && partial.discard_unheld()
            }
        }
    }

    /// Tells all who hold an upload that it goes no further here.
    fn fail_all(&self, why: &Refusal) {
        let all: Vec<_> = self.known().values().map(Arc::clone).collect();
        all.iter().for_each(|partial| partial.fail(why));
    }

    /// Keeps what came of an upload, and forgets it where nobody holds it.
    fn keep_and_close(&self, id: Id) {
        let partial = self.known().get(&id).map(Arc::clone);
        let Some(partial) = partial else { return };
        if !partial.is_held() {
            partial.keep();
            let mut known = self.known();
            if partial.is_idle() && known.get(&id).is_some_and(|known| Arc::ptr_eq(known, &partial))
            {
                partial.wait();
                known.remove(&id);
            }
        }
    }

    /// Forgets an upload that has ended.
    fn forget(&self, partial: &Partial) {
        let mut known = self.known();
        if known.get(&partial.id()).is_some_and(|known| std::ptr::eq(&raw const **known, partial)) {
            known.remove(&partial.id());
        }
    }

    /// Whether none is open.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Id, Arc<Partial>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key stands for one upload.
fn check_same(plan: &Plan, named: bool, partial: &Partial) -> Result<(), Refusal> {
    let same_name = !named || plan.name == *partial.name();
    // A stream whose end was seen meanwhile has a size now.
    let same_size = partial.size().is_none() || plan.size == partial.size();
    if same_name && same_size {
        return Ok(());
    }
    let words = "the resume key belongs to an upload of another name or size";
    Err(Refusal::new(RefusalCode::InvalidState, words))
}
