//! Uploads that can be resumed: what of them outlives their connections, and the component.
//!
//! The life of each is the machine that the native inbox runs too, [`sandport_protocol::upload`], and its files are of
//! the same format. What is different is what carries it out: one thread has everything, so that the machine needs no
//! lock, and does the work of an upload at once, as it is asked for; but for one, which may take long ([`reading`]).
//!
//! - [`Registry`] knows the uploads that are open, and opens others;
//! - [`cell::ResumableUpload`] is one of them;
//! - [`session::Session`] is what a connection has of it;
//! - [`common::Common`] is what they share, with the clock;
//! - [`volume::Volume`] is where the bytes lie: data and journal in `.sandport/partials`, which [`loading`] finds
//!   again.

mod cell;
mod common;
mod expiry;
mod facts;
mod files;
mod loading;
mod names;
mod reading;
mod session;
mod signals;
mod volume;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use sandport_protocol::journal::ResumableId;
use sandport_protocol::upload::{Options, Upload};
use sandport_protocol::{EntryName, Millis, Refusal, RefusalCode, Resume, ResumeMode};

use super::accepted_offer::AcceptedOffer;
use super::files::Directory;
use super::state::Core;
use cell::{Offered, ResumableUpload};
use common::Common;
use expiry::Expiry;
use facts::Facts;
use files::Files;
use loading::{Found, Loaded};
use reading::Reading;
pub(super) use session::Session;
pub(super) use signals::Outcome;
pub(super) use volume::Volume;

/// The uploads of an inbox that are open under a resume key.
pub(super) struct Registry<F: Directory> {
    common: Rc<Common<F>>,
    options: Options,
    open: RefCell<HashMap<ResumableId, Rc<ResumableUpload<F>>>>,
    expiry: Option<RefCell<Expiry>>,
}

/// What becomes of an offer with a resume key.
pub(super) enum Opened<F: Directory> {
    /// Send what is missing.
    Session(Session<F>),
    /// It was published under this offered name.
    Published(EntryName),
    /// It has ended meanwhile: look for it again.
    Ended,
}

impl<F: Directory> Registry<F> {
    pub(super) fn new(core: &Rc<Core<F>>, volume: Rc<Volume<F>>) -> Rc<Self> {
        let settings = &core.options;
        let options = Options {
            max_file_size: settings.max_file_size,
            step_bytes: settings.watermark_bytes,
            interval_ms: settings.watermark_interval_ms,
            // No boot can be told from another here. Where nothing is synced, what an earlier run has left is read
            // again.
            boot: None,
            ..Options::default()
        };
        let expiry = settings.partial_expiry_s.map(|expiry_s| RefCell::new(Expiry::new(expiry_s)));
        Rc::new_cyclic(|registry| {
            let registry: Weak<Self> = Weak::clone(registry);
            let forget = move |id| {
                if let Some(registry) = registry.upgrade() {
                    registry.open.borrow_mut().remove(&id);
                }
            };
            let common = Common::new(core, volume, forget);
            Self { common, options, open: RefCell::default(), expiry }
        })
    }

    /// Opens the upload of a key, or begins it.
    ///
    /// # Errors
    /// `locked`: a later run has it. `invalid-state`: it is an upload of another name or size. `io` and the like.
    pub(super) fn open(
        &self,
        accepted: &AcceptedOffer,
        is_named: bool,
        resume: &Resume,
        heeds_published: bool,
    ) -> Result<Opened<F>, Refusal> {
        let id = ResumableId::of(None, &resume.key);
        let resumable = match self.known(id) {
            Some(resumable) => resumable,
            None => match self.look(id, accepted, is_named, resume, heeds_published)? {
                Ok(resumable) => resumable,
                Err(name) => return Ok(Opened::Published(name)),
            },
        };
        match resumable.offer(accepted, is_named, resume) {
            Offered::Holds(id, signals) => {
                Ok(Opened::Session(Session::new(&resumable, id, signals, accepted)))
            }
            Offered::Refused(refusal) => Err(refusal),
            // It is being published, or is gone by now.
            Offered::Later => {
                if self.finish_reading(id) || !self.open.borrow().contains_key(&id) {
                    return Ok(Opened::Ended);
                }
                let words = "the upload is being read again before it is published: offer it again";
                Err(Refusal::new(RefusalCode::Io, words))
            }
        }
    }

