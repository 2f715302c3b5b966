//! The inbox: where received files are staged, verified, made durable, and given their names.
//!
//! It implements the interface `inbox` of the WIT package on a folder of a local file system, and
//! enforces all policy about it: what it is told by a receiver it checks. It knows nothing of
//! sandboxes and connections.
//!
//! ```
//! use sandport_inbox::{Extent, Identity, Inbox, InboxOptions, Offer, OfferResponse};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let inbox = Inbox::open(&folder.path().join("inbox"), InboxOptions::default())?;
//! let offer = Offer::of_file(Some("report.pdf".to_owned()), Some(5));
//! let OfferResponse::Accepted(upload) = inbox.offer(&Identity::ANONYMOUS, &offer).await? else {
//!     return Err("it is here already".into());
//! };
//! upload.body(Extent { offset: 0, length: Some(5) })?.write(b"hello");
//! // The file is whole, has its name, and survives a power cut.
//! let receipt = upload.commit(5, None).await?;
//! assert_eq!(receipt.name, "report.pdf");
//! # Ok(())
//! # }
//! ```
//!
//! Staging and hashing happen in the caller's thread ([`Body::write`]). Unless the durability is
//! [`Durability::None`], files are synced and published in one thread of the inbox, which takes whatever
//! commits are queued as a batch; [`CommitHandle`] tells the outcome. What uploads that can be resumed have
//! so far is made durable by others, and others still copy what cannot be moved to its folder, and remove what nobody
//! needs.
//!
//! Every struct with public fields is `#[non_exhaustive]`, and so is every enum but [`OfferResponse`], each case of which
//! has to be answered: match others with `_`. Options are made by `default()`, and set field by field.

#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod accepted_offer;
mod admission;
mod any;
mod body;
mod boot;
mod capabilities;
pub mod care;
mod commit;
mod comparison;
mod completion;
mod copiers;
mod disk;
mod error;
mod expiry;
mod finishing;
mod folders;
mod health;
mod identity;
mod layout;
mod loss;
mod meter;
mod modes;
mod offer_options;
mod offers;
mod options;
mod partial;
mod partial_files;
mod placement;
mod publish;
mod reading;
mod receipts;
mod recent;
mod recognition;
mod removal;
mod reread;
mod runtime;
mod space;
mod stage;
mod storage;
mod sums;
mod threads;
mod transient;
mod tree;
mod twice;
mod unnamed;
mod unpublished;
mod upload;
mod usage;

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use tokio::sync::SetOnce;

pub use any::AnyInbox;
pub use body::Body;
pub use capabilities::Limitation;
pub use comparison::Comparison;
pub use completion::CommitHandle;
pub use error::InboxError;
pub use finishing::Finishing;
pub use identity::{Identity, IdentityError};
pub use meter::Meter;
pub use offer_options::OfferOptions;
pub use options::{Durability, InboxOptions, Records};
pub use partial::{KEY_BYTES_MAX, UploadStatus};
pub use sandport_protocol::inbox::Conflict;
pub use sandport_protocol::{
    Algorithm, ContentDigest, Digest, EntryKind, EntryName, Extent, Metadata, NameError, Offer,
    Receipt, Refusal, RefusalCode, Resume, ResumeMode,
};
pub use storage::{Announced, Arrived, Folders, Found, Incoming, Lookup, Publishing, Storage};
pub use upload::{Upload, UploadWatch};
pub use usage::Quota;

use capabilities::Capabilities;
use commit::Committer;
use comparison::Comparisons;
use disk::nameless::Naming;
use disk::{Disk, FreeName};
use expiry::Expiry;
use layout::Layout;
use loss::Loss;
use modes::Inheritances;
use partial::{Directory, Partials, RemovedJournals};
use publish::{Job, Work};
use receipts::Receipts;
use recent::Recent;
use recognition::Recognition;
use runtime::{Pool, Runtime};
use space::Space;
use stage::LostTimes;
use usage::Usage;

/// A folder that receives files. Cloning gives another handle to the same one.
///
/// When the last handle is dropped, and that of each [`Upload`], what was committed is finished, and
/// the lock is given up.
#[derive(Clone)]
pub struct Inbox {
    handle: Arc<Handle>,
}

/// What handles share. The threads end in this order, when [the pool](Pool) has done what was to be committed: a
/// commit that fails leaves something to keep.
struct Handle {
    committer: Committer,
    /// Held for its thread.
    _expiry: Option<Expiry>,
    pool: Pool,
    partials: Arc<Partials>,
    core: Arc<Core>,
    classic_name: Option<EntryName>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // What is to be published is on its way there.
        self.pool.wait_idle();
    }
}

