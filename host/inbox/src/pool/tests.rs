use std::sync::atomic::AtomicBool;

use super::*;
use sandport_testkit::patience::{PATIENCE, Watchdog, until};

fn queue() -> Arc<Queue> {
    let queue = Queue::default();
    queue.waiting().ready.threads = 1;
    Arc::new(queue)
}

/// Comes again as soon as it has run, until it is to stop.
fn again(queue: &Arc<Queue>, stops: &Arc<AtomicBool>) {
    let (next, until) = (Arc::clone(queue), Arc::clone(stops));
    queue.spawn(Box::new(move || {
        if !until.load(Ordering::Relaxed) {
            again(&next, &until);
        }
    }));
}

#[test]
fn what_is_due_is_done_though_something_is_always_ready() {
    let _watchdog = Watchdog::start();
    let (queue, stops) = (queue(), Arc::new(AtomicBool::new(false)));
    again(&queue, &stops);
    let (is_done, done) = (Arc::clone(&stops), Arc::clone(&stops));
    queue.wake(queue.now() + 20, Box::new(move || is_done.store(true, Ordering::Relaxed)));
    queue.waiting().ends = true;
    // It ends when nothing is ready any more.
    std::thread::scope(|scope| {
        scope.spawn(|| queue.run(Kind::Works));
        until("what was due", || done.load(Ordering::Relaxed));
    });
}

#[test]
fn removals_hold_up_nothing_and_are_finished() {
    let _watchdog = Watchdog::start();
    let queue = queue();
    queue.waiting().removals.threads = 1;
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let removed = Arc::<AtomicBool>::default();
    queue.remove(Box::new(move || _ = gate.recv_timeout(PATIENCE)));
    for _ in 0..2 {
        let (is_removed, next) = (Arc::clone(&removed), Arc::clone(&queue));
        let keeps_waiting = move || is_removed.store(true, Ordering::Relaxed);
        let last: Task = Box::new(move || next.spawn(Box::new(keeps_waiting)));
        queue.remove(last);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| queue.run(Kind::Removes));
        scope.spawn(|| queue.run(Kind::Works));
        let done = Arc::<AtomicBool>::default();
        let is_done = Arc::clone(&done);
        queue.spawn(Box::new(move || is_done.store(true, Ordering::Relaxed)));
        until("work beside a removal that hangs", || done.load(Ordering::Relaxed));
        queue.waiting().ends = true;
        queue.notify_all();
        drop(let_go);
    });
    assert!(removed.load(Ordering::Relaxed), "what a removal brings is done too");
}

#[test]
fn readings_of_whole_files_hold_up_nothing_and_are_finished() {
    let _watchdog = Watchdog::start();
    let queue = queue();
    queue.waiting().readings.threads = 1;
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let read = Arc::<AtomicBool>::default();
    let is_read = Arc::clone(&read);
    queue.read(Box::new(move || _ = gate.recv_timeout(PATIENCE)));
    queue.read(Box::new(move || is_read.store(true, Ordering::Relaxed)));
    std::thread::scope(|scope| {
        scope.spawn(|| queue.run(Kind::Reads));
        scope.spawn(|| queue.run(Kind::Works));
        let done = Arc::<AtomicBool>::default();
        let is_done = Arc::clone(&done);
        queue.spawn(Box::new(move || is_done.store(true, Ordering::Relaxed)));
        until("work beside a reading that takes long", || done.load(Ordering::Relaxed));
        queue.waiting().ends = true;
        queue.notify_all();
        drop(let_go);
    });
    assert!(read.load(Ordering::Relaxed));
}

#[test]
fn what_is_due_first_is_done_first() {
    let _watchdog = Watchdog::start();
    let (queue, order) = (queue(), Arc::<Mutex<Vec<u64>>>::default());
    for at in [3, 1, 2] {
        let order = Arc::clone(&order);
        let done = move || order.lock().unwrap_or_else(PoisonError::into_inner).push(at);
        queue.wake(at, Box::new(done));
    }
    std::thread::scope(|scope| {
        scope.spawn(|| queue.run(Kind::Works));
        until("all that was due", || {
            order.lock().unwrap_or_else(PoisonError::into_inner).len() == 3
        });
        queue.waiting().ends = true;
        queue.changed.notify_all();
    });
    assert_eq!(*order.lock().unwrap_or_else(PoisonError::into_inner), [1, 2, 3]);
}
