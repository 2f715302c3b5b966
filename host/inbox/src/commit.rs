//! Ends of uploads: the queue of commits, and the thread that makes them durable together.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::copiers::Copiers;
use super::publish::{Job, Uncopied, publish};
use super::threads::{COMMITTER, is_of_inbox, start_thread};
use super::{Core, Durability};

/// Most commits that share their syncs. A batch is what came while the last one was synced; the bound
/// keeps the first of it from waiting for too many others.
const BATCH_MAX: usize = 512;

/// How long receipts of small files may wait in memory when nothing is made durable anyway. Milliseconds. A
/// crash of the process loses those of the last moment, which costs second copies.
const FLUSH_MS: u64 = 200;

/// What the thread of an inbox is asked for.
pub(super) enum Request {
    /// Do a job: with others, durably; or alone, where nothing is synced and its file had to be copied.
    Do(Job),
    /// Have a file copied.
    Copy(Uncopied),
    /// Write receipts down in a while.
    Flush,
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
        let thread = start_thread(core, COMMITTER, move || worker.run(), |_| ())?;
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
        // waits for it.
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
        // It fails only if this thread is gone; then whoever waits is told.
        let copied = Arc::new(move |job| drop(requests.send(Request::Do(job))));
        let (copiers, compaction) = (Copiers::new(copied), CompactionThread::default());
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
            // Bounded by requests, so that files to be copied do not keep a batch waiting either.
            let requests = std::iter::once(first).chain(self.queue.try_iter()).take(BATCH_MAX);
            let mut jobs = Vec::new();
            let mut stops = false;
            for request in requests {
                match request {
                    Request::Do(job) => jobs.push(job),
                    Request::Copy(uncopied) => self.copiers.copy(&self.core, uncopied),
                    Request::Flush => {}
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
