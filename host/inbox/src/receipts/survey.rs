//! What a log looks like before anyone decides about it.

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{COMPACT_ENTRIES_MIN, Record, is_compaction_due};

/// How many entries are compared with the disk to estimate how many are dead. It costs as many system
/// calls at the start.
const SAMPLES_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Survey {
    /// Whether there is any entry.
    pub(super) any: bool,
    /// Whether the last one says that the run ended in good order.
    pub(super) closed: bool,
    /// Whether some that count are by a run that made nothing durable, and hold for this boot of the system alone.
    pub(super) of_boot: bool,
    /// How many entries there are of stored files.
    pub(super) entries: u64,
    /// Evenly spread over the log: every `stride`th.
    samples: Vec<(EntryName, Record)>,
    stride: u64,
}

impl Survey {
    pub(super) fn sample(&mut self, published: EntryName, record: Record) {
        let stride = self.stride.max(1);
        if !self.entries.is_multiple_of(stride) {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride = stride * 2;
        }
        self.samples.push((published, record));
    }

    /// Whether most entries are superseded, or speak of files that are not there as described.
    pub(super) fn mostly_dead(
        &self,
        indexed: usize,
        is_there: impl Fn(&Record, &EntryName) -> bool,
    ) -> bool {
        if self.entries < COMPACT_ENTRIES_MIN {
            return false;
        }
        let gone = self.samples.iter().filter(|(name, record)| !is_there(record, name)).count();
        is_compaction_due(self.entries, indexed as u64) || gone > self.samples.len() / 2
    }
}
