//! Watermarks: from time to time what is here is made durable and written into the journal.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;
use sandport_protocol::Refusal;
use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Tail};

use super::{Partial, State, entries, tail};
use crate::inbox::Durability;
use crate::inbox::disk::Step;
use crate::inbox::partial::store::{self, Journal};

impl Partial {
    /// It is time to move the watermark; `false`: it was moved within the last `interval`, and there is
    /// news, so that it has to be in a while.
    pub(in crate::inbox::partial) fn keep_in_time(&self, interval: Duration) -> bool {
        let mut state = self.state();
        if state.kept_at.is_some_and(|at| at.elapsed() < interval) {
            return false;
        }
        state.asked = false;
        drop(state);
        self.keep();
        true
    }

    /// Moves the watermark: makes durable what is here, and writes down that it is.
    pub(in crate::inbox::partial) fn keep(&self) {
        let mut journal = self.journal();
        self.state().intake.answer();
        // What is being committed is synced there.
        if self.committing().is_some() {
            return;
        }
        let kept = self.keep_with(&mut journal);
        drop(journal);
        if let Err(fault) = kept {
            let evicted = self.state().evict(fault);
            self.dismiss(evicted);
            self.left();
        }
    }

    /// # Errors
    /// The journal could not be written, and a body waits for it.
    pub(super) fn keep_with(&self, journal: &mut Journal) -> Result<(), Refusal> {
        // The begun groups first: a group that becomes whole meanwhile is among the whole ones then.
        let tail = self.lowest_tail();
        let (data, groups, known_tail) = {
            let mut state = self.state();
            if state.ended {
                return Ok(());
            }
            let Some(data) = state.data.clone() else { return Ok(()) };
            state.kept_at = Some(Instant::now());
            state.intake.begin_move();
            (data, std::mem::take(&mut state.unkept), state.kept_tail)
        };
        let tail = tail.filter(|tail| !groups.contains_key(&tail.group));
        let news = tail.is_some_and(|tail| Some((tail.group, tail.length)) != known_tail);
        if groups.is_empty() && !news {
            self.state().intake.end_move(0, 0);
            self.room_changed();
            return Ok(());
        }
        let full = self.core.options.durability == Durability::Full;
        if full && let Err(errno) = self.core.disk.sync(Step::SyncPartial, &data) {
            // What the system could not write it may have given up: nothing since the last watermark
            // is to be relied on.
            self.give_up(&self.core.refusal("make a partial file durable", errno));
            return Ok(());
        }
        let boot = (!full).then_some(self.core.boot);
        let entries = entries(&groups, tail, boot);
        let push = |writer: &mut sandport_protocol::journal::Writer, bytes: &mut Vec<u8>| {
            for entry in entries {
                writer.push(bytes, &Entry::Kept(entry));
            }
        };
        let appended = journal.append(&self.core, self.id, || self.begun(), push, full);
        let mut state = self.state();
        if let Err(errno) = appended {
            // The bytes are here all the same. The next watermark tries again; but a body that waits for
            // this one would wait for as long as that fails.
            let refusal = self.core.refusal("write the journal of a partial file", errno);
            state.unkept.extend(groups);
            let waited_for = state.intake.fail_move();
            drop(state);
            self.room_changed();
            return match waited_for {
                true => Err(refusal),
                false => Ok(()),
            };
        }
        let mut kept_bytes = 0;
        for &group in groups.keys() {
            let (start, end) = self.group_range(group);
            state.kept.insert(start, end);
            kept_bytes += end - start;
        }
        // A journal knows one tail: a later one takes the place of the last, and so does its group.
        let mut forgotten_bytes = 0;
        if let Some((group, length)) = state.kept_tail
            && (tail.is_some() || groups.contains_key(&group))
        {
            forgotten_bytes = length;
            state.kept_tail = None;
        }
        if let Some(tail) = tail {
            let start = tail.group * GROUP_BYTES;
            state.kept.insert(start, start + tail.length);
            state.kept_tail = Some((tail.group, tail.length));
            kept_bytes += tail.length;
        }
        state.intake.end_move(kept_bytes, forgotten_bytes);
        let durable = state.kept.prefix();
        state.holders.values().for_each(|signals| signals.advance(durable));
        drop(state);
        self.room_changed();
        Ok(())
    }