    /// Looks at the files of an upload that is not open, and opens or begins it; or the name that it was published
    /// under.
    fn look(
        &self,
        id: ResumableId,
        accepted: &AcceptedOffer,
        is_named: bool,
        resume: &Resume,
        heeds_published: bool,
    ) -> Result<Result<Rc<ResumableUpload<F>>, EntryName>, Refusal> {
        let restarts = resume.mode == ResumeMode::Restart;
        let found = match loading::load(&self.common.volume, id)? {
            Some(Loaded::Published(name)) if heeds_published && !restarts => return Ok(Err(name)),
            Some(Loaded::ResumableUpload(found)) if !restarts => Some(found),
            // A marker would speak of the bytes that come now, where a crash comes before the first entry.
            Some(_) => {
                self.common.volume.remove_all(id);
                None
            }
            None => None,
        };
        let (facts, upload, files) = match found {
            Some(found) => {
                let Found { name, size, groups, files } = *found;
                let facts = Facts { id, name, is_named, size };
                let upload = Upload::resume(self.options_of(&facts), groups);
                (facts, upload, files)
            }
            None => {
                let facts =
                    Facts { id, name: accepted.name.clone(), is_named, size: accepted.size };
                let upload = Upload::begin(self.options_of(&facts));
                (facts, upload, Files::begin(&self.common.volume, id))
            }
        };
        let resumable = ResumableUpload::new(&self.common, facts, upload, files);
        self.open.borrow_mut().insert(id, Rc::clone(&resumable));
        Ok(Ok(resumable))
    }

    fn options_of(&self, facts: &Facts) -> Options {
        Options { size: facts.size, is_named: facts.is_named, ..self.options.clone() }
    }

    /// Removes what is left of an upload whose sender has its file here by other means, and so forgets the key. One
    /// that a connection is at goes on.
    pub(super) fn discard_left(&self, resume: &Resume) {
        let id = ResumableId::of(None, &resume.key);
        match self.known(id) {
            Some(resumable) => resumable.act(|state, now| state.upload.discard_parked(now)),
            None => self.common.volume.remove_all(id),
        }
    }

    /// When [`Self::turn`] is to be called, if not before.
    pub(super) fn next_turn(&self) -> Option<Millis> {
        let expiry = self.expiry.as_ref().map(|expiry| expiry.borrow().next_pass());
        [self.common.next_turn(), expiry].into_iter().flatten().min()
    }

    /// Does what is due, for no longer than a piece of a file takes to be read.
    pub(super) fn turn(&self) {
        let now = self.common.now();
        while let Some(id) = self.common.take_due(now) {
            if let Some(resumable) = self.known(id) {
                resumable.act(|state, now| state.upload.due(now));
            }
        }
        self.common.read_due(now, |reading| self.read_on(reading));
        if let Some(expiry) = &self.expiry {
            let wall_s = (self.common.core.ambient.wall_s)();
            let open = || self.open.borrow().keys().copied().collect();
            expiry.borrow_mut().pass_if_due(&self.common.volume, open, now, wall_s);
        }
    }

    fn known(&self, id: ResumableId) -> Option<Rc<ResumableUpload<F>>> {
        self.open.borrow().get(&id).cloned()
    }

    /// Reads a piece of a file again; `true`: that was the last.
    fn read_on(&self, reading: &mut Reading) -> bool {
        self.known(reading.id()).is_none_or(|resumable| resumable.read_on(reading))
    }

    /// Reads a file to its end that is being read again; `false`: it is not, or that takes long.
    fn finish_reading(&self, id: ResumableId) -> bool {
        let reading = self.common.take_awaited(id);
        reading.is_some_and(|mut reading| {
            while !self.read_on(&mut reading) {}
            true
        })
    }

    /// A number that changes whenever connections may have something to hear.
    pub(super) fn news(&self) -> u64 {
        self.common.news()
    }
}
