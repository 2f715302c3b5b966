//! What uploads, and the threads of an inbox, share.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use sandport_protocol::Refusal;
use sandport_protocol::journal::ResumableId;

use super::capabilities::{Capabilities, Limitation};
use super::comparison::Comparisons;
use super::disk::Disk;
use super::disk::nameless::Naming;
use super::layout::Layout;
use super::loss::Loss;
use super::lost_times::LostTimes;
use super::modes::Inheritances;
use super::options::InboxOptions;
use super::receipts::Receipts;
use super::recent::Recent;
use super::removed_journals::RemovedJournals;
use super::runtime::Runtime;
use super::space::Space;
use super::usage::Usage;
use tokio::sync::SetOnce;

/// What uploads and the committer share.
pub(super) struct Core {
    pub(super) dir: PathBuf,
    pub(super) options: InboxOptions,
    pub(super) disk: Disk,
    pub(super) layout: Layout,
    pub(super) capabilities: Capabilities,
    pub(super) limitations: Vec<Limitation>,
    pub(super) receipts: Arc<Receipts>,
    pub(super) comparisons: Comparisons,
    pub(super) inheritances: Inheritances,
    /// Where there is a quota.
    pub(super) usage: Option<Arc<Usage>>,
    pub(super) space: Space,
    /// Uploads that can be resumed: those that give way when there is no space.
    pub(super) registry: OnceLock<Weak<dyn Resumables>>,
    /// The threads that remove files, as long as there are any.
    pub(super) runtime: OnceLock<Arc<dyn Runtime>>,
    pub(super) removed_journals: RemovedJournals,
    /// Tells this boot of the system from others; 0: not known.
    pub(super) boot: u64,
    /// Where nothing is synced: where the last files went.
    pub(super) recent_directories: Recent<Arc<OwnedFd>>,
    /// How files do without a name until they are whole; `None`: they have one in staging.
    pub(super) naming: Option<Naming>,
    /// How many staged files there were; it makes their names.
    pub(super) staged_count: AtomicU64,
    /// Whether it was said that staged files cannot be removed.
    pub(super) left_staged: AtomicBool,
    /// How many staged files have an open descriptor.
    pub(super) files_open: AtomicUsize,
    pub(super) lost_times: LostTimes,
    /// Held while files are published, where no thread of the inbox does that: by one alone where they may
    /// replace others, and by who has to know what the files are that took its name just now.
    pub(super) publishing: RwLock<()>,
    /// How many syncs of everything have failed. The system tells a failed write to one of them only.
    pub(super) sync_failures: AtomicU64,
    /// Why the inbox cannot go on.
    pub(super) loss: SetOnce<Loss>,
    /// Held by who syncs everything.
    pub(super) syncing: Mutex<()>,
    /// Directories have entries that could not be made durable: a later batch does it for them, and a run
    /// that ends so has not ended in good order.
    pub(super) unsynced: AtomicBool,
}

/// Uploads that can be resumed, as others see them than their senders.
pub(super) trait Resumables: Send + Sync {
    /// Removes one that waits to be resumed, on this thread; whether there was one, and it is gone by now. One that a
    /// connection is at goes on.
    fn discard_waiting(self: Arc<Self>, id: ResumableId) -> bool;

    /// Nothing more is done for any of them: who waits is told `why`.
    fn fail_all(&self, why: &Refusal);
}

impl Core {
    /// The uploads that can be resumed; `None`: the inbox begins or ends.
    pub(super) fn registry(&self) -> Option<Arc<dyn Resumables>> {
        self.registry.get()?.upgrade()
    }

    /// Makes everything durable that the file system has.
    pub(super) fn sync_all(&self) -> rustix::io::Result<()> {
        self.sync_all_counted().0
    }

    /// The same, and how many of these syncs have failed by then. One at a time: the system tells a failed write to
    /// one of them only, and that one is counted before the next begins.
    pub(super) fn sync_all_counted(&self) -> (rustix::io::Result<()>, u64) {
        let _alone = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = self.disk.sync_all(&self.layout.root);
        let failures = u64::from(synced.is_err());
        (synced, self.sync_failures.fetch_add(failures, Ordering::Relaxed) + failures)
    }
}
