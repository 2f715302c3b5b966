//! The steps of a batch.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

use sandport_protocol::inbox::{RACES_MAX, taken_again};
use sandport_protocol::{EntryName, Receipt, Refusal};

use super::content::sync_files;
use super::copy::Way;
use super::copying::Uncopied;
use super::file::FileWork;
use super::job::{Job, Work};
use crate::completion::Completer;
use crate::directories::Directories;
use crate::modes::Destination;
use crate::receipts::{Publication, Record};
use crate::tree::Directory;
use crate::whereabouts::Place;
use crate::{Conflict, Core, Identity};

/// Held by each of those who publish at the same time.
pub(super) type BesideOthers<'a> = RwLockReadGuard<'a, ()>;

pub(super) fn beside_others(core: &Core) -> BesideOthers<'_> {
    core.publishing.read().unwrap_or_else(PoisonError::into_inner)
}

/// Jobs that are done together.
pub(super) struct Batch<'a> {
    pub(super) core: &'a Core,
    pub(super) durable: bool,
    /// Where others publish at the same time.
    pub(super) beside_others: Option<BesideOthers<'a>>,
    pub(super) directories: Directories<'a>,
    pub(super) slots: Vec<Slot>,
    /// The slot of each published name of this batch, from when it was chosen.
    pub(super) chosen: HashMap<String, usize>,
    /// Names that are written down of files that did not get them.
    pub(super) missed: Vec<EntryName>,
}

/// One job of a batch.
pub(super) struct Slot {
    pub(super) completer: Completer,
    pub(super) state: State,
}

/// How far it is.
pub(super) enum State {
    /// A directory to make.
    Directory(EntryName),
    /// A directory that is there.
    Made(EntryName),
    /// A file without a name so far.
    Unnamed(Box<FileWork>),
    /// A file that is to get its name.
    Named(Box<FileWork>, Choice),
    /// A file that has to be copied into this directory first.
    Uncopied(Box<FileWork>, Arc<OwnedFd>),
    /// A file that has its name.
    Placed {
        identity: Identity,
        offered: EntryName,
        record: Record,
        choice: Choice,
        /// A copy keeps others out of its disk until its directory is synced, which would wait for them.
        _way: Way,
    },
    /// The same as an earlier slot, which decides for both.
    SameAs(usize),
    Done(Result<Receipt, Refusal>),
}

