//! Giving whole and verified files their names, many at once, so that they share their syncs.
//!
//! The order of a batch is what makes an answer true at any moment that the power may fail:
//!
//! 1. the content of all its files is made durable;
//! 2. names are chosen, and what each file will be called is written into the receipt log, durably;
//! 3. the files get their names, each in one step that cannot replace another;
//! 4. the folders with new entries are made durable;
//! 5. the senders are told, in the order of their commits.
//!
//! A file that does not get its name is taken out of the receipt log again, before its sender is told. A crash
//! between 1 and 3 leaves staged files, which the next start removes, and log entries that describe no other
//! file, which it takes back. After 3 a file is whole and described in the log, whether
//! its sender heard of it or not: asking again gives the receipt.
//!
//! Without durability, steps 1 and 4 fall away, and the log follows when it suits.
//!
//! A file that cannot be moved to its folder leaves the batch ([`copying`]), and comes back into a later one when it
//! is copied there. What is known to be so from the beginning leaves it before 1.

mod answers;
mod content;
mod copying;
mod job;
mod naming;
mod notes;
mod placing;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

use sandport_protocol::inbox::{RACES_MAX, taken_again};
use sandport_protocol::{EntryName, Receipt, Refusal};

use super::folders::Folders;
use super::modes::Destination;
use super::placement::Place;
use super::receipts::{Publication, Record};
use super::space::Room;
use super::stage::StagedFile;
use super::ticket::Ticket;
use super::tree::Folder;
use super::usage::Reservation;
use super::{Conflict, Core};
use crate::Identity;
use content::sync_files;
pub(super) use content::{is_large, sync_ahead};
pub(super) use copying::{Uncopied, Way};
pub(super) use job::{Job, Work};
pub(super) use notes::{is_note, remove_copies};

/// A file that is whole and verified.
pub(super) struct FileWork {
    pub(super) identity: Identity,
    /// What the sender called it.
    pub(super) name: EntryName,
    /// Its part of the quota, where there is one. Where it gets no name, given back first: what is staged may be gone on
    /// with.
    pub(super) reservation: Option<Reservation>,
    pub(super) staged: StagedFile,
    pub(super) record: Record,
    /// What is claimed of the disk for a copy of it, until it is published.
    pub(super) claim: Option<Arc<dyn Room>>,
    pub(super) way: Way,
    /// How many copies were made of it.
    pub(super) copies: u32,
    /// Whether what is staged is durable.
    pub(super) is_synced: bool,
}

impl FileWork {
    pub(super) fn new(
        identity: Identity,
        name: EntryName,
        staged: StagedFile,
        record: Record,
        reservation: Option<Reservation>,
    ) -> Self {
        let (claim, way, copies, is_synced) = (None, Way::Move, 0, false);
        Self { identity, name, staged, record, reservation, claim, way, copies, is_synced }
    }
}

/// Does what the jobs ask for and resolves their tickets, in order; but for those whose files have to be copied first.
#[must_use]
pub(super) fn publish(core: &Core, jobs: Vec<Job>) -> Vec<Uncopied> {
    let durable = core.options.durability.syncs_commits();
    let replaces = core.options.conflict == Conflict::Replace;
    // Others publish at the same time. Who only hears of a refusal waits for none of them.
    let is_shared = !durable && jobs.iter().any(|job| matches!(job.work, Work::File(_)));
    // Both until the end, when the records know of the file.
    let _alone = (is_shared && replaces)
        .then(|| core.publishing.write().unwrap_or_else(PoisonError::into_inner));
    let beside_others = (is_shared && !replaces).then(|| beside_others(core));
    let mut batch = Batch::new(core, jobs, durable, beside_others);
    batch.make_folders();
    batch.inherit();
    if durable {
        batch.sync_content();
        batch.choose_names();
        batch.write_intents();
    }
    batch.place_files();
    if durable {
        batch.sync_folders();
    }
    batch.take_back();
    batch.resolve()
}

/// Held by each of those who publish at the same time.
type BesideOthers<'a> = RwLockReadGuard<'a, ()>;

fn beside_others(core: &Core) -> BesideOthers<'_> {
    core.publishing.read().unwrap_or_else(PoisonError::into_inner)
}

