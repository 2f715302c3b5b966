//! The hash of the first bytes of a chunk group, at no more memory than these bytes are worth.

use alloc::boxed::Box;
use alloc::vec::Vec;

use blake3::Hasher;
use blake3::hazmat::HasherExt;

use crate::journal::{ChainingValue, group_hasher};

/// Up to so many bytes are held themselves, and not written. A hasher takes 1.9 KB however little it has seen, and a
/// file system 4 KiB; and a peer may begin thousands of groups with a byte each. So a group takes no more than twice as
/// much of memory or disk as came of it.
const HELD_BYTES_MAX: usize = 2_048;

/// Up to so many lie in the value itself, without an allocation. Bytes: what makes it no larger than the other
/// two cases are.
const INLINE_BYTES_MAX: usize = 14;

/// What is known of the bytes that a group begins with.
#[derive(Clone, Debug)]
pub(super) struct Prefix(State);

#[derive(Clone, Debug)]
enum State {
    Inline {
        length: u8,
        bytes: [u8; INLINE_BYTES_MAX],
    },
    #[expect(clippy::box_collection, reason = "most have fewer bytes, and would need its room")]
    Held(Box<Vec<u8>>),
    Hashed {
        length: u32,
        hasher: Box<Hasher>,
    },
}

impl Prefix {
    /// Of no bytes.
    pub(super) fn new() -> Self {
        Self(State::Inline { length: 0, bytes: [0; INLINE_BYTES_MAX] })
    }

    /// Of `length` bytes that `hasher` has seen.
    pub(super) fn of(length: u64, hasher: Hasher) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Self(State::Hashed { length, hasher: Box::new(hasher) })
    }

    /// How many bytes it is of.
    pub(super) fn length(&self) -> u64 {
        match &self.0 {
            State::Inline { length, .. } => u64::from(*length),
            State::Held(bytes) => bytes.len() as u64,
            State::Hashed { length, .. } => u64::from(*length),
        }
    }

    /// What it takes of memory outside of itself. Bytes.
    pub(super) fn memory(&self) -> usize {
        match &self.0 {
            State::Inline { .. } => 0,
            State::Held(bytes) => size_of::<Vec<u8>>() + bytes.capacity(),
            State::Hashed { .. } => size_of::<Hasher>(),
        }
    }

    /// The bytes themselves, where they are held: they need not have been written.
    pub(super) fn held(&self) -> Option<&[u8]> {
        match &self.0 {
            State::Inline { length, bytes } => Some(&bytes[..usize::from(*length)]),
            State::Held(bytes) => Some(bytes),
            State::Hashed { .. } => None,
        }
    }

    /// Takes in the next bytes of `group`, which has no more than a `u32` can count.
    pub(super) fn update(&mut self, group: u64, more: &[u8]) {
        if let State::Hashed { length, hasher } = &mut self.0 {
            hasher.update(more);
            *length = length.saturating_add(u32::try_from(more.len()).unwrap_or(u32::MAX));
            return;
        }
        let before = self.held().unwrap_or_default();
        let end = before.len() + more.len();
        self.0 = if end > HELD_BYTES_MAX {
            let mut hasher = Box::new(group_hasher(group));
            hasher.update(before).update(more);
            State::Hashed { length: u32::try_from(end).unwrap_or(u32::MAX), hasher }
        } else if end > INLINE_BYTES_MAX {
            State::Held(Box::new([before, more].concat()))
        } else {
            let mut bytes = [0; INLINE_BYTES_MAX];
            bytes[..before.len()].copy_from_slice(before);
            bytes[before.len()..end].copy_from_slice(more);
            State::Inline { length: u8::try_from(end).unwrap_or(u8::MAX), bytes }
        };
    }

    /// The chaining value of these bytes as a subtree, where they are of `group`.
    pub(super) fn value(&self, group: u64) -> ChainingValue {
        match (&self.0, self.held()) {
            (State::Hashed { hasher, .. }, _) => hasher.finalize_non_root(),
            (_, held) => group_hasher(group).update(held.unwrap_or_default()).finalize_non_root(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_that_of_the_bytes_however_they_come() {
        let content: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        for group in [0, 1, 7] {
            for piece in [1, 5, 14, 15, 1_000, 2_048, 2_049, 4_096] {
                let mut prefix = Prefix::new();
                for (seen, bytes) in (1_u64..).zip(content.chunks(piece)) {
                    prefix.update(group, bytes);
                    let length = (seen * piece as u64).min(content.len() as u64);
                    assert_eq!(prefix.length(), length);
                    if seen < 3 || length == content.len() as u64 {
                        let here = usize::try_from(length).unwrap_or(0);
                        let mut hasher = group_hasher(group);
                        hasher.update(&content[..here]);
                        assert_eq!(prefix.value(group), hasher.finalize_non_root());
                    }
                }
            }
        }
    }

    #[test]
    fn a_few_bytes_cost_no_more_than_a_pointer_or_two() {
        assert!(size_of::<Prefix>() <= 16, "{}", size_of::<Prefix>());
    }
}
