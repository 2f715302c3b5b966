//! A connection that holds an upload: it brings bytes, asks what is durable, commits or leaves.

use std::sync::Arc;

use sandport_protocol::{Algorithm, Extent, Refusal, RefusalCode, ResumeMode};

use super::super::body::{Body, Wrote};
use super::super::content::{LONGEST, digest};
use super::super::world::World;
use super::{Role, State, Waiting, Wish};
use crate::publish::{Job, Work};
use crate::resumable::{Session, Signals};

/// What a session hears that has lost its upload to a later run.
const TAKEN_OVER: &str = "a later run that sends the same upload has taken it over";

pub(super) struct Attached {
    pub(super) wish: Wish,
    pub(super) session: Session,
    /// How many there had been of the upload, with this one.
    pub(super) number: u64,
    pub(super) bodies: Vec<Body>,
}

impl Attached {
    /// What has to be so when an offer is answered by a session.
    pub(super) fn check_opened(&self, world: &World) {
        let shared = &world.shared;
        if self.session.signals().fault().is_some() {
            return;
        }
        let is_evicted = |signals: &Signals| {
            let codes = [RefusalCode::Locked, RefusalCode::Cancelled];
            signals.fault().is_some_and(|fault| codes.contains(&fault.code))
        };
        let writers = world.writers.borrow();
        if writers.iter().any(|it| it.key == self.wish.key && is_evicted(&it.signals)) {
            shared.violate("2: an upload is told to be settled while its loser writes");
        }
        for other in &world.connections {
            let Ok(other) = other.try_borrow() else { continue };
            let State::Attached(other) = &other.state else { continue };
            let is_rival = other.wish.key == self.wish.key && other.wish.run != self.wish.run;
            if is_rival && other.session.signals().fault().is_none() {
                shared.violate("2: two runs hold an upload");
            }
        }
        if self.wish.mode == ResumeMode::Restart
            && self.wish.met_bytes
            && self.wish.beginnings == world.beginnings(self.wish.key).0
        {
            shared.violate("1: an upload that is to begin anew goes on");
        }
    }

    pub(super) fn step(mut self: Box<Self>, world: &World) -> State {
        let chance = &world.shared.chance;
        if self.session.signals().fault().is_some() && chance.per_mille(700) {
            self.leave(world);
            return State::Idle;
        }
        if world.asks && chance.per_mille(400) {
            world.keep(self.wish.key, &self.session);
            return State::Attached(self);
        }
        // Whoever brings drops seldom leaves.
        let first = if world.drips.get() && chance.per_mille(900) { 28 } else { 0 };
        match first + chance.below(1_000 - first) {
            0..12 => {
                self.leave(world);
                return State::Idle;
            }
            12..18 => {
                world.forgive(self.wish.key);
                self.session.discard();
                return State::Idle;
            }
            18..22 => {
                self.session.fail(&Refusal::new(RefusalCode::Io, "the sender went mad"));
            }
            22..28 if world.keys[self.wish.key].role != Role::Part => {
                return self.commit(world, chance.per_mille(500));
            }
            28..100 => self.check_told(world),
            100..120 => world.keep(self.wish.key, &self.session),
            120..130 if world.keys[self.wish.key].is_told => {
                let _ = self.session.handle().set_size(world.keys[self.wish.key].size);
            }
            130..140 if !self.bodies.is_empty() => drop(self.bodies.pop()),
            _ => return self.bring(world, 2),
        }
        State::Attached(self)
    }

    /// Brings what is missing, by so many bodies at a time, or is through.
    pub(super) fn bring(mut self: Box<Self>, world: &World, bodies_max: usize) -> State {
        let chance = &world.shared.chance;
        if self.bodies.is_empty() || (self.bodies.len() < bodies_max && chance.per_mille(150)) {
            let missing = self.session.handle().missing();
            let key = &world.keys[self.wish.key];
            let is_through = self.wish.size.is_none()
                && missing.first().is_none_or(|extent| extent.offset >= key.size);
            let is_whole = missing.is_empty() || is_through;
            match key.role {
                Role::Part if self.bodies.is_empty() && is_whole => {
                    return self.end_part(world, bodies_max == 1);
                }
                Role::Final
                    if self.session.handle().progress().size != Some(key.size) || !is_whole =>
                {
                    return self.join(world, bodies_max == 1);
                }
                _ => {}
            }
            if self.bodies.is_empty() && is_whole {
                let lies = bodies_max > 1 && chance.per_mille(20);
                return self.commit(world, lies);
            }
            if !missing.is_empty() && !is_through {
                let extent = *chance.of(&missing);
                self.begin(world, extent);
            }
            return State::Attached(self);
        }
        let which = chance.below(self.bodies.len() as u64) as usize;
        let limit = self.limit(world);
        let signals = Arc::clone(self.session.signals());
        let wrote = self.bodies[which].write(world, self.wish.key, &signals, limit);
        if wrote == Wrote::All {
            let body = self.bodies.remove(which);
            let start = body.start;
            let has_failed = body.finish(world, self.wish.key, &signals) == Some(false);
            let covers = |extent: &Extent| {
                let end = extent.length.map_or(u64::MAX, |length| extent.offset + length);
                (extent.offset..end).contains(&start)
            };
            // Another may have said meanwhile that the file ends before.
            let is_within = self.session.handle().progress().size.is_none_or(|size| start < size);
            if has_failed && is_within && !self.session.handle().missing().iter().any(covers) {
                world.shared.violate("9: what a body was at that failed is not given back");
            }
        }
        State::Attached(self)
    }

    /// How long what it sends is.
    fn limit(&self, world: &World) -> u64 {
        self.wish.size.unwrap_or(world.keys[self.wish.key].size).min(LONGEST)
    }

