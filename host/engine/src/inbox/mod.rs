//! The inbox: where received files are staged, verified, made durable, and given their names.
//!
//! It implements the interface `inbox` of the WIT package on a folder of a local file system, and
//! enforces all policy about it: what it is told by a receiver it checks. It knows nothing of
//! sandboxes and connections.
//!
//! Staging and hashing happen in the caller's thread ([`Body::write`]). Unless the durability is
//! [`Durability::None`], files are synced and published in one thread of the inbox, which takes whatever
//! commits are queued as a batch; [`Pending`] tells the outcome. What uploads that can be resumed have
//! so far is made durable by a second one, and others copy what cannot be moved to its folder.

mod capabilities;
pub mod care;
mod commit;
mod comparison;
mod copiers;
mod destination;
mod disk;
mod error;
mod expiry;
mod finishing;
mod folders;
mod health;
mod latch;
mod layout;
mod meter;
mod modes;
mod options;
mod partial;
mod placement;
mod publish;
mod reading;
mod receipts;
mod recognition;
mod reread;
mod space;
mod stage;
mod storage;
mod sums;
mod threads;
mod transient;
mod tree;
mod unnamed;
mod unpublished;
mod upload;
mod usage;
mod wishes;

use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use rustix::fs::Stat;
use sandport_protocol::inbox::{
    self as rules, taken, taken_by_other, taken_by_other_name, too_large,
};
use sandport_protocol::journal::Notes;
use sandport_protocol::{EntryKind, EntryName, Offer, Receipt, Refusal, RefusalCode, Resume};

pub use capabilities::Limitation;
pub use commit::Pending;
pub use comparison::Comparison;
pub(crate) use destination::Destination;
pub use error::InboxError;
pub use finishing::Finishing;
pub(crate) use meter::Meter;
pub use options::{Durability, InboxOptions, Records};
pub use partial::Status;
pub use sandport_protocol::inbox::Conflict;
pub(crate) use storage::StorageInbox;
pub use storage::{Announced, Arrived, Folders, Found, Incoming, Lookup, Publishing, Storage};
pub use upload::{Body, Upload, UploadWatch};
pub use usage::Quota;
pub use wishes::{KEY_BYTES_MAX, Wishes};

use capabilities::Capabilities;
use commit::{Committer, Job, Work};
use comparison::Comparisons;
use disk::nameless::Naming;
use disk::{Disk, FreeName};
use expiry::Expiry;
use folders::RecentFolder;
use health::Loss;
use latch::Latch;
use layout::Layout;
use modes::Inheritances;
use partial::{Asked, Directory, Opened, Partials, Pool};
use receipts::{Receipts, Record};
use recognition::{Recognition, Seen};
use space::{Claim, Space};
use stage::LostTimes;
use transient::Transient;
use upload::Plan;
use usage::{Reservation, Usage};

use crate::Identity;

/// From which announced size on the path of an offer is checked before its bytes are sent. Bytes. It
/// is checked when the file is published in any case; for a small file, that is early enough.
const PATH_CHECK_BYTES_MIN: u64 = 64 * 1024;

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
    /// Tells this boot of the system from others; 0: not known.
    boot: u64,
    /// Where nothing is synced: where the last file went.
    recent_folder: RecentFolder,
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
    loss: Latch<Loss>,
    /// Held by who syncs everything.
    syncing: Mutex<()>,
    /// Folders have entries that could not be made durable: a later batch does it for them, and a run
    /// that ends so has not ended in good order.
    unsynced: AtomicBool,
}

/// What becomes of an offer.
#[derive(Debug)]
pub enum Verdict {
    /// It is here already.
    Stored(Receipt),
    /// It is on its way: a folder that the thread that syncs makes, or a file that another connection
    /// commits just now. The answer is `stored`, with the receipt that comes of this, or its refusal.
    Making(Pending),
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
    pub fn create(dir: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        Self::create_on(Disk::default(), dir, options)
    }

