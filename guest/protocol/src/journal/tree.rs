//! From the chaining values of chunk groups to the digest of the whole.

use alloc::collections::BTreeMap;

use blake3::hazmat::{
    self, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use super::GROUP_BYTES;
use crate::Digest;

/// The chaining value of a subtree: [`blake3::hazmat::ChainingValue`].
pub type ChainingValue = hazmat::ChainingValue;

/// A hasher for the bytes of one group. What it gives in the end is `finalize_non_root`.
pub fn group_hasher(group: u64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(group.saturating_mul(GROUP_BYTES));
    hasher
}

/// The groups of a file that are here, as far as its digest needs them.
///
/// Neighbours are merged as they come, so it stays small where groups come in order: some forty values
/// for any size, however many groups there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Complete subtrees, none of which overlap, by their first group.
    nodes: BTreeMap<u64, Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// It covers two to this power groups.
    height: u32,
    value: ChainingValue,
}

impl Tree {
    /// Takes up a group, which must not be there yet.
    pub fn insert(&mut self, group: u64, value: ChainingValue) {
        let (mut first, mut node) = (group, Node { height: 0, value });
        loop {
            let sibling = first ^ (1 << node.height);
            let parent = first.min(sibling);
            // What begins with the file may be all of it, and then it is merged as the root, which is
            // computed otherwise.
            let same = |other: &Node| other.height == node.height;
            if parent == 0 || !self.nodes.get(&sibling).is_some_and(same) {
                break;
            }
            let Some(other) = self.nodes.remove(&sibling) else { break };
            let (left, right) =
                if first < sibling { (node.value, other.value) } else { (other.value, node.value) };
            let value = merge_subtrees_non_root(&left, &right, Mode::Hash);
            (first, node) = (parent, Node { height: node.height + 1, value });
        }
        self.nodes.insert(first, node);
    }

    /// The digest of a file of `size` bytes; `None`: a group of it is missing, or the file is no longer
    /// than one group, which is its own root and has to be hashed as such.
    pub fn root(&self, size: u64) -> Option<Digest> {
        if size <= GROUP_BYTES {
            return None;
        }
        let left = left_subtree_len(size);
        let (left, right) = (self.value(0, left)?, self.value(left, size - left)?);
        Some(Digest::Blake3(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()))
    }

    /// The chaining value of a subtree. It calls itself as often as the tree is high.
    fn value(&self, offset: u64, length: u64) -> Option<ChainingValue> {
        if let Some(node) = self.nodes.get(&(offset / GROUP_BYTES))
            && 1_u64.checked_shl(node.height) == Some(length.div_ceil(GROUP_BYTES))
        {
            return Some(node.value);
        }
        if length <= GROUP_BYTES {
            return None;
        }
        let left = left_subtree_len(length);
        let (left, right) = (self.value(offset, left)?, self.value(offset + left, length - left)?);
        Some(merge_subtrees_non_root(&left, &right, Mode::Hash))
    }
}