    fn begin(&mut self, world: &World, extent: Extent) {
        const GROUP: u64 = sandport_protocol::journal::GROUP_BYTES;
        let chance = &world.shared.chance;
        let mut extent = extent;
        let end = extent.length.map(|length| extent.offset + length);
        let inner = (extent.offset / GROUP + 1) * GROUP;
        let is_exact = !(end.is_some_and(|end| inner < end) && chance.per_mille(250));
        if !is_exact {
            extent = Extent { offset: inner, length: end.map(|end| end - inner) };
        }
        if chance.per_mille(200) {
            extent.length = extent.length.map(|length| 1 + chance.below(length));
        }
        let is_checked = chance.per_mille(200);
        world.shared.trace(|| format!("{:?} begins {extent:?}, checked: {is_checked}", self.wish));
        let begun = match is_checked {
            true => self.session.handle().body_checked(extent, Algorithm::Blake3),
            false => self.session.handle().body(extent),
        };
        match begun {
            Ok(writer) => {
                let end = extent.length.map_or(u64::MAX, |length| extent.offset + length);
                let (start, version) = (extent.offset, self.wish.version);
                self.bodies.push(Body::new(writer, start, end, version, is_checked));
            }
            // There are too many.
            Err(refusal) if is_checked && refusal.code == RefusalCode::TooMany => {}
            Err(refusal) if self.session.signals().fault().is_none() => {
                world.shared.trace(|| {
                    format!(
                        "{extent:?} of {:?} gets {refusal:?} {:?}",
                        self.wish,
                        self.session.handle().missing()
                    )
                });
                world.shared.violate("2: what is told to be missing cannot be brought");
            }
            Err(_) => {}
        }
    }

    pub(super) fn commit(self: Box<Self>, world: &World, lies: bool) -> State {
        let chance = &world.shared.chance;
        let Self { wish, session, bodies, .. } = *self;
        let is_whole = bodies.is_empty() && session.handle().missing().is_empty();
        let mut size = self_size(&wish, world);
        let mut version = wish.version;
        if lies {
            match chance.below(3) {
                0 => version += 1,
                1 => size = size.saturating_sub(1),
                _ => {}
            }
            world.forgive(wish.key);
        } else if !is_whole && wish.size.is_some() {
            world.forgive(wish.key);
        }
        drop(bodies);
        // Of what others have brought, some may be of another version.
        let length = size.min(LONGEST);
        let is_offered = wish.digest.is_none_or(|offered| offered == digest(version, length));
        // Another may have said meanwhile how long it is.
        let is_known = session.handle().progress().size.is_none_or(|known| known == size);
        let is_one = world.is_all_of(wish.key, version);
        if wish.size.is_none() || !is_offered || !is_known || !is_one {
            world.forgive(wish.key);
        }
        world.shared.trace(|| format!("commits {wish:?} {size} lies: {lies} whole: {is_whole}"));
        world.allow_entries(wish.key);
        let submit = Box::new(|job: Job| {
            let Job { work: Work::Refused(refusal), completer } = job else { return };
            completer.complete(Err(refusal));
        });
        let digest = digest(version, length);
        match session.commit(submit, size, Some(digest), None) {
            Ok(pending) => {
                let of_it = pending.clone();
                let future = Waiting::new(async move { of_it.ready().await });
                let wish = Wish { digest: Some(digest), size: Some(size), ..wish };
                State::Committing(wish, pending, future)
            }
            Err(_) => State::Idle,
        }
    }

    /// What was told to be durable outlives a crash.
    pub(super) fn check_told(&self, world: &World) {
        let told = self.session.durable();
        let mut disk = world.shared.disk.lock().unwrap();
        let (boot, syncs) = (disk.boot, world.shared.syncs());
        let slot = disk.slot(world.id(self.wish.key));
        if slot.user.is_none() || self.session.signals().fault().is_some() {
            return;
        }
        if told > slot.recoverable(boot, syncs) {
            world.shared.trace(|| {
                let (all, synced) = (slot.recover(boot, false), slot.journal_synced);
                format!("told {told}, has {:?}, synced {synced}, {all:?}", slot.data)
            });
            world.shared.violate("1: bytes are told to be durable that a crash would lose");
        }
        slot.tell(told, syncs);
    }

    pub(super) fn leave(self: Box<Self>, world: &World) {
        world
            .shared
            .trace(|| format!("leaves {:?} {:?}", self.wish, self.session.signals().fault()));
        let Self { wish, session, number, bodies } = *self;
        world.allow_entries(wish.key);
        let fault = session.signals().fault();
        let by_later = fault.is_some_and(|fault| fault.detail.as_deref() == Some(TAKEN_OVER));
        if by_later && wish.run >= world.keys[wish.key].last_run() {
            world.shared.violate("2: a session is lost to a later run, and there is none");
        }
        let fault = fault.map(|fault| fault.code);
        let own =
            fault.filter(|code| !matches!(code, RefusalCode::Locked | RefusalCode::Cancelled));
        if own.is_some() {
            world.forgive(wish.key);
            let is_last = !world.is_shared(wish.key);
            let is_stream = wish.size.is_none() && !world.keys[wish.key].is_told;
            if is_stream && is_last && !world.has_crashed() {
                let mut disk = world.shared.disk.lock().unwrap();
                let slot = disk.slot(world.id(wish.key));
                // One that others have met since may have been lost to them.
                slot.is_over = slot.user.is_some() && !slot.is_through && slot.sessions == number;
            }
        }
        if world.shared.chance.per_mille(500) {
            drop(bodies);
            drop(session);
        } else {
            drop(session);
            drop(bodies);
        }
    }
}

fn self_size(wish: &Wish, world: &World) -> u64 {
    wish.size.unwrap_or(world.keys[wish.key].size)
}
