//! How often uploads were copied into others, for nothing.
//!
//! Who has brought the bytes of a part has paid for that: so somebody else's connection, which only says that they are
//! to be put together, is not charged for it, however many they are. But the parts stay, and nobody is to have them
//! copied for nothing for ever.

use std::collections::{HashMap, VecDeque};

use super::Id;

/// How often a part is copied for nothing: once, and after a few tries that came to nothing.
const COPIES_MAX: u64 = 4;

/// How many parts are remembered. Who has more of them may have one copied for nothing again, and has brought all of
/// those others first.
const PARTS_MAX: usize = 4_096;

/// How many bytes of parts were copied.
#[derive(Default)]
pub(super) struct Copied {
    bytes: HashMap<Id, u64>,
    /// The first one first.
    order: VecDeque<Id>,
}

impl Copied {
    /// More of a part of `size` bytes is about to be copied; whether that is for nothing.
    pub(super) fn is_free(&mut self, id: Id, size: u64, more: u64) -> bool {
        let bytes = self.bytes.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            0
        });
        let is_free = *bytes < size.saturating_mul(COPIES_MAX);
        *bytes = bytes.saturating_add(more);
        if self.order.len() > PARTS_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.bytes.remove(&first);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        Id::of(None, &number.to_le_bytes())
    }

    #[test]
    fn a_part_is_copied_for_nothing_a_few_times_and_few_are_noted() {
        let mut copied = Copied::default();
        for _ in 0..2 * COPIES_MAX {
            assert!(copied.is_free(id(0), 10, 5));
        }
        assert!(!copied.is_free(id(0), 10, 5));
        for number in 1..3 * PARTS_MAX {
            assert!(copied.is_free(id(number), 10, 40));
            assert!(copied.bytes.len() <= PARTS_MAX && copied.order.len() <= PARTS_MAX);
        }
        assert!(!copied.is_free(id(3 * PARTS_MAX - 1), 10, 1));
        assert!(copied.is_free(id(0), 10, 5));
    }
}