struct Batch<'a> {
    core: &'a Core,
    durable: bool,
    /// Where others publish at the same time.
    beside_others: Option<BesideOthers<'a>>,
    folders: Folders<'a>,
    slots: Vec<Slot>,
    /// The slot of each published name of this batch, from when it was chosen.
    chosen: HashMap<String, usize>,
    /// Names that are written down of files that did not get them.
    missed: Vec<EntryName>,
}

/// One job of a batch.
struct Slot {
    ticket: Ticket,
    state: State,
}

enum State {
    /// A folder to make.
    Folder(EntryName),
    /// A folder that is there.
    Made(EntryName),
    /// A file without a name so far.
    Unnamed(FileWork),
    /// A file that is to get its name.
    Named(FileWork, Choice),
    /// A file that has to be copied into this directory first.
    Uncopied(FileWork, Arc<OwnedFd>),
    /// A file that has its name.
    Placed {
        identity: Identity,
        offered: EntryName,
        record: Record,
        choice: Choice,
        /// A copy keeps others out of its disk until its folder is synced, which would wait for them.
        _way: Way,
    },
    /// The same as an earlier slot, which decides for both.
    SameAs(usize),
    Done(Result<Receipt, Refusal>),
}

/// The name that a file gets.
struct Choice {
    /// As for `EntryName::renamed`; 0: as offered.
    number: u32,
    name: EntryName,
}

impl<'a> Batch<'a> {
    fn new(
        core: &'a Core,
        jobs: Vec<Job>,
        durable: bool,
        beside_others: Option<BesideOthers<'a>>,
    ) -> Self {
        let slots = jobs
            .into_iter()
            .map(|Job { work, ticket }| Slot {
                ticket,
                state: match work {
                    Work::File(file) => State::Unnamed(file),
                    Work::Folder(name) => State::Folder(name),
                    Work::Refused(refusal) => State::Done(Err(refusal)),
                },
            })
            .collect();
        let folders = Folders::new(core, durable);
        Self {
            core,
            durable,
            beside_others,
            folders,
            slots,
            chosen: HashMap::new(),
            missed: Vec::new(),
        }
    }

    fn make_folders(&mut self) {
        for slot in &mut self.slots {
            if let State::Folder(name) = &slot.state {
                slot.state = match self.folders.make(Some(name.as_str())) {
                    Ok(_) => State::Made(name.clone()),
                    Err(obstacle) => State::Done(Err(self.core.refusal_of_path(obstacle))),
                };
            }
        }
    }

    /// Gives the files what they inherit from their folders, so that it becomes durable with them, and finds out
    /// which are to be copied.
    fn inherit(&mut self) {
        for slot in &mut self.slots {
            let State::Unnamed(file) = &mut slot.state else { continue };
            // A copy has inherited. It took its time, and its directory may have been replaced meanwhile.
            if matches!(file.way, Way::Copied(_)) {
                self.folders.forget();
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

    fn sync_content(&mut self) {
        let (mut indices, mut files) = (Vec::new(), Vec::new());
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let State::Unnamed(file) = &mut slot.state
                && let Way::Move = file.way
            {
                indices.push(index);
                files.push(file);
            }
        }
        for (index, synced) in indices.into_iter().zip(sync_files(self.core, files)) {
            if let Err(refusal) = synced {
                self.slots[index].state = State::Done(Err(refusal));
            }
        }
    }

    fn write_intents(&mut self) {
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

    fn place_files(&mut self) {
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
    fn take_back(&mut self) {
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

    fn sync_folders(&mut self) {
        let Err(errno) = self.folders.sync() else {
            return;
        };
        for slot in &mut self.slots {
            if matches!(slot.state, State::Made(_) | State::Placed { .. }) {
                if let (State::Placed { record, .. }, Some(usage)) = (&slot.state, &self.core.usage)
                {
                    usage.recorded(record.inode);
                }
                slot.state = State::Done(Err(self.core.refusal("make a folder durable", errno)));
            }
        }
    }
}

impl State {
    /// The state of a file that has to be copied into `folder` first.
    fn uncopied(file: FileWork, folder: &Folder<'_>) -> Self {
        match Uncopied::target(&file, folder) {
            Ok(directory) => Self::Uncopied(file, directory),
            Err(refusal) => Self::Done(Err(refusal)),
        }
    }

    fn named(&self) -> Option<(&FileWork, &Choice)> {
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
