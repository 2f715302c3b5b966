//! One file on its way in, as connections see it.

use std::rc::Rc;

use sandport_protocol::{Digest, EntryName, Extent, Refusal};

use super::files::Directory;
use super::publish::Published;
use super::resumable::{Outcome, Session};
use super::transient::Transient;

/// One file on its way in. Dropping it discards what was staged, unless its offer had a resume key: then it is kept for
/// the next offer with that key.
pub struct Upload<F: Directory>(Kind<F>);

enum Kind<F: Directory> {
    Transient(Box<Transient<F>>),
    Resumable(Session<F>),
}

impl<F: Directory> Upload<F> {
    pub(super) fn transient(upload: Transient<F>) -> Self {
        Self(Kind::Transient(Box::new(upload)))
    }

    pub(super) fn resumable(session: Session<F>) -> Self {
        Self(Kind::Resumable(session))
    }

    /// The name under which it will be published, if that is free.
    pub fn name(&self) -> &EntryName {
        match &self.0 {
            Kind::Transient(upload) => upload.name(),
            Kind::Resumable(session) => session.name(),
        }
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub fn missing(&self) -> Vec<Extent> {
        match &self.0 {
            Kind::Transient(upload) => upload.missing(),
            Kind::Resumable(session) => session.missing(),
        }
    }

    /// Begins a body, and ends an earlier one.
    ///
    /// # Errors
    /// `offset-mismatch`: the extent goes beyond the announced size, or nothing is missing there; without a resume key
    /// also where it does not begin where the last one ended, and with one where it begins neither where something is
    /// missing nor at a chunk group within. `too-many`: the upload is in too many pieces. The fault of the upload.
    pub fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        match &mut self.0 {
            Kind::Transient(upload) => upload.body(extent),
            Kind::Resumable(session) => session.body(extent),
        }
    }

    /// Ends the body, if there is one.
    pub fn end_body(&mut self) {
        match &mut self.0 {
            Kind::Transient(upload) => upload.end_body(),
            Kind::Resumable(session) => session.end_body(),
        }
    }

    /// Whether it outlives its connection.
    pub fn is_resumable(&self) -> bool {
        matches!(self.0, Kind::Resumable(_))
    }

    /// Whether there is a body to write into.
    pub fn has_body(&self) -> bool {
        match &self.0 {
            Kind::Transient(upload) => upload.has_body(),
            Kind::Resumable(session) => session.has_body(),
        }
    }

    /// The fault that a body has met, or that another connection has caused.
    pub fn fault(&self) -> Option<&Refusal> {
        match &self.0 {
            Kind::Transient(upload) => upload.fault(),
            Kind::Resumable(session) => session.fault(),
        }
    }

    /// How many bytes the body has room for, up to `most`: no more of an upload that can be resumed is here than a
    /// crash may cost.
    pub fn room(&self, most: usize) -> usize {
        match &self.0 {
            Kind::Transient(_) => most,
            Kind::Resumable(session) => session.room(most),
        }
    }

    /// Hashes and stages `bytes`, whether or not there is room for them. It never fails: what goes wrong is the fault
    /// of the upload, and from then on bytes are swallowed.
    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Kind::Transient(upload) => upload.write(bytes),
            Kind::Resumable(session) => session.write(bytes),
        }
    }

    /// Whether there is something to hear: a fault that another connection has caused, or [`Self::progress`].
    pub fn has_news(&self) -> bool {
        match &self.0 {
            Kind::Transient(_) => false,
            Kind::Resumable(session) => session.has_news(),
        }
    }

    /// How many bytes from the start of the file are kept whatever happens, where that is more than was last said. An
    /// upload that cannot be resumed keeps nothing.
    pub fn progress(&mut self) -> Option<u64> {
        match &mut self.0 {
            Kind::Transient(_) => None,
            Kind::Resumable(session) => session.progress(),
        }
    }

    /// Ends the upload: checks `size` and `digest` (and what the offer said of them) against what arrived, and
    /// publishes the file, when all connections that bring it are through.
    pub fn commit(self, size: u64, digest: Option<Digest>) -> Commit {
        Commit(match self.0 {
            Kind::Transient(upload) => CommitKind::Done(upload.commit(size, digest)),
            Kind::Resumable(session) => match session.commit(size, digest) {
                Ok(outcome) => CommitKind::Waits(outcome),
                Err(refusal) => CommitKind::Done(Err(refusal)),
            },
        })
    }

    /// Ends the upload and removes what was staged, also where there is a resume key.
    pub fn discard(self) {
        match self.0 {
            Kind::Transient(upload) => drop(upload),
            Kind::Resumable(session) => session.discard(),
        }
    }
}

/// A commit, which mostly is done when it is made.
#[derive(Debug)]
pub struct Commit(CommitKind);

#[derive(Debug)]
enum CommitKind {
    Done(Result<Published, Refusal>),
    /// For others who bring the same file, or while it is read again.
    Waits(Rc<Outcome>),
}

impl Commit {
    /// What became of it: `errors` are the fault, `digest-mismatch`, `exists`, `insufficient-space`, `io`. `None`: it
    /// is not known yet.
    pub fn outcome(&self) -> Option<&Result<Published, Refusal>> {
        match &self.0 {
            CommitKind::Done(result) => Some(result),
            CommitKind::Waits(outcome) => outcome.get(),
        }
    }

    /// Whether nobody has told of this outcome, as is to be done now: several connections may have brought the file.
    pub fn is_news(&self) -> bool {
        match &self.0 {
            CommitKind::Done(_) => true,
            CommitKind::Waits(outcome) => outcome.is_news(),
        }
    }
}
