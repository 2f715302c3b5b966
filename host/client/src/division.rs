//! How a large file is divided among connections that carry it together.
//!
//! It is divided into chunk groups, because those are what an inbox takes in any order, and what the digest
//! of the whole can be computed from. Each connection has a share, which is read and announced from its
//! front. A connection that runs dry takes half of what the one with the most left has not read yet, from
//! the end of it: so the slowest gives most, and what it is at stays its own.
//!
//! Threads that read ask for groups one by one ([`Division::take`]), and the connection asks before it
//! announces what was read ([`Division::announce`]): in between it may have gone to another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::journal::{ChainingValue, GROUP_BYTES, Ranges, Tree};
use sandport_protocol::{Digest, Extent};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// A file, divided.
pub(super) struct Division {
    size: u64,
    all_hashed: Arc<Notify>,
    state: Mutex<State>,
}

/// The number of a share. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShareId(u64);

/// A group to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) group: u64,
    /// Whether it is sent too; otherwise only its hash is wanted.
    pub(super) is_sent: bool,
}

#[derive(Default)]
struct State {
    /// The bytes that the server misses, in ascending order.
    missing: Vec<Range<u64>>,
    /// Groups with such bytes that are nobody's.
    free: Groups,
    /// Groups that have to be read for the digest alone.
    unhashed: Groups,
    shares: BTreeMap<ShareId, Share>,
    shares_made: u64,
    /// Groups that were taken from one who had read them: it happens once to each, or two connections
    /// could take the last one from each other for ever.
    moved: BTreeSet<u64>,
    hashed: Ranges,
    tree: Tree,
}

/// What a connection does.
#[derive(Default)]
struct Share {
    /// Groups in the order of their turns.
    unannounced: Groups,
    /// The last of them.
    unread: Groups,
    /// What was announced last.
    announced: Option<u64>,
}

