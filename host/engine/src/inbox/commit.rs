//! Ends of uploads: the queue of commits, the thread that makes them durable together, and what a
//! connection waits with.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandport_protocol::{ContentDigest, EntryName, Receipt, Refusal};

use super::copiers::Copiers;
use super::health::Loss;
use super::latch::Latch;
use super::meter::Bill;
use super::publish::{FileWork, Uncopied, publish};
use super::stage::StagedFile;
use super::threads::{is_of_inbox, start_thread};
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

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are files, and one more allocation each costs"
)]
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
}

/// The duty to say how a commit ended.
pub(super) struct Ticket {
    end: Arc<End>,
    /// Of those who wait for the same file.
    others: Vec<Ticket>,
}

type Outcome = Result<Receipt, Refusal>;

/// How a commit ended, for all who wait for it.
struct End {
    outcome: Latch<Outcome>,
    /// Whether the operator heard of it.
    told: AtomicBool,
    sums: Mutex<KnownSums>,
}

/// What was found out beside the outcome.
#[derive(Default)]
struct KnownSums {
    /// Digests besides BLAKE3.
    digests: Vec<ContentDigest>,
    /// What it took to find them out.
    bills: Vec<Bill>,
}

impl End {
    fn begun() -> Arc<Self> {
        Arc::new(Self {
            outcome: Latch::new(),
            told: AtomicBool::new(false),
            sums: Mutex::default(),
        })
    }

    fn set(&self, outcome: Outcome) {
        let bills = std::mem::take(&mut self.sums().bills);
        bills.into_iter().for_each(|bill| bill.settle(&outcome));
        self.outcome.set(outcome);
    }

    fn sums(&self) -> MutexGuard<'_, KnownSums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, digests: Vec<ContentDigest>) {
        let known = &mut self.sums().digests;
        let news: Vec<_> = digests.into_iter().filter(|digest| !known.contains(digest)).collect();
        known.extend(news);
    }
}

impl Ticket {
    pub(super) fn new() -> (Self, Pending) {
        let end = End::begun();
        (Self { end: Arc::clone(&end), others: Vec::new() }, Pending(end))
    }

    /// From now on `other` ends as this one does.
    pub(super) fn join(&mut self, other: Self) {
        self.others.push(other);
    }

    /// The file has these digests too: to be said before it ends.
    pub(super) fn tell(&self, digests: Vec<ContentDigest>) {
        self.end.tell(digests);
    }

    /// Finding them out took this.
    pub(super) fn owes(&self, bill: Bill) {
        self.end.sums().bills.push(bill);
    }

