//! Which part of the free space the uploads under way will still need: pure accounting, without a disk or a
//! clock.
//!
//! An upload claims what it is still to bring, up to [`CLAIM_FACTOR`] times what it has brought lately. So
//! whoever announces much and brings nothing claims nothing, and one that stops to bring something claims
//! nothing after [`LAPSE`].

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// How often an upload that is under way tells the ledger what it has brought. Bytes. That costs some hundred
/// nanoseconds, and for so much too little or too much may be claimed. A stream, which has announced
/// nothing, claims so much ahead.
pub(crate) const STEP_BYTES: u64 = 1024 * 1024;

/// How many bytes an upload claims for each that it brought lately. With the first 64 KiB that is 64 MiB; who
/// brings 1 MiB a second claims 60 GiB, which takes it most of a day. And who would keep others out of
/// a terabyte has to bring a gigabyte each minute.
const CLAIM_FACTOR: u64 = 1_000;

/// What "lately" is: between one of these and two. An upload that brings less than a [step](STEP_BYTES) in one
/// claims nothing, until it does again.
const LAPSE: Duration = Duration::from_secs(60);

/// Why something does not fit, and how much room would have to be made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) bytes: u64,
    pub(crate) obstacle: Obstacle,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The disk alone.
    Disk,
    /// What is to be left free of it.
    Floor,
    /// What other uploads claim.
    Claims,
}

/// Whether `bytes` fit into `free` where `floor` is to be left and others claim `claimed`.
pub(crate) fn fits(bytes: u64, free: u64, floor: u64, claimed: u64) -> Result<(), Shortage> {
    let needed = bytes.saturating_add(floor).saturating_add(claimed);
    if needed <= free {
        return Ok(());
    }
    let obstacle = match bytes {
        _ if bytes > free => Obstacle::Disk,
        _ if bytes.saturating_add(floor) > free => Obstacle::Floor,
        _ => Obstacle::Claims,
    };
    Err(Shortage { bytes: needed - free, obstacle })
}

/// What a stream may write before it tells of it: what is coming now, and what comes until then.
fn step_of_stream(coming: u64) -> u64 {
    coming.saturating_add(STEP_BYTES)
}

/// What uploads claim.
#[derive(Default)]
pub(crate) struct Ledger {
    claims: HashMap<u64, Claimed>,
    /// The sum of what they claim. Announced sizes may add up to more than a `u64` holds.
    claimed: u128,
    /// When each claim lapses, unless more is told of it by then.
    lapses: BTreeSet<(Duration, u64)>,
}

/// The claim of an upload.
struct Claimed {
    bytes: u64,
    /// What it is still to bring; `None`: not known.
    rest: Option<u64>,
    /// It has claimed all of its rest once: what others want is not its business any more.
    settled: bool,
    /// What it brought in the span that began then, and in the one before.
    since: Duration,
    lately: u64,
    before: u64,
    lapses_at: Duration,
}

impl Ledger {
    /// How much others than `but` claim.
    pub(crate) fn claimed_by_others(&mut self, now: Duration, but: Option<u64>) -> u64 {
        self.lapse(now);
        let own = but.and_then(|id| self.claims.get(&id)).map_or(0, |claim| claim.bytes);
        u64::try_from(self.claimed - u128::from(own)).unwrap_or(u64::MAX)
    }

    /// How much of the disk has to be there for an upload that has written `written` bytes since it brought
    /// something last, and is about to write `coming`; `None`: nobody has to look any more. `rest`: what it was to
    /// bring, where it is new.
    pub(crate) fn needs(
        &self,
        id: u64,
        rest: Option<u64>,
        written: u64,
        coming: u64,
    ) -> Option<u64> {
        let (rest, settled) = match self.claims.get(&id) {
            Some(claim) => (claim.rest, claim.settled),
            None => (rest, false),
        };
        let rest = rest.map(|rest| rest.saturating_sub(written));
        (!settled).then(|| rest.unwrap_or_else(|| step_of_stream(coming)))
    }

    /// An upload has written `written` bytes since this was called last, and is about to write `coming`.
    pub(crate) fn bring(
        &mut self,
        id: u64,
        now: Duration,
        rest: Option<u64>,
        written: u64,
        coming: u64,
    ) {
        self.lapse(now);
        let claim = self.claims.entry(id).or_insert(Claimed {
            bytes: 0,
            rest,
            settled: false,
            since: now,
            lately: 0,
            before: 0,
            lapses_at: now,
        });
        match now.saturating_sub(claim.since) {
            passed if passed < LAPSE => {}
            passed => {
                claim.before = if passed < 2 * LAPSE { claim.lately } else { 0 };
                (claim.since, claim.lately) = (now, 0);
            }
        }
        claim.lately = claim.lately.saturating_add(written);
        claim.rest = claim.rest.map(|rest| rest.saturating_sub(written));
        let brought = claim.lately.saturating_add(claim.before).saturating_add(coming);
        let most = brought.saturating_mul(CLAIM_FACTOR);
        self.claimed -= u128::from(claim.bytes);
        claim.bytes = claim.rest.unwrap_or_else(|| step_of_stream(coming)).min(most);
        self.claimed += u128::from(claim.bytes);
        claim.settled |= claim.rest.is_some_and(|rest| rest <= most);
        self.lapses.remove(&(claim.lapses_at, id));
        claim.lapses_at = now + LAPSE;
        self.lapses.insert((claim.lapses_at, id));
    }

    /// An upload claims nothing any more.
    pub(crate) fn remove(&mut self, id: u64) {
        if let Some(claim) = self.claims.remove(&id) {
            self.claimed -= u128::from(claim.bytes);
            self.lapses.remove(&(claim.lapses_at, id));
        }
    }

    /// Takes back what has lapsed.
    fn lapse(&mut self, now: Duration) {
        while let Some(&(at, id)) = self.lapses.first()
            && at <= now
        {
            self.lapses.pop_first();
            if let Some(claim) = self.claims.get_mut(&id) {
                self.claimed -= u128::from(claim.bytes);
                claim.bytes = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
