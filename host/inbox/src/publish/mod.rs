//! Giving whole and verified files their names, many at once, so that they share their syncs.
//!
//! The order of a batch is what makes an answer true at any moment that the power may fail:
//!
//! 1. the content of all its files is made durable;
//! 2. names are chosen, and what each file will be called is written into the receipt log, durably;
//! 3. the files get their names, each in one step that cannot replace another;
//! 4. the directories with new entries are made durable;
//! 5. the senders are told, in the order of their commits.
//!
//! A file that does not get its name is taken out of the receipt log again, before its sender is told. A crash
//! between 1 and 3 leaves staged files, which the next start removes, and log entries that describe no other
//! file, which it takes back. After 3 a file is whole and described in the log, whether
//! its sender heard of it or not: asking again gives the receipt.
//!
//! Without durability, steps 1 and 4 fall away, and the log follows when it suits.
//!
//! A file that cannot be moved to its directory leaves the batch ([`copying`]), and comes back into a later one when it
//! is copied there. What is known to be so from the beginning leaves it before 1.

mod answers;
mod batch;
mod content;
mod copy;
mod copying;
mod file;
mod job;
mod naming;
mod notes;
mod placing;

use std::sync::PoisonError;

use super::{Conflict, Core};
use batch::{Batch, beside_others};
pub(super) use content::{is_large, sync_ahead};
pub(super) use copying::Uncopied;
pub(super) use file::FileWork;
pub(super) use job::{Job, Work};

/// Does what the jobs ask for and completes them, in order; but for those whose files have to be copied first.
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
    batch.make_directories();
    batch.inherit();
    if durable {
        batch.sync_content();
        batch.choose_names();
        batch.write_intents();
    }
    batch.place_files();
    if durable {
        batch.sync_directories();
    }
    batch.take_back();
    batch.resolve()
}
