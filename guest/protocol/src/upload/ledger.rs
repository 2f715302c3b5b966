//! Which bytes of an upload are here, and which of them are kept.

use alloc::vec::Vec;

use super::begun::Begun;
use super::checked::Checked;
use super::mutation::{Mutant, is};
use super::prefix::Prefix;
use super::work::Held;
use crate::journal::{ChainingValue, GROUP_BYTES, Ranges, Tree};
use crate::sorted::SortedMap;
use crate::{Digest, Extent, Refusal, RefusalCode};

mod journaled;

/// Most separate ranges that an upload may consist of: what is missing between them has to fit one
/// message to the sender.
pub const RANGES_MAX: usize = 1_024;

/// Most groups of an upload that may be begun at a time. Twice as many as one sender's connections.
pub const BEGUN_MAX: usize = 128;

/// What was found of an upload: see [`journal::recover`](crate::journal::recover).
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The groups that are whole.
    pub tree: Tree,
    /// Their bytes.
    pub whole: Ranges,
    /// A group that is begun: its number, how many of its bytes are here, and their hash.
    pub tail: Option<(u64, u64, blake3::Hasher)>,
}

/// The groups of an upload.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    size: Option<u64>,
    tree: Tree,
    /// The bytes of whole groups.
    whole: Ranges,
    /// The first bytes of groups that are not whole, as they were when the last grant came back.
    begun: Begun,
    /// Groups that a body is at.
    claimed: SortedMap<u64, ()>,
    /// Groups that a body has brought whole, and that are not checked.
    aside: SortedMap<u64, ()>,
    /// What was brought and never found to be what it should be.
    worthless: Ranges,
    /// Whole groups that the journal does not know.
    dirty: SortedMap<u64, ChainingValue>,
    /// The begun group that the journal knows: its number, and how many bytes.
    kept_tail: Option<(u64, u64)>,
    /// The bytes that the journal knows.
    kept: Ranges,
    /// Memory is scarce.
    is_frugal: bool,
}

/// How the journal has changed, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// What it knows more.
    pub(super) kept: u64,
    /// What it knew of a begun group and does not know any more.
    pub(super) forgotten: u64,
}

impl Ledger {
    pub(super) fn new(size: Option<u64>) -> Self {
        Self {
            size,
            tree: Tree::default(),
            whole: Ranges::default(),
            begun: Begun::default(),
            claimed: SortedMap::default(),
            aside: SortedMap::default(),
            worthless: Ranges::default(),
            dirty: SortedMap::default(),
            kept_tail: None,
            kept: Ranges::default(),
            is_frugal: false,
        }
    }

    /// From now on no group is begun beside one that was left begun, or any may be.
    pub(super) fn set_frugal(&mut self, is_frugal: bool) {
        self.is_frugal = is_frugal;
    }

    /// What groups that are begun take of memory. Bytes.
    pub(super) fn begun_memory(&self) -> usize {
        self.begun.memory()
    }

    /// What a journal said.
    pub(super) fn found(size: Option<u64>, found: Found) -> Self {
        let Found { tree, whole, tail } = found;
        let mut ledger = Self { tree, kept: whole.clone(), whole, ..Self::new(size) };
        if let Some((group, length, hasher)) = tail {
            let start = group * GROUP_BYTES;
            ledger.kept.insert(start, start + length);
            ledger.kept_tail = Some((group, length));
            let prefix = Prefix::of(length, hasher);
            match ledger.range(group) {
                // It was begun before the end of the file was known. As the first of begun groups the journal knows it;
                // it is to know it beside others.
                (_, end) if start + length == end => ledger.add(group, end, prefix.value(group)),
                _ => ledger.begun.insert(group, prefix),
            }
        }
        ledger
    }

    // ------------------------------------------------------------------ bodies