    pub(super) fn resolve(mut self, outcome: Outcome) {
        for other in std::mem::take(&mut self.others) {
            other.resolve(outcome.clone());
        }
        self.end.set(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whatever happened to the committer, nobody waits forever.
        if self.end.outcome.get().is_none() {
            self.end.set(Err(Loss::Thread(THREAD).refusal()));
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

    /// The outcome, or `None` while it is not known. It stays.
    pub fn try_get(&self) -> Option<Result<Receipt, Refusal>> {
        self.0.outcome.get().cloned()
    }

    /// The digests besides BLAKE3 that its file was found to have: those that somebody has claimed or wanted. Complete
    /// when it is [ready](Self::ready).
    pub fn digests(&self) -> Vec<ContentDigest> {
        self.0.sums().digests.clone()
    }

    /// Its file has these digests too.
    pub(crate) fn tell(&self, digests: Vec<ContentDigest>) {
        self.0.tell(digests);
    }

    /// Whether the operator is to hear of the outcome from whoever asks: one of all that wait for it,
    /// since several connections may carry one file.
    pub(crate) fn take_news(&self) -> bool {
        !self.0.told.swap(true, Ordering::Relaxed)
    }

    /// A commit that somebody else makes, and what ends it. It ends as lost where that is dropped.
    pub(crate) fn begun() -> (Self, impl FnOnce(Outcome)) {
        let (ticket, pending) = Ticket::new();
        (pending, |outcome| ticket.resolve(outcome))
    }

    /// Returns once the outcome is known. In which order commits end is not said.
    pub async fn ready(&self) {
        self.0.outcome.wait().await;
    }
}

#[cfg(test)]
impl Pending {
    /// Whether it is the same commit.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.0.outcome.get()).finish()
    }
}

/// What the thread of an inbox is asked for.
pub(super) enum Request {
    /// Do a job: with others, durably; or alone, where nothing is synced and its file had to be copied.
    Do(Job),
    /// Have a file copied.
    Copy(Uncopied),
    /// Write receipts down in a while.
    Flush,
    /// Remove a staged file.
    Remove(StagedFile),
    /// Nothing more is asked for, but by who copies.
    Stop,
}

/// Where commits go. Dropping it waits until all that was submitted has ended.
pub(super) struct Committer {
    queue: CommitQueue,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread of an inbox.
    pub(super) fn start(core: &Arc<Core>) -> std::io::Result<Self> {
        let (sender, queue) = channel();
        let worker = Worker::new(core, queue, sender.clone());
        // Whoever waits is told when the queue goes.
        let thread = start_thread(core, THREAD, move || worker.run(), |_| ())?;
        let queue = CommitQueue(Arc::new(RwLock::new(Some(sender))));
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(super) fn queue(&self) -> &CommitQueue {
        &self.queue
    }

    /// As [`CommitQueue::submit`].
    pub(super) fn submit(&self, core: &Core, job: Job) {
        self.queue.submit(core, job);
    }

    /// Removes a staged file without making the caller wait for the disk.
    pub(super) fn remove(&self, staged: StagedFile) {
        self.queue.send(Request::Remove(staged));
    }
}

/// Where commits go, for those who do not keep the inbox open. It ends with the [`Committer`].
#[derive(Clone)]
pub(super) struct CommitQueue(Arc<RwLock<Option<Sender<Request>>>>);

impl CommitQueue {
    /// Has a job done: by the thread, which syncs, or at once where nothing is synced.
    pub(super) fn submit(&self, core: &Core, job: Job) {
        match core.options.durability {
            Durability::Full | Durability::Commit => self.send(Request::Do(job)),
            Durability::None => {
                for uncopied in publish(core, vec![job]) {
                    self.send(Request::Copy(uncopied));
                }
                if core.receipts.wants_flush() {
                    self.send(Request::Flush);
                }
            }
        }
    }

    fn send(&self, request: Request) {
        let sender = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // It fails only if the thread is gone; then the request is dropped, which tells whoever
        // waits for it, or removes the file here.
        let unsent = match sender.as_ref() {
            Some(sender) => sender.send(request).err(),
            None => None,
        };
        drop(sender);
        drop(unsent);
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue.send(Request::Stop);
        *self.queue.0.write().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(thread) = self.thread.take()
            && !is_of_inbox()
        {
            // Its panics are told by the inbox.
            #[expect(clippy::disallowed_methods, reason = "it was told to stop")]
            let _ = thread.join();
        }
    }
}

/// What the thread works with. If it panics, the queue goes first: those who copy wait for what is in it.
struct Worker {
    queue: Receiver<Request>,
    core: Arc<Core>,
    copiers: Copiers,
    compaction: CompactionThread,
}

impl Worker {
    fn new(core: &Arc<Core>, queue: Receiver<Request>, requests: Sender<Request>) -> Self {
        let (copiers, compaction) = (Copiers::new(requests), CompactionThread::default());
        Self { queue, core: Arc::clone(core), copiers, compaction }
    }

    fn run(mut self) {
        let durable = self.core.options.durability.syncs_commits();
        match durable {
            true => self.commit_batches(),
            false => self.flush_receipts(),
        }
        self.copiers.join();
        self.compaction.end(&self.core);
        let core = &self.core;
        let durable = durable && !core.unsynced.load(Ordering::Relaxed);
        core.receipts.close(&core.disk, durable, core.loss().is_some());
    }

    /// Does what is queued, as much as there is at a time, until nobody can queue more.
    #[expect(clippy::disallowed_methods, reason = "the end of the inbox ends it")]
    fn commit_batches(&mut self) {
        while let Ok(first) = self.queue.recv() {
            // Bounded by requests, so that files to be removed do not keep a batch waiting either.
            let requests = std::iter::once(first).chain(self.queue.try_iter()).take(BATCH_MAX);
            let mut jobs = Vec::new();
            let mut stops = false;
            for request in requests {
                match request {
                    Request::Do(job) => jobs.push(job),
                    Request::Copy(uncopied) => self.copiers.copy(&self.core, uncopied),
                    Request::Flush => {}
                    Request::Remove(staged) => drop(staged),
                    Request::Stop => stops = true,
                }
            }
            self.publish(jobs);
            if stops {
                self.copiers.close();
            }
            self.compaction.start_if_due(&self.core);
        }
    }

    /// Writes receipts down a moment after the first of them, and publishes what was copied, until nobody can queue
    /// more.
    #[expect(clippy::disallowed_methods, reason = "the end of the inbox ends it")]
    fn flush_receipts(&mut self) {
        let mut due: Option<Instant> = None;
        loop {
            if due.is_some_and(|due| due <= Instant::now()) {
                due = None;
                self.core.receipts.flush(&self.core.disk);
                self.compaction.start_if_due(&self.core);
            }
            let request = match due {
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => self.queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let mut wants_flush = false;
            match request {
                Ok(Request::Do(job)) => {
                    self.publish(vec![job]);
                    wants_flush = self.core.receipts.wants_flush();
                }
                Ok(Request::Copy(uncopied)) => self.copiers.copy(&self.core, uncopied),
                Ok(Request::Flush) => wants_flush = true,
                Ok(Request::Remove(removed)) => drop(removed),
                Ok(Request::Stop) => self.copiers.close(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if wants_flush && due.is_none() {
                due = Some(Instant::now() + Duration::from_millis(FLUSH_MS));
            }
        }
    }

    fn publish(&mut self, jobs: Vec<Job>) {
        for uncopied in publish(&self.core, jobs) {
            self.copiers.copy(&self.core, uncopied);
        }
    }
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

    #[expect(clippy::disallowed_methods, reason = "it writes one log, or was told to stop")]
    fn join(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the compaction of the receipt log has panicked");
        }
    }
}
