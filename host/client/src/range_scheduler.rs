//! How a large file is divided among connections that carry it together.
//!
//! It is divided into chunk groups, because those are what an inbox takes in any order, and what the digest
//! of the whole can be computed from. Each connection has a share, which is read and announced from its
//! front. A connection that runs dry takes half of what the one with the most left has not read yet, from
//! the end of it: so the slowest gives most, and what it is at stays its own.
//!
//! Threads that read ask for groups one by one ([`RangeScheduler::take`]), and the connection asks before it
//! announces what was read ([`RangeScheduler::announce`]): in between it may have gone to another.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::journal::{ChainingValue, GROUP_BYTES, Ranges, Tree};
use sandport_protocol::{Digest, Extent};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// A file, divided.
pub(super) struct RangeScheduler {
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
    /// The bytes that the server misses.
    missing: Ranges,
    /// Groups with such bytes that are nobody's.
    free: Ranges,
    /// Groups that have to be read for the digest alone.
    unhashed: Ranges,
    shares: BTreeMap<ShareId, Share>,
    shares_made: u64,
    /// Groups that were taken from one who had read them: it happens once to each, or two connections
    /// could take the last one from each other for ever.
    moved: Ranges,
    hashed: Ranges,
    tree: Tree,
}

/// What a connection does. All of it are groups.
#[derive(Default)]
struct Share {
    unannounced: Ranges,
    /// Those of them that were not given out to be read.
    unread: Ranges,
    /// What was announced last.
    announced: Option<u64>,
}

impl RangeScheduler {
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
        let state = &mut *self.state();
        state.missing = Ranges::of_extents(missing, Some(self.size));
        state.free = Ranges::default();
        for (start, end) in state.missing.iter() {
            state.free.insert(start / GROUP_BYTES, end.div_ceil(GROUP_BYTES));
        }
        // What is sent is hashed on the way.
        state.unhashed = Ranges::default();
        state.unhashed.insert(0, self.groups());
        for (start, end) in state.hashed.iter().chain(state.free.iter()) {
            state.unhashed.remove(start, end);
        }
        state.shares.clear();
        state.moved = Ranges::default();
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
        if state.shares.get(&id)?.unread.is_empty()
            && let Some(won) = state.win(id)
            && let Some(share) = state.shares.get_mut(&id)
        {
            share.unannounced.absorb(&won);
            share.unread = won;
        }
        if let Some(group) = state.shares.get_mut(&id)?.unread.pop_first() {
            return Some(Taken { group, is_sent: true });
        }
        let group = state.unhashed.pop_first()?;
        Some(Taken { group, is_sent: false })
    }

    /// Whether [`RangeScheduler::take`] would give something.
    pub(super) fn has_work(&self, id: ShareId) -> bool {
        let state = self.state();
        state.shares.get(&id).is_some_and(|share| !share.unread.is_empty())
            || !state.free.is_empty()
            || !state.unhashed.is_empty()
            || state.richest(id).is_some()
            || state.last_resort(id).is_some()
    }

    /// The most that a further connection could take from one share. Bytes.
    pub(super) fn spare_bytes(&self) -> u64 {
        let state = self.state();
        let most = state.shares.values().map(|share| share.unread.bytes()).max().unwrap_or(0);
        most.max(state.free.bytes()).saturating_mul(GROUP_BYTES)
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
        state.missing.within((within.start, within.end)).map(|(start, end)| start..end).collect()
    }

    /// A group that was taken could not be read: somebody else is to find out why.
    pub(super) fn put_back(&self, group: u64) {
        self.state().unhashed.insert(group, group + 1);
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
        let (_, end) = state.missing.range_at(offset)?;
        let share = state.shares.get_mut(&id)?;
        if share.unannounced.contains(group) {
            share.unannounced.remove(group, group + 1);
            share.announced = Some(group);
        } else if share.announced != Some(group) {
            return None;
        }
        Some(end.min(self.range(group).end) - offset)
    }

    /// Whether all that the server misses was announced.
    pub(super) fn is_announced(&self) -> bool {
        let state = self.state();
        state.free.is_empty() && state.shares.values().all(|share| share.unannounced.is_empty())
    }

    /// A connection is gone. What it had not announced is free; whether it had announced anything, of which
    /// nobody knows whether it arrived.
    pub(super) fn lose(&self, id: ShareId) -> bool {
        let mut state = self.state();
        let Some(share) = state.shares.remove(&id) else { return false };
        state.free.absorb(&share.unannounced);
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
    fn win(&mut self, id: ShareId) -> Option<Ranges> {
        if !self.free.is_empty() {
            return Some(std::mem::take(&mut self.free));
        }
        if let Some(richest) = self.richest(id) {
            let share = self.shares.get_mut(&richest)?;
            let won = share.unread.take_last(share.unread.bytes().div_ceil(2));
            won.iter().for_each(|(start, end)| share.unannounced.remove(start, end));
            return Some(won);
        }
        let slowest = self.last_resort(id)?;
        let won = self.shares.get_mut(&slowest)?.unannounced.take_last(1);
        self.moved.absorb(&won);
        Some(won)
    }

    /// The share with the most that was not read, beside `id`.
    fn richest(&self, id: ShareId) -> Option<ShareId> {
        let others = self.shares.iter().filter(|(other, _)| **other != id);
        let (richest, share) = others.max_by_key(|(_, share)| share.unread.bytes())?;
        (!share.unread.is_empty()).then_some(*richest)
    }

    /// The share with the most that was read and not announced, of which something can be taken.
    fn last_resort(&self, id: ShareId) -> Option<ShareId> {
        let can = |share: &Share| {
            share.unannounced.last().is_some_and(|group| !self.moved.contains(group))
        };
        let others = self.shares.iter().filter(|(other, share)| **other != id && can(share));
        others.max_by_key(|(_, share)| share.unannounced.bytes()).map(|(other, _)| *other)
    }
}
