//! What the journal knows of an upload, and what it is to be told.

use super::{Ledger, Moved, held, several_begun};
use crate::Refusal;
use crate::journal::{GROUP_BYTES, Tail};
use crate::upload::checkpoint::Checkpoint;
use crate::upload::mutation::{Mutant, is};

impl Ledger {
    /// Whether a group is whole that the journal does not know.
    pub(in crate::upload) fn has_dirty_groups(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// How many bytes of the first begun group the journal does not know.
    pub(in crate::upload) fn tail_growth(&self) -> u64 {
        match self.begun.first() {
            None => 0,
            Some((group, prefix)) => match self.kept_tail {
                Some((known, length)) if known == group => prefix.length().saturating_sub(length),
                _ => prefix.length(),
            },
        }
    }

    /// The one group that is begun, and how many of its bytes are here.
    ///
    /// # Errors
    /// `invalid-state`: there are several.
    pub(in crate::upload) fn only_begun(&self) -> Result<Option<(u64, u64)>, Refusal> {
        let begun = self.begun.iter().map(|(group, prefix)| (group, prefix.length()));
        let mut begun = begun.filter(|&(_, length)| length > 0);
        let first = begun.next();
        if begun.next().is_some() { Err(several_begun()) } else { Ok(first) }
    }

    /// Whether the journal knows the first `length` bytes of a group.
    pub(in crate::upload) fn knows(&self, (group, length): (u64, u64)) -> bool {
        let is_whole = self.whole.contains(group * GROUP_BYTES);
        let is_tail = |(known, most)| known == group && most >= length;
        (is_whole && !self.dirty.contains(group)) || self.kept_tail.is_some_and(is_tail)
    }

    /// What is to be written into the journal, and is on its way there by this; `None`: it knows everything
    /// that it can know. Of groups that are begun it knows one, the first: one is enough for an upload that
    /// comes in order, and of others less than a group each is sent again.
    pub(in crate::upload) fn keep(&mut self) -> Option<Checkpoint> {
        if self.dirty.is_empty() && self.tail_growth() == 0 {
            return None;
        }
        let first = self.begun.first();
        let tail = first.map(|(group, prefix)| {
            let (length, value) = (prefix.length(), prefix.value(group));
            Tail { group, length, value }
        });
        let held = first.and_then(|(group, prefix)| held(group, prefix));
        let groups = if is(Mutant::KeepsTwice) {
            self.dirty.clone()
        } else {
            core::mem::take(&mut self.dirty)
        };
        Some(Checkpoint { held, groups, tail })
    }

    /// The journal knows it.
    pub(in crate::upload) fn kept(&mut self, checkpoint: Checkpoint) -> Moved {
        let Checkpoint { groups, tail, .. } = checkpoint;
        let mut moved = Moved::default();
        for group in groups.keys() {
            let (start, end) = self.range(group);
            self.kept.insert(start, end);
            moved.kept += end - start;
        }
        // A journal knows one tail: a later one takes the place of the last, and so does its group.
        if let Some((group, length)) = self.kept_tail
            && (tail.is_some() || groups.contains(group))
        {
            moved.forgotten = length;
            self.kept_tail = None;
        }
        if let Some(Tail { group, length, .. }) = tail {
            let start = group * GROUP_BYTES;
            self.kept.insert(start, start + length);
            self.kept_tail = Some((group, length));
            moved.kept += length;
        }
        moved
    }

    /// It could not be written: it is to be tried again.
    pub(in crate::upload) fn not_kept(&mut self, checkpoint: Checkpoint) {
        self.dirty.append(checkpoint.groups);
    }
}
