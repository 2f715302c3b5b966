//! With `Durability::Commit`, an upload that goes on is synced at its end alone: what of it is believed before that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::resume::{self, GROUP, bring, content, extent, finish, offer_of, options, wait_durable};
use super::simulated_disk::{IMAGES, SimulatedDisk};
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

fn commits(watermark_bytes: u64) -> InboxOptions {
    InboxOptions { durability: Durability::Commit, ..options(watermark_bytes) }
}

#[test]
fn groups_never_synced_are_not_trusted_after_a_power_cut() {
    let disk = SimulatedDisk::<()>::without(None);
    let content = content(4 * GROUP + 9);
    let inbox = disk.start(commits(GROUP as u64));
    let upload = accept(&inbox, &offer_of(&content));
    upload.body(ALL).unwrap().write(&content[..3 * GROUP + GROUP / 2]);
    wait_durable(&upload, 3 * GROUP);
    disk.promise(|()| ());
    let cut = disk.take_cuts().pop().unwrap();
    drop((upload, inbox));
    for (number, image) in IMAGES.into_iter().enumerate() {
        disk.restore(&cut, image, &mut (number as u64));
        let inbox = Inbox::open_on(Disk::rebooted(), &disk.dir(), commits(u64::MAX)).unwrap();
        let again = accept(&inbox, &offer_of(&content));
        assert_eq!(again.durable(), 0, "{image:?}");
        assert_eq!(again.missing(), [extent(0, content.len())], "{image:?}");
        bring(&again, &content);
        finish(again, &content);
        assert_eq!(fs::read(disk.dir().join("big")).unwrap(), content, "{image:?}");
    }
}

/// Syncs of data fail, and what is to be removed by that is not, until this is dropped.
struct Failing {
    _let_go: Sender<()>,
    has_failed: Arc<AtomicBool>,
}

impl Failing {
    fn at(bench: &Bench, step: Step) -> Self {
        let disk = &bench.inbox().handle.core.disk;
        let has_failed = Arc::<AtomicBool>::default();
        let failed = Arc::clone(&has_failed);
        disk.watch(Box::new(move |at| {
            if at != step {
                return Ok(());
            }
            failed.store(true, Ordering::Relaxed);
            Err(Errno::IO)
        }));
        let (let_go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        disk.watch_holds(Arc::new(move |step, _| {
            if step == Step::Remove {
                let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
            }
        }));
        Self { _let_go: let_go, has_failed }
    }

    fn has_failed(&self) {
        until("a sync that fails", || self.has_failed.load(Ordering::Relaxed));
    }
}

/// What is found of an upload by the server that comes after one that was killed between a failed sync of the data and
/// the end of the upload; `lose`: what the disk gave up.
fn found_after(step: Step, lose: impl Fn(&mut [u8])) -> (Bench, Vec<u8>) {
    let content = content(4 * GROUP + 9);
    let bench = Bench::in_memory(commits(GROUP as u64));
    let upload = accept(bench.inbox(), &offer_of(&content));
    let brought = if step == Step::SyncPartial { 3 * GROUP } else { content.len() };
    upload.body(ALL).unwrap().write(&content[..brought]);
    wait_durable(&upload, 3 * GROUP);
    let failing = Failing::at(&bench, step);
    let pending = match step {
        Step::SyncPartial => {
            drop(upload);
            None
        }
        _ => Some(upload.commit(content.len() as u64, Some(digest(&content)))),
    };
    failing.has_failed();
    let after = resume::killed_now(&bench, |name, bytes| {
        if name.ends_with(".data") {
            lose(bytes);
        }
    });
    drop(failing);
    drop(pending);
    (after, content)
}

#[test]
fn what_a_failed_sync_gave_up_is_not_trusted_after_a_kill() {
    for step in [Step::SyncPartial, Step::SyncFile] {
        let (after, content) = found_after(step, |data| data[GROUP + 7..GROUP + 4_096].fill(0));
        let again = accept(after.inbox(), &offer_of(&content));
        assert_eq!(again.missing(), [extent(0, content.len())], "{step:?}");
        bring(&again, &content);
        finish(again, &content);
        assert_eq!(after.published(), [("big".to_owned(), content)]);
    }
}

#[test]
fn what_is_there_is_kept_though_its_sync_is_unknown() {
    for step in [Step::SyncPartial, Step::SyncFile] {
        let (after, content) = found_after(step, |_| ());
        let again = accept(after.inbox(), &offer_of(&content));
        assert!(again.durable() >= 3 * GROUP as u64, "{step:?}: {}", again.durable());
        bring(&again, &content);
        finish(again, &content);
        assert_eq!(after.published(), [("big".to_owned(), content)]);
    }
}
