//! The first bytes of chunk groups that are not whole, and what they take of memory.

use super::prefix::Prefix;
use crate::sorted::SortedMap;

/// What a group that is begun takes of memory besides its first bytes: its entry, with the room that the list has in
/// reserve. Bytes.
const ENTRY_BYTES: usize = size_of::<(u64, Prefix)>() * 5 / 4;

/// Groups that are begun, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun {
    groups: SortedMap<u64, Prefix>,
    memory: usize,
}

impl Begun {
    /// Takes one in, in place of what was known of it.
    pub(super) fn insert(&mut self, group: u64, prefix: Prefix) {
        self.forget(group);
        self.memory += ENTRY_BYTES + prefix.memory();
        self.groups.insert(group, prefix);
    }

    pub(super) fn remove(&mut self, group: u64) {
        self.forget(group);
        self.groups.remove(group);
    }

    fn forget(&mut self, group: u64) {
        let before = self.groups.get(group).map_or(0, |prefix| ENTRY_BYTES + prefix.memory());
        self.memory = self.memory.saturating_sub(before);
    }

    pub(super) fn get(&self, group: u64) -> Option<&Prefix> {
        self.groups.get(group)
    }

    pub(super) fn first(&self) -> Option<(u64, &Prefix)> {
        self.groups.first()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Prefix)> {
        self.groups.iter()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.groups.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// What they take of memory. Bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(group: u64, length: usize) -> Prefix {
        let mut prefix = Prefix::new();
        prefix.update(group, &alloc::vec![7; length]);
        prefix
    }

    #[test]
    fn memory_is_counted_for_what_is_begun_and_no_longer() {
        let mut begun = Begun::default();
        begun.insert(1, prefix(1, 5));
        assert_eq!(begun.memory(), ENTRY_BYTES);
        begun.insert(2, prefix(2, 2_000));
        assert!(begun.memory() >= 2 * ENTRY_BYTES + 2_000, "{}", begun.memory());
        begun.insert(2, prefix(2, 1_000_000));
        let hashed = begun.memory();
        assert!((1_500..4_000).contains(&hashed), "a hash, and not the bytes: {hashed}");
        begun.remove(2);
        begun.remove(2);
        assert_eq!(begun.memory(), ENTRY_BYTES);
        begun.remove(1);
        assert_eq!(begun.memory(), 0);
    }
}
