//! Removing uploads that nobody comes back to.

use std::collections::HashSet;

use sandport_protocol::Millis;
use sandport_protocol::inbox::{JumpResistantClock, Reading};
use sandport_protocol::journal::ResumableId;

use super::names::Name;
use super::volume::Volume;
use crate::inbox::files::Directory;

/// How often is looked for what is due. Milliseconds. Seldom enough to cost nothing; no age matters to the hour.
const PASS_INTERVAL_MS: Millis = 3_600_000;

/// Looks for them now and then.
pub(super) struct Expiry {
    /// After how long an upload goes. Seconds.
    expiry_s: u64,
    clock: JumpResistantClock,
    next_pass: Millis,
}

impl Expiry {
    /// The first pass is at once, and removes nothing before the clock [is believed](JumpResistantClock).
    pub(super) fn new(expiry_s: u64) -> Self {
        Self { expiry_s, clock: JumpResistantClock::default(), next_pass: 0 }
    }

    pub(super) fn next_pass(&self) -> Millis {
        self.next_pass
    }

    /// If the next pass is due, removes what is not `open` and nobody comes back to. `wall_s`: seconds since 1970, as
    /// the system is set.
    pub(super) fn pass_if_due<F: Directory>(
        &mut self,
        volume: &Volume<F>,
        open: impl FnOnce() -> Vec<ResumableId>,
        now: Millis,
        wall_s: u64,
    ) {
        if now < self.next_pass {
            return;
        }
        self.next_pass = now.saturating_add(PASS_INTERVAL_MS);
        let seconds = |s| i64::try_from(s).unwrap_or(i64::MAX);
        let reading = Reading { wall_s: seconds(wall_s), boot_s: seconds(now / 1_000) };
        if let Some(now_s) = self.clock.look(reading) {
            expire(volume, &open(), now_s, self.expiry_s);
        }
    }
}

/// Removes what is not open and has been idle for longer than `expiry_s`, by the time `now_s`. What cannot be looked
/// at or removed is tried again.
fn expire<F: Directory>(volume: &Volume<F>, open: &[ResumableId], now_s: i64, expiry_s: u64) {
    let open: HashSet<Name> = open.iter().map(|&id| volume.own(id)).collect();
    for (name, _) in volume.names.all() {
        if open.contains(&name) {
            continue;
        }
        let looks = [name.data(), name.journal()].map(|file| volume.directory.look(&file));
        let Some(active_s) = looks
            .into_iter()
            .filter_map(|look| look.ok().flatten())
            .map(|look| look.modified.0)
            .max()
        else {
            continue;
        };
        // What is from the future, by a clock that was set back, is not idle.
        if u64::try_from(now_s.saturating_sub(active_s)).unwrap_or(0) > expiry_s {
            volume.remove(name);
        }
    }
}