/// What uploads and the committer share.
struct Core {
    dir: PathBuf,
    options: InboxOptions,
    disk: Disk,
    layout: Layout,
    capabilities: Capabilities,
    limitations: Vec<Limitation>,
    receipts: Arc<Receipts>,
    comparisons: Comparisons,
    inheritances: Inheritances,
    /// Where there is a quota.
    usage: Option<Arc<Usage>>,
    space: Space,
    /// Uploads that can be resumed: those that give way when there is no space.
    partials: OnceLock<Weak<Partials>>,
    /// The threads that remove files, as long as there are any.
    runtime: OnceLock<Arc<dyn Runtime>>,
    removed_journals: RemovedJournals,
    /// Tells this boot of the system from others; 0: not known.
    boot: u64,
    /// Where nothing is synced: where the last files went.
    recent_folders: Recent<Arc<OwnedFd>>,
    /// How files do without a name until they are whole; `None`: they have one in staging.
    naming: Option<Naming>,
    /// How many staged files there were; it makes their names.
    staged_count: AtomicU64,
    /// Whether it was said that staged files cannot be removed.
    left_staged: AtomicBool,
    /// How many staged files have an open descriptor.
    files_open: AtomicUsize,
    lost_times: LostTimes,
    /// Held while files are published, where no thread of the inbox does that: by one alone where they may
    /// replace others, and by who has to know what the files are that took its name just now.
    publishing: RwLock<()>,
    /// How many syncs of everything have failed. The system tells a failed write to one of them only.
    sync_failures: AtomicU64,
    /// Why the inbox cannot go on.
    loss: SetOnce<Loss>,
    /// Held by who syncs everything.
    syncing: Mutex<()>,
    /// Folders have entries that could not be made durable: a later batch does it for them, and a run
    /// that ends so has not ended in good order.
    unsynced: AtomicBool,
}

/// The answer to an offer.
#[derive(Debug)]
pub enum OfferResponse {
    /// It is here already.
    Stored(Receipt),
    /// It is on its way: a folder that the thread that syncs makes, or a file that another connection
    /// commits just now. The answer is `stored`, with the receipt that comes of this, or its refusal.
    Committing(CommitHandle),
    /// A file that may be the one is here, but inode number and time do not tell on its file system: its content
    /// is being compared. Offer again when that is [ready](Comparison::ready).
    Comparing(Comparison),
    /// Send it.
    Accepted(Upload),
    /// A file of this name and size is here, and the offer had no digest: ask again with one.
    DigestFirst,
}

impl Inbox {
    /// Opens the inbox at `dir` and makes it, if the folder above it exists. From then on no other
    /// server can open it.
    ///
    /// What was left unfinished by a server that was killed is removed, unless it can be resumed.
    ///
    /// # Errors
    ///
    /// See [`InboxError`]. Blocks for as long as the disk takes; after a crash, until all of the file
    /// system is synced.
    pub fn open(dir: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        Self::open_on(Disk::default(), dir, options)
    }

