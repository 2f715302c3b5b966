//! Copies that take long: who waits for them, and who does not.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::io::Errno;
use sandport_protocol::ResumeMode;

use super::batches::batch;
use super::resume::{bring, content, resumable};
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

const DURABILITIES: [Durability; 3] = [Durability::Full, Durability::Commit, Durability::None];

/// A bench whose directories are as if on file systems of their own.
fn bench(durability: Durability) -> Bench {
    let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
    bench.inbox().handle.core.disk.without_moves();
    bench
}

/// Holds the next copy until it is let go; later ones go on.
struct SlowDisk {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl SlowDisk {
    fn of(inbox: &Inbox) -> Self {
        let (reach, reached) = channel();
        let (go, gone) = channel();
        let held = Mutex::new(Some((reach, gone)));
        inbox.handle.core.disk.watch_copies(Arc::new(move || {
            let first = held.lock().unwrap().take();
            if let Some((reach, gone)) = first {
                reach.send(()).unwrap();
                gone.recv_timeout(PATIENCE).unwrap();
            }
            Ok(())
        }));
        Self { reached, go }
    }

    /// Waits until a copy has begun.
    fn reached(&self) {
        receive("the beginning of a copy", &self.reached);
    }

    fn go(self) {
        self.go.send(()).unwrap();
    }
}

/// An upload that can be resumed, of which all is here.
fn large(bench: &Bench, name: &str) -> (Upload, Vec<u8>) {
    let content = content(1_200_000);
    let offer = resumable(name, Some(content.len() as u64), ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &offer);
    bring(&upload, &content);
    (upload, content)
}

#[test]
fn other_senders_are_answered_while_a_file_is_copied() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        let slow = SlowDisk::of(bench.inbox());
        let (upload, content) = large(&bench, "mount/large");
        let copied = upload.commit(content.len() as u64, Some(digest(&content)));
        slow.reached();
        bench.send("small", b"small").unwrap();
        wait(&upload_of(&bench, "also-small")).unwrap();
        assert!(!copied.is_complete(), "{durability:?}: it is being copied still");
        assert_eq!(bench.names(), ["also-small", "mount/", "small"]);
        slow.go();
        assert_eq!(wait(&copied).unwrap().name, "mount/large");
        assert_eq!(fs::read(bench.path("mount/large")).unwrap(), content);
        settle(bench.inbox());
        assert!(!bench.path("mount/.sandport").exists());
        assert_eq!(bench.staged(), 0);
    }
}

fn upload_of(bench: &Bench, name: &str) -> CommitHandle {
    upload(bench.inbox(), &offer(name, b"x"), b"x").commit(1, None)
}

/// Two file systems that are mounted into the inbox.
const TWO_MOUNTS: &str = "mkdir -p \"$0/inbox/slow\" \"$0/inbox/quick\" && \
    mount -t tmpfs tmpfs \"$0/inbox/slow\" && mount -t tmpfs tmpfs \"$0/inbox/quick\"";

#[test]
fn a_slow_mount_does_not_hold_up_another() {
    namespace::run_inside(namespace::MOUNT, TWO_MOUNTS, |top| {
        for durability in DURABILITIES {
            let options = InboxOptions { durability, ..InboxOptions::default() };
            let inbox = Inbox::open(&top.join("inbox"), options).unwrap();
            let slow = SlowDisk::of(&inbox);
            let [on_slow, on_quick] =
                ["slow", "quick"].map(|mount| format!("{mount}/{durability:?}"));
            let on_slow = upload(&inbox, &offer(&on_slow, b"x"), b"x").commit(1, None);
            slow.reached();
            send(&inbox, &on_quick, b"x").unwrap();
            assert!(!on_slow.is_complete());
            slow.go();
            wait(&on_slow).unwrap();
            settle(&inbox);
            assert!(!top.join("inbox/slow/.sandport").exists());
        }
    });
}

#[test]
fn an_inbox_that_closes_finishes_its_copies() {
    for durability in DURABILITIES {
        let mut bench = bench(durability);
        let slow = SlowDisk::of(bench.inbox());
        // The second waits for the first, since both are for one disk.
        let pending = ["mount/a", "mount/b"].map(|name| upload_of(&bench, name));
        slow.reached();
        let inbox = bench.inbox.take();
        let (closed, closes) = channel();
        std::thread::spawn(move || {
            drop(inbox);
            closed.send(()).unwrap();
        });
        slow.go();
        for pending in &pending {
            wait(pending).unwrap();
        }
        receive("the end of the inbox", &closes);
        bench.restart();
        assert_eq!(bench.names(), ["mount/", "mount/a", "mount/b"]);
        let again = bench.inbox().offered(&offer_with_digest("mount/a", b"x")).unwrap();
        assert!(matches!(again, OfferResponse::Stored(_)), "{durability:?}: {again:?}");
    }
}

