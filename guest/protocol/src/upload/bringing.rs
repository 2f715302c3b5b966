//! How bytes come: bodies, and the grants by which they bring them.

use super::ids::{BodyId, SessionId};
use super::machine::{Upload, lost};
use super::mutation::{Mutant, is};
use super::prefix::Prefix;
use super::work::Held;
use crate::inbox::too_large;
use crate::journal::GROUP_BYTES;
use crate::{Extent, Millis, Refusal, RefusalCode};

/// The right to bring bytes of one chunk group: linear, and given back by [`Upload::wrote`] or
/// [`Upload::failed`].
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
#[must_use = "an upload never settles while a grant is out"]
pub struct Grant {
    pub(super) body: BodyId,
    pub(super) group: u64,
    pub(super) at: u64,
    pub(super) length: u64,
    /// The end of the group, or of the file.
    pub(super) group_end: u64,
    pub(super) prefix: Prefix,
}

impl Grant {
    /// Where in the file the bytes go.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes there may be.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes `bytes` in, once; what is beyond [`Self::length`] is left out. What is to be written by that, before the
    /// grant is given back by [`Upload::wrote`]; `None`: nothing, for the first bytes of a group are held back until
    /// there are enough of them.
    pub fn bring<'a>(&mut self, bytes: &'a [u8]) -> Option<Write<'a>> {
        let left = usize::try_from(self.length - self.brought()).unwrap_or(usize::MAX);
        let bytes = &bytes[..left.min(bytes.len())];
        let held = self.prefix.held().filter(|held| !held.is_empty()).map(<[u8]>::to_vec);
        self.prefix.update(self.group, bytes);
        if self.prefix.held().is_some() && !self.is_whole() {
            return None;
        }
        let held = held.map(|held| Held { at: self.at - held.len() as u64, bytes: held });
        Some(Write { held, at: self.at, bytes })
    }

    fn is_whole(&self) -> bool {
        self.at + self.brought() == self.group_end
    }

    fn brought(&self) -> u64 {
        self.group * GROUP_BYTES + self.prefix.length() - self.at
    }
}

/// What is to be written by a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// Bytes before those that came, which were held back so far.
    pub held: Option<Held>,
    /// Where in the file the bytes go that came.
    pub at: u64,
    /// These bytes.
    pub bytes: &'a [u8],
}

impl Upload {
    /// Begins a body.
    ///
    /// # Errors
    /// `offset-mismatch`: the extent goes beyond the file, or nothing is missing there, or it begins neither where
    /// something is missing nor at a chunk group within. `too-many`. `locked`: the session has lost the upload.
    pub fn body(&mut self, session: SessionId, extent: Extent) -> Result<BodyId, Refusal> {
        if !self.owners.is_sound(session) || !self.is_settled() {
            return Err(lost());
        }
        let mismatch = |words| Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        let size = self.ledger.size();
        let end = match extent.length {
            None => size,
            Some(length) => match extent.offset.checked_add(length) {
                None => return mismatch("the extent goes beyond the announced size"),
                end => end,
            },
        };
        // Beyond any file, and beyond what a group can be numbered in.
        let most = size.unwrap_or(u64::MAX - GROUP_BYTES);
        if extent.offset > most || end.is_some_and(|end| end > most) {
            return mismatch("the extent goes beyond the announced size");
        }
        if size == Some(extent.offset) && extent.length.is_none() {
            return mismatch("all of the file is here");
        }
        let group = match end == Some(extent.offset) {
            true => None,
            false => Some(self.ledger.claim(extent.offset)?),
        };
        let id = self.bodies.insert(session, extent.offset, end);
        if let Some(body) = self.bodies.open(id) {
            body.group = group;
        }
        Ok(id)
    }

    /// Whether memory is scarce: then no body begins a chunk group beside one that was left begun, and who wants to gets
    /// `too-many`. A body that has brought a group whole goes on with the next as long as this is not set when it does.
    pub fn set_frugal(&mut self, is_frugal: bool) {
        self.ledger.set_frugal(is_frugal);
    }

    /// What chunk groups that are begun take of memory. Bytes.
    pub fn begun_memory(&self) -> usize {
        self.ledger.begun_memory()
    }

    /// How many bytes there is room for; 0: [`Effect::Room`](super::Effect::Room) says when to look again. `u64::MAX`:
    /// the body swallows what it gets.
    pub fn room(&mut self, body: BodyId, now: Millis) -> u64 {
        let room = self.look(body);
        self.advance(now);
        room
    }

    /// Takes room for the next write, up to `most` bytes; how many. What it does not need is to be given back
    /// ([`Self::pause`]).
    pub fn reserve(&mut self, id: BodyId, most: u64, now: Millis) -> u64 {
        let room = self.look(id);
        let Some(body) = self.bodies.open(id).filter(|body| body.check.is_none()) else {
            return most;
        };
        let more = room.min(most.saturating_sub(body.credit));
        body.credit += more;
        let credit = body.credit.min(most);
        self.step.let_in(more);
        self.advance(now);
        credit
    }

