//! How much of an upload may be here that is not kept: one step of the watermark.
//!
//! > Bytes that are here and that the journal does not know never exceed the step, or, where that is more, the
//! > length of the groups that are begun.
//!
//! The watermark is moved when half of a step has come, and the other half may come meanwhile. When the
//! step is full, bodies find no room until the watermark has moved. A journal knows one begun group; others
//! are kept when they are whole. So a step that begun groups alone fill must not stop what makes them whole.

use super::ledger::Moved;
use super::mutation::{Mutant, is};
use crate::Millis;

/// How much more of a begun group is worth an entry in the journal by itself. Bytes. An entry has some eighty,
/// and costs two syncs; a sender that drips must not make more of them than of content. Two blocks: with less, the
/// blocks of an upload and of its journal would be more than twice what was sent.
pub const TAIL_BYTES_MIN: u64 = 8 * 1024;

/// How long less than that waits at most. Milliseconds. The first bytes of an upload wait until there are more of them, or
/// somebody asks: kept, they would take room on the disk for as long as the upload may be resumed, and more than they are.
pub(super) const TAIL_WAIT_MS: Millis = 60_000;

/// How often in a row less than that is kept at once, because somebody waits for it. Then it waits as it does where
/// nobody waits: a peer may ask after each byte.
pub(super) const LITTLE_KEEPS_MAX: u32 = 32;

/// What came of an upload and is not kept.
#[derive(Clone, Debug)]
pub(super) struct Step {
    bytes_max: u64,
    interval_ms: Millis,
    /// Bytes that the journal does not know: those that are here, and those that bodies were let in with.
    unkept: u64,
    /// Of them, the ones that are not here yet.
    let_in: u64,
    /// Bytes that came since the watermark was last begun to be moved.
    since_move: u64,
    /// The watermark is being moved.
    moving: bool,
    /// It is to be moved as soon as it can be.
    is_asked: bool,
    /// A body has found no room since it was last moved.
    waited_for: bool,
    /// A body waits for room.
    hungry: bool,
    /// When it is to be moved, because something came.
    due: Option<Millis>,
    /// The same; later, where few bytes came.
    moves_at: Option<Millis>,
    moved_at: Option<Millis>,
    /// How often it was moved in a row for less than is worth it.
    little_moves: u32,
    /// How often it may be moved so at once because somebody waits.
    little_keeps: u32,
}

/// Why a watermark may have to be moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// Groups are whole that the journal does not know, or something else is to be said whatever has come.
    pub(super) groups_wait: bool,
    /// How many bytes of a begun group it does not know.
    pub(super) tail_growth: u64,
    /// It knows no bytes at all.
    pub(super) is_first: bool,
    /// Somebody waits until all is kept that is here.
    pub(super) is_waited_for: bool,
}

impl Step {
    pub(super) fn new(bytes_max: u64, interval_ms: Millis) -> Self {
        Self {
            bytes_max,
            interval_ms,
            unkept: 0,
            let_in: 0,
            since_move: 0,
            moving: false,
            is_asked: false,
            waited_for: false,
            hungry: false,
            due: None,
            moves_at: None,
            moved_at: None,
            little_moves: 0,
            little_keeps: LITTLE_KEEPS_MAX,
        }
    }

    /// How many bytes a body may bring that is so far from the end of its group. 0: it is remembered that it
    /// waits. `groups_wait`: groups are whole that the journal does not know.
    pub(super) fn room(&mut self, rest_of_group: u64, groups_wait: bool) -> u64 {
        let unkept = if is(Mutant::IgnoresStep) { 0 } else { self.unkept };
        let free = self.bytes_max.saturating_sub(unkept);
        let helps = self.moving || self.let_in > 0 || groups_wait;
        // Where it does not, moving the watermark would keep nothing but a begun group.
        let room = if helps { free } else { free.max(rest_of_group) };
        if room == 0 {
            (self.waited_for, self.hungry, self.is_asked) = (true, true, true);
        }
        room
    }

    /// Lets a body in with so many bytes.
    pub(super) fn let_in(&mut self, bytes: u64) {
        self.unkept = self.unkept.saturating_add(bytes);
        self.let_in = self.let_in.saturating_add(bytes);
    }