#[test]
fn a_copy_that_finds_no_room_is_refused_alone() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        bench.inbox().handle.core.disk.watch_copies(Arc::new(|| Err(Errno::NOSPC)));
        let (upload, content) = large(&bench, "mount/large");
        let failed = upload.commit(content.len() as u64, None);
        bench.send("small", b"small").unwrap();
        assert_eq!(code(wait(&failed)), RefusalCode::InsufficientSpace);
        assert_eq!(bench.names(), ["mount/", "small"]);
        settle(bench.inbox());
        assert!(!bench.path("mount/.sandport").exists());
        bench.inbox().handle.core.disk.watch_copies(Arc::new(|| Ok(())));
        let (upload, content) = large(&bench, "mount/large");
        wait(&upload.commit(content.len() as u64, Some(digest(&content)))).unwrap();
        assert_eq!(fs::read(bench.path("mount/large")).unwrap(), content);
    }
}

#[test]
fn two_who_send_the_same_file_get_one_receipt() {
    let bench = bench(Durability::Full);
    let (pending, _) = batch(&bench, |inbox| {
        vec![1, 2].into_iter().map(|_| upload(inbox, &offer("mount/a", b"x"), b"x")).collect()
    });
    let [first, second] = [&pending[0], &pending[1]].map(|pending| wait(pending).unwrap());
    assert_eq!(first, second);
    assert_eq!(bench.names(), ["first", "mount/", "mount/a"]);
}

#[test]
fn a_file_follows_its_directory_that_was_replaced_meanwhile() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        let slow = SlowDisk::of(bench.inbox());
        let pending = upload_of(&bench, "mount/a");
        slow.reached();
        fs::rename(bench.path("mount"), bench.path("away")).unwrap();
        let other = upload_of(&bench, "other/b");
        slow.go();
        assert_eq!(wait(&pending).unwrap().name, "mount/a");
        wait(&other).unwrap();
        let names = ["away/", "mount/", "mount/a", "other/", "other/b"];
        assert_eq!(bench.names(), names, "{durability:?}");
        for directory in ["away", "mount", "other"] {
            settle(bench.inbox());
            assert!(!bench.path(directory).join(".sandport").exists());
        }
    }
}

#[test]
fn a_copy_that_a_killed_server_left_goes_at_the_next_start() {
    for durability in DURABILITIES {
        let mut bench = bench(durability);
        let (upload, content) = large(&bench, "mount/sub/large");
        let mut copied = false;
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            copied |= step == Step::Copy;
            let dies = copied && matches!(step, Step::Publish | Step::Remove);
            if dies { Err(Errno::IO) } else { Ok(()) }
        }));
        let pending = upload.commit(content.len() as u64, None);
        wait(&pending).unwrap_err();
        assert!(bench.path("mount/sub/.sandport").exists(), "{durability:?}");
        bench.restart();
        settle(bench.inbox());
        assert!(!bench.path("mount/sub/.sandport").exists(), "{durability:?}");
        assert_eq!(
            (bench.names(), bench.staged()),
            (vec!["mount/".into(), "mount/sub/".into()], 0)
        );
    }
}

#[test]
fn a_file_that_a_copy_was_about_to_replace_keeps_its_record() {
    let mut bench = Bench::conflict(Conflict::Replace);
    bench.inbox().handle.core.disk.without_moves();
    bench.send("mount/a", b"first").unwrap();
    let pending = upload(bench.inbox(), &offer("mount/a", b"second"), b"second");
    let disk = &bench.inbox().handle.core.disk;
    let (mut copied, mut dead) = (false, false);
    disk.watch(Box::new(move |step| {
        copied |= step == Step::Copy;
        dead |= copied && step == Step::Publish;
        if dead { Err(Errno::IO) } else { Ok(()) }
    }));
    wait(&pending.commit(6, None)).unwrap_err();
    for _ in 0..2 {
        bench.restart();
        let again = bench.inbox().offered(&offer_with_digest("mount/a", b"first")).unwrap();
        assert!(matches!(again, OfferResponse::Stored(_)), "{again:?}");
        assert_eq!(verified(&bench.dir()), ["whole mount/a"]);
    }
}
