//! Those who only wait: for what is here to be kept, for a look at an upload, or for its end.

use sandport_protocol::journal::{GROUP_BYTES, Ranges};
use sandport_protocol::{EntryName, Receipt, Refusal, RefusalCode};

use super::connection::Waiting;
use super::world::World;
use crate::resumable::{Session, UploadStatus};

/// Somebody who waits.
pub(super) struct Watcher {
    key: usize,
    /// How often the upload had been begun or removed by then.
    beginnings: u64,
    awaited: Awaited,
}

enum Awaited {
    /// What was here then.
    Kept(Here, Waiting<Result<(), Refusal>>),
    Seen {
        settles: bool,
        status: Waiting<Result<UploadStatus, Refusal>>,
    },
    Ended(Waiting<Result<(), Refusal>>),
}

/// What was here of an upload when somebody wanted all of it kept.
#[derive(Clone, Copy)]
struct Here {
    /// Bytes from the start.
    received: u64,
    size: Option<u64>,
    /// Whether it is kept however little that is.
    keeps_empty: bool,
    /// Who had its files, and how many reasons there were by then to give it up.
    user: Option<u64>,
    forgiven: u32,
}

impl World {
    /// A session wants all kept that is here.
    pub(super) fn keep(&self, key: usize, session: &Session) {
        let progress = session.handle().progress();
        let keeps_empty = session.keeps_empty();
        let size = progress.size.filter(|_| keeps_empty);
        let kept = session.handle().keep();
        let outcome = Waiting::new(async move { kept.ready().await });
        self.shared.trace(|| format!("keeps {progress:?}"));
        let (user, forgiven) = {
            let mut disk = self.shared.disk.lock().unwrap();
            let slot = disk.slot(self.id(key));
            slot.is_asked = true;
            (slot.user, slot.forgiven)
        };
        let here = Here { received: progress.received, size, keeps_empty, user, forgiven };
        self.watch(key, Awaited::Kept(here, outcome));
    }

    /// Somebody looks at an upload.
    pub(super) fn look_at(&self, key: usize) {
        let settles = self.shared.chance.per_mille(400);
        let (registry, id) = (self.registry(), self.id(key));
        self.shared.trace(|| format!("{id} is looked at, settles: {settles}"));
        self.allow_entries(key);
        if settles {
            // As one more that takes it over: who leaves after that had lost it, whatever fault it had met.
            self.count_session(key);
        }
        let receipt = |_: &EntryName| -> Option<Receipt> { None };
        let status = Waiting::new(async move { registry.status(id, settles, receipt).await });
        self.watch(key, Awaited::Seen { settles, status });
    }

    /// Somebody ends an upload.
    pub(super) fn abandon(&self, key: usize) {
        self.forgive(key);
        let (registry, id) = (self.registry(), self.id(key));
        self.shared.trace(|| format!("{id} is abandoned"));
        self.watch(key, Awaited::Ended(Waiting::new(async move { registry.abandon(id).await })));
    }

    fn watch(&self, key: usize, awaited: Awaited) {
        let (beginnings, _) = self.beginnings(key);
        self.watchers.borrow_mut().push(Watcher { key, beginnings, awaited });
    }

    /// Lets those go on who look at an upload: what is said of who holds it is out of date with the next step.
    pub(super) fn hear_looks(&self) {
        let is_look = |watcher: &mut Watcher| matches!(watcher.awaited, Awaited::Seen { .. });
        let looks: Vec<_> = self.watchers.borrow_mut().extract_if(.., is_look).collect();
        let left: Vec<_> = looks.into_iter().filter_map(|watcher| watcher.go_on(self)).collect();
        self.watchers.borrow_mut().extend(left);
    }

    /// Lets those go on who wait, as far as they can; whether any could.
    pub(super) fn go_on_watching(&self) -> bool {
        // Those that are added meanwhile wait for the next time.
        let watchers = self.watchers.take();
        let before = watchers.len();
        let left: Vec<_> = watchers.into_iter().filter_map(|watcher| watcher.go_on(self)).collect();
        let has_moved = left.len() < before;
        self.watchers.borrow_mut().extend(left);
        has_moved
    }
}

