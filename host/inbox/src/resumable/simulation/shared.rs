//! What the disk and the connections of a world share, and how the one reaches the others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sandport_protocol::Millis;

use super::chance::Chance;
use super::content::{VERSIONS, Version};
use super::disk::Disk;
use super::quota::Quota;
use super::runtime::Tasks;
use super::world::World;
use crate::resumable::Id;
use crate::resumable::signals::Signals;
use crate::runtime::Runtime;

/// What the disk and the connections share.
pub(super) struct Shared {
    pub(super) chance: Chance,
    pub(super) disk: Mutex<Disk>,
    pub(super) quota: Mutex<Arc<Quota>>,
    pub(super) tasks: Mutex<Arc<Tasks>>,
    pub(super) violation: Mutex<Option<String>>,
    /// Whether watermarks outlive a power cut, of the server that there is.
    pub(super) syncs: AtomicBool,
    pub(super) step_bytes: u64,
    pub(super) is_traced: bool,
}

impl Shared {
    pub(super) fn syncs(&self) -> bool {
        self.syncs.load(Ordering::Relaxed)
    }

    /// A rule is broken. The first is told.
    pub(super) fn violate(&self, rule: &str) {
        self.violation.lock().unwrap().get_or_insert_with(|| rule.to_owned());
    }

    pub(super) fn violated(&self) -> Option<String> {
        self.violation.lock().unwrap().clone()
    }

    /// Tells what happens, where a schedule is run alone.
    pub(super) fn trace(&self, event: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{:>7} ms: {}", self.now(), event());
        }
    }

    pub(super) fn tasks(&self) -> Arc<Tasks> {
        Arc::clone(&self.tasks.lock().unwrap())
    }

    /// The account of the run that there is.
    pub(super) fn quota(&self) -> Arc<Quota> {
        Arc::clone(&self.quota.lock().unwrap())
    }

    pub(super) fn now(&self) -> Millis {
        self.tasks().now()
    }
}

/// A connection that writes just now.
pub(super) struct Writer {
    pub(super) key: usize,
    pub(super) version: Version,
    pub(super) signals: Arc<Signals>,
    /// From where on that is to be checked before it counts; `None`: it is not.
    pub(super) checked_from: Option<u64>,
}

thread_local! {
    pub(super) static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Lets others take steps in the middle of a call that takes time.
pub(super) fn meanwhile() {
    let Some(world) = WORLD.with_borrow(Clone::clone) else { return };
    world.step_meanwhile();
}

/// The version that somebody writes just now, or senders have at the moment.
pub(super) fn likely_version(id: Id) -> Version {
    let Some(world) = WORLD.with_borrow(Clone::clone) else { return 0 };
    let key = world.keys.iter().position(|key| key.id() == id);
    let writers = world.writers.borrow();
    let writer = writers.last().filter(|writer| Some(writer.key) == key);
    let version = writer.map(|writer| writer.version);
    let known = key.map_or(0, |key| world.keys[key].version());
    version.unwrap_or(known) % VERSIONS
}

/// From where on what is written to an upload just now is to be checked first.
pub(super) fn checked_from(id: Id) -> Option<u64> {
    let world = WORLD.with_borrow(Clone::clone)?;
    let writers = world.writers.borrow();
    let is_its = |writer: &&Writer| world.keys[writer.key].id() == id;
    writers.last().filter(is_its).and_then(|writer| writer.checked_from)
}

/// Whether the connection that writes to an upload just now has lost it.
pub(super) fn writer_has_lost(id: Id) -> bool {
    let Some(world) = WORLD.with_borrow(Clone::clone) else { return false };
    let writers = world.writers.borrow();
    let is_its = |writer: &&Writer| world.keys[writer.key].id() == id;
    writers.last().filter(is_its).is_some_and(|writer| writer.signals.fault().is_some())
}
