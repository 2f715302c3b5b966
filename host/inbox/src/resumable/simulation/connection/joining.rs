//! A connection that has an upload put together out of its parts.

use sandport_protocol::{Refusal, RefusalCode};

use super::super::world::World;
use super::attached::Attached;
use super::{Role, State, Waiting};
use crate::resumable::Concatenation;

/// An upload that is being put together.
pub(super) struct Joining {
    outcome: Waiting<Result<(), Refusal>>,
    /// How often the parts had been begun or removed by then.
    beginnings: Vec<u64>,
    /// Whether no disk failed then, and its session had met no fault.
    is_sound: bool,
    pub(super) is_honest: bool,
}

impl Joining {
    pub(super) fn poll(&mut self) -> Option<Result<(), Refusal>> {
        self.outcome.poll()
    }

    /// What has to be so when it is over.
    pub(super) fn check(&self, world: &World, attached: &Attached, outcome: &Result<(), Refusal>) {
        world.shared.trace(|| format!("putting {:?} together ends {outcome:?}", attached.wish));
        if world.has_crashed() {
            return;
        }
        match outcome {
            Ok(()) => self.check_whole(world, attached),
            Err(refusal) => {
                let is_failure =
                    matches!(refusal.code, RefusalCode::Io | RefusalCode::InsufficientSpace);
                let are_same = world.parts().map(|part| world.beginnings(part).0);
                if is_failure && self.is_sound && are_same.eq(self.beginnings.iter().copied()) {
                    world.shared.violate("11: parts cannot be put together, and no disk fails");
                }
            }
        }
    }

    fn check_whole(&self, world: &World, attached: &Attached) {
        // It may have been lost since.
        if attached.session.signals().fault().is_some() {
            return;
        }
        let key = &world.keys[attached.wish.key];
        let progress = attached.session.handle().progress();
        if progress.size != Some(key.size) || !progress.missing.is_empty() {
            world.shared.violate("11: an upload is told to be put together that is not whole");
        }
        let mut disk = world.shared.disk.lock().unwrap();
        let slot = disk.slot(world.id(attached.wish.key));
        // Without data, another has published or ended it.
        let Some(data) = &slot.data else { return };
        if key.size > 0 && data.version(0, key.size) != Some(key.version()) {
            world.shared.trace(|| format!("has {data:?}"));
            world.shared.violate("11: an upload has not the bytes of its parts");
        }
    }
}

impl Attached {
    /// Has the upload put together.
    pub(super) fn join(self: Box<Self>, world: &World, is_honest: bool) -> State {
        let parts: Vec<_> = world.parts().collect();
        parts.iter().chain([&self.wish.key]).for_each(|&key| world.allow_entries(key));
        let concatenation = Concatenation {
            registry: world.registry(),
            handle: self.session.handle().clone(),
            key: self.session.key().to_vec(),
            parts: parts.iter().map(|&part| world.keys[part].secret.to_vec()).collect(),
            meter: None,
        };
        world.shared.trace(|| format!("puts {:?} together", self.wish));
        let beginnings = parts.iter().map(|&part| world.beginnings(part).0).collect();
        let outcome = Waiting::new(concatenation.run());
        let is_sound = world.is_healthy() && self.session.signals().fault().is_none();
        State::Joining(self, Joining { outcome, beginnings, is_sound, is_honest })
    }

    /// All of a part is here: its length is told, where it was not, and then it may be kept.
    pub(super) fn end_part(self: Box<Self>, world: &World, is_honest: bool) -> State {
        let (chance, key) = (&world.shared.chance, self.wish.key);
        let set = self.session.handle().set_size(world.keys[key].size);
        if is_honest {
            let kept = self.session.handle().keep();
            world.allow_entries(key);
            let kept = async move {
                set?;
                kept.ready().await
            };
            return State::Keeping(self, Waiting::new(kept));
        }
        match chance.below(20) {
            0 => world.keep(key, &self.session),
            1 => {
                self.leave(world);
                return State::Idle;
            }
            _ => {}
        }
        State::Attached(self)
    }
}

impl World {
    /// Those that are parts of another.
    pub(in super::super) fn parts(&self) -> impl Iterator<Item = usize> {
        let parts = self.keys.iter().enumerate().filter(|(_, key)| key.role == Role::Part);
        parts.map(|(number, _)| number)
    }

    /// Whether no call of the disk fails.
    fn is_healthy(&self) -> bool {
        self.shared.disk.lock().unwrap().sickness.is_none()
    }
}