impl Watcher {
    /// What waits on of it.
    fn go_on(mut self, world: &World) -> Option<Self> {
        match &mut self.awaited {
            Awaited::Kept(here, outcome) => {
                let here = *here;
                let Some(outcome) = outcome.poll() else { return Some(self) };
                world.shared.trace(|| format!("a keep of {} ends {outcome:?}", here.received));
                if outcome.is_ok() {
                    self.check_kept(world, here);
                }
            }
            Awaited::Seen { settles, status } => {
                let settles = *settles;
                let Some(status) = status.poll() else { return Some(self) };
                world.shared.trace(|| format!("a look ends {status:?}"));
                if let Ok(status) = status
                    && status.outcome.is_none()
                {
                    self.check_seen(world, &status, settles);
                }
            }
            Awaited::Ended(ended) => {
                let Some(ended) = ended.poll() else { return Some(self) };
                world.shared.trace(|| format!("giving up ends {ended:?}"));
                self.check_ended(world, ended.as_ref().err().map(|it| it.code));
            }
        }
        None
    }

    fn is_of_before(&self, world: &World) -> bool {
        world.has_crashed() || world.beginnings(self.key).0 != self.beginnings
    }

    fn check_kept(&self, world: &World, here: Here) {
        if self.is_of_before(world) {
            return;
        }
        let Here { received, size, keeps_empty, user, forgiven } = here;
        let mut disk = world.shared.disk.lock().unwrap();
        let (boot, syncs) = (disk.boot, world.shared.syncs());
        let slot = disk.slot(world.id(self.key));
        // What was told before may be given up for a reason that came after it.
        let reasons = if slot.user == user {
            slot.forgiven - forgiven.min(slot.forgiven)
        } else {
            slot.forgiven
        };
        // Without data, it is being published.
        if slot.data.is_none() || reasons > 0 {
            return;
        }
        if slot.recoverable(boot, syncs) < received {
            world.shared.violate("1: bytes are told to be kept that a crash would lose");
        }
        slot.tell(received, syncs);
        if keeps_empty {
            slot.promise(syncs);
        }
        let said = slot.recover(boot, syncs).and_then(|found| found.begun.size);
        if size.is_some() && said != size {
            world.shared.violate("8: a size that was set is told to be kept and is not");
        }
    }

    fn check_seen(&self, world: &World, status: &UploadStatus, settles: bool) {
        let is_evicted = |code| matches!(code, RefusalCode::Locked | RefusalCode::Cancelled);
        let writes = world.writers.borrow().iter().any(|writer| {
            let fault = writer.signals.fault();
            writer.key == self.key && fault.is_some_and(|fault| is_evicted(fault.code))
        });
        if settles && writes {
            world.shared.violate("2: an upload is told to be settled while its loser writes");
        }
        if self.is_of_before(world) {
            return;
        }
        let mut disk = world.shared.disk.lock().unwrap();
        let (boot, syncs) = (disk.boot, world.shared.syncs());
        let slot = disk.slot(world.id(self.key));
        let Some(data) = &slot.data else { return };
        if status.durable > slot.recoverable(boot, syncs) {
            world.shared.violate("1: a look tells bytes to be durable that a crash would lose");
        }
        // First bytes of a group are held back.
        let mut here = Ranges::default();
        data.iter().for_each(|(start, end, _)| here.insert(start, end));
        let whole = status.received / GROUP_BYTES * GROUP_BYTES;
        let is_here = here.gaps_within((0, whole)).is_empty();
        if !is_here || slot.provisional.touches(0, whole) {
            world.shared.violate("9: a look tells bytes to be here that are not");
        }
    }

    fn check_ended(&self, world: &World, refused: Option<RefusalCode>) {
        if self.is_of_before(world) || refused == Some(RefusalCode::Io) {
            return;
        }
        let mut disk = world.shared.disk.lock().unwrap();
        if disk.slot(world.id(self.key)).data.is_some() {
            world.shared.violate("10: an upload that was given up is here");
        }
    }
}
