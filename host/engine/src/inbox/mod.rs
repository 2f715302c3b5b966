//! The inbox: where received files are staged, verified, made durable, and given their names.
//!
//! It implements the interface `inbox` of the WIT package on a folder of a local file system, and
//! enforces all policy about it: what it is told by a receiver it checks. It knows nothing of
//! sandboxes and connections.
//!
//! Staging and hashing happen in the caller's thread ([`Body::write`]). With
//! [`Durability::Commit`] all syncing happens in one thread of the inbox, which takes whatever
//! commits are queued as a batch; [`Pending`] tells the outcome.

pub mod care;
mod commit;
mod disk;
mod error;
mod expiry;
mod folders;
mod latch;
mod layout;
mod publish;
mod receipts;
mod space;
mod stage;
mod tree;
mod unnamed;
mod upload;
mod usage;

use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use sandport_protocol::inbox::{self as rules, taken, too_large};
use sandport_protocol::{EntryKind, EntryName, Offer, Receipt, Refusal, RefusalCode};

pub use commit::Pending;
pub use error::InboxError;
pub use sandport_protocol::inbox::Conflict;
pub use upload::{Body, FaultWatch, Upload};
pub use usage::Quota;

use commit::{Committer, Job, Work};
use disk::Disk;
use expiry::Expiry;
use layout::Layout;
use receipts::{Receipts, Record};
use upload::Plan;
use usage::Usage;

/// From which announced size on the path of an offer is checked before its bytes are sent. Bytes. It
/// is checked when the file is published in any case; for a small file, that is early enough.
const PATH_CHECK_BYTES_MIN: u64 = 64 * 1024;

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    #[default]
    Commit,
    /// The file is visible; the system writes it to the disk when it likes.
    None,
}

/// Where the inbox keeps what it stored: name, size and digest of each file, and how to recognise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// In the log `.sandport/receipts`. A sender who did not hear a receipt gets it after a restart
    /// too, and files can be compared with what was received: [`care::verify()`].
    #[default]
    Log,
    /// In memory, until the server ends. A log of earlier runs is neither read nor written.
    Memory,
}

/// The settings of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxOptions {
    /// What happens to a file whose name is taken.
    pub conflict: Conflict,
    /// What a receipt promises.
    pub durability: Durability,
    /// Where it is kept what was stored.
    pub records: Records,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub size_max: Option<u64>,
    /// How much the inbox may hold.
    pub quota: Quota,
    /// How much of the disk is left free. Bytes. What would go under it is refused; uploads that are
    /// under way may do so by a megabyte each.
    pub free_min: u64,
    /// How long an upload that can be resumed is kept after something of it has arrived last; `None`:
    /// for ever. A jump of the system's clock does not count.
    pub partial_expiry: Option<Duration>,
    /// Whether a file that the sender says is executable becomes executable.
    pub allow_executable: bool,
    /// The name of files that come without one; `None`: one is made up of time and chance.
    pub classic_name: Option<String>,
}

/// A folder that receives files. Cloning gives another handle to the same one.
///
/// When the last handle is dropped, and that of each [`Upload`], what was committed is finished, and
/// the lock is given up.
#[derive(Clone)]
pub struct Inbox {
    handle: Arc<Handle>,
}

/// What handles share. It is dropped before the core, so that the committer ends first.
struct Handle {
    core: Arc<Core>,
    committer: Committer,
    /// Held for its thread.
    _expiry: Option<Expiry>,
    classic_name: Option<EntryName>,
}

/// What uploads and the committer share.
struct Core {
    dir: PathBuf,
    options: InboxOptions,
    disk: Disk,
    layout: Layout,
    receipts: Receipts,
    /// Where there is a quota.
    usage: Option<Arc<Usage>>,
    /// How many staged files there were; it makes their names.
    staged_count: AtomicU64,
    /// How many staged files have an open descriptor.
    files_open: AtomicUsize,
    /// Folders have entries that could not be made durable: a later batch does it for them, and a run
    /// that ends so has not ended in good order.
    unsynced: AtomicBool,
}

/// What becomes of an offer.
#[derive(Debug)]
pub enum Verdict {
    /// It is here already.
    Stored(Receipt),
    /// A folder is on its way: it is made by the thread that syncs. The answer is `stored`, with the
    /// receipt that comes of this, or its refusal. Only with [`Durability::Commit`].
    Making(Pending),
    /// Send it.
    Accepted(Upload),
    /// A file of this name and size is here, and the offer had no digest: ask again with one.
    DigestFirst,
}