    /// Of the bytes that a body was let in with, so many do not come.
    pub(super) fn give_back(&mut self, bytes: u64) {
        if is(Mutant::HoardsRoom) {
            return;
        }
        self.let_in = self.let_in.saturating_sub(bytes);
        self.unkept = self.unkept.saturating_sub(bytes);
    }

    /// Of these bytes, so many are here now.
    pub(super) fn came(&mut self, bytes: u64, now: Millis) {
        self.let_in = self.let_in.saturating_sub(bytes);
        self.since_move = self.since_move.saturating_add(bytes);
        // At half of it: the rest may come while that is made durable.
        if self.since_move >= self.bytes_max.div_ceil(2) {
            self.is_asked = true;
        }
        if bytes > 0 {
            if is(Mutant::StarvesWatermarks) {
                self.due = None;
            }
            self.due.get_or_insert(now.saturating_add(self.interval_ms));
        }
    }

    /// Whether it is to be moved now.
    pub(super) fn is_due(&mut self, need: Need, now: Millis) -> bool {
        if self.moving {
            return false;
        }
        let Need { groups_wait, tail_growth, is_first, is_waited_for } = need;
        let is_worth_it = groups_wait || tail_growth >= TAIL_BYTES_MIN || is(Mutant::KeepsDrips);
        if is_waited_for && (is_worth_it || (tail_growth > 0 && self.little_keeps > 0)) {
            self.little_keeps = match is_worth_it {
                true => LITTLE_KEEPS_MAX,
                false => self.little_keeps - u32::from(!is(Mutant::KeepsEveryDrop)),
            };
            return true;
        }
        let pause = if is_worth_it { 0 } else { self.pause() };
        let moved_at = *self.moved_at.get_or_insert(now);
        let waits = is_first && !is_worth_it && !is_waited_for;
        self.moves_at =
            self.due.filter(|_| !waits).map(|due| due.max(moved_at.saturating_add(pause)));
        let is_asked = core::mem::take(&mut self.is_asked) && is_worth_it;
        let is_due = is_asked || self.moves_at.is_some_and(|at| at <= now);
        if is_due {
            let little_moves = self.little_moves.saturating_add(1);
            self.little_moves = if is_worth_it { 0 } else { little_moves };
        }
        is_due
    }

    /// How long it rests for what is not worth an entry: a sender that pauses hears soon, and one that drips ever
    /// seldomer.
    fn pause(&self) -> Millis {
        let longest = TAIL_WAIT_MS.max(self.interval_ms);
        match self.interval_ms.checked_shl(self.little_moves) {
            Some(pause) => pause.clamp(self.interval_ms, longest),
            None => longest,
        }
    }

    /// When it is due, as far as that is known.
    pub(super) fn due(&self) -> Option<Millis> {
        if self.moving { None } else { self.moves_at }
    }

    /// It is being moved, with all that is here.
    pub(super) fn begin_move(&mut self, now: Millis) {
        (self.since_move, self.moving, self.is_asked) = (0, true, false);
        (self.due, self.moves_at, self.moved_at) = (None, None, Some(now));
    }

    /// There was nothing to be moved.
    pub(super) fn nothing_to_move(&mut self) {
        (self.is_asked, self.waited_for) = (false, false);
        (self.due, self.moves_at) = (None, None);
    }

    /// It has been moved.
    pub(super) fn end_move(&mut self, moved: Moved) {
        self.unkept = (self.unkept + moved.forgotten).saturating_sub(moved.kept);
        (self.moving, self.waited_for) = (false, false);
    }

    /// It could not be; it is tried again in an interval. Whether a body waits for it.
    pub(super) fn fail_move(&mut self, now: Millis) -> bool {
        self.moving = false;
        self.due.get_or_insert(now.saturating_add(self.interval_ms));
        core::mem::take(&mut self.waited_for)
    }

    /// Whether who waits for room is to look again.
    pub(super) fn take_hungry(&mut self) -> bool {
        core::mem::take(&mut self.hungry)
    }
}
