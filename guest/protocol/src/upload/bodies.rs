//! Where the bodies of an upload have come to.

use alloc::vec::Vec;

use super::checked::Checked;
use super::ids::{BodyId, SessionId};
use super::mutation::{Mutant, is};
use crate::sorted::SortedMap;

/// A body: bytes of one extent, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) session: SessionId,
    pub(super) position: u64,
    /// Where the extent ends; `None`: not known.
    pub(super) end: Option<u64>,
    /// The group that it is at, if it is at one.
    pub(super) group: Option<u64>,
    /// Bytes that it was let in with and has not brought.
    pub(super) credit: u64,
    /// It has a grant.
    pub(super) is_lent: bool,
    /// Up to where that is.
    pub(super) lent_to: u64,
    /// What it has brought, where that is to be checked first.
    pub(super) check: Option<Checked>,
    /// It brings nothing more than what it has a grant for.
    pub(super) is_sealed: bool,
}

/// What a body leaves behind.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) group: Option<u64>,
    pub(super) credit: u64,
    /// What was never found to be what it should be.
    pub(super) checked: Option<Checked>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bodies {
    bodies: SortedMap<BodyId, Body>,
    made: u64,
    /// How many have a grant.
    lent: usize,
}

impl Bodies {
    /// Begins one.
    pub(super) fn insert(&mut self, session: SessionId, position: u64, end: Option<u64>) -> BodyId {
        self.made += 1;
        let id = BodyId(self.made);
        let body = Body {
            session,
            position,
            end,
            group: None,
            credit: 0,
            is_lent: false,
            lent_to: 0,
            check: None,
            is_sealed: false,
        };
        self.bodies.insert(id, body);
        id
    }

    /// What this one brings is to be checked.
    pub(super) fn check(&mut self, id: BodyId, checked: Checked) {
        if let Some(body) = self.bodies.get_mut(id) {
            body.check = Some(checked);
        }
    }

    /// How many are to be checked.
    pub(super) fn checked(&self) -> usize {
        self.bodies.values().filter(|body| body.check.is_some()).count()
    }

    /// Where the last byte ends that may be on its way.
    pub(super) fn end_of_grants(&self) -> u64 {
        let on_its_way = |body: &Body| {
            let checked = body.check.as_ref().map_or(0, |checked| checked.end);
            if body.is_lent { body.lent_to.max(checked) } else { checked }
        };
        self.bodies.values().map(on_its_way).max().unwrap_or(0)
    }

    /// One that may bring more.
    pub(super) fn open(&mut self, id: BodyId) -> Option<&mut Body> {
        self.bodies.get_mut(id).filter(|body| !body.is_sealed)
    }

    /// Gives a grant to a body.
    pub(super) fn lend(&mut self, id: BodyId, to: u64) {
        if let Some(body) = self.bodies.get_mut(id)
            && !core::mem::replace(&mut body.is_lent, true)
        {
            body.lent_to = to;
            self.lent += if is(Mutant::CountsGrantsTwice) { 2 } else { 1 };
        }
    }

    /// Takes the grant of a body back.
    pub(super) fn take_back(&mut self, id: BodyId) -> Option<&mut Body> {
        let body = self.bodies.get_mut(id)?;
        if core::mem::take(&mut body.is_lent) {
            self.lent -= 1;
        }
        Some(body)
    }

    /// Whether it is sealed, and there is something of it still.
    pub(super) fn is_sealed(&self, id: BodyId) -> bool {
        self.bodies.get(id).is_some_and(|body| body.is_sealed)
    }

    /// How many have a grant.
    pub(super) fn lent(&self) -> usize {
        self.lent
    }

    /// Seals a body, and forgets it where it has no grant: then what it leaves behind is given. One that has a
    /// grant is to be sealed again when that has come back.
    pub(super) fn seal(&mut self, id: BodyId) -> Option<Left> {
        let body = self.bodies.get_mut(id)?;
        body.is_sealed = true;
        if body.is_lent {
            return None;
        }
        let Body { group, credit, check, .. } = self.bodies.remove(id)?;
        Some(Left { group, credit, checked: check })
    }

    /// Those of a session, or all.
    pub(super) fn of(&self, session: Option<SessionId>) -> Vec<BodyId> {
        let is_of = |body: &Body| session.is_none_or(|session| body.session == session);
        self.bodies.iter().filter(|(_, body)| is_of(body)).map(|(id, _)| id).collect()
    }
}
