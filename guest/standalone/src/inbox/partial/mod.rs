//! Uploads that can be resumed: what of them outlives their connections, and the component.
//!
//! The life of each is the machine that the native inbox runs too, [`sandport_protocol::upload`], and its files are of
//! the same format. What is different is what carries it out: one thread has everything, so that the machine needs no
//! lock, and does the work of an upload at once, as it is asked for; but for one, which may take long ([`reading`]).
//!
//! - [`Partials`] knows the uploads that are open, opens others, and has the clock;
//! - [`cell::Partial`] is one of them;
//! - [`session::Session`] is what a connection has of it;
//! - [`volume::Volume`] is where the bytes lie: data and journal in `.sandport/partials`.

mod cell;
mod expiry;
mod files;
mod names;
mod reading;
mod session;
mod volume;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use sandport_protocol::journal::PartialId;
use sandport_protocol::upload::{Options, Upload};
use sandport_protocol::{EntryName, Millis, Refusal, RefusalCode, Resume, ResumeMode};

use super::files::Folder;
use super::{Core, Plan};
use cell::{Offered, Partial};
use expiry::Expiry;
use files::Files;
use reading::Readings;
pub(super) use session::{Outcome, Session};
use volume::Loaded;
pub(super) use volume::Volume;

/// What an upload is.
struct Facts {
    id: PartialId,
    /// What it was offered as, or the name that was made up.
    name: EntryName,
    /// Whether the sender chose the name.
    is_named: bool,
    /// How long the file will be; `None`: not known. Bytes.
    size: Option<u64>,
}

/// The uploads of an inbox that are open under a resume key.
pub(super) struct Partials<F: Folder> {
    core: Rc<Core<F>>,
    volume: Rc<Volume<F>>,
    options: Options,
    open: RefCell<HashMap<PartialId, Rc<Partial<F>>>>,
    /// When uploads are to look at the clock.
    timers: RefCell<BTreeSet<(Millis, PartialId)>>,
    readings: RefCell<Readings<F>>,
    expiry: Option<RefCell<Expiry>>,
    /// Counts what connections may have to hear.
    news: Cell<u64>,
}

/// What becomes of an offer with a resume key.
pub(super) enum Opened<F: Folder> {
    /// Send what is missing.
    Session(Session<F>),
    /// It was published under this offered name.
    Published(EntryName),
    /// It has ended meanwhile: look for it again.
    Ended,
}

impl<F: Folder> Partials<F> {
    pub(super) fn new(core: &Rc<Core<F>>, volume: Rc<Volume<F>>) -> Rc<Self> {
        let settings = &core.options;
        let options = Options {
            size_max: settings.size_max,
            step_bytes: settings.watermark_bytes,
            interval_ms: settings.watermark_interval_ms,
            // No boot can be told from another here. Where nothing is synced, what an earlier run has left is read again.
            boot: None,
            ..Options::default()
        };
        Rc::new(Self {
            core: Rc::clone(core),
            volume,
            options,
            open: RefCell::default(),
            timers: RefCell::default(),
            readings: RefCell::default(),
            expiry: settings.partial_expiry_s.map(|expiry_s| RefCell::new(Expiry::new(expiry_s))),
            news: Cell::new(0),
        })
    }

    fn now(&self) -> Millis {
        (self.core.ambient.now)()
    }