impl Inbox {
    /// Opens the inbox at `dir` and makes it, if the folder above it exists. From then on no other
    /// server can open it.
    ///
    /// What was left unfinished by a server that was killed is removed.
    ///
    /// # Errors
    ///
    /// See [`InboxError`]. Blocks for as long as the disk takes; after a crash, until all of the file
    /// system is synced.
    pub fn create(dir: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        let classic_name = match &options.classic_name {
            Some(name) => Some(
                EntryName::parse(name)
                    .map_err(|source| InboxError::NameInvalid { name: name.clone(), source })?,
            ),
            None => None,
        };
        let layout = Layout::take(dir)?;
        let disk = Disk::default();
        let durable = options.durability == Durability::Commit;
        let (root, state) = (layout.root.as_fd(), layout.state.as_fd());
        let state_path = dir.join(sandport_protocol::RESERVED_NAME);
        let receipts = match options.records {
            Records::Log => Receipts::open(&disk, root, state, durable, &state_path)?,
            Records::Memory => Receipts::in_memory(),
        };
        let usage = Usage::open(dir, options.quota);
        let core = Arc::new(Core {
            dir: dir.to_path_buf(),
            options,
            disk,
            layout,
            receipts,
            usage,
            staged_count: AtomicU64::new(0),
            files_open: AtomicUsize::new(0),
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
        let handle = Handle { core, committer, _expiry: expiry, classic_name };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The folder, as it was given to [`Inbox::create`].
    pub fn dir(&self) -> &Path {
        &self.handle.core.dir
    }

    /// The settings.
    pub fn options(&self) -> &InboxOptions {
        &self.handle.core.options
    }

    /// Answers an offer. It does not wait for the disk beyond looking names up, and making folders
    /// where nothing is durable.
    ///
    /// # Errors
    ///
    /// `name-invalid`; `exists`, where the conflict rule is to refuse, or the path leads through
    /// something else than folders; `too-large`; `quota-exceeded`; `insufficient-space`; `io`.
    pub fn open(&self, offer: &Offer) -> Result<Verdict, Refusal> {
        match offer.kind {
            EntryKind::File => self.open_file(offer),
            EntryKind::Directory => self.open_folder(offer),
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and folders")),
        }
    }

    fn open_file(&self, offer: &Offer) -> Result<Verdict, Refusal> {
        let core = &self.handle.core;
        let name = match &offer.name {
            Some(name) => EntryName::parse(name)?,
            None => self.name_for_unnamed()?,
        };
        if offer.name.is_some()
            && let Some(verdict) = core.already_here(&name, offer)
        {
            return Ok(verdict);
        }
        let size_max = core.options.size_max;
        if let (Some(size), Some(most)) = (offer.size, size_max)
            && size > most
        {
            return Err(too_large(size_max));
        }
        core.check_path(&name, offer.size)?;
        core.check_space(offer.size)?;
        let reserve = |usage: &Arc<Usage>| usage.reserve(offer.size.unwrap_or(0));
        let reservation = core.usage.as_ref().map(reserve).transpose()?;
        let plan = Plan {
            name,
            size: offer.size,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
            executable: offer.executable,
        };
        Ok(Verdict::Accepted(Upload::new(self, core, plan, reservation)))
    }

    fn open_folder(&self, offer: &Offer) -> Result<Verdict, Refusal> {
        let Some(name) = &offer.name else {
            return Err(rules::folder_without_name());
        };
        let name = EntryName::parse(name)?;
        if let Some(usage) = &self.handle.core.usage
            && tree::look_up(self.handle.core.layout.root.as_fd(), &name)?.is_none()
        {
            usage.check_folder()?;
        }
        let (job, pending) = Job::new(Work::Folder(name));
        self.handle.committer.submit(&self.handle.core, job);
        match pending.try_get() {
            Some(outcome) => outcome.map(Verdict::Stored),
            None => Ok(Verdict::Making(pending)),
        }
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
    /// The verdict on a file that was stored before and is still as it was.
    fn already_here(&self, name: &EntryName, offer: &Offer) -> Option<Verdict> {
        let fits = |record: &Record| rules::fits(offer, record);
        let (published, record) = self.receipts.find(self.layout.root.as_fd(), name, fits)?;
        Some(match offer.digest {
            Some(_) => Verdict::Stored(rules::receipt(&published, &record)),
            None => Verdict::DigestFirst,
        })
    }

    /// Refuses early what could not be published under its name.
    fn check_path(&self, name: &EntryName, size: Option<u64>) -> Result<(), Refusal> {
        let refuse = self.options.conflict == Conflict::Refuse;
        if !refuse && size.is_some_and(|size| size < PATH_CHECK_BYTES_MIN) {
            return Ok(());
        }
        match tree::look_up(self.layout.root.as_fd(), name)? {
            Some(_) if refuse => Err(taken()),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
