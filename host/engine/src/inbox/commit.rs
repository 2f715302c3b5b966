//! Ends of uploads: the queue of commits, the thread that makes them durable together, and what a
//! connection waits with.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandport_protocol::{EntryName, Receipt, Refusal};

use super::health::Loss;
use super::latch::Latch;
use super::publish::{FileWork, publish};
use super::stage::StagedFile;
use super::threads::start_thread;
use super::{Core, Durability};

/// Most commits that share their syncs. A batch is what came while the last one was synced; the bound
/// keeps the first of it from waiting for too many others.
const BATCH_MAX: usize = 512;

/// The name of the thread.
const THREAD: &str = "sandport-inbox";

/// How long receipts of small files may wait in memory when nothing is made durable anyway. Milliseconds. A
/// crash of the process loses those of the last moment, which costs second copies.
const FLUSH_MS: u64 = 200;

/// Something that ends an upload.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) ticket: Ticket,
}

pub(super) enum Work {
    /// Publish a file.
    File(FileWork),
    /// Make a folder.
    Folder(EntryName),
    /// Say no, in turn.
    Refused(Refusal),
}

impl Job {
    pub(super) fn new(work: Work) -> (Self, Pending) {
        let (ticket, pending) = Ticket::new();
        (Self { work, ticket }, pending)
    }

    /// Whether a file has to be copied for it. There is one copy at a time, however long it takes, so threads that
    /// others live on do not wait for their turn.
    fn is_copy(&self, core: &Core) -> bool {
        match &self.work {
            Work::File(file) => file.staged.needs_copy() || core.is_copied_into(file.name.parent()),
            Work::Folder(_) | Work::Refused(_) => false,
        }
    }
}

/// The duty to say how a commit ended.
pub(super) struct Ticket(Arc<End>);

type Outcome = Result<Receipt, Refusal>;

/// How a commit ended, for all who wait for it.
struct End {
    outcome: Latch<Outcome>,
    /// Whether the operator heard of it.
    told: AtomicBool,
}

impl Ticket {
    pub(super) fn new() -> (Self, Pending) {
        let end = Arc::new(End { outcome: Latch::new(), told: AtomicBool::new(false) });
        (Self(Arc::clone(&end)), Pending(end))
    }

    pub(super) fn resolve(self, outcome: Outcome) {
        self.0.outcome.set(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whatever happened to the committer, nobody waits forever.
        if self.0.outcome.get().is_none() {
            self.0.outcome.set(Err(Loss::Thread(THREAD).refusal()));
        }
    }
}

/// A commit on its way. Dropping it does not undo the commit.
#[derive(Clone)]
pub struct Pending(Arc<End>);

impl Pending {
    /// Whether the outcome is known.
    pub(crate) fn is_over(&self) -> bool {
        self.0.outcome.get().is_some()
    }

    /// Whether it is the same commit.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The outcome, or `None` while it is not known. It stays.
    pub fn try_get(&self) -> Option<Result<Receipt, Refusal>> {
        self.0.outcome.get().cloned()
    }

    /// Whether the operator is to hear of the outcome from whoever asks: one of all that wait for it,
    /// since several connections may carry one file.
    pub(crate) fn take_news(&self) -> bool {
        !self.0.told.swap(true, Ordering::Relaxed)
    }

    /// Returns once the outcome is known. Commits of one inbox end in the order in which they were
    /// made.
    pub async fn ready(&self) {
        self.0.outcome.wait().await;
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.0.outcome.get()).finish()
    }
}

/// What the thread of an inbox is asked for.
enum Request {
    /// Do a job: with others, durably; or alone, where nothing is synced and it takes long.
    Do(Job),
    /// Write receipts down in a while.
    Flush,
    /// Remove a staged file.
    Remove(StagedFile),
}

