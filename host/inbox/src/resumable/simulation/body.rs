//! A body: it takes room, brings bytes, and waits.

use std::sync::Arc;

use sandport_protocol::{Digest, RefusalCode};

use super::connection::Waiting;
use super::content::{LONGEST, Version, content};
use super::shared::Writer;
use super::world::World;
use crate::resumable::{RangeWriter, Signals};

/// A body of a connection.
pub(super) struct Body {
    state: State,
    pub(super) start: u64,
    at: u64,
    end: u64,
    version: Version,
    /// Its bytes count when they are found to be what they should be.
    is_checked: bool,
}

enum State {
    Ready(RangeWriter),
    Waiting(Waiting<RangeWriter>),
    Between,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// There is more to come.
    Some,
    /// That was all.
    All,
}

impl Body {
    pub(super) fn new(
        writer: RangeWriter,
        at: u64,
        end: u64,
        version: Version,
        is_checked: bool,
    ) -> Self {
        Self { state: State::Ready(writer), start: at, at, end, version, is_checked }
    }

    /// It has brought all: whether its bytes count; `None`: they are not to be checked, or its session has met a fault.
    pub(super) fn finish(self, world: &World, key: usize, signals: &Arc<Signals>) -> Option<bool> {
        let State::Ready(writer) = self.state else { return None };
        if !self.is_checked {
            drop(writer);
            return None;
        }
        let lies = world.shared.chance.per_mille(250);
        // One beyond the end of a stream, whose last group others are at, has brought nothing.
        let range = self.start as usize..self.at as usize;
        let brought = content(self.version).get(range).unwrap_or_default();
        let digest = if lies { [7; 32] } else { *blake3::hash(brought).as_bytes() };
        let ended = writer.finish(Some(Digest::Blake3(digest).into()));
        world.shared.trace(|| format!("{}..{} is checked: {ended:?}", self.start, self.at));
        if world.has_crashed() || signals.fault().is_some() {
            return None;
        }
        match &ended {
            Ok(()) if lies => {
                world.shared.violate("9: a body counts that is not what it should be")
            }
            Err(refusal) if !lies && refusal.code == RefusalCode::DigestMismatch => {
                world.shared.violate("9: a body does not count that is right");
            }
            _ => {}
        }
        if ended.is_ok() {
            let mut disk = world.shared.disk.lock().unwrap();
            disk.slot(world.id(key)).accept(self.start, self.at);
        }
        Some(ended.is_ok())
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Goes on where it has waited, if it can; whether it could.
    pub(super) fn go_on(&mut self) -> bool {
        let State::Waiting(waiting) = &mut self.state else { return false };
        let Some(writer) = waiting.poll() else { return false };
        self.state = State::Ready(writer);
        true
    }

    /// Brings some of a file of `limit` bytes.
    pub(super) fn write(
        &mut self,
        world: &World,
        key: usize,
        signals: &Arc<Signals>,
        limit: u64,
    ) -> Wrote {
        let chance = &world.shared.chance;
        let left = self.end.min(limit).min(LONGEST).saturating_sub(self.at);
        if left == 0 {
            return Wrote::All;
        }
        let most = match chance.below(10) {
            _ if world.drips.get() => 1 + chance.below(600),
            0 => 1 + chance.below(30),
            1 => 1 + chance.below(5_000),
            2 | 3 => 300_000,
            _ => 1_400_000,
        };
        let most = most.min(left);
        let mut writer = match std::mem::replace(&mut self.state, State::Between) {
            State::Ready(writer) => writer,
            waiting => {
                self.state = waiting;
                return Wrote::Some;
            }
        };
        let room = (writer.reserve(most as usize) as u64).min(most);
        if room == 0 {
            self.state = State::Waiting(Waiting::new(async move {
                writer.has_room().await;
                writer
            }));
            self.go_on();
            return Wrote::Some;
        }
        let length = if chance.per_mille(800) { room } else { 1 + chance.below(room) };
        let bytes = &content(self.version)[self.at as usize..(self.at + length) as usize];
        world.writers.borrow_mut().push(Writer {
            key,
            version: self.version,
            signals: Arc::clone(signals),
            checked_from: self.is_checked.then_some(self.start),
        });
        writer.write(bytes);
        world.writers.borrow_mut().pop();
        self.at += length;
        self.state = State::Ready(writer);
        if self.at >= self.end.min(limit) { Wrote::All } else { Wrote::Some }
    }
}
