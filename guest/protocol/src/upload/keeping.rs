//! What is being written into the journal of an upload.

use alloc::vec;
use alloc::vec::Vec;

use super::Held;
use crate::journal::{ChainingValue, GROUPS_PER_ENTRY_MAX, Kept, Tail};
use crate::sorted::SortedMap;

/// What is being written into the journal.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub(super) held: Option<Held>,
    pub(super) groups: SortedMap<u64, ChainingValue>,
    pub(super) tail: Option<Tail>,
}

#[cfg(all(test, feature = "std"))]
impl Keeping {
    /// The same.
    pub(super) fn outline(&self) -> impl core::fmt::Debug + '_ {
        let groups: Vec<_> = self.groups.keys().collect();
        (groups, self.tail.map(|tail| (tail.group, tail.length)))
    }
}

impl Keeping {
    /// What is to be written before.
    pub(super) fn take_held(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// As journal entries; `boot`: as of [`Kept`].
    pub(super) fn entries(&self, boot: Option<u64>) -> Vec<Kept> {
        let mut entries: Vec<Kept> = Vec::new();
        for (group, &value) in self.groups.iter() {
            match entries.last_mut() {
                Some(last)
                    if last.first + last.groups.len() as u64 == group
                        && last.groups.len() < GROUPS_PER_ENTRY_MAX =>
                {
                    last.groups.push(value);
                }
                _ => entries.push(Kept { boot, first: group, groups: vec![value], tail: None }),
            }
        }
        match entries.last_mut() {
            Some(last) => last.tail = self.tail,
            None => entries.push(Kept { boot, tail: self.tail, ..Kept::default() }),
        }
        entries
    }
}
