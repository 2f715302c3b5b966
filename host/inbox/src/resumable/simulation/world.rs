//! A server on one thread: connections, tasks and timers take steps in an order that a seed decides, also in the
//! middle of writes and works of others.

mod rules;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandport_protocol::{Millis, Resume, ResumeMode};

use super::chance::Chance;
use super::connection::{Connection, Key};
use super::content::{LONGEST, Pieces, VERSIONS, Version};
use super::disk::{Crash, Disk, Sickness};
use super::quota::Quota;
use super::runtime::Tasks;
use super::shared::{Shared, WORLD, Writer};
use super::variable;
use super::volume::Model;
use super::watching::Watcher;
use crate::Identity;
use crate::resumable::volume::Volume;
use crate::resumable::{Id, Registry};
use crate::runtime::Runtime;
use crate::{Durability, InboxOptions};

/// How deep steps are taken in the middle of others. The threads of a runtime are one more.
const DEPTH_MAX: u32 = 3;

/// How many steps more it takes to see that drops are kept ever seldomer.
const DRIPPING_STEPS: u64 = 500;

/// And that they are not kept for ever because somebody asks.
const ASKING_STEPS: u64 = 2_000;

/// More than anybody sends.
const NO_QUOTA: u64 = u64::MAX / 4;

/// What chance is to be told apart by that decides whether an upload is put together out of others, and how often it
/// is.
const JOINS: u64 = 0x6a6f_696e;
const JOINS_PER_MILLE: u64 = 150;

/// How long a watermark takes at the latest. Milliseconds.
pub(super) const INTERVAL_MS: Millis = 2_000;

/// All of it.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    registry: RefCell<Arc<Registry>>,
    pub(super) connections: Vec<RefCell<Connection>>,
    pub(super) keys: Vec<Key>,
    pub(super) writers: RefCell<Vec<Writer>>,
    /// Those who only wait.
    pub(super) watchers: RefCell<Vec<Watcher>>,
    /// Whether bytes come in drops.
    pub(super) drips: Cell<bool>,
    /// Whether connections have most of them kept at once.
    pub(super) asks: bool,
    /// Nobody does anything of their own.
    pub(super) is_calm: Cell<bool>,
    depth: Cell<u32>,
    has_crashed: Cell<bool>,
    options: RefCell<InboxOptions>,
    /// What decides how durable the next server makes things; `None`: as the first does.
    changes: Option<Chance>,
    quota_bytes: u64,
    crashes_per_mille: u64,
}

impl World {
    /// A world that a seed decides.
    pub(super) fn new(seed: u64) -> Rc<Self> {
        let chance = Chance::new(seed);
        let sick = chance.per_mille(500);
        let rate = |most| if sick { chance.below(most) } else { 0 };
        let sickness = Sickness {
            write: rate(40),
            sync: rate(60),
            journal: rate(150),
            publish: rate(300),
            load: rate(60),
            room: rate(20),
        };
        let durability =
            *chance.of(&[Durability::Full, Durability::Full, Durability::Commit, Durability::None]);
        let step_bytes = *chance.of(&[256 * 1024, 1024 * 1024, 1536 * 1024, 2 * 1024 * 1024]);
        let options = InboxOptions {
            durability,
            watermark_bytes: step_bytes,
            watermark_interval: Duration::from_millis(INTERVAL_MS),
            max_file_size: chance.per_mille(50).then_some(LONGEST - 100_000),
            ..InboxOptions::default()
        };
        // Apart, so that what other worlds do stays as it is.
        let joins = Chance::new(seed.rotate_left(32) ^ JOINS);
        let keys = match joins.per_mille(JOINS_PER_MILLE) {
            true => Key::joined(&joins),
            false => vec![Key::new(0, &chance), Key::new(1, &chance)],
        };
        let quota_bytes = *chance.of(&[NO_QUOTA, 3 * LONGEST, LONGEST + LONGEST / 2]);
        let connections = 2 + chance.below(3);
        let (drips, crashes_per_mille) = (chance.per_mille(150), chance.below(12));
        let asks = drips && chance.per_mille(200);
        let disk = Disk {
            run: 0,
            boot: 1,
            slots: Vec::new(),
            stored: BTreeMap::new(),
            sickness,
            blobs_made: 0,
        };
        let shared = Arc::new(Shared {
            chance,
            disk: Mutex::new(disk),
            quota: Mutex::new(Arc::new(Quota::new(quota_bytes))),
            tasks: Mutex::new(Tasks::new(1_000)),
            violation: Mutex::default(),
            syncs: AtomicBool::new(durability == Durability::Full),
            step_bytes,
            is_traced: variable(super::SEED).is_some(),
        });
        let registry = Self::start(&shared, &options);
        // Apart, so that it changes nothing before the first crash.
        let changes = Chance::new(!seed);
        let changes = changes.per_mille(400).then_some(changes);
        Rc::new(Self {
            shared,
            registry: RefCell::new(registry),
            connections: (0..connections).map(|_| RefCell::default()).collect(),
            keys,
            writers: RefCell::default(),
            watchers: RefCell::default(),
            drips: Cell::new(drips),
            asks,
            is_calm: Cell::new(false),
            depth: Cell::new(0),
            has_crashed: Cell::new(false),
            options: RefCell::new(options),
            changes,
            quota_bytes,
            crashes_per_mille,
        })
    }

