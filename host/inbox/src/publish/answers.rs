//! What a batch comes to, and who hears of it.

use sandport_protocol::inbox::{directory_receipt, receipt};
use sandport_protocol::{Receipt, Refusal, RefusalCode};

use super::batch::{Batch, State};
use super::copying::Uncopied;
use crate::completion::Completer;
use crate::receipts::Publication;

/// How a job leaves its batch.
enum End {
    Now(Completer, Result<Receipt, Refusal>),
    /// Its file is copied first.
    Later(Box<Uncopied>),
    /// Together with an earlier one that does.
    With,
}

impl Batch<'_> {
    /// Tells all whose files are not to be copied first; those that are.
    pub(super) fn resolve(self) -> Vec<Uncopied> {
        let core = self.core;
        let mut ends: Vec<End> = Vec::with_capacity(self.slots.len());
        for slot in self.slots {
            let outcome = match slot.state {
                State::Placed { identity, offered, record, choice, .. } => {
                    let (identity, offered, number) = (&identity, &offered, choice.number);
                    let publication = Publication { identity, offered, number, record };
                    core.receipts.publish(&publication, &choice.name);
                    if let Some(usage) = &core.usage {
                        usage.recorded(record.inode);
                    }
                    if !self.durable {
                        core.receipts.note(&core.disk, &publication);
                    }
                    Ok(receipt(&choice.name, &record))
                }
                State::Made(name) => Ok(directory_receipt(&name)),
                State::Done(outcome) => outcome,
                State::Uncopied(file, directory) => {
                    let uncopied = Uncopied::new(file, slot.completer, directory);
                    ends.push(End::Later(Box::new(uncopied)));
                    continue;
                }
                State::SameAs(other) => match ends.get_mut(other) {
                    Some(End::Now(_, outcome)) => outcome.clone(),
                    Some(End::Later(uncopied)) => {
                        uncopied.also_tell(slot.completer);
                        ends.push(End::With);
                        continue;
                    }
                    Some(End::With) | None => unfinished(),
                },
                State::Directory(_) | State::Unnamed(_) | State::Named(..) => unfinished(),
            };
            ends.push(End::Now(slot.completer, outcome));
        }
        // All of the batch is known by now: nobody who is told of one file finds another missing.
        let later = ends.into_iter().filter_map(|end| match end {
            End::Now(completer, outcome) => {
                completer.complete(outcome);
                None
            }
            End::Later(uncopied) => Some(*uncopied),
            End::With => None,
        });
        later.collect()
    }
}

/// What a job is answered that the code of a batch left in an intermediate state, which it does not.
pub(super) fn unfinished() -> Result<Receipt, Refusal> {
    Err(Refusal::new(RefusalCode::Io, "the inbox lost track of a file"))
}
