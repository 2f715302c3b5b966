//! The rules that concern all of a world: when it is at rest, and when all have left.

use sandport_protocol::{Millis, RefusalCode};

use super::super::connection::{Connection, Role};
use super::super::disk::Sickness;
use super::{INTERVAL_MS, NO_QUOTA, World};
use crate::runtime::Runtime;

/// How long a body may wait for a watermark that fails: intervals.
const INTERVALS_TO_WAIT_MAX: u32 = 5;

/// How many tasks and timers there may be until nothing is left, where nothing comes. Each upload has a few.
const STEPS_TO_END_MAX: u32 = 2_000;

impl World {
    /// No journal can be written for a while. Nobody waits for that.
    pub(super) fn suffer(&self) -> Result<(), String> {
        self.shared.disk.lock().unwrap().sickness =
            Sickness { journal: 1_000, ..Sickness::default() };
        self.is_calm.set(false);
        for _ in 0..30 {
            self.step();
            self.restart_if_crashed();
        }
        self.is_calm.set(true);
        for _ in 0..INTERVALS_TO_WAIT_MAX {
            let tasks = self.shared.tasks();
            while let Some(task) =
                tasks.take_ready(&self.shared.chance).or_else(|| tasks.take_due())
            {
                task();
            }
            for connection in &self.connections {
                connection.borrow_mut().go_on(self);
            }
            tasks.advance(INTERVAL_MS);
        }
        self.check()?;
        if self.connections.iter().any(|connection| connection.borrow().waits_for_room()) {
            return Err("3: a body waits for as long as keeps fail".into());
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(rule) = self.shared.violated() {
            return Err(rule);
        }
        let tasks = self.shared.tasks();
        let disk = self.shared.disk.lock().unwrap();
        if tasks.has_ready() || tasks.next_due().is_some_and(|at| at <= tasks.now()) {
            return Ok(());
        }
        let late = |since: Option<Millis>| since.is_some_and(|at| tasks.now() > at + INTERVAL_MS);
        if let Some(slot) = disk.slots.iter().find(|slot| late(slot.whole_since)) {
            let (since, due) = (slot.whole_since, tasks.next_due());
            self.shared
                .trace(|| format!("{} has {:?} since {since:?}, {due:?}", slot.id, slot.data));
            return Err("3: whole groups are not kept in time".into());
        }
        for slot in &disk.slots {
            let seconds = (tasks.now() - slot.small_since) / 1_000;
            // Ever seldomer, down to one a minute.
            let most = u64::from((seconds + 1).ilog2()) + seconds / 60;
            if slot.small_entries > 3 + most {
                let (entries, asked) = (slot.small_entries, slot.asked);
                self.shared.trace(|| {
                    format!(
                        "{} has {entries} small entries in {seconds} s, and {asked} asked for",
                        slot.id
                    )
                });
                return Err("3: a drip makes entries in the journal".into());
            }
        }
        Ok(())
    }

    /// Lets all tasks and timers run, and whoever waits go on, until nothing happens any more.
    pub(super) fn come_to_rest(&self) -> Result<(), String> {
        let mut left = STEPS_TO_END_MAX;
        loop {
            self.restart_if_crashed();
            if let Some(rule) = self.shared.violated() {
                return Err(rule);
            }
            let tasks = self.shared.tasks();
            let mut has_moved = false;
            while let Some(task) = tasks.take_ready(&self.shared.chance) {
                task();
                has_moved = true;
            }
            for connection in &self.connections {
                has_moved |= connection.borrow_mut().go_on(self);
            }
            has_moved |= self.go_on_watching();
            if has_moved || tasks.has_ready() {
                left = left.saturating_sub(1);
            } else if let Some(task) = tasks.take_due() {
                task();
                left = left.saturating_sub(1);
            } else if let Some(at) = tasks.next_due() {
                tasks.advance(at - tasks.now());
            } else {
                break;
            }
            if left == 0 {
                return Err("7: it does not come to rest".into());
            }
        }
        self.check()?;
        if !self.watchers.borrow().is_empty() {
            return Err("3: nothing happens any more, and somebody waits who only watches".into());
        }
        for connection in &self.connections {
            let stuck = connection.borrow().waits_in_vain(self);
            if let Some(what) = stuck {
                return Err(format!("3: nothing happens any more, and {what}"));
            }
        }
        Ok(())
    }

    pub(super) fn check_nothing_is_left(&self) -> Result<(), String> {
        if let Some(rule) = self.shared.violated() {
            return Err(rule);
        }
        if !self.registry().is_empty() {
            return Err("7: all have left, and an upload is open".into());
        }
        let disk = self.shared.disk.lock().unwrap();
        if disk.slots.iter().any(|slot| slot.user.is_some() || slot.work.is_some()) {
            return Err("7: all have left, and the files of an upload are in use".into());
        }
        let [bytes, files, waiting] = self.shared.quota().totals();
        if bytes != 0 || files != 0 {
            return Err("6: all have left, and something is reserved".into());
        }
        let parked = disk.slots.iter().filter(|slot| slot.data.is_some()).count();
        // Where a quota is met, the account looks at the files that wait, and the directory of the model has none.
        if self.quota_bytes == NO_QUOTA && waiting != parked as u64 {
            return Err(format!("6: {parked} uploads wait, and {waiting} are counted"));
        }
        let boot = disk.boot;
        if disk.slots.iter().any(|slot| slot.breaks_its_word(boot)) {
            return Err("1: less can be recovered than was told to be durable".into());
        }
        Ok(())
    }

    /// Somebody sends all of a file, and nothing is in the way; `false`: there is a limit for it.
    pub(super) fn finish_honestly(&self, key: usize) -> Result<bool, String> {
        {
            let mut connection = self.connections[0].borrow_mut();
            *connection = Connection::honest(self, key);
        }
        for _ in 0..200 {
            self.come_to_rest()?;
            let mut connection = self.connections[0].borrow_mut();
            if connection.is_idle() {
                break;
            }
            connection.act_honestly(self);
        }
        self.come_to_rest()?;
        let ended = self.connections[0].take();
        match ended.outcome() {
            Some(Ok(_)) => Ok(true),
            None if self.keys[key].role == Role::Part => self.check_part(key),
            Some(Err(refusal))
                if matches!(refusal.code, RefusalCode::QuotaExceeded | RefusalCode::TooLarge) =>
            {
                Ok(false)
            }
            other => Err(format!("4: a sender that does all right gets {other:?}")),
        }
    }

    /// A part was brought and kept.
    fn check_part(&self, key: usize) -> Result<bool, String> {
        let mut disk = self.shared.disk.lock().unwrap();
        let (boot, syncs) = (disk.boot, self.shared.syncs());
        if disk.slot(self.id(key)).recoverable(boot, syncs) < self.keys[key].size {
            return Err("11: a part that was brought is not here".into());
        }
        Ok(true)
    }
}
