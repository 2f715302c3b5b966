//! What the uploads of an inbox share that can be resumed: where they lie, the clock, and what is to be heard of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use sandport_protocol::Millis;
use sandport_protocol::journal::ResumableId;

use super::reading::{Reading, Readings};
use super::volume::Volume;
use crate::inbox::files::Directory;
use crate::inbox::state::Core;

pub(super) struct Common<F: Directory> {
    pub(super) core: Rc<Core<F>>,
    pub(super) volume: Rc<Volume<F>>,
    /// When uploads are to look at the clock.
    timers: RefCell<BTreeSet<(Millis, ResumableId)>>,
    readings: RefCell<Readings>,
    /// Counts what connections may have to hear.
    news: Cell<u64>,
    /// Hears of uploads that have ended.
    ended: Box<dyn Fn(ResumableId)>,
}

impl<F: Directory> Common<F> {
    /// `ended`: told of each upload that has ended.
    pub(super) fn new(
        core: &Rc<Core<F>>,
        volume: Rc<Volume<F>>,
        ended: impl Fn(ResumableId) + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            core: Rc::clone(core),
            volume,
            timers: RefCell::default(),
            readings: RefCell::default(),
            news: Cell::new(0),
            ended: Box::new(ended),
        })
    }

    pub(super) fn now(&self) -> Millis {
        (self.core.ambient.now)()
    }

    /// Has an upload look at the clock then.
    pub(super) fn wake(&self, at: Millis, id: ResumableId) {
        self.timers.borrow_mut().insert((at, id));
    }

    /// Takes one that is to look at the clock now.
    pub(super) fn take_due(&self, now: Millis) -> Option<ResumableId> {
        let mut timers = self.timers.borrow_mut();
        let &(at, id) = timers.first()?;
        (at <= now).then(|| timers.remove(&(at, id)))?;
        Some(id)
    }

    /// When an upload is to look at the clock, or a piece of a file is to be read.
    pub(super) fn next_turn(&self) -> Option<Millis> {
        let reading = self.readings.borrow().due();
        let timer = self.timers.borrow().first().map(|&(at, _)| at);
        [reading, timer].into_iter().flatten().min()
    }

    /// Has a file read again.
    pub(super) fn read_again(&self, reading: Reading) {
        self.readings.borrow_mut().push(reading);
    }

    /// Has a piece read of a file that is read again, if one is due. `step`: whether it was the last.
    pub(super) fn read_due(&self, now: Millis, step: impl FnOnce(&mut Reading) -> bool) {
        let reading = self.readings.borrow_mut().take_due(now);
        if let Some(mut reading) = reading {
            let has_ended = step(&mut reading);
            let mut readings = self.readings.borrow_mut();
            readings.has_read(now, self.now());
            if !has_ended {
                readings.push(reading);
            }
        }
    }

    /// Takes the file of an upload that somebody waits for, as of [`Readings::take_awaited`].
    pub(super) fn take_awaited(&self, id: ResumableId) -> Option<Reading> {
        self.readings.borrow_mut().take_awaited(id)
    }

    /// A number that changes whenever connections may have something to hear.
    pub(super) fn news(&self) -> u64 {
        self.news.get()
    }

    /// Connections may have something to hear.
    pub(super) fn tell(&self) {
        self.news.set(self.news.get().wrapping_add(1));
    }

    /// An upload has ended.
    pub(super) fn has_ended(&self, id: ResumableId) {
        (self.ended)(id);
        self.tell();
    }
}
