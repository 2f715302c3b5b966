//! A map of few entries, at no more memory than these take.

use alloc::vec::Vec;

/// A map that is a list in the order of its keys. An entry is found by a binary search, and one in the middle moves
/// those behind it: for some hundred entries. A map of few large ones is where memory is lost otherwise: a tree has
/// room for eleven entries in each node, however many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord + Copy, V> SortedMap<K, V> {
    fn position(&self, key: K) -> Result<usize, usize> {
        // Mostly the last one is asked for, or one more.
        match self.entries.last() {
            Some((last, _)) if *last < key => Err(self.entries.len()),
            None => Err(0),
            _ => self.entries.binary_search_by_key(&key, |(key, _)| *key),
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.position(key).ok().map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.position(key).ok().map(|at| &mut self.entries[at].1)
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.position(key).is_ok()
    }

    /// Takes an entry in, in place of one with the same key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.position(key) {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => {
                // Room for a quarter more, where doubling would leave half of it empty.
                if self.entries.len() == self.entries.capacity() {
                    self.entries.reserve_exact(self.entries.len() / 4 + 1);
                }
                self.entries.insert(at, (key, value));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let at = self.position(key).ok()?;
        let (_, value) = self.entries.remove(at);
        if self.entries.is_empty() {
            self.entries = Vec::new();
        }
        Some(value)
    }

    pub(crate) fn first(&self) -> Option<(K, &V)> {
        self.iter().next()
    }

    /// In the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, value)| (*key, value))
    }

    /// In ascending order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.entries.iter().map(|(key, _)| *key)
    }

    /// In the order of their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the entries of another in.
    pub(crate) fn append(&mut self, other: Self) {
        for (key, value) in other.entries {
            self.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_does_what_a_tree_does() {
        let (mut map, mut tree) = (SortedMap::default(), BTreeMap::new());
        let mut state = 1_u64;
        for turn in 0..2_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (state >> 33) % 64;
            match turn % 3 {
                0 => assert_eq!(map.remove(key), tree.remove(&key)),
                _ => {
                    map.insert(key, turn);
                    tree.insert(key, turn);
                }
            }
            assert!(map.iter().eq(tree.iter().map(|(key, value)| (*key, value))));
            assert_eq!((map.get(key), map.len()), (tree.get(&key), tree.len()));
        }
    }

    #[test]
    fn a_sorted_map_has_room_for_a_quarter_more_and_none_when_empty() {
        let mut map = SortedMap::default();
        for key in 0..100_u64 {
            map.insert(key, ());
            assert!(map.entries.capacity() <= map.len() + map.len() / 4 + 1);
        }
        (0..100).for_each(|key| assert!(map.remove(key).is_some()));
        assert_eq!(map.entries.capacity(), 0);
    }
}