    fn open_on(disk: Disk, dir: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        let classic_name = match &options.classic_name {
            Some(name) => Some(
                EntryName::parse(name)
                    .map_err(|source| InboxError::NameInvalid { name: name.clone(), source })?,
            ),
            None => None,
        };
        let layout = Layout::take(&disk, dir)?;
        let durable = options.durability.syncs_commits();
        let (root, state) = (layout.root.as_fd(), layout.state.as_fd());
        let state_path = dir.join(sandport_protocol::RESERVED_NAME);
        let (staging, partials) = (layout.staging.as_fd(), layout.partials.as_fd());
        let capabilities = capabilities::probe(&disk, staging, partials)
            .map_err(|errno| error::failed("move files in", &state_path, errno))?;
        disk.set_free_name(capabilities.free_name);
        let limitations = capabilities.limitations(capabilities::mounts(dir));
        let recognition = Recognition::of(root, Some(capabilities.attributes_stable));
        let receipts = match options.records {
            Records::Log => {
                let unpublished = &layout.unpublished;
                Receipts::open(&disk, root, state, durable, unpublished, dir, recognition)?
            }
            Records::Memory => Receipts::in_memory(recognition),
        };
        let receipts = Arc::new(receipts);
        let (quota, share) = (options.quota, options.identity_quota);
        let usage = Usage::open(dir, quota, share, &receipts, layout.partials.as_fd());
        let boot = disk.boot();
        // A link never replaces, and needs a file system with links. And what a file system promises of a file that was synced before it had a
        // name differs, while one that is synced and then renamed is what all of them know.
        let needs_names = options.conflict == Conflict::Replace
            || options.durability.syncs_commits()
            || capabilities.free_name == FreeName::Look;
        let naming = if needs_names { None } else { Naming::of(&layout.staging) };
        let core = Arc::new(Core {
            dir: dir.to_path_buf(),
            options,
            disk,
            layout,
            capabilities,
            limitations,
            receipts,
            comparisons: Comparisons::default(),
            inheritances: Inheritances::default(),
            usage,
            space: Space::default(),
            partials: OnceLock::new(),
            runtime: OnceLock::new(),
            removed_journals: RemovedJournals::default(),
            boot,
            recent_folders: Recent::default(),
            naming,
            staged_count: AtomicU64::new(0),
            left_staged: AtomicBool::new(false),
            files_open: AtomicUsize::new(0),
            lost_times: LostTimes::default(),
            publishing: RwLock::default(),
            sync_failures: AtomicU64::new(0),
            syncing: Mutex::default(),
            loss: SetOnce::new(),
            unsynced: AtomicBool::new(false),
        });
        // A server that was killed may have written more into a journal than it has synced.
        if core.options.durability == Durability::Full && core.layout.has_partials {
            core.sync_all().map_err(|errno| error::failed("sync", &state_path, errno))?;
        }
        let no_thread = |source| InboxError::Io {
            doing: "start a thread for",
            path: dir.to_path_buf(),
            source,
        };
        let committer = Committer::start(&core).map_err(no_thread)?;
        let expiry = core.options.partial_expiry.map(|expiry| Expiry::start(&core, expiry));
        let expiry = expiry.transpose().map_err(no_thread)?;
        let of_pool = Arc::clone(&core);
        let pool = Pool::start(&core, move |loss| {
            // Bodies wait for watermarks, and would wait for ever.
            if let Some(partials) = of_pool.partials() {
                partials.fail_all(&loss.refusal());
            }
        });
        let pool = pool.map_err(no_thread)?;
        let _ = core.runtime.set(pool.runtime());
        let volume = Directory::new(&core);
        let partials = Partials::new(volume, pool.runtime(), &core.options, core.boot);
        let _ = core.partials.set(Arc::downgrade(&partials));
        let handle = Handle { committer, _expiry: expiry, pool, partials, core, classic_name };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The folder, as it was given to [`Inbox::open`].
    pub fn dir(&self) -> &Path {
        &self.handle.core.dir
    }

    /// What the file system does not do, as far as users or operators may notice. Found out when the inbox was
    /// opened.
    pub fn limitations(&self) -> &[Limitation] {
        &self.handle.core.limitations
    }

    /// The settings.
    pub fn options(&self) -> &InboxOptions {
        &self.handle.core.options
    }

    /// What does the same as [`Self::submit`] and does not keep the inbox open.
    fn submitter(&self) -> partial::Submit {
        let Handle { committer, core, .. } = &*self.handle;
        let (queue, core) = (committer.queue().clone(), Arc::clone(core));
        Box::new(move |job| queue.submit(&core, job))
    }

    /// Has a job done. The content of a large file is made durable by a thread that nobody else waits for.
    fn submit_ahead(&self, job: Job) {
        let Handle { pool, core, .. } = &*self.handle;
        match job.work {
            Work::File(mut file) if publish::is_large(core, &file) => {
                let (submit, core, completer) = (self.submitter(), Arc::clone(core), job.completer);
                pool.runtime().spawn(Box::new(move || {
                    let work = match publish::sync_ahead(&core, &mut file) {
                        Ok(()) => Work::File(file),
                        Err(refusal) => Work::Refused(refusal),
                    };
                    submit(Job { work, completer });
                }));
            }
            work => self.submit(Job { work, completer: job.completer }),
        }
    }

    fn submit(&self, job: Job) {
        self.handle.committer.submit(&self.handle.core, job);
    }
}

impl Core {
    /// The uploads that can be resumed; `None`: the inbox begins or ends.
    fn partials(&self) -> Option<Arc<Partials>> {
        self.partials.get()?.upgrade()
    }

    /// Makes everything durable that the file system has.
    fn sync_all(&self) -> rustix::io::Result<()> {
        self.sync_all_counted().0
    }

    /// The same, and how many of these syncs have failed by then. One at a time: the system tells a failed write to
    /// one of them only, and that one is counted before the next begins.
    fn sync_all_counted(&self) -> (rustix::io::Result<()>, u64) {
        let _alone = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = self.disk.sync_all(&self.layout.root);
        let failures = u64::from(synced.is_err());
        (synced, self.sync_failures.fetch_add(failures, Ordering::Relaxed) + failures)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
