//! What the connections of one run share: what there is to send, and what of it has no outcome yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify, mpsc};

use super::connection_scaler::Backlog;
use super::shared_transfer::SharedTransfer;
use super::upload::Upload;
use crate::prepare::Item;
use crate::report::Report;
use crate::shared::Shared;
use crate::{Connections, SendEvent, SendFile};

/// What a connection can take on.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are new: a box would be one for each file"
)]
pub(super) enum Job {
    /// What was prepared.
    New(Item),
    /// What an earlier connection has begun.
    Again(Box<Upload>),
}

/// The work of one run. All connections are driven by one task, so nobody waits for a
/// lock; no guard of a [`Shared`] lives across an await.
pub(super) struct Work<'a> {
    pub(super) report: &'a Report,
    prepared: Mutex<mpsc::Receiver<Vec<Item>>>,
    queue: Shared<VecDeque<Job>>,
    /// Nothing more will be prepared.
    exhausted: Shared<bool>,
    /// Small files that had to wait for a connection.
    backlog: Shared<Backlog>,
    /// Uploads that were begun, have no outcome, and are not in the queue.
    open: Shared<usize>,
    /// Files that several connections carry, or may.
    transfers: Shared<Vec<Arc<SharedTransfer>>>,
    connections: Connections,
    /// The round trip from which on the server is far away.
    far: Duration,
    /// Whether there is, or may come, more than one connection.
    shared: Shared<bool>,
    /// How many have been welcomed so far.
    welcomed: Shared<usize>,
    /// What was sent since it was last asked for. Bytes.
    sent: Shared<u64>,
    /// A file could not be divided: the server takes no ranges.
    undivided: Shared<bool>,
    stopped: Shared<bool>,
    /// Another run has taken an upload over.
    taken_over: Shared<bool>,
    /// Tells connections to look again at what they can do.
    changed: Arc<Notify>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        report: &'a Report,
        first: Vec<Item>,
        prepared: mpsc::Receiver<Vec<Item>>,
        connections: Connections,
        far: Duration,
    ) -> Self {
        Self {
            report,
            prepared: Mutex::new(prepared),
            queue: Shared::new(first.into_iter().map(Job::New).collect()),
            exhausted: Shared::new(false),
            backlog: Shared::default(),
            open: Shared::new(0),
            transfers: Shared::default(),
            connections,
            far,
            shared: Shared::new(connections.are_several()),
            welcomed: Shared::new(0),
            sent: Shared::new(0),
            undivided: Shared::new(false),
            stopped: Shared::new(false),
            taken_over: Shared::new(false),
            changed: Arc::default(),
        }
    }

    // ------------------------------------------------------------------ items

    /// Whether an item waits that nobody has taken.
    pub(super) fn has_items(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    /// Whether [`Work::fill`] may bring more.
    pub(super) fn wants_more(&self) -> bool {
        !self.exhausted.get() && !self.has_items()
    }

    /// Whether so many small files wait that another connection pays.
    pub(super) fn has_backlog(&self) -> bool {
        self.backlog.lock().is_long()
    }

    /// Waits until there is an item, or there will be none. Safe to cancel.
    pub(super) async fn fill(&self) {
        let mut prepared = self.prepared.lock().await;
        if !self.wants_more() {
            return;
        }
        let lay_ready = !prepared.is_empty();
        match prepared.recv().await {
            Some(batch) => {
                let small = batch.iter().filter(|item| matches!(item, Item::Small { .. })).count();
                self.backlog.lock().taken(small, lay_ready);
                self.queue.lock().extend(batch.into_iter().map(Job::New));
                if self.has_backlog() {
                    self.tell();
                }
            }
            None => {
                self.exhausted.set(true);
                self.tell_if_over();
            }
        }
    }

    pub(super) fn take(&self) -> Option<Job> {
        self.queue.lock().pop_front()
    }

    /// Puts an item back that was taken and not begun.
    pub(super) fn put_back(&self, item: Item) {
        self.queue.lock().push_front(Job::New(item));
    }

    /// An upload was begun.
    pub(super) fn begun(&self) {
        self.open.set(self.open.get() + 1);
    }

    /// An upload has its outcome.
    pub(super) fn ended(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.tell_if_over();
    }

    /// What was begun is to be offered again, by whoever comes first, and before anything else.
    pub(super) fn offer_again(&self, uploads: impl DoubleEndedIterator<Item = Upload>) {
        let mut queue = self.queue.lock();
        for upload in uploads.rev() {
            self.open.set(self.open.get().saturating_sub(1));
            queue.push_front(Job::Again(Box::new(upload)));
        }
        drop(queue);
        self.tell();
    }

    /// Whether all has its outcome.
    pub(super) fn is_over(&self) -> bool {
        self.exhausted.get() && self.open.get() == 0 && !self.has_items()
    }

    /// Reports what was begun and has no outcome.
    pub(super) fn report_unanswered(&self) {
        let mut begun: Vec<(Arc<SendFile>, bool)> = self
            .queue
            .take()
            .into_iter()
            .filter_map(|job| match job {
                Job::Again(upload) => {
                    let resumable = upload.is_resumable();
                    Some((upload.file, resumable))
                }
                Job::New(_) => None,
            })
            .collect();
        begun.sort_by_key(|(file, _)| file.number);
        for (file, resumable) in begun {
            self.report.emit(SendEvent::Unanswered { file, resumable });
        }
    }

    // ------------------------------------------------------------ connections

    /// Whether there is, or may come, more than one connection.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.get()
    }

    /// The server has answered a connection's hello, so long after it was said.
    pub(super) fn welcome(&self, round_trip: Duration) {
        let is_long = round_trip >= self.far;
        if self.welcomed.get() == 0 && self.connections == Connections::Auto && is_long {
            self.shared.set(true);
        }
        self.welcomed.set(self.welcomed.get() + 1);
        self.tell();
    }

    /// How many connections have been welcomed so far.
    pub(super) fn welcomed(&self) -> usize {
        self.welcomed.get()
    }

    /// A connection took so many bytes.
    pub(super) fn sent(&self, count: usize) {
        self.sent.set(self.sent.get() + count as u64);
    }

    /// How many bytes connections took since this was last asked.
    pub(super) fn take_sent(&self) -> u64 {
        self.sent.take()
    }

    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.tell();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Another run has taken an upload over.
    pub(super) fn lose_to_another_run(&self) {
        self.taken_over.set(true);
    }

    /// Whether all has its outcome and what is still on its way is of no use to anyone.
    pub(super) fn may_be_left(&self) -> bool {
        self.is_over() && self.taken_over.get()
    }

    /// Tells all connections that there is news.
    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// Ready when there is news, from the moment on at which it was first polled or enabled.
    pub(super) fn news(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// By which others tell of news.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Waits until something holds that news brings.
    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.news().await;
        }
    }

    fn tell_if_over(&self) {
        if self.is_over() {
            self.tell();
        }
    }

    // ------------------------------------------------------------------- files

    /// Whether large files are divided.
    pub(super) fn divides(&self) -> bool {
        self.is_shared() && !self.undivided.get()
    }

    /// The server takes no ranges: from now on no file is divided.
    pub(super) fn divide_no_more(&self) {
        self.undivided.set(true);
    }

    pub(super) fn add_transfer(&self, transfer: Arc<SharedTransfer>) {
        let mut transfers = self.transfers.lock();
        transfers.retain(|transfer| !transfer.is_over());
        transfers.push(transfer);
        drop(transfers);
        self.tell();
    }

    /// Whether there is something to do for one more connection.
    pub(super) fn has_spare(&self) -> bool {
        self.has_items() || self.transfers().iter().any(|transfer| transfer.is_worth_joining())
    }

    /// The files that are under way and may be carried by several.
    pub(super) fn transfers(&self) -> Vec<Arc<SharedTransfer>> {
        let mut transfers = self.transfers.lock();
        transfers.retain(|transfer| !transfer.is_over());
        transfers.clone()
    }
}
