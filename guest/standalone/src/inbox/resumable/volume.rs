//! `.sandport/partials` over a file system that has no locks.
//!
//! > Each run of the component has data and journal files of its own, made exclusively. What an earlier run has
//! > left is taken over by a new name: the journal is copied, then the data is renamed, then the old journal is
//! > removed. Whoever still had it finds its name gone before it writes the journal or publishes. What this run
//! > has not written itself is read again before it is published, and compared with its digest.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use sandport_protocol::journal::{Recovery, ResumableId};

use super::names::{Name, Names, Part};
use crate::inbox::files::{Directory, DiskError, File, Kind, Look, Trouble};
use crate::inbox::tree;

/// How much of a journal is read at a time. Bytes.
pub(super) const JOURNAL_PIECE_BYTES: usize = 256 * 1024;

/// Where they are, in `.sandport`.
const DIRECTORY: &str = "partials";

/// The uploads that lie in an inbox.
pub(in crate::inbox) struct Volume<F: Directory> {
    pub(super) directory: F,
    /// Which run of the component this is: a number that no other has.
    run: u64,
    /// Seconds since 1970.
    pub(super) wall_s: fn() -> u64,
    /// Whether what is kept outlives a power cut.
    pub(super) is_durable: bool,
    pub(super) names: Names,
    /// Those of which this run has written all that there is.
    pub(super) made_here: RefCell<HashSet<Name>>,
}

impl<F: Directory> Volume<F> {
    /// Opens the directory in `state`, and removes what cannot be resumed: data without a journal, and journals that
    /// say nothing. The data that stays is added to `unpublished`.
    pub(in crate::inbox) fn open(
        state: &F,
        (run, wall_s): (u64, fn() -> u64),
        is_durable: bool,
        unpublished: &mut Vec<Look>,
    ) -> Result<Rc<Self>, DiskError> {
        let directory = tree::open_or_make(state, DIRECTORY)?;
        let volume = Self {
            directory,
            run,
            wall_s,
            is_durable,
            names: Names::default(),
            made_here: RefCell::default(),
        };
        for file in volume.directory.names()? {
            if let Some((name, part)) = Name::parse(&file) {
                volume.names.add(name, part);
            }
        }
        for (name, parts) in volume.names.all() {
            let journal = volume.directory.look(&name.journal())?;
            // An empty one is what a crash leaves of one that is begun. The native inbox makes it ahead.
            if journal.is_none_or(|journal| journal.kind == Kind::File && journal.size == 0) {
                volume.remove(name);
            } else if parts.data {
                unpublished.extend(volume.directory.look(&name.data())?);
            }
        }
        Ok(Rc::new(volume))
    }

    /// What the files of an upload are called in this run.
    pub(super) fn own(&self, id: ResumableId) -> Name {
        Name::of(id, self.run)
    }

    /// Gives what another run has left the names of this one. `end`: how much of its journal counts. A crash in
    /// between leaves a journal too many, which says nothing without data, or both.
    pub(super) fn take_over(
        &self,
        from: Name,
        own: Name,
        old: &mut F::File,
        end: u64,
    ) -> Result<F::File, DiskError> {
        let mut new = self.create(&own.journal())?;
        let renamed = self
            .copy(old, &mut new, end)
            .and_then(|()| self.directory.rename(&from.data(), &self.directory, &own.data()));
        if let Err(error) = renamed {
            // All is as it was; or another server has the data now.
            let _ = self.directory.remove(&own.journal());
            return Err(error);
        }
        self.names.add(own, Part::Journal);
        self.names.add(own, Part::Data);
        self.names.remove(from, Part::Data);
        if self.is_durable {
            self.directory.sync()?;
        }
        self.remove_part(from, Part::Journal);
        Ok(new)
    }

    /// Copies what counts of a journal.
    fn copy(&self, from: &mut F::File, to: &mut F::File, end: u64) -> Result<(), DiskError> {
        let mut offset = 0;
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let piece = from.read(offset, left.min(JOURNAL_PIECE_BYTES))?;
            if piece.is_empty() {
                break;
            }
            to.write(&piece, offset)?;
            offset += piece.len() as u64;
        }
        if self.is_durable {
            // The name of the journal before that of the data.
            to.sync()?;
            self.directory.sync()?;
        }
        Ok(())
    }

    /// Makes a file of this run, in the place of one that it could not use.
    pub(super) fn create(&self, name: &str) -> Result<F::File, DiskError> {
        match self.directory.create(name) {
            Err(error) if error.trouble == Trouble::Exists => {
                self.directory.remove(name)?;
                self.directory.create(name)
            }
            created => created,
        }
    }

    /// Removes what is there of an upload.
    pub(super) fn remove_all(&self, id: ResumableId) {
        self.remove(self.own(id));
        self.remove_others(id);
    }

    /// Removes what other runs have left of it, where it could not be removed when it was taken over.
    pub(super) fn remove_others(&self, id: ResumableId) {
        let own = self.own(id);
        for name in self.names.of(own) {
            if name != own && self.is_of(id, name) {
                self.remove(name);
            }
        }
    }

    /// Whether a journal is of this upload, as far as its beginning tells.
    fn is_of(&self, id: ResumableId, name: Name) -> bool {
        let beginning = || {
            let mut journal = self.directory.find(&name.journal()).ok()??;
            journal.read(0, sandport_protocol::journal::BEGINNING_BYTES_MAX).ok()
        };
        let mut recovery = Recovery::new(id.journal(), 0, 0);
        beginning().is_some_and(|bytes| {
            recovery.push(&bytes);
            recovery.finish().is_ok()
        })
    }

    /// Removes both files, the journal first: without it the data says nothing. What cannot be removed is left to
    /// expire.
    pub(super) fn remove(&self, name: Name) {
        self.remove_part(name, Part::Journal);
        self.remove_part(name, Part::Data);
        self.made_here.borrow_mut().remove(&name);
    }

    pub(super) fn remove_part(&self, name: Name, part: Part) {
        let file = match part {
            Part::Data => name.data(),
            Part::Journal => name.journal(),
        };
        match self.directory.remove(&file) {
            Err(error) if error.trouble != Trouble::NotFound => {}
            _ => self.names.remove(name, part),
        }
    }
}
