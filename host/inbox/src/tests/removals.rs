//! Who removes what, and who waits for that: directories that hang, and large files.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use sandport_protocol::{Resume, ResumeMode};

use super::resume::{bring, content, extent, finish, options, resumable, wait_durable};
use super::*;
use crate::disk::Step;
use crate::removal::REMOVALS_MAX;
use sandport_testkit::patience::PATIENCE;

const GROUP: usize = super::resume::GROUP;

/// Removals that hang until this is dropped.
struct Hang {
    _let_go: Sender<()>,
    reached: Arc<AtomicUsize>,
}

impl Hang {
    fn of(inbox: &Inbox) -> Self {
        let (let_go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let reached = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&reached);
        inbox.handle.core.disk.watch_holds(Arc::new(move |step, _| {
            if step == Step::Remove {
                counted.fetch_add(1, Ordering::Relaxed);
                let waited = gate.lock().unwrap().recv_timeout(PATIENCE);
                assert!(
                    waited.is_err_and(|error| error != std::sync::mpsc::RecvTimeoutError::Timeout)
                );
            }
        }));
        Self { _let_go: let_go, reached }
    }

    /// Waits until so many removals hang.
    fn reached(&self, removals: usize) {
        until("removals that hang", || self.reached.load(Ordering::Relaxed) >= removals);
    }
}

fn keyed(key: u8, size: usize, mode: ResumeMode) -> Offer {
    let offer = resumable(&format!("big{key}"), Some(size as u64), mode);
    Offer { resume: Some(Resume { key: [key; 32], epoch: 1, mode }), ..offer }
}

/// One that has a durable group and a half.
fn begun(inbox: &Inbox, key: u8, content: &[u8]) -> Upload {
    let upload = accept(inbox, &keyed(key, content.len(), ResumeMode::TakeOver));
    upload.body(extent(0, content.len())).unwrap().write(&content[..GROUP + GROUP / 2]);
    wait_durable(&upload, GROUP);
    upload
}

/// Ends uploads in all the ways after which something is to be removed; one of them had this key.
fn end_uploads(bench: &Bench, key: u8, content: &[u8]) {
    let inbox = bench.inbox();
    // Cut off.
    drop(upload(inbox, &offer("cut", b"cut"), b"cut"));
    // Not what it was to be.
    let wrong = upload(inbox, &offer("wrong", b"wrong"), b"wrong");
    assert_eq!(code(wait(&wrong.commit(5, Some(digest(b"right"))))), RefusalCode::DigestMismatch);
    // More than was announced.
    let long = accept(inbox, &offer("long", b"long"));
    let mut body = long.body(ALL).unwrap();
    body.write(b"lon");
    body.write(b"ger");
    assert!(long.fault().is_some());
    // The same file twice at a time.
    let same = offer(&format!("same{key}"), b"same");
    let twice = [(); 2].map(|()| upload(inbox, &same, b"same"));
    for pending in twice.map(|upload| upload.commit(4, Some(digest(b"same")))) {
        wait(&pending).unwrap();
    }
    // Given up.
    begun(inbox, key, content).discard();
}

#[test]
fn a_directory_whose_removals_hang_delays_no_receipt() {
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..options(GROUP as u64 / 2) });
        let content = content(2 * GROUP + 5);
        let inbox = bench.inbox();
        let hang = Hang::of(inbox);
        (10..13).for_each(|key| end_uploads(&bench, key, &content));
        hang.reached(2);
        // A small file, and one that can be resumed, from their first byte to their receipt.
        bench.send("small", b"small").unwrap();
        let large = begun(inbox, 2, &content);
        bring(&large, &content);
        finish(large, &content);
        let names = bench.names();
        assert!(["small", "same10", "big2"].iter().all(|name| names.iter().any(|it| it == name)));
        drop(hang);
        assert_eq!(bench.staged(), 0);
        until("the end of all uploads", || inbox.handle.registry.is_empty());
        assert_eq!(super::resume::partials(&bench), [""; 0]);
    }
}

#[test]
fn nothing_is_removed_but_by_threads_that_do_nothing_else() {
    for durability in [Durability::Full, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..options(GROUP as u64 / 2) });
        let others = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&others);
        bench.inbox().handle.core.disk.watch_holds(Arc::new(move |step, _| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            if step == Step::Remove && name != crate::pool::REMOVER {
                noted.lock().unwrap().push(name.to_owned());
            }
        }));
        let content = content(2 * GROUP + 5);
        end_uploads(&bench, 1, &content);
        drop(begun(bench.inbox(), 3, &content));
        // Begun anew, by another run.
        let anew = accept(bench.inbox(), &keyed(3, content.len(), ResumeMode::Restart));
        bring(&anew, &content);
        finish(anew, &content);
        drop(begun(bench.inbox(), 4, &content));
        // Here by other means.
        bench.send("big4", &content).unwrap();
        let offer = keyed(4, content.len(), ResumeMode::TakeOver);
        let offer = Offer { digest: Some(digest(&content)), ..offer };
        assert!(matches!(bench.inbox().offered(&offer), Ok(OfferResponse::Stored(_))));
        until("the end of what is here", || super::resume::partials(&bench).is_empty());
        assert_eq!(*others.lock().unwrap(), [""; 0]);
    }
}