    /// The first group that is begun. One is enough for an upload that comes in order; of others, less
    /// than a group each is sent again.
    pub(super) fn lowest_tail(&self) -> Option<Tail> {
        let lanes: Vec<_> = self.state().lanes.values().map(|(_, lane)| Arc::clone(lane)).collect();
        let carried = lanes.iter().filter_map(|lane| {
            let lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            lane.begun().map(|(group, length, hasher)| tail(group, length, hasher))
        });
        let carried = carried.min_by_key(|tail| tail.group);
        // After the bodies: the group of one that ends meanwhile is given back by then.
        let state = self.state();
        let lowest = state.begun.iter().next();
        let lowest = lowest.map(|(&group, (length, hasher))| tail(group, *length, hasher));
        carried.into_iter().chain(lowest).min_by_key(|tail| tail.group)
    }

    pub(super) fn begun(&self) -> Begun {
        Begun {
            name: self.name.as_str().to_owned(),
            size: self.size,
            identity: self.identity.name().map(str::to_owned),
            begun_s: self.begun_s,
        }
    }

    pub(super) fn group_range(&self, group: u64) -> (u64, u64) {
        let start = group * GROUP_BYTES;
        let end = start + GROUP_BYTES;
        (start, self.size.map_or(end, |size| end.min(size)))
    }

    /// Whether the disk has kept all that it was given, as far as anybody was told; of an upload that is being
    /// committed, so that no watermark is moved after this one.
    pub(in crate::inbox) fn is_sound(&self) -> bool {
        let _moved = self.journal();
        !self.state().ended
    }

    /// The disk failed: whoever holds it is told, and the next one begins at the last watermark. For a stream
    /// nobody comes any more who has heard of that. The journal is held meanwhile.
    pub(super) fn give_up(&self, fault: &Refusal) {
        let (evicted, told) = {
            let mut state = self.state();
            let told = state.is_held();
            state.ended = true;
            (state.evict(fault.clone()), told)
        };
        self.dismiss(evicted);
        match self.size {
            None if told => {
                self.state().reservation = None;
                store::remove(&self.core, self.id);
            }
            _ => self.wait_in(&mut self.state()),
        }
        if let Some(partials) = self.partials.upgrade() {
            partials.forget(self);
        }
    }

    /// The disk failed while it was committed: what came after the last watermark is not to be relied on.
    pub(in crate::inbox) fn lost(&self, fault: &Refusal) {
        let _journal = self.journal();
        if !self.state().ended {
            self.give_up(fault);
        }
    }

    /// Nobody has it open any more: what is on the disk counts towards the quota until someone takes it
    /// up again.
    pub(in crate::inbox::partial) fn wait(&self) {
        let mut state = self.state();
        // Together with looking: its files may be about to be removed.
        if !state.ended {
            self.wait_in(&mut state);
        }
    }

    fn wait_in(&self, state: &mut State) {
        let Some(usage) = &self.core.usage else { return };
        let name = store::data_name(self.id);
        let stat = rustix::fs::statat(&self.core.layout.partials, &name, AtFlags::SYMLINK_NOFOLLOW);
        if let Ok(stat) = stat {
            usage.waits(&self.identity, name, u64::try_from(stat.st_size).unwrap_or(0));
        }
        state.reservation = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::inbox::partial::tests::{FIRST, begun};
    use crate::patience::{joined, until};

    #[test]
    fn a_watermark_does_not_miss_a_group_that_is_given_back() {
        let (_folder, earlier, partial) = begun();
        let body = earlier.body(FIRST).unwrap();
        let (number, lane) = {
            let state = partial.state();
            let (number, (_, lane)) = state.lanes.first_key_value().unwrap();
            (*number, Arc::clone(lane))
        };
        let mut at_work = lane.lock().unwrap();
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| partial.lowest_tail());
            // It comes to wait for the body, which is at its last bytes; or looks afterwards.
            let mut turns = 0;
            until("others have had their turns", || {
                turns += 1;
                turns > 10_000
            });
            let (group, _, mut hasher) = at_work.seal().unwrap();
            hasher.update(b"some");
            let mut state = partial.state();
            state.lanes.remove(&number);
            state.give_back(group, 4, hasher);
            drop((state, at_work));
            let tail = joined("who looks", looking);
            assert_eq!(tail.map(|tail| (tail.group, tail.length)), Some((0, 4)));
        });
        drop(body);
    }
}