/// Where commits go. Dropping it waits until all that was submitted has ended.
pub(super) struct Committer {
    sender: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread of an inbox.
    pub(super) fn start(core: &Arc<Core>) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let of_thread = Arc::clone(core);
        let work = move || match of_thread.options.durability {
            Durability::Full | Durability::Commit => commit_batches(&of_thread, &receiver),
            Durability::None => flush_receipts(&of_thread, &receiver),
        };
        // Whoever waits is told when the queue goes.
        let thread = start_thread(core, THREAD, work, |_| ())?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Has a job done: by the thread, which syncs, or at once where nothing is synced.
    pub(super) fn submit(&self, core: &Arc<Core>, job: Job) {
        match core.options.durability {
            Durability::Full | Durability::Commit => self.send(Request::Do(job)),
            Durability::None if job.is_copy(core) => self.send(Request::Do(job)),
            Durability::None => {
                publish(core, vec![job]);
                if core.receipts.wants_flush() {
                    self.send(Request::Flush);
                }
            }
        }
    }

    /// Removes a staged file without making the caller wait for the disk.
    pub(super) fn remove(&self, staged: StagedFile) {
        self.send(Request::Remove(staged));
    }

    fn send(&self, request: Request) {
        if let Some(sender) = &self.sender {
            // It fails only if the thread is gone; then the request is dropped, which tells whoever
            // waits for it, or removes the file here.
            drop(sender.send(request));
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.sender = None;
        // The last handle of an inbox may end on this very thread, with an upload that nobody holds any more.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // Its panics are told by the inbox.
            let _ = thread.join();
        }
    }
}

/// Does what is queued, as much as there is at a time, until nobody can queue more.
fn commit_batches(core: &Arc<Core>, queue: &Receiver<Request>) {
    let mut compaction = CompactionThread::default();
    while let Ok(first) = queue.recv() {
        // Bounded by requests, so that files to be removed do not keep a batch waiting either.
        let requests = std::iter::once(first).chain(queue.try_iter()).take(BATCH_MAX);
        let jobs = requests.filter_map(|request| match request {
            Request::Do(job) => Some(job),
            Request::Flush => None,
            Request::Remove(staged) => {
                drop(staged);
                None
            }
        });
        publish(core, jobs.collect());
        compaction.start_if_due(core);
    }
    compaction.end(core);
    let durable = !core.unsynced.load(Ordering::Relaxed);
    core.receipts.close(&core.disk, durable, core.loss().is_some());
}

/// Writes receipts down a moment after the first of them, and does what takes long.
fn flush_receipts(core: &Arc<Core>, queue: &Receiver<Request>) {
    let mut compaction = CompactionThread::default();
    while let Ok(request) = queue.recv() {
        match request {
            Request::Do(job) => publish(core, vec![job]),
            Request::Remove(removed) => drop(removed),
            Request::Flush => {
                let due = Instant::now() + Duration::from_millis(FLUSH_MS);
                // An error is the time, or the end of the inbox.
                while let Ok(request) =
                    queue.recv_timeout(due.saturating_duration_since(Instant::now()))
                {
                    if let Request::Do(job) = request {
                        publish(core, vec![job]);
                    }
                }
                core.receipts.flush(&core.disk);
                compaction.start_if_due(core);
            }
        }
    }
    compaction.end(core);
    core.receipts.close(&core.disk, false, core.loss().is_some());
}

/// The thread that writes the receipt log anew, beside the work of the inbox: a million records take seconds.
#[derive(Default)]
struct CompactionThread(Option<JoinHandle<()>>);

impl CompactionThread {
    fn start_if_due(&mut self, core: &Arc<Core>) {
        // None is due while one is under way.
        let Some(due) = core.receipts.compaction_due(&core.disk) else { return };
        self.join();
        let compacted = Arc::clone(core);
        let work = move || {
            compacted.receipts.compact(&compacted.disk, compacted.layout.state.as_fd(), due);
        };
        match std::thread::Builder::new().name("sandport-compact".to_owned()).spawn(work) {
            Ok(thread) => self.0 = Some(thread),
            Err(error) => core.receipts.put_compaction_off(&error),
        }
    }

    fn end(&mut self, core: &Core) {
        core.receipts.stop_compaction();
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the compaction of the receipt log has panicked");
        }
    }
}