    fn create_on(disk: Disk, dir: &Path, options: InboxOptions) -> Result<Self, InboxError> {
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
            .map_err(|errno| layout::failed("move files in", &state_path, errno))?;
        disk.set_free_name(capabilities.free_name);
        let limitations = capabilities.limitations(capabilities::mounts(dir));
        let recognition = Recognition::of(root, Some(capabilities.attributes_stable));
        let receipts = match options.records {
            Records::Log => {
                let unpublished = &layout.unpublished;
                let path = &state_path;
                Receipts::open(&disk, root, state, durable, unpublished, path, recognition)?
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
            boot,
            recent_folder: RecentFolder::default(),
            naming,
            staged_count: AtomicU64::new(0),
            left_staged: AtomicBool::new(false),
            files_open: AtomicUsize::new(0),
            lost_times: LostTimes::default(),
            publishing: RwLock::default(),
            sync_failures: AtomicU64::new(0),
            syncing: Mutex::default(),
            loss: Latch::new(),
            unsynced: AtomicBool::new(false),
        });
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
        let volume = Directory::new(&core);
        let partials = Partials::new(volume, pool.runtime(), &core.options, core.boot);
        let _ = core.partials.set(Arc::downgrade(&partials));
        let handle = Handle { committer, _expiry: expiry, pool, partials, core, classic_name };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The folder, as it was given to [`Inbox::create`].
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

    /// Answers an offer of `sender`. On the thread of the caller it does not wait for the disk beyond looking names
    /// up, and making folders where nothing is durable. The journal of an upload that is resumed is read by threads
    /// of the inbox, with up to a megabyte of its data.
    ///
    /// # Errors
    ///
    /// `invalid-state`, if the resume key is of another upload; `name-invalid`; `exists`, where the conflict rule is to refuse, or the path leads through
    /// something else than folders; `too-large`; `quota-exceeded`; `insufficient-space`; `io`.
    pub async fn open_as(&self, sender: &Identity, offer: &Offer) -> Result<Verdict, Refusal> {
        self.open_with(sender, offer, &Wishes::default()).await
    }

    /// The same, where more is wanted than an offer says. An upload that is accepted with a new key is kept when this
    /// returns.
    ///
    /// # Errors
    ///
    /// As of [`Self::open_as`]; `invalid-state`: the wishes contradict the offer, or an upload that is to be there is
    /// not. `too-many`: `sender` has very many uploads with keys of which nothing came.
    pub async fn open_with(
        &self,
        sender: &Identity,
        offer: &Offer,
        wishes: &Wishes,
    ) -> Result<Verdict, Refusal> {
        self.check_health()?;
        let made = wishes.make_key(offer)?;
        match offer.kind {
            EntryKind::File => match self.open_file(sender, offer, made, wishes).await? {
                Verdict::Accepted(upload) => {
                    Ok(Verdict::Accepted(upload.expecting(wishes.claims())?))
                }
                verdict => Ok(verdict),
            },
            EntryKind::Directory => self.open_folder(offer).await,
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and folders")),
        }
    }

    /// `made`: the key that the inbox has made for it.
    async fn open_file(
        &self,
        sender: &Identity,
        offer: &Offer,
        made: Option<Resume>,
        wishes: &Wishes,
    ) -> Result<Verdict, Refusal> {
        let core = &self.handle.core;
        let name = match &offer.name {
            Some(name) => EntryName::parse(name)?,
            None => self.name_for_unnamed()?,
        };
        if offer.name.is_some()
            && let Some(verdict) = core.already_here(sender, &name, offer)
            // Who has a digest, of whatever kind, has no other to show.
            && (wishes.digests.is_empty() || !matches!(verdict, Verdict::DigestFirst))
        {
            if let (Verdict::Stored(_), Some(resume)) = (&verdict, &offer.resume) {
                self.handle.partials.discard_left(sender, resume);
            }
            return Ok(verdict);
        }
        let size_max = core.options.size_max;
        if let (Some(size), Some(most)) = (offer.size, size_max)
            && size > most
        {
            return Err(too_large(size_max));
        }
        core.check_name(&name)?;
        core.check_path(sender, &name, offer.size)?;
        let copy = core.bytes_of_copy(&name, offer.size);
        let plan = Plan {
            identity: sender.clone(),
            name,
            size: offer.size,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
            executable: offer.executable,
            copy,
        };
        let resumable = || self.handle.partials.resumable(sender, offer);
        if let Some(resume) = made.or_else(resumable) {
            let notes = Notes { metadata: wishes.metadata.clone(), keeps_empty: made.is_some() };
            let (is_named, begins) = (offer.name.is_some(), !wishes.existing);
            let asked = Asked { plan, is_named, resume, notes, begins };
            return self.open_resumable(offer, asked).await;
        }
        if wishes.existing {
            return Err(partial::unknown());
        }
        let bytes = plan.with_copy(offer.size);
        core.check_space(bytes, None)?;
        let reservation = core.reserve_soon(sender, offer.size).await?;
        core.check_new_folders(plan.name.parent()).await?;
        let claim = Claim::of_transient(core, bytes);
        let upload = Transient::new(self, core, plan, reservation, claim);
        Ok(Verdict::Accepted(Upload::transient(upload)))
    }

    /// An offer with a key that leads to an upload, or is to.
    async fn open_resumable(&self, offer: &Offer, asked: Asked) -> Result<Verdict, Refusal> {
        let Handle { core, partials, .. } = &*self.handle;
        let (plan, is_new) = (asked.plan.clone(), asked.notes.keeps_empty);
        core.check_new_folders(plan.name.parent()).await?;
        let published = |name: &EntryName| {
            // Under its made-up name, which the sender does not know.
            core.already_here(&plan.identity, name, offer)
        };
        let news = core.usage.as_ref().map(|usage| usage.count_news());
        let opened = match (partials.open(asked.clone(), &published).await, news) {
            (Err(refusal), Some(Some(news))) if refusal.code == RefusalCode::InsufficientSpace => {
                news.await;
                partials.open(asked, &published).await
            }
            (opened, _) => opened,
        };
        Ok(match opened? {
            Opened::Session(session) => {
                // Who finds it lost tells those that hold an upload by then.
                self.check_health()?;
                let missing = offer.size.map(|size| size.saturating_sub(session.bytes()));
                if let Err(refusal) = session.claim().check(plan.with_copy(missing)) {
                    // What is here of a stream stays: its sender has not lost anything so far.
                    if offer.size.is_some() {
                        session.fail(&refusal);
                    }
                    return Err(refusal);
                }
                if session.keeps_empty()
                    && let Some(size) = offer.size
                {
                    session.set_size(size)?;
                }
                // Whoever is told the key finds the upload, whatever happens from now on.
                if is_new && let Err(refusal) = session.keep().ready().await {
                    session.discard();
                    return Err(refusal);
                }
                Verdict::Accepted(Upload::resumable(self, session))
            }
            Opened::Committing(pending) => Verdict::Making(pending),
            Opened::DigestFirst => Verdict::DigestFirst,
            Opened::Published(verdict) => verdict,
        })
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
                let (submit, core, ticket) = (self.submitter(), Arc::clone(core), job.ticket);
                pool.runtime().spawn(Box::new(move || {
                    let work = match publish::sync_ahead(&core, &mut file) {
                        Ok(()) => Work::File(file),
                        Err(refusal) => Work::Refused(refusal),
                    };
                    submit(Job { work, ticket });
                }));
            }
            work => self.submit(Job { work, ticket: job.ticket }),
        }
    }

    fn submit(&self, job: Job) {
        self.handle.committer.submit(&self.handle.core, job);
    }

    async fn open_folder(&self, offer: &Offer) -> Result<Verdict, Refusal> {
        let Some(name) = &offer.name else {
            return Err(rules::folder_without_name());
        };
        let name = EntryName::parse(name)?;
        let core = &self.handle.core;
        core.check_name(&name)?;
        core.check_new_folders(Some(name.as_str())).await?;
        let (job, pending) = Job::new(Work::Folder(name));
        self.handle.committer.submit(&self.handle.core, job);
        // Also where it is made by now: the operator hears of each from whoever takes the outcome.
        Ok(Verdict::Making(pending))
    }

    fn name_for_unnamed(&self) -> Result<EntryName, Refusal> {
        match &self.handle.classic_name {
            Some(name) => Ok(name.clone()),
            None => unnamed::made_up_name()
                .ok_or_else(|| Refusal::new(RefusalCode::Io, "the inbox could not make up a name")),
        }
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

    /// Room in the quota, where there is one.
    fn reserve(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        self.usage.as_ref().map(|usage| usage.reserve(sender, size.unwrap_or(0))).transpose()
    }

    /// The same, where a count is waited for and no thread waits.
    async fn reserve_soon(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        let Some(usage) = &self.usage else { return Ok(None) };
        usage.counted(|| self.reserve(sender, size)).await
    }

    /// The verdict on a file that this sender has stored before and that is still as it was.
    fn already_here(
        self: &Arc<Self>,
        sender: &Identity,
        name: &EntryName,
        offer: &Offer,
    ) -> Option<Verdict> {
        let fits = |record: &Record| rules::fits(offer, record);
        let root = self.layout.root.as_fd();
        let found = self.receipts.find(root, sender, name, fits)?;
        Some(match offer.digest {
            Some(_) if found.is_certain => {
                Verdict::Stored(rules::receipt(&found.name, &found.record))
            }
            Some(_) => Verdict::Comparing(Comparison::begin(self, found)),
            None => Verdict::DigestFirst,
        })
    }

    /// Refuses what needs more new folders at `path` than the quota allows.
    async fn check_new_folders(&self, path: Option<&str>) -> Result<(), Refusal> {
        let Some(usage) = &self.usage else { return Ok(()) };
        let missing = tree::missing(self.layout.root.as_fd(), path)
            .map_err(|obstacle| self.refusal_of_path(obstacle))?;
        match missing {
            0 => Ok(()),
            // Given back at once: it is asked again when they are made.
            missing => usage.counted(|| usage.reserve_folders(missing).map(drop)).await,
        }
    }

    /// Refuses early what could not be published under its name.
    fn check_path(
        &self,
        sender: &Identity,
        name: &EntryName,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        let refuse = self.options.conflict == Conflict::Refuse;
        if !refuse && size.is_some_and(|size| size < PATH_CHECK_BYTES_MIN) {
            return Ok(());
        }
        let failed = |obstacle| self.refusal_of_path(obstacle);
        match tree::look_up(self.layout.root.as_fd(), name).map_err(failed)? {
            Some(_) if refuse => Err(taken()),
            Some(stat) if self.is_other_name(name, &stat).map_err(failed)? => {
                Err(taken_by_other_name())
            }
            Some(stat) if self.is_foreign(sender, name, &stat) => Err(taken_by_other()),
            _ => self.check_folder(name, size),
        }
    }

    /// Whether what has the name is a file that is not to be replaced by this sender: another has sent it.
    fn is_foreign(&self, sender: &Identity, name: &EntryName, stat: &Stat) -> bool {
        self.options.conflict == Conflict::Replace
            && self.owner(name, stat).is_some_and(|owner| owner != *sender)
    }

    /// Whose the file with this status is that has the name; `None`: there is no record of it as it is.
    fn owner(&self, name: &EntryName, stat: &Stat) -> Option<Identity> {
        self.receipts.owner(name.as_str(), &Seen::from(stat))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
