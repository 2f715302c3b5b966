//! What is being written into the journal of an upload.

use alloc::vec::Vec;

use super::work::Held;
use crate::journal::{ChainingValue, Kept, Tail};
use crate::sorted::SortedMap;

/// What is being written into the journal.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) held: Option<Held>,
    pub(super) groups: SortedMap<u64, ChainingValue>,
    pub(super) tail: Option<Tail>,
}

#[cfg(all(test, feature = "std"))]
impl Checkpoint {
    /// The same.
    pub(super) fn outline(&self) -> impl core::fmt::Debug + '_ {
        let groups: Vec<_> = self.groups.keys().collect();
        (groups, self.tail.map(|tail| (tail.group, tail.length)))
    }
}

impl Checkpoint {
    /// What is to be written before.
    pub(super) fn take_held(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// As journal entries; `boot`: as of [`Kept`].
    pub(super) fn entries(&self, boot: Option<u64>) -> Vec<Kept> {
        let groups = self.groups.iter().map(|(group, &value)| (group, value));
        Kept::all(boot, groups, self.tail)
    }
}