    /// Gives the group that `position` is in to a body.
    ///
    /// # Errors
    /// `offset-mismatch`: it is here, or another body is at it, or its beginning is missing. `too-many`.
    pub(super) fn claim(&mut self, position: u64) -> Result<u64, Refusal> {
        let group = position / GROUP_BYTES;
        let start = group * GROUP_BYTES;
        if self.whole.contains(start) {
            return Err(mismatch("nothing is missing there"));
        }
        let is_taken = self.claimed.contains(group) || self.aside.contains(group);
        if is_taken && !is(Mutant::LendsTwice) {
            return Err(mismatch("another connection brings these bytes"));
        }
        let begun = self.begun.get(group);
        if start + begun.map_or(0, Prefix::length) != position {
            return Err(mismatch(
                "bytes have to begin where some are missing, or at a chunk group within",
            ));
        }
        let left = self.begun.keys().filter(|&other| !self.claimed.contains(other)).count();
        let (others, is_new) =
            (self.claimed.len() + left - usize::from(begun.is_some()), begun.is_none());
        if self.is_frugal && is_new && left > 0 {
            let words = "its sender's uploads take as much memory as they may, and this one is in several pieces";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        if others >= BEGUN_MAX || self.whole.count() + others >= RANGES_MAX {
            let words = "the upload is in too many pieces";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        self.claimed.insert(group, ());
        Ok(group)
    }

    /// The body is not at the group any more. What came of it stays.
    pub(super) fn give_back(&mut self, group: u64) {
        self.claimed.remove(group);
    }

    /// What is here of a group that is not whole.
    pub(super) fn prefix(&self, group: u64) -> Prefix {
        self.begun.get(group).cloned().unwrap_or_else(Prefix::new)
    }

    /// More of a group is here: now so much, and by that all of it where it `is_whole`. One that was begun before its
    /// end was known stays begun: its first bytes may be held back still.
    pub(super) fn brought(&mut self, group: u64, prefix: Prefix, is_whole: bool) {
        if !is_whole {
            self.begin(group, prefix);
            return;
        }
        let (_, end) = self.range(group);
        self.claimed.remove(group);
        self.begun.remove(group);
        self.add(group, end, prefix.value(group));
    }

    /// A checked body has brought all of a group, and is at the next.
    pub(super) fn set_aside(&mut self, group: u64) {
        self.claimed.remove(group);
        self.aside.insert(group, ());
    }

    /// What a checked body has brought is here. The group that it is at is given back apart.
    pub(super) fn accept(&mut self, checked: Checked) {
        for (group, value) in checked.whole {
            self.aside.remove(group);
            self.begun.remove(group);
            let (_, end) = self.range(group);
            self.add(group, end, value);
        }
        if let Some((group, prefix)) = checked.begun {
            self.begin(group, prefix);
        }
    }

    /// The first bytes of a group are here. Of none there is nothing to be kept, and no hash.
    fn begin(&mut self, group: u64, prefix: Prefix) {
        if prefix.length() > 0 {
            self.begun.insert(group, prefix);
        }
    }

    /// Whether so much that is worth nothing lies in so many places that no more of that is taken.
    pub(super) fn is_littered(&self) -> bool {
        self.worthless.count() >= RANGES_MAX
    }

    /// It is not, and never was.
    pub(super) fn forget_checked(&mut self, checked: &Checked) {
        if is(Mutant::HoardsChecked) {
            return;
        }
        for group in checked.whole.keys() {
            self.aside.remove(*group);
        }
        self.worthless.insert(checked.start, checked.end);
    }

    fn add(&mut self, group: u64, end: u64, value: ChainingValue) {
        self.whole.insert(group * GROUP_BYTES, end);
        self.tree.insert(group, value);
        self.dirty.insert(group, value);
    }

    // ------------------------------------------------------------------- what is here

    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The first byte of a group, and the one after its last.
    pub(super) fn range(&self, group: u64) -> (u64, u64) {
        let start = group.saturating_mul(GROUP_BYTES);
        let end = start.saturating_add(GROUP_BYTES);
        (start, self.size.map_or(end, |size| end.min(size)))
    }

    /// It has a size now.
    pub(super) fn set_size(&mut self, size: u64) {
        self.size = Some(size);
    }

    /// Where the last byte ends that is here.
    pub(super) fn end_of_bytes(&self) -> u64 {
        self.bytes_here().end()
    }

    /// How many bytes from the start are here, and what is not.
    pub(super) fn here(&self) -> (u64, Vec<Extent>) {
        let here = self.bytes_here();
        (here.prefix(), here.gaps(self.size))
    }

    fn bytes_here(&self) -> Ranges {
        let mut here = self.whole.clone();
        for (group, prefix) in self.begun.iter() {
            let start = group * GROUP_BYTES;
            here.insert(start, start + prefix.length());
        }
        here
    }

    /// What nobody has brought and nobody is bringing.
    pub(super) fn missing(&self) -> Vec<Extent> {
        let mut here = self.bytes_here();
        for group in self.claimed.keys().chain(self.aside.keys()) {
            let (start, end) = self.range(group);
            here.insert(start, end);
        }
        here.gaps(self.size)
    }

    /// How many bytes are in whole groups.
    pub(super) fn whole_bytes(&self) -> u64 {
        self.whole.bytes()
    }

    /// How many bytes the journal knows.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// What was written and the journal does not know.
    pub(super) fn dirty(&self) -> Vec<(u64, u64)> {
        let dirty = |group: u64, end: u64| {
            // The journal may know the first of them.
            let tail = self.kept_tail.filter(|&(known, _)| known == group);
            (group * GROUP_BYTES + tail.map_or(0, |(_, length)| length), end)
        };
        let groups = self.dirty.keys().map(|group| dirty(group, self.range(group).1));
        let begun = self.begun.iter().filter(|(_, prefix)| prefix.held().is_none());
        let begun =
            begun.map(|(group, prefix)| dirty(group, group * GROUP_BYTES + prefix.length()));
        let here = self.bytes_here();
        let worthless = self.worthless.iter().flat_map(|range| here.gaps_within(range));
        groups.chain(begun.filter(|(start, end)| start < end)).chain(worthless).collect()
    }

    /// How many bytes from the start the journal knows.
    pub(super) fn durable(&self) -> u64 {
        self.kept.prefix()
    }

    /// Whether all of a file of `size` bytes is here, and what of it was held back. The last group of a stream is whole
    /// when the stream is. It stays begun all the same: where the file gets no name, the next session may go on.
    pub(super) fn end(&self, size: u64) -> Option<Option<Held>> {
        let last = self.begun.first();
        let whole_end = last.map_or(size, |(group, _)| group * GROUP_BYTES);
        let is_end =
            |(group, prefix): (u64, &Prefix)| group * GROUP_BYTES + prefix.length() == size;
        let is_all =
            self.whole.is_whole(whole_end) && self.begun.len() < 2 && last.is_none_or(is_end);
        is_all.then(|| last.and_then(|(group, prefix)| held(group, prefix)))
    }

    /// The digest of a file that [is all here](Self::end); `None`: it is no longer than a group, and has to be read.
    pub(super) fn root(&self, size: u64) -> Option<Digest> {
        let mut tree = self.tree.clone();
        for (group, prefix) in self.begun.iter() {
            tree.insert(group, prefix.value(group));
        }
        tree.root(size)
    }
}

#[cfg(all(test, feature = "std"))]
impl Ledger {
    /// What tells states apart, without the hashes.
    pub(super) fn outline(&self) -> impl core::fmt::Debug + '_ {
        let begun: Vec<_> =
            self.begun.iter().map(|(group, prefix)| (group, prefix.length())).collect();
        let dirty: Vec<_> = self.dirty.keys().collect();
        let apart = (&self.claimed, &self.aside, &self.worthless);
        (&self.whole, begun, apart, dirty, self.kept_tail, &self.kept)
    }
}

/// What was not written of the first bytes of a group.
fn held(group: u64, prefix: &Prefix) -> Option<Held> {
    let bytes = prefix.held().filter(|bytes| !bytes.is_empty())?.to_vec();
    Some(Held { at: group * GROUP_BYTES, bytes })
}

pub(super) fn several_begun() -> Refusal {
    let words = "several chunk groups are begun, and only the first of them can be kept";
    Refusal::new(RefusalCode::InvalidState, words)
}

fn mismatch(words: &str) -> Refusal {
    Refusal::new(RefusalCode::OffsetMismatch, words)
}