    fn look(&mut self, id: BodyId) -> u64 {
        let Some(body) = self.bodies.open(id) else { return u64::MAX };
        if body.check.is_some() {
            return u64::MAX;
        }
        let rest_of_group = GROUP_BYTES - body.position % GROUP_BYTES;
        self.step.room(rest_of_group, self.ledger.has_dirty_groups())
    }

    /// Lets a body write the first of `length` bytes, whether or not there is room for them; `None`: they are
    /// swallowed, because it has lost the upload or met a fault, which this may be.
    pub fn claim(&mut self, id: BodyId, length: u64, now: Millis) -> Option<Grant> {
        let session = self.bodies.open(id)?.session;
        let grant = self.grant(id, length);
        match &grant {
            Ok(grant) => self.bodies.lend(id, grant.at + grant.length),
            Err(refusal) => match self.bodies.open(id).and_then(|body| body.check.as_mut()) {
                // It is its own, and not the upload's.
                Some(checked) => drop(checked.fault.get_or_insert_with(|| refusal.clone())),
                None => self.fault(session, refusal),
            },
        }
        self.advance(now);
        grant.ok()
    }

    fn grant(&mut self, id: BodyId, length: u64) -> Result<Grant, Refusal> {
        let Some(body) = self.bodies.open(id) else { return Err(lost()) };
        if body.is_lent {
            return Err(RefusalCode::InvalidState.into());
        }
        let max_file_size = self.options.max_file_size;
        let end = body.position.checked_add(length);
        let Some(end) = end.filter(|&end| max_file_size.is_none_or(|most| end <= most)) else {
            return Err(too_large(max_file_size));
        };
        // The size may have been set when the body had begun, and be less than was to come.
        let is_beyond = |most: Option<u64>| most.is_some_and(|most| end > most);
        if is_beyond(body.end) || is_beyond(self.ledger.size()) {
            let words = "more bytes than were announced";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        if let Some(checked) = &body.check {
            checked.check(end)?;
        }
        let at = body.position;
        let group = match body.group {
            Some(group) => group,
            None => *body.group.insert(self.ledger.claim(at)?),
        };
        if body.check.is_none() {
            let forced = length.saturating_sub(body.credit);
            body.credit += forced;
            self.step.let_in(forced);
        }
        self.is_begun = true;
        let (_, group_end) = self.ledger.range(group);
        let length = length.min(group_end - at);
        let known = body.check.as_mut().and_then(|checked| {
            checked.end = checked.end.max(at + length);
            checked.prefix(group)
        });
        let prefix = known.cloned().unwrap_or_else(|| self.ledger.prefix(group));
        Ok(Grant { body: id, group, at, length, group_end, prefix })
    }

    /// What a grant [brought](Grant::bring) is written.
    pub fn wrote(&mut self, grant: Grant, now: Millis) {
        let (brought, is_whole) = (grant.brought(), grant.is_whole());
        let Grant { body: id, group, at, prefix, .. } = grant;
        let checked = self.bodies.take_back(id).and_then(|body| {
            body.position += brought;
            body.credit = body.credit.saturating_sub(brought);
            if is_whole {
                body.group = None;
            }
            body.check.as_mut().filter(|_| !is(Mutant::CountsUnchecked))
        });
        if let Some(checked) = checked {
            checked.end = at + brought;
            checked.brought(group, prefix, is_whole);
            if is_whole {
                self.ledger.set_aside(group);
            }
        } else {
            self.ledger.brought(group, prefix, is_whole);
            self.step.came(brought, now);
        }
        if self.bodies.is_sealed(id) {
            self.end(id);
        }
        self.feed();
        self.advance(now);
    }

    /// The write of a grant has failed: nothing of it is here, and its session brings nothing more.
    pub fn failed(&mut self, grant: Grant, refusal: &Refusal, now: Millis) {
        if is(Mutant::CountsFailedWrites) {
            return self.wrote(grant, now);
        }
        if let Some(body) = self.bodies.take_back(grant.body) {
            let session = body.session;
            if body.is_sealed {
                self.end(grant.body);
            }
            self.fault(session, refusal);
        }
        self.advance(now);
    }

    /// A body gives back the room that it has taken and does not need.
    pub fn pause(&mut self, id: BodyId, now: Millis) {
        if let Some(body) = self.bodies.open(id) {
            let credit = core::mem::take(&mut body.credit);
            self.step.give_back(credit);
            self.feed();
        }
        self.advance(now);
    }

    /// A body ends. The group that it was at stays begun.
    pub fn end_body(&mut self, id: BodyId, now: Millis) {
        self.end(id);
        self.advance(now);
    }
}