    /// Opens the upload of a key, or begins it.
    ///
    /// # Errors
    /// `locked`: a later run has it. `invalid-state`: it is an upload of another name or size. `io` and the like.
    pub(super) fn open(
        self: &Rc<Self>,
        plan: &Plan,
        is_named: bool,
        resume: &Resume,
        heeds_published: bool,
    ) -> Result<Opened<F>, Refusal> {
        let id = PartialId::of(None, &resume.key);
        let known = self.open.borrow().get(&id).cloned();
        let partial = match known {
            Some(partial) => partial,
            None => match self.look(id, plan, is_named, resume, heeds_published)? {
                Ok(partial) => partial,
                Err(name) => return Ok(Opened::Published(name)),
            },
        };
        match partial.offer(plan, is_named, resume) {
            Offered::Session(session) => Ok(Opened::Session(session)),
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
        self: &Rc<Self>,
        id: PartialId,
        plan: &Plan,
        is_named: bool,
        resume: &Resume,
        heeds_published: bool,
    ) -> Result<Result<Rc<Partial<F>>, EntryName>, Refusal> {
        let restarts = resume.mode == ResumeMode::Restart;
        let found = match self.volume.load(id)? {
            Some(Loaded::Published(name)) if heeds_published && !restarts => return Ok(Err(name)),
            Some(Loaded::Partial(found)) if !restarts => Some(found),
            // A marker would speak of the bytes that come now, where a crash comes before the first entry.
            Some(_) => {
                self.volume.remove_all(id);
                None
            }
            None => None,
        };
        let (facts, upload, files) = match found {
            Some(found) => {
                let volume::Partial { name, size, found, files } = *found;
                let facts = Facts { id, name, is_named, size };
                let upload = Upload::resume(self.options_of(&facts), found);
                (facts, upload, files)
            }
            None => {
                let facts = Facts { id, name: plan.name.clone(), is_named, size: plan.size };
                let upload = Upload::begin(self.options_of(&facts));
                (facts, upload, Files::begin(&self.volume, id))
            }
        };
        let partial = Partial::new(self, facts, upload, files);
        self.open.borrow_mut().insert(id, Rc::clone(&partial));
        Ok(Ok(partial))
    }

    fn options_of(&self, facts: &Facts) -> Options {
        Options { size: facts.size, is_named: facts.is_named, ..self.options.clone() }
    }

    /// Removes what is left of an upload whose sender has its file here by other means, and so forgets the key. One
    /// that a connection is at goes on.
    pub(super) fn discard_left(&self, resume: &Resume) {
        let id = PartialId::of(None, &resume.key);
        let known = self.open.borrow().get(&id).cloned();
        match known {
            Some(partial) => partial.act(|state, now| state.upload.discard_unheld(now)),
            None => self.volume.remove_all(id),
        }
    }

    /// When [`Self::turn`] is to be called, if not before.
    pub(super) fn next_turn(&self) -> Option<Millis> {
        let reading = self.readings.borrow().due();
        let timer = self.timers.borrow().first().map(|&(at, _)| at);
        let expiry = self.expiry.as_ref().map(|expiry| expiry.borrow().next_pass());
        [reading, timer, expiry].into_iter().flatten().min()
    }

    /// Does what is due, for no longer than a piece of a file takes to be read.
    pub(super) fn turn(self: &Rc<Self>) {
        let now = self.now();
        while let Some(id) = self.take_due(now) {
            let known = self.open.borrow().get(&id).cloned();
            if let Some(partial) = known {
                partial.act(|state, now| state.upload.due(now));
            }
        }
        let reading = self.readings.borrow_mut().take_due(now);
        if let Some(mut reading) = reading {
            let has_ended = reading.step();
            let mut readings = self.readings.borrow_mut();
            readings.has_read(now, self.now());
            if !has_ended {
                readings.push(reading);
            }
        }
        if let Some(expiry) = &self.expiry {
            expiry.borrow_mut().pass_if_due(self, now);
        }
    }

    fn take_due(&self, now: Millis) -> Option<PartialId> {
        let mut timers = self.timers.borrow_mut();
        let &(at, id) = timers.first()?;
        (at <= now).then(|| timers.remove(&(at, id)))?;
        Some(id)
    }

    /// Reads a file to its end that is being read again; `false`: it is not, or that takes long.
    fn finish_reading(&self, id: PartialId) -> bool {
        let reading = self.readings.borrow_mut().take_awaited(id);
        match reading {
            Some(mut reading) => {
                while !reading.step() {}
                true
            }
            None => false,
        }
    }

    /// A number that changes whenever connections may have something to hear.
    pub(super) fn news(&self) -> u64 {
        self.news.get()
    }

    fn tell(&self) {
        self.news.set(self.news.get().wrapping_add(1));
    }

    fn wake(&self, at: Millis, id: PartialId) {
        self.timers.borrow_mut().insert((at, id));
    }

    /// Forgets an upload that has ended.
    fn forget(&self, id: PartialId) {
        self.open.borrow_mut().remove(&id);
        self.tell();
    }
}