    fn start(shared: &Arc<Shared>, options: &InboxOptions) -> Arc<Registry> {
        let (run, boot) = {
            let disk = shared.disk.lock().unwrap();
            (disk.run, disk.boot)
        };
        let volume: Arc<dyn Volume> = Arc::new(Model { shared: Arc::clone(shared), run });
        Registry::new(volume, shared.tasks(), options, boot)
    }

    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.borrow())
    }

    /// Runs the schedule of this world.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn run(self: &Rc<Self>) -> Result<(), String> {
        WORLD.set(Some(Rc::clone(self)));
        let result = self.run_now();
        WORLD.set(None);
        result
    }

    fn run_now(&self) -> Result<(), String> {
        let longer = match self.drips.get() {
            true if self.asks => ASKING_STEPS,
            true => DRIPPING_STEPS,
            false => 0,
        };
        let steps = 60 + longer + self.shared.chance.below(240);
        for _ in 0..steps {
            self.step();
            self.restart_if_crashed();
            self.check()?;
        }
        self.is_calm.set(true);
        // Whoever waits gets what it waits for.
        if self.shared.chance.per_mille(600) {
            self.heal();
        }
        self.come_to_rest()?;
        if self.shared.chance.per_mille(200) {
            self.suffer()?;
        }
        // The disk need not heal: the last watermark is given up.
        self.leave_all();
        self.come_to_rest()?;
        self.check_nothing_is_left()?;
        self.heal();
        self.drips.set(false);
        if self.shared.chance.per_mille(300) {
            for key in 0..self.keys.len() {
                if !self.finish_honestly(key)? {
                    break;
                }
            }
            self.check_nothing_is_left()?;
        }
        Ok(())
    }

    /// The disk fails no more.
    pub(super) fn heal(&self) {
        self.shared.disk.lock().unwrap().sickness = Sickness::default();
    }

    /// Others take steps in the middle of a call that takes time.
    pub(super) fn step_meanwhile(&self) {
        let chance = &self.shared.chance;
        if self.depth.get() >= DEPTH_MAX || !chance.per_mille(350) {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        for _ in 0..1 + chance.below(4) {
            self.step();
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// Something happens.
    pub(super) fn step(&self) {
        if self.has_crashed.get() || self.shared.violated().is_some() {
            return;
        }
        self.hear_looks();
        let (chance, tasks) = (&self.shared.chance, self.shared.tasks());
        match chance.below(if self.is_calm.get() { 35 } else { 100 }) {
            0..35 if tasks.has_ready() => {
                let task = tasks.take_ready(chance);
                task.into_iter().for_each(|task| task());
            }
            _ if self.is_calm.get() => {}
            0..84 => {
                let which = chance.below(self.connections.len() as u64) as usize;
                // One that is borrowed is in the middle of a step of its own.
                if let Ok(mut connection) = self.connections[which].try_borrow_mut() {
                    connection.step(self);
                }
            }
            84..94 => match tasks.take_due() {
                Some(task) => task(),
                None if self.drips.get() => tasks.advance(chance.below(3 * INTERVAL_MS)),
                None => tasks.advance(chance.below(INTERVAL_MS / 2)),
            },
            94..96 => {
                let key = chance.below(self.keys.len() as u64) as usize;
                match chance.below(100) {
                    0..12 => {
                        self.forgive(key);
                        let resume =
                            Resume { key: self.keys[key].secret, epoch: 0, mode: ResumeMode::Join };
                        self.registry().discard_left(&Identity::ANONYMOUS, &resume);
                    }
                    12..45 => self.look_at(key),
                    45..55 => self.abandon(key),
                    _ => {}
                }
                self.go_on_watching();
            }
            _ if chance.per_mille(self.crashes_per_mille * 10) => {
                let crash = *chance.of(&[Crash::Kill, Crash::PowerCut]);
                let durability = self.choose_durability();
                self.shared.trace(|| format!("{crash:?}, the next one is {durability:?}"));
                let syncs = durability == Durability::Full;
                self.shared.disk.lock().unwrap().crash(crash, syncs, chance);
                self.shared.syncs.store(syncs, Ordering::Relaxed);
                self.has_crashed.set(true);
            }
            _ => {}
        }
    }

    /// How durable the next server makes things.
    fn choose_durability(&self) -> Durability {
        let mut options = self.options.borrow_mut();
        if let Some(changes) = &self.changes {
            let all = [Durability::Full, Durability::Commit, Durability::None];
            options.durability = *changes.of(&all);
        }
        options.durability
    }

    /// Somebody gives a reason to remove an upload.
    pub(super) fn forgive(&self, key: usize) {
        let id = self.keys[key].id();
        self.shared.disk.lock().unwrap().slot(id).forgiven += 1;
    }

    /// After a crash: what was in memory is gone.
    pub(super) fn restart_if_crashed(&self) {
        if !self.has_crashed.get() {
            return;
        }
        let tasks = self.shared.tasks();
        tasks.end();
        for connection in &self.connections {
            connection.take();
        }
        self.writers.borrow_mut().clear();
        self.watchers.borrow_mut().clear();
        *self.shared.tasks.lock().unwrap() = Tasks::new(tasks.now());
        let quota = Quota::new(self.quota_bytes);
        {
            let mut disk = self.shared.disk.lock().unwrap();
            let boot = disk.boot;
            for slot in &mut disk.slots {
                slot.is_over = false;
                if slot.data.is_some() {
                    let found = slot.recover(boot, false).map_or(0, |found| found.kept.bytes());
                    quota.parked(&Identity::ANONYMOUS, slot.id, found);
                }
            }
        }
        *self.shared.quota.lock().unwrap() = Arc::new(quota);
        *self.registry.borrow_mut() = Self::start(&self.shared, &self.options.borrow());
        self.has_crashed.set(false);
    }

    fn leave_all(&self) {
        for connection in &self.connections {
            let left = connection.take();
            left.leave(self);
        }
    }

    /// Whether a step is taken in the middle of another.
    pub(super) fn is_nested(&self) -> bool {
        self.depth.get() > 0
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.has_crashed.get()
    }

    pub(super) fn id(&self, key: usize) -> Id {
        self.keys[key].id()
    }

    pub(super) fn count_session(&self, key: usize) -> u64 {
        let mut disk = self.shared.disk.lock().unwrap();
        let slot = disk.slot(self.id(key));
        slot.sessions += 1;
        slot.sessions
    }

    /// How often an upload was begun or removed, and whether it has bytes.
    pub(super) fn beginnings(&self, key: usize) -> (u64, bool) {
        let mut disk = self.shared.disk.lock().unwrap();
        let slot = disk.slot(self.id(key));
        (slot.beginnings, slot.data.is_some())
    }

    /// Whether all that is here is of one version.
    pub(super) fn is_all_of(&self, key: usize, version: Version) -> bool {
        let mut disk = self.shared.disk.lock().unwrap();
        let data = &disk.slot(self.id(key)).data;
        data.iter().flat_map(Pieces::iter).all(|(.., other)| other == version % VERSIONS)
    }

    /// There is a reason for an entry or two, however little they say.
    pub(super) fn allow_entries(&self, key: usize) {
        let id = self.id(key);
        self.shared.disk.lock().unwrap().slot(id).allow_entries(2);
    }
}
