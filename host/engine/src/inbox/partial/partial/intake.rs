//! How much of an upload may be here that is not kept: one step of the watermark.
//!
//! > Bytes that are here and that the journal does not know never exceed `watermark_bytes`, or, where that is
//! > more, the length of the groups that are begun.
//!
//! The watermark is moved when half of a step has come, and the other half may come meanwhile. When the
//! step is full, bodies find no room until the watermark has moved. A journal knows one begun group; others
//! are kept when they are whole. So a step that begun groups alone fill must not stop what makes them whole.

use std::sync::Arc;

use super::{Partial, State};
use crate::inbox::partial::keeper::Request;

/// What came of an upload and is not kept.
#[derive(Default)]
pub(super) struct Intake {
    /// Bytes that the journal does not know: those that are here, and those that bodies were let in with.
    unkept_bytes: u64,
    /// Of them, the ones that are not here yet.
    let_in_bytes: u64,
    /// Bytes that came since the watermark was last begun to be moved.
    since_move_bytes: u64,
    /// The watermark is being moved.
    moving: bool,
    /// The keeper was asked to move it now, and has not begun.
    asked_now: bool,
    /// A body has found no room since it was last moved.
    waited_for: bool,
}

impl Intake {
    /// The keeper has come.
    pub(super) fn answer(&mut self) {
        self.asked_now = false;
    }

    pub(super) fn begin_move(&mut self) {
        self.since_move_bytes = 0;
        self.moving = true;
    }

    /// The journal knows `kept` bytes more, and of some begun group `forgotten` bytes not any more.
    pub(super) fn end_move(&mut self, kept: u64, forgotten: u64) {
        self.unkept_bytes = (self.unkept_bytes + forgotten).saturating_sub(kept);
        (self.moving, self.waited_for) = (false, false);
    }

    /// The journal knows nothing more; whether a body waits for that.
    pub(super) fn fail_move(&mut self) -> bool {
        self.moving = false;
        std::mem::take(&mut self.waited_for)
    }
}

impl State {
    /// How many bytes a body may bring that is so far from the end of its group.
    fn room(&self, step_bytes: u64, rest_of_group: u64) -> u64 {
        let free = step_bytes.saturating_sub(self.intake.unkept_bytes);
        let helps = self.intake.moving || self.intake.let_in_bytes > 0 || !self.unkept.is_empty();
        match (free, helps) {
            // Moving the watermark would keep nothing but a begun group.
            (0, false) => rest_of_group,
            (free, _) => free,
        }
    }
}

impl Partial {
    /// How many bytes a body may bring that is so far from the end of its group. 0: the keeper knows that
    /// it is waited for.
    pub(in crate::inbox::partial) fn room(self: &Arc<Self>, rest_of_group: u64) -> u64 {
        self.look(&mut self.state(), rest_of_group)
    }

    /// Lets a body in with as many bytes as there is room for, up to `most`; how many.
    pub(in crate::inbox::partial) fn let_in(
        self: &Arc<Self>,
        most: u64,
        rest_of_group: u64,
    ) -> u64 {
        let mut state = self.state();
        let room = self.look(&mut state, rest_of_group).min(most);
        state.intake.unkept_bytes += room;
        state.intake.let_in_bytes += room;
        room
    }

    fn look(self: &Arc<Self>, state: &mut State, rest_of_group: u64) -> u64 {
        let room = state.room(self.core.options.watermark_bytes, rest_of_group);
        if room == 0 {
            state.intake.waited_for = true;
            self.ask_now(state);
        }
        room
    }

    /// As [`Self::let_in`] does, whether or not there is room.
    pub(in crate::inbox::partial) fn force_in(&self, bytes: u64) {
        let intake = &mut self.state().intake;
        intake.unkept_bytes += bytes;
        intake.let_in_bytes += bytes;
    }

    /// A body was let in with so many bytes. Of them, `here` are here, and the others do not come.
    pub(in crate::inbox::partial) fn settle(self: &Arc<Self>, let_in: u64, here: u64) {
        let mut state = self.state();
        let intake = &mut state.intake;
        intake.let_in_bytes -= let_in;
        intake.unkept_bytes = intake.unkept_bytes.saturating_sub(let_in - here);
        intake.since_move_bytes += here;
        // At half of it: the rest may come while that is made durable.
        if here > 0 && intake.since_move_bytes >= self.core.options.watermark_bytes.div_ceil(2) {
            self.ask_now(&mut state);
        }
        let first = here > 0 && !std::mem::replace(&mut state.asked, true);
        drop(state);
        // It fails only when the inbox ends.
        if first {
            let _ = self.keeper.send(Request::Soon(Arc::clone(self)));
        }
        self.room_changed();
    }

    /// Lets all bodies that wait look again.
    pub(in crate::inbox::partial) fn room_changed(&self) {
        self.room.notify_waiters();
    }

    fn ask_now(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.intake.asked_now, true) {
            let _ = self.keeper.send(Request::Now(Arc::clone(self)));
        }
    }

    /// Returns when `is_there` says so, which is asked whenever there may be room.
    pub(in crate::inbox::partial) async fn until(&self, is_there: impl Fn() -> bool) {
        loop {
            // Made before the check: `notify_waiters` reaches every `Notified` that exists by then.
            let changed = self.room.notified();
            if is_there() {
                return;
            }
            changed.await;
        }
    }
}
