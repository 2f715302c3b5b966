//! Which name a file of a batch gets.

use std::collections::HashMap;
use std::os::fd::AsFd;

use sandport_protocol::inbox::{self, Occupant, choose_name, receipt, taken_by_other_name};
use sandport_protocol::{EntryName, Receipt, Refusal, RefusalCode};

use super::answers::unfinished;
use super::batch::{Batch, Choice, Slot, State};
use super::copy::Way;
use super::file::FileWork;
use crate::directories::Directories;
use crate::receipts::Record;
use crate::tree::{self, Obstacle};
use crate::{Conflict, Core};

/// Largest stored file that is read here to find out whether it is the same as the one that has come, where
/// nothing else tells. Bytes. Others wait for that. Who offers a digest has larger ones compared before
/// ([`OfferResponse::Comparing`](crate::OfferResponse::Comparing)).
const COMPARED_HERE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What choosing a name came to.
enum Chosen {
    Name(Choice),
    SameAs(usize),
    Done(Result<Receipt, Refusal>),
}

impl Batch<'_> {
    pub(super) fn choose_names(&mut self) {
        for index in 0..self.slots.len() {
            self.choose_name(index);
        }
    }

    /// Chooses a name for a file that has none.
    pub(super) fn choose_name(&mut self, index: usize) {
        let State::Unnamed(file) = &self.slots[index].state else {
            return;
        };
        let chosen = choose(self.core, &mut self.directories, &self.chosen, &self.slots, file);
        let chosen = chosen
            .unwrap_or_else(|obstacle| Chosen::Done(Err(self.core.refusal_of_path(obstacle))));
        if let (Chosen::Name(_), Way::Copy) = (&chosen, &file.way) {
            let directory = self.directories.make(file.name.parent());
            let state = &mut self.slots[index].state;
            *state = match (std::mem::replace(state, State::SameAs(index)), directory) {
                (State::Unnamed(file), Ok(directory)) => State::uncopied(file, &directory),
                (_, Ok(_)) => State::Done(unfinished()),
                (_, Err(obstacle)) => State::Done(Err(self.core.refusal_of_path(obstacle))),
            };
            return;
        }
        if let Chosen::Name(choice) = &chosen {
            self.chosen.insert(choice.name.as_str().to_owned(), index);
        }
        // The state taken out is only looked at where it is a file without a name, as it is here.
        let state = &mut self.slots[index].state;
        *state = match (std::mem::replace(state, State::SameAs(index)), chosen) {
            (State::Unnamed(file), Chosen::Name(choice)) => State::Named(file, choice),
            (State::Unnamed(mut file), Chosen::SameAs(other)) => {
                file.staged.is_superfluous();
                State::SameAs(other)
            }
            (State::Unnamed(mut file), Chosen::Done(outcome)) => {
                // What is here already, or can never get its name, is of no use to a later try.
                if outcome.as_ref().err().is_none_or(|refusal| refusal.code == RefusalCode::Exists)
                {
                    file.staged.is_superfluous();
                }
                State::Done(outcome)
            }
            (_, Chosen::SameAs(other)) => State::SameAs(other),
            (_, Chosen::Done(outcome)) => State::Done(outcome),
            (other, Chosen::Name(_)) => other,
        };
    }
}

/// Chooses the name of `file` by the conflict rule.
fn choose(
    core: &Core,
    directories: &mut Directories<'_>,
    chosen: &HashMap<String, usize>,
    slots: &[Slot],
    file: &FileWork,
) -> Result<Chosen, Obstacle> {
    let directory = directories.make(file.name.parent())?;
    if core.replaces_another_name(&file.name, &directory)? {
        return Ok(Chosen::Done(Err(taken_by_other_name())));
    }
    let look = |name: &EntryName| {
        Ok(match tree::look(&directory, name.leaf())? {
            Some(stat) if tree::is_directory(&stat) => Occupant::Directory,
            Some(stat) if core.is_foreign(&file.identity, name, &stat) => Occupant::Foreign,
            _ if is_foreign_in_batch(core, slots, file, name) => Occupant::Foreign,
            None if !chosen.contains_key(name.as_str()) => Occupant::None,
            _ => Occupant::Other,
        })
    };
    let same = || {
        if let Some(same) = same_in_batch(slots, file) {
            return Some(Chosen::SameAs(same));
        }
        let root = core.layout.root.as_fd();
        let same = |record: &Record| {
            record.digest == file.record.digest && record.size == file.record.size
        };
        let found = core.receipts.find(root, &file.identity, &file.name, same)?;
        let is_it = found.is_certain
            || (found.record.size <= COMPARED_HERE_BYTES_MAX && core.compare(&found));
        is_it.then(|| Chosen::Done(Ok(receipt(&found.name, &found.record))))
    };
    Ok(match choose_name(core.options.conflict, &file.name, look, same)? {
        inbox::Chosen::Name { number, name } => Chosen::Name(Choice { number, name }),
        inbox::Chosen::Same(same) => same,
        inbox::Chosen::Refused(refusal) => Chosen::Done(Err(refusal)),
    })
}

/// Whether another sender's file of the batch gets the name, or has it, where files are replaced.
fn is_foreign_in_batch(core: &Core, slots: &[Slot], file: &FileWork, name: &EntryName) -> bool {
    let latest = || {
        slots.iter().rev().find_map(|slot| match &slot.state {
            State::Named(other, choice) if choice.name == *name => Some(&other.identity),
            State::Placed { identity, choice, .. } if choice.name == *name => Some(identity),
            _ => None,
        })
    };
    core.options.conflict == Conflict::Replace
        && latest().is_some_and(|identity| *identity != file.identity)
}

/// An earlier file of the batch with the same name and content, of the same sender.
fn same_in_batch(slots: &[Slot], file: &FileWork) -> Option<usize> {
    slots.iter().position(|slot| {
        let (identity, offered, record) = match &slot.state {
            State::Named(other, _) => (&other.identity, &other.name, &other.record),
            State::Placed { identity, offered, record, .. } => (identity, offered, record),
            _ => return false,
        };
        *identity == file.identity
            && *offered == file.name
            && record.digest == file.record.digest
            && record.size == file.record.size
    })
}