#[test]
fn what_is_begun_anew_waits_for_the_end_of_what_was_there() {
    let bench = Bench::in_memory(options(GROUP as u64 / 2));
    let (old, new) = (content(2 * GROUP + 5), vec![7; 2 * GROUP + 5]);
    let inbox = bench.inbox();
    drop(begun(inbox, 2, &old));
    until("the end of the upload", || inbox.handle.registry.is_empty());
    let given_up = begun(inbox, 1, &old);
    let hang = Hang::of(inbox);
    given_up.discard();
    let anonymous = Identity::ANONYMOUS;
    let offers =
        [keyed(1, new.len(), ResumeMode::TakeOver), keyed(2, new.len(), ResumeMode::Restart)];
    let mut opened = offers.each_ref().map(|offer| Box::pin(inbox.offer(&anonymous, offer)));
    let mut context = Context::from_waker(Waker::noop());
    for opened in &mut opened {
        assert!(opened.as_mut().poll(&mut context).is_pending());
    }
    hang.reached(2);
    for opened in &mut opened {
        assert!(matches!(opened.as_mut().poll(&mut context), Poll::Pending));
    }
    drop(hang);
    for opened in opened {
        let Ok(OfferResponse::Accepted(upload)) = block_on("an upload that is begun anew", opened)
        else {
            panic!("it is refused")
        };
        assert_eq!(upload.missing(), [extent(0, new.len())]);
        bring(&upload, &new);
        finish(upload, &new);
    }
    assert_eq!(bench.published(), [("big1".to_owned(), new.clone()), ("big2".to_owned(), new)]);
}

#[test]
fn who_heard_of_a_receipt_may_use_the_key_again_at_once() {
    let bench = Bench::in_memory(options(GROUP as u64 / 2));
    let (old, new) = (content(2 * GROUP + 5), vec![7; GROUP + 5]);
    let inbox = bench.inbox();
    let stored = begun(inbox, 1, &old);
    let hang = Hang::of(inbox);
    bring(&stored, &old);
    let receipt = finish(stored, &old);
    hang.reached(1);
    // Another file under the key, and a look at what the key leads to.
    let other = Offer { name: Some("other".into()), ..keyed(1, new.len(), ResumeMode::TakeOver) };
    let anonymous = Identity::ANONYMOUS;
    let mut opened = Box::pin(inbox.offer(&anonymous, &other));
    let mut looked = Box::pin(inbox.look(&anonymous, &[1; 32], false));
    let mut context = Context::from_waker(Waker::noop());
    assert!(opened.as_mut().poll(&mut context).is_pending());
    assert!(looked.as_mut().poll(&mut context).is_pending());
    drop(hang);
    let status = block_on("a look", looked).unwrap();
    assert_eq!(status.outcome, Some(Ok(receipt)));
    let Ok(OfferResponse::Accepted(upload)) = block_on("another upload under the key", opened)
    else {
        panic!("it is refused")
    };
    assert_eq!(upload.missing(), [extent(0, new.len())]);
    bring(&upload, &new);
    finish(upload, &new);
    assert_eq!(bench.published(), [("big1".to_owned(), old), ("other".to_owned(), new)]);
}

#[test]
fn an_inbox_that_ends_removes_what_is_to_be_removed_before() {
    let mut bench = Bench::in_memory(options(GROUP as u64 / 2));
    let content = content(2 * GROUP + 5);
    let hang = Hang::of(bench.inbox());
    end_uploads(&bench, 1, &content);
    hang.reached(2);
    let inbox = bench.inbox.take().unwrap();
    std::thread::scope(|scope| {
        let ended = scope.spawn(move || drop(inbox));
        drop(hang);
        joined("the end of the inbox", ended);
    });
    for directory in ["staging", "partials"] {
        let left = fs::read_dir(bench.path(".sandport").join(directory)).unwrap().count();
        assert_eq!(left, 0, "{directory}");
    }
}

#[test]
fn offers_wait_where_there_is_too_much_to_be_removed() {
    let bench = Bench::in_memory(InboxOptions::default());
    let inbox = bench.inbox();
    let hang = Hang::of(inbox);
    for _ in 0..REMOVALS_MAX {
        drop(upload(inbox, &offer("cut", b"x"), b"x"));
    }
    assert_eq!(code(inbox.offered(&offer("one more", b"x"))), RefusalCode::Io);
    drop(hang);
    bench.send("one more", b"x").unwrap();
    assert_eq!(bench.staged(), 0);
}

#[test]
fn a_large_file_that_syncs_long_delays_no_small_receipt() {
    const LARGE: usize = 9 * GROUP;
    for with_key in [true, false] {
        let bench = Bench::in_memory(options(u64::MAX));
        let inbox = bench.inbox();
        let (let_go, gate) = channel::<()>();
        let (reach, reached) = channel();
        let held = Mutex::new(Some((reach, gate)));
        let is_large = |file: BorrowedFd<'_>| {
            rustix::fs::fstat(file).is_ok_and(|stat| stat.st_size == LARGE as i64)
        };
        inbox.handle.core.disk.watch_holds(Arc::new(move |step, file| {
            if step == Step::SyncFile
                && file.is_some_and(is_large)
                && let Some((reach, gate)) = held.lock().unwrap().take()
            {
                reach.send(()).unwrap();
                let _ = gate.recv_timeout(PATIENCE);
            }
        }));
        let content = content(LARGE);
        let offer = keyed(1, LARGE, ResumeMode::TakeOver);
        let resume = offer.resume.filter(|_| with_key);
        let large = accept(inbox, &Offer { resume, ..offer });
        bring(&large, &content);
        let large = large.commit(LARGE as u64, Some(digest(&content)));
        receive("the sync of a large file", &reached);
        for number in 0..20 {
            bench.send(&format!("d/{number}"), b"small").unwrap();
        }
        assert!(!large.is_complete(), "it is being synced still");
        drop(let_go);
        wait(&large).unwrap();
    }
}
