//! What a connection hears of its upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandport_protocol::Refusal;
use tokio::sync::{Notify, SetOnce};

/// How far an upload is kept.
#[derive(Debug)]
pub(super) struct Progress {
    durable: AtomicU64,
    /// Told of more, and of faults.
    news: Notify,
}

impl Progress {
    pub(super) fn new(durable: u64) -> Arc<Self> {
        Arc::new(Self { durable: AtomicU64::new(durable), news: Notify::new() })
    }

    pub(super) fn advance(&self, durable: u64) {
        if self.durable.fetch_max(durable, Ordering::Relaxed) < durable {
            self.news.notify_waiters();
        }
    }
}

/// What a connection hears of its upload.
#[derive(Debug)]
pub(crate) struct Signals {
    fault: SetOnce<Refusal>,
    progress: Arc<Progress>,
    /// What was last said of it.
    told: AtomicU64,
}

impl Signals {
    pub(super) fn new(progress: &Arc<Progress>) -> Self {
        let progress = Arc::clone(progress);
        Self { fault: SetOnce::new(), progress, told: AtomicU64::new(0) }
    }

    pub(super) fn fail(&self, fault: Refusal) {
        // The first fault stays.
        let _ = self.fault.set(fault);
        self.progress.news.notify_waiters();
    }

    pub(crate) fn fault(&self) -> Option<&Refusal> {
        self.fault.get()
    }

    /// How many bytes from the start are kept. From then on, more is news.
    pub(super) fn durable(&self) -> u64 {
        let durable = self.progress.durable.load(Ordering::Relaxed);
        self.told.store(durable, Ordering::Relaxed);
        durable
    }

    /// Returns once there is a fault, or more is durable than was last asked for.
    pub(crate) async fn news(&self) {
        // Made before the check: `notify_waiters` reaches every `Notified` that exists by then.
        let news = self.progress.news.notified();
        let told = self.told.load(Ordering::Relaxed);
        if self.fault.get().is_none() && self.progress.durable.load(Ordering::Relaxed) == told {
            news.await;
        }
    }
}
