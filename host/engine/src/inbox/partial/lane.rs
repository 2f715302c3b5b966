//! What a body of a resumable upload writes through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::Hasher;
use blake3::hazmat::HasherExt;
use sandport_protocol::inbox::too_large;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Refusal, RefusalCode};

use super::holder::Signals;
use super::partial::Partial;
use crate::inbox::disk::Step;
use crate::inbox::space::Claim;

/// A body: bytes of one extent, in ascending order.
pub(in crate::inbox) struct Lane {
    partial: Arc<Partial>,
    signals: Arc<Signals>,
    claim: Arc<Claim>,
    number: u64,
    state: Arc<Mutex<LaneState>>,
    /// Bytes that it was let in with and has not brought.
    let_in: u64,
}

/// Where a body has come to. It is held while bytes are written, so that nobody else writes there.
pub(super) struct LaneState {
    position: u64,
    /// Where the extent ends; `None`: not known.
    end: Option<u64>,
    group: Option<Group>,
    sealed: bool,
}

/// The group that the position is in.
struct Group {
    number: u64,
    length: u64,
    hasher: Hasher,
}

impl LaneState {
    pub(super) fn new(position: u64, end: Option<u64>) -> Self {
        Self { position, end, group: None, sealed: false }
    }

    /// The group that the position is in.
    fn claim(&mut self, partial: &Partial) -> Result<&mut Group, Refusal> {
        match &mut self.group {
            Some(group) => Ok(group),
            none => {
                let (number, length, hasher) = partial.claim(self.position)?;
                Ok(none.insert(Group { number, length, hasher }))
            }
        }
    }

    /// The group that is begun.
    pub(super) fn begun(&self) -> Option<(u64, u64, &Hasher)> {
        let group = self.group.as_ref().filter(|group| group.length > 0)?;
        Some((group.number, group.length, &group.hasher))
    }

    /// Ends it, and gives the group that it was at.
    pub(super) fn seal(&mut self) -> Option<(u64, u64, Hasher)> {
        self.sealed = true;
        self.group.take().map(|group| (group.number, group.length, group.hasher))
    }
}

impl Lane {
    pub(super) fn new(
        partial: Arc<Partial>,
        signals: Arc<Signals>,
        claim: Arc<Claim>,
        number: u64,
        state: Arc<Mutex<LaneState>>,
    ) -> Self {
        Self { partial, signals, claim, number, state, let_in: 0 }
    }

    /// Takes the group that the first byte lies in.
    ///
    /// # Errors
    /// `offset-mismatch`.
    pub(super) fn begin(&self) -> Result<(), Refusal> {
        let mut state = self.lock();
        // One that was sealed meanwhile must not claim anything: nobody would give it back.
        if !state.sealed && state.end != Some(state.position) {
            state.claim(&self.partial)?;
        }
        Ok(())
    }

    /// How many bytes there is room for; 0: [`Self::has_room`] waits. What is swallowed needs none.
    pub(in crate::inbox) fn room(&self) -> usize {
        match self.rest_of_group() {
            None => usize::MAX,
            Some(rest) => usize::try_from(self.partial.room(rest)).unwrap_or(usize::MAX),
        }
    }

    /// Returns once there is room, or nothing is to come any more.
    pub(in crate::inbox) async fn has_room(&self) {
        self.partial.until(|| self.room() > 0).await;
    }

    /// Takes room for the next write, up to `most` bytes; how many.
    pub(in crate::inbox) fn reserve(&mut self, most: usize) -> usize {
        let Some(rest) = self.rest_of_group() else { return most };
        let granted = self.partial.let_in((most as u64).saturating_sub(self.let_in), rest);
        self.let_in += granted;
        usize::try_from(self.let_in).unwrap_or(usize::MAX).min(most)
    }

    /// How far it is from the end of its group; `None`: it swallows what it gets.
    fn rest_of_group(&self) -> Option<u64> {
        if self.signals.fault().is_some() {
            return None;
        }
        let state = self.lock();
        (!state.sealed).then(|| GROUP_BYTES - state.position % GROUP_BYTES)
    }

    /// Stages and hashes `bytes`, whether or not there is room for them.
    pub(in crate::inbox) fn write(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.signals.fault().is_none() {
            self.stage(bytes);
        }
        self.give_back();
    }

    fn stage(&mut self, bytes: &[u8]) {
        let mut state = self.lock();
        if state.sealed {
            return;
        }
        let from = state.position;
        let forced = (bytes.len() as u64).saturating_sub(self.let_in);
        self.partial.force_in(forced);
        let written = self.take(&mut state, bytes);
        let here = state.position - from;
        drop(state);
        self.partial.settle(self.let_in + forced, here);
        self.let_in = 0;
        if let Err(fault) = written {
            // Nobody will go on with the group here.
            self.partial.leave(self.number, &self.state);
            self.signals.fail(fault);
            self.partial.room_changed();
        }
    }

    /// Gives back the room that was not needed.
    fn give_back(&mut self) {
        if self.let_in > 0 {
            self.partial.settle(std::mem::take(&mut self.let_in), 0);
        }
    }

    fn take(&self, state: &mut LaneState, mut bytes: &[u8]) -> Result<(), Refusal> {
        let end = state.position.checked_add(bytes.len() as u64);
        let size_max = self.partial.core().options.size_max;
        let Some(end) = end.filter(|&end| size_max.is_none_or(|most| end <= most)) else {
            return Err(too_large(size_max));
        };
        if state.end.is_some_and(|most| end > most) {
            let words = "more bytes than were announced";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        self.partial.check_room(end)?;
        self.claim.bring(bytes.len() as u64)?;
        let failed = |errno| self.partial.core().refusal("write a file", errno);
        let data = self.partial.data()?;
        let size = self.partial.size();
        while !bytes.is_empty() {
            let position = state.position;
            let group = state.claim(&self.partial)?;
            let start = group.number * GROUP_BYTES;
            let group_end = size.unwrap_or(u64::MAX).min(start + GROUP_BYTES);
            let room = usize::try_from(group_end - position).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            // Written first: what was not written is not hashed, and can be sent again.
            let core = self.partial.core();
            let write = || core.disk.write(Step::Write, &data, now, position);
            core.with_room(now.len() as u64, write).map_err(failed)?;
            group.hasher.update(now);
            group.length += now.len() as u64;
            state.position += now.len() as u64;
            if state.position == group_end
                && let Some(group) = state.group.take()
            {
                let value = group.hasher.finalize_non_root();
                self.partial.complete(group.number, group_end, value);
            }
            bytes = later;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.give_back();
        self.partial.leave(self.number, &self.state);
    }
}
