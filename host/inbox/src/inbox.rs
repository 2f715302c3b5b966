//! An inbox as its owner has it: opening it, and what its handles share.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use sandport_protocol::EntryName;
use sandport_protocol::inbox::Conflict;
use tokio::sync::SetOnce;

use super::capabilities::{self, Limitation};
use super::commit::Committer;
use super::comparison::Comparisons;
use super::disk::nameless::Naming;
use super::disk::{Disk, FreeName};
use super::error::{self, InboxError};
use super::expiry::Expiry;
use super::layout::Layout;
use super::lost_times::LostTimes;
use super::modes::Inheritances;
use super::options::{Durability, InboxOptions, Records};
use super::pool::Pool;
use super::publish::{self, Job, Work};
use super::receipts::Receipts;
use super::recent::Recent;
use super::recognition::Recognition;
use super::removed_journals::RemovedJournals;
use super::resumable::{PartialsDirectory, Registry, Submit};
use super::shared::Core;
use super::space::Space;
use super::usage::{Most, Usage};

/// A directory that receives files. Cloning gives another handle to the same one.
///
/// When the last handle is dropped, and that of each [`Upload`](super::Upload), what was committed is finished, and
/// the lock is given up.
#[derive(Clone)]
pub struct Inbox {
    pub(super) handle: Arc<Handle>,
}

/// What handles share. The threads end in this order, when [the pool](Pool) has done what was to be committed: a
/// commit that fails leaves something to keep.
pub(super) struct Handle {
    pub(super) committer: Committer,
    /// Held for its thread.
    _expiry: Option<Expiry>,
    pub(super) pool: Pool,
    pub(super) registry: Arc<Registry>,
    pub(super) core: Arc<Core>,
    pub(super) classic_name: Option<EntryName>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // What is to be published is on its way there.
        self.pool.wait_idle();
    }
}

impl Inbox {
    /// Opens the inbox at `dir` and makes it, if the directory above it exists. From then on no other
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

    pub(super) fn open_on(
        disk: Disk,
        dir: &Path,
        options: InboxOptions,
    ) -> Result<Self, InboxError> {
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
        let most = Most { quota, share, of_place: options.max_place_bytes };
        let usage = Usage::open(dir, most, &receipts, layout.partials.as_fd());
        let boot = disk.boot();
        // A link never replaces, and needs a file system with links. And what a file system promises of a file that was
        // synced before it had a name differs, while one that is synced and then renamed is what all of them know.
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
            registry: OnceLock::new(),
            runtime: OnceLock::new(),
            removed_journals: RemovedJournals::default(),
            boot,
            recent_directories: Recent::default(),
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
            if let Some(registry) = of_pool.registry() {
                registry.fail_all(&loss.refusal());
            }
        });
        let pool = pool.map_err(no_thread)?;
        let _ = core.runtime.set(pool.runtime());
        let volume = PartialsDirectory::new(&core);
        let registry = Registry::new(volume, pool.runtime(), &core.options, core.boot);
        let resumables = Arc::downgrade(&registry);
        let _ = core.registry.set(resumables);
        let handle = Handle { committer, _expiry: expiry, pool, registry, core, classic_name };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The directory, as it was given to [`Inbox::open`].
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
    pub(super) fn submitter(&self) -> Submit {
        let Handle { committer, core, .. } = &*self.handle;
        let (queue, core) = (committer.queue().clone(), Arc::clone(core));
        Box::new(move |job| queue.submit(&core, job))
    }

    /// Has a job done. The content of a large file is made durable by a thread that nobody else waits for.
    pub(super) fn submit_ahead(&self, job: Job) {
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

    pub(super) fn submit(&self, job: Job) {
        self.handle.committer.submit(&self.handle.core, job);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("dir", &self.dir()).finish_non_exhaustive()
    }
}