/// The name that a file gets.
pub(super) struct Choice {
    /// As for `EntryName::renamed`; 0: as offered.
    pub(super) number: u32,
    pub(super) name: EntryName,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        core: &'a Core,
        jobs: Vec<Job>,
        durable: bool,
        beside_others: Option<BesideOthers<'a>>,
    ) -> Self {
        let slots = jobs
            .into_iter()
            .map(|Job { work, completer }| Slot {
                completer,
                state: match work {
                    Work::File(file) => State::Unnamed(file),
                    Work::Directory(name) => State::Directory(name),
                    Work::Refused(refusal) => State::Done(Err(refusal)),
                },
            })
            .collect();
        let directories = Directories::new(core, durable);
        Self {
            core,
            durable,
            beside_others,
            directories,
            slots,
            chosen: HashMap::new(),
            missed: Vec::new(),
        }
    }

    pub(super) fn make_directories(&mut self) {
        for slot in &mut self.slots {
            if let State::Directory(name) = &slot.state {
                slot.state = match self.directories.make(Some(name.as_str())) {
                    Ok(_) => State::Made(name.clone()),
                    Err(obstacle) => State::Done(Err(self.core.refusal_of_path(obstacle))),
                };
            }
        }
    }

    /// Gives the files what they inherit from their directories, so that it becomes durable with them, and finds out
    /// which are to be copied.
    pub(super) fn inherit(&mut self) {
        for slot in &mut self.slots {
            let State::Unnamed(file) = &mut slot.state else { continue };
            // A copy has inherited. It took its time, and its directory may have been replaced meanwhile.
            if matches!(file.way, Way::Copied(_)) {
                self.directories.forget();
                continue;
            }
            let parent = file.name.parent();
            let destination = self.core.goes_to(parent);
            if let Some(Destination { inheritance: Some(inheritance), .. }) = &destination {
                file.staged.inherit(inheritance);
            }
            let is_elsewhere = destination.is_some_and(|it| it.place != Place::Here);
            if file.staged.needs_copy() || is_elsewhere {
                file.way = Way::Copy;
            }
        }
    }

    pub(super) fn sync_content(&mut self) {
        let (mut indices, mut files) = (Vec::new(), Vec::new());
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let State::Unnamed(file) = &mut slot.state
                && let Way::Move = file.way
            {
                indices.push(index);
                files.push(&mut **file);
            }
        }
        for (index, synced) in indices.into_iter().zip(sync_files(self.core, files)) {
            if let Err(refusal) = synced {
                self.slots[index].state = State::Done(Err(refusal));
            }
        }
    }

    pub(super) fn write_intents(&mut self) {
        let named = self.slots.iter().filter_map(|slot| slot.state.named());
        let mut publications = named.map(|(file, choice)| publication(file, choice)).peekable();
        if publications.peek().is_none() {
            return;
        }
        if let Err(errno) = self.core.receipts.intend(&self.core.disk, publications) {
            for slot in &mut self.slots {
                if slot.state.named().is_some() {
                    slot.state = State::Done(Err(self.core.refusal("write a receipt", errno)));
                }
            }
        }
    }

    pub(super) fn place_files(&mut self) {
        for index in 0..self.slots.len() {
            for race in 0.. {
                match &self.slots[index].state {
                    State::Unnamed(_) | State::Named(..) if race == RACES_MAX => {
                        self.slots[index].state = State::Done(Err(taken_again()));
                    }
                    // Without durability the name is tried before it is looked at: mostly it is free.
                    State::Unnamed(_)
                        if race == 0
                            && !self.durable
                            && self.core.options.conflict != Conflict::Replace =>
                    {
                        self.take_offered_name(index)
                    }
                    State::Unnamed(_) => {
                        self.let_others_end();
                        self.choose_name(index);
                        if self.durable {
                            self.write_intents_again(index);
                        }
                    }
                    State::Named(..) => self.place(index),
                    _ => break,
                }
            }
        }
    }

    /// Waits until the records know of the files that others have just given their names: one of them may be
    /// the same as one here whose name is taken.
    fn let_others_end(&mut self) {
        if self.beside_others.take().is_some() {
            drop(self.core.publishing.write().unwrap_or_else(PoisonError::into_inner));
            self.beside_others = Some(beside_others(self.core));
        }
    }

    fn take_offered_name(&mut self, index: usize) {
        let state = &mut self.slots[index].state;
        *state = match std::mem::replace(state, State::SameAs(index)) {
            State::Unnamed(file) => {
                let choice = Choice { number: 0, name: file.name.clone() };
                State::Named(file, choice)
            }
            other => other,
        };
    }

    fn write_intents_again(&mut self, index: usize) {
        let Some((file, choice)) = self.slots[index].state.named() else {
            return;
        };
        let publications = std::iter::once(publication(file, choice));
        if let Err(errno) = self.core.receipts.intend(&self.core.disk, publications) {
            self.slots[index].state = State::Done(Err(self.core.refusal("write a receipt", errno)));
        }
    }

    /// Takes back what is written down of files that did not get their names: else it would be said of them that
    /// they are missing, and of those that have the names that they were changed.
    pub(super) fn take_back(&mut self) {
        if self.missed.is_empty() {
            return;
        }
        // A later file of the batch may have got the name; that is what is written down of it.
        let missed = std::mem::take(&mut self.missed);
        let is_placed = |name: &EntryName| {
            self.slots.iter().rev().find_map(|slot| match &slot.state {
                State::Placed { identity, offered, record, choice, .. } if choice.name == *name => {
                    let (number, record) = (choice.number, *record);
                    Some(Publication { identity, offered, number, record })
                }
                _ => None,
            })
        };
        let missed = missed.iter().map(|name| (name, is_placed(name)));
        self.core.receipts.take_back(&self.core.disk, missed);
    }

    pub(super) fn sync_directories(&mut self) {
        let Err(errno) = self.directories.sync() else {
            return;
        };
        for slot in &mut self.slots {
            if matches!(slot.state, State::Made(_) | State::Placed { .. }) {
                if let (State::Placed { record, .. }, Some(usage)) = (&slot.state, &self.core.usage)
                {
                    usage.recorded(record.inode);
                }
                slot.state = State::Done(Err(self.core.refusal("make a directory durable", errno)));
            }
        }
    }
}

impl State {
    /// The state of a file that has to be copied into `directory` first.
    pub(super) fn uncopied(file: Box<FileWork>, directory: &Directory<'_>) -> Self {
        match Uncopied::target(&file, directory) {
            Ok(directory) => Self::Uncopied(file, directory),
            Err(refusal) => Self::Done(Err(refusal)),
        }
    }

    pub(super) fn named(&self) -> Option<(&FileWork, &Choice)> {
        match self {
            Self::Named(file, choice) => Some((file, choice)),
            _ => None,
        }
    }
}

fn publication<'a>(file: &'a FileWork, choice: &Choice) -> Publication<'a> {
    let FileWork { identity, name: offered, record, .. } = file;
    Publication { identity, offered, number: choice.number, record: *record }
}