impl Division {
    /// A file of `size` bytes, more than one group of them.
    /// `hashed` is told when the last group was hashed.
    pub(super) fn new(size: u64, hashed: Arc<Notify>) -> Self {
        Self { size, all_hashed: hashed, state: Mutex::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many shares there are.
    pub(super) fn shares(&self) -> usize {
        self.state().shares.len()
    }

    /// Begins to send what the server misses, afresh: shares that there were are void. What was hashed
    /// before is not read again.
    pub(super) fn begin(&self, missing: &[Extent]) {
        let mut state = self.state();
        let end = |extent: &Extent| match extent.length {
            Some(length) => extent.offset.saturating_add(length).min(self.size),
            None => self.size,
        };
        state.missing = missing
            .iter()
            .map(|extent| extent.offset..end(extent))
            .filter(|range| range.start < range.end)
            .collect();
        let mut wanted = Ranges::default();
        for range in &state.missing {
            wanted.insert(range.start / GROUP_BYTES, range.end.div_ceil(GROUP_BYTES));
        }
        let groups = self.groups();
        let mut needed = state.hashed.clone();
        let gaps = wanted.gaps(Some(groups));
        state.free = complement(&gaps, groups);
        state.free.iter().for_each(|range| needed.insert(range.start, range.end));
        state.unhashed = needed
            .gaps(Some(groups))
            .iter()
            .filter_map(|gap| Some(gap.offset..gap.offset + gap.length?))
            .fold(Groups::default(), Groups::with);
        state.shares.clear();
        state.moved.clear();
    }

    /// Makes a share, with nothing in it yet.
    pub(super) fn open(&self) -> ShareId {
        let mut state = self.state();
        state.shares_made += 1;
        let id = ShareId(state.shares_made);
        state.shares.insert(id, Share::default());
        id
    }

    /// The next group to read for a share; `None`: there is nothing to do at the moment.
    pub(super) fn take(&self, id: ShareId) -> Option<Taken> {
        let mut state = self.state();
        if state.shares.get(&id)?.unread.count() == 0
            && let Some(won) = state.win(id)
            && let Some(share) = state.shares.get_mut(&id)
        {
            share.unread.append(won.clone());
            share.unannounced.append(won);
        }
        if let Some(group) = state.shares.get_mut(&id)?.unread.pop_first() {
            return Some(Taken { group, is_sent: true });
        }
        let group = state.unhashed.pop_first()?;
        Some(Taken { group, is_sent: false })
    }

    /// Whether [`Division::take`] would give something.
    pub(super) fn has_work(&self, id: ShareId) -> bool {
        let state = self.state();
        state.shares.get(&id).is_some_and(|share| share.unread.count() > 0)
            || state.free.count() > 0
            || state.unhashed.count() > 0
            || state.richest(id).is_some()
            || state.last_resort(id).is_some()
    }

    /// The most that a further connection could take from one share. Bytes.
    pub(super) fn spare_bytes(&self) -> u64 {
        let state = self.state();
        let most = state.shares.values().map(|share| share.unread.count()).max().unwrap_or(0);
        most.max(state.free.count()).saturating_mul(GROUP_BYTES)
    }

    /// The bytes of a group.
    pub(super) fn range(&self, group: u64) -> Range<u64> {
        let start = group.saturating_mul(GROUP_BYTES);
        start..self.size.min(start.saturating_add(GROUP_BYTES))
    }

    /// What of a group the server misses.
    pub(super) fn missing(&self, group: u64) -> Vec<Range<u64>> {
        let within = self.range(group);
        let state = self.state();
        let first = state.missing.partition_point(|range| range.end <= within.start);
        let here = state.missing[first..].iter().take_while(|range| range.start < within.end);
        here.map(|range| range.start.max(within.start)..range.end.min(within.end)).collect()
    }

    /// A group that was taken could not be read: somebody else is to find out why.
    pub(super) fn put_back(&self, group: u64) {
        self.state().unhashed.push(group..group + 1);
    }

    /// Whether the chaining value of a group is known.
    pub(super) fn is_hashed(&self, group: u64) -> bool {
        self.state().hashed.contains(group)
    }

    /// Takes up the chaining value of a group.
    pub(super) fn hashed(&self, group: u64, value: ChainingValue) {
        let mut state = self.state();
        if !state.hashed.contains(group) {
            state.hashed.insert(group, group + 1);
            state.tree.insert(group, value);
            if state.hashed.is_whole(self.groups()) {
                self.all_hashed.notify_waiters();
            }
        }
    }

    /// The connection wants to announce what it has read of the byte at `offset` on: how many bytes it may,
    /// of one group. `None`: another one took it.
    pub(super) fn announce(&self, id: ShareId, offset: u64) -> Option<u64> {
        let mut state = self.state();
        let group = offset / GROUP_BYTES;
        let found = state.missing.partition_point(|range| range.end <= offset);
        let end = state.missing.get(found).filter(|range| range.contains(&offset))?.end;
        let share = state.shares.get_mut(&id)?;
        if share.unannounced.first() == Some(group) {
            share.unannounced.pop_first();
            share.announced = Some(group);
        } else if share.announced != Some(group) {
            return None;
        }
        Some(end.min(self.range(group).end) - offset)
    }

    /// Whether all that the server misses was announced.
    pub(super) fn is_announced(&self) -> bool {
        let state = self.state();
        state.free.count() == 0 && state.shares.values().all(|share| share.unannounced.count() == 0)
    }

    /// A connection is gone. What it had not announced is free; whether it had announced anything, of which
    /// nobody knows whether it arrived.
    pub(super) fn lose(&self, id: ShareId) -> bool {
        let mut state = self.state();
        let Some(share) = state.shares.remove(&id) else { return false };
        state.free.append(share.unannounced);
        share.announced.is_some()
    }

    /// The digest of the whole, once all groups are hashed.
    pub(super) fn digest(&self) -> Option<Digest> {
        let state = self.state();
        if state.hashed.is_whole(self.groups()) { state.tree.root(self.size) } else { None }
    }

    fn groups(&self) -> u64 {
        self.size.div_ceil(GROUP_BYTES)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a share that ran dry gets: what is free, or a part of another's.
    fn win(&mut self, id: ShareId) -> Option<Groups> {
        if self.free.count() > 0 {
            return Some(std::mem::take(&mut self.free));
        }
        if let Some(richest) = self.richest(id) {
            let share = self.shares.get_mut(&richest)?;
            let half = share.unread.count().div_ceil(2);
            share.unread.split_last(half);
            return Some(share.unannounced.split_last(half));
        }
        let slowest = self.last_resort(id)?;
        let taken = self.shares.get_mut(&slowest)?.unannounced.split_last(1);
        self.moved.extend(taken.first());
        Some(taken)
    }

    /// The share with the most that was not read, beside `id`.
    fn richest(&self, id: ShareId) -> Option<ShareId> {
        let others = self.shares.iter().filter(|(other, _)| **other != id);
        let (richest, share) = others.max_by_key(|(_, share)| share.unread.count())?;
        (share.unread.count() > 0).then_some(*richest)
    }

    /// The share with the most that was read and not announced, of which something can be taken.
    fn last_resort(&self, id: ShareId) -> Option<ShareId> {
        let can = |share: &Share| {
            share.unannounced.last().is_some_and(|group| !self.moved.contains(&group))
        };
        let others = self.shares.iter().filter(|(other, share)| **other != id && can(share));
        others.max_by_key(|(_, share)| share.unannounced.count()).map(|(other, _)| *other)
    }
}

/// What lies between gaps, of so many groups.
fn complement(gaps: &[Extent], groups: u64) -> Groups {
    let mut between = Groups::default();
    let mut start = 0;
    for gap in gaps {
        between.push(start..gap.offset);
        start = gap.offset + gap.length.unwrap_or(0);
    }
    between.with(start..groups)
}

/// Groups in an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Groups(VecDeque<Range<u64>>);

impl Groups {
    fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    fn first(&self) -> Option<u64> {
        self.0.front().map(|range| range.start)
    }

    fn last(&self) -> Option<u64> {
        self.0.back().map(|range| range.end - 1)
    }

    fn push(&mut self, range: Range<u64>) {
        match self.0.back_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.0.push_back(range),
        }
    }

    fn with(mut self, range: Range<u64>) -> Self {
        self.push(range);
        self
    }

    fn append(&mut self, other: Self) {
        other.0.into_iter().for_each(|range| self.push(range));
    }

    fn pop_first(&mut self) -> Option<u64> {
        let first = self.0.front_mut()?;
        let group = first.start;
        first.start += 1;
        if first.is_empty() {
            self.0.pop_front();
        }
        Some(group)
    }

    /// Takes the last `count` away.
    fn split_last(&mut self, mut count: u64) -> Self {
        let mut taken = VecDeque::new();
        while count > 0
            && let Some(mut range) = self.0.pop_back()
        {
            let most = range.end - range.start;
            if most > count {
                let border = range.end - count;
                self.0.push_back(range.start..border);
                range.start = border;
            }
            count -= most.min(count);
            taken.push_front(range);
        }
        Self(taken)
    }
}
