//! How much an inbox holds, where that has a limit: files that have their names, uploads on their way,
//! which reserve what they announced, and uploads that were cut and can be resumed.
//!
//! The tree is counted at the start, and every upload after that. Files that somebody takes out are
//! noticed when it matters: before an upload is refused, the tree is counted again, unless that was done
//! a moment ago.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sandport_protocol::{RESERVED_NAME, Refusal, RefusalCode};
use walkdir::WalkDir;

use super::partial::{DATA_SUFFIX, FOLDER};

/// How long an offer may wait for a count before it is judged by the last one. It is answered on a
/// thread that other connections live on. Counting some ten thousand files fits.
const COUNT_WAIT_MAX: Duration = Duration::from_millis(200);

/// Shortest pause between two counts, so that refused senders who try again do not keep the disk busy.
const COUNT_PAUSE_MIN: Duration = Duration::from_secs(1);

/// And the pause as a multiple of what the last count took.
const COUNT_PAUSE_FACTOR: u32 = 20;

/// How much an inbox may hold. Default: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Bytes of content of all files, of uploads on their way, and of those that wait to be resumed.
    pub bytes_max: Option<u64>,
    /// Files and folders, with uploads on their way and those that wait.
    pub files_max: Option<u64>,
}

impl Quota {
    /// Limits of both kinds; `None`: no limit.
    pub fn new(bytes_max: Option<u64>, files_max: Option<u64>) -> Self {
        Self { bytes_max, files_max }
    }

    fn is_none(self) -> bool {
        self.bytes_max.is_none() && self.files_max.is_none()
    }
}

/// The account of an inbox with a quota.
pub(super) struct Usage {
    quota: Quota,
    /// Absolute: the process may go to another folder.
    dir: PathBuf,
    account: Mutex<Account>,
    counted: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    bytes: u64,
    files: u64,
}

struct Account {
    /// Of what has its name.
    stored: Amount,
    /// Of uploads on their way.
    reserved: Amount,
    /// Of each upload that waits to be resumed: the name of its data file, and the bytes in that.
    waiting: HashMap<String, u64>,
    /// Inodes that are about to get a name: a count that meets them leaves them out, because they are
    /// counted when they have it.
    publishing: HashSet<u64>,
    counting: Option<Counting>,
    /// How many are making folders now.
    making: usize,
    /// Inodes of folders that a count has met which ended before all of those had said what they made.
    met_late: HashSet<u64>,
    /// When the last count ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

/// What happened while a count is under way.
#[derive(Default)]
struct Counting {
    /// Inodes that were counted by their publication: the count leaves them out.
    published: HashSet<u64>,
    /// Inodes of folders that the count has met: a folder is there before anyone can say so.
    folders: HashSet<u64>,
    added: Amount,
}

/// Someone makes folders: until this is dropped, counts remember which they have met.
pub(super) struct Making<'a> {
    usage: &'a Usage,
}

/// A part of the quota that an upload holds until its file has a name, or until this is dropped.
pub(super) struct Reservation {
    usage: Arc<Usage>,
    amount: Amount,
}

impl Usage {
    /// Counts what is in the inbox at `dir`; `None`: there is no limit, so nobody has to know.
    pub(super) fn open(dir: &Path, quota: Quota) -> Option<Arc<Self>> {
        if quota.is_none() {
            return None;
        }
        let account = Account {
            stored: Amount::default(),
            reserved: Amount::default(),
            waiting: HashMap::new(),
            publishing: HashSet::new(),
            counting: None,
            making: 0,
            met_late: HashSet::new(),
            last: None,
        };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let usage = Self { quota, dir, account: Mutex::new(account), counted: Condvar::new() };
        usage.account().waiting = usage.waiting();
        usage.account().counting = Some(Counting::default());
        usage.count();
        // The first refusal counts again, however soon it comes.
        usage.account().last = None;
        Some(Arc::new(usage))
    }

    /// Reserves room for a file of `bytes`.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, Refusal> {
        let amount = Amount { bytes, files: 1 };
        self.add(amount)?;
        Ok(Reservation { usage: Arc::clone(self), amount })
    }

    /// Takes up an upload that waited in the data file `name`, and reserves room for all of its `bytes`.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`; then it waits on.
    pub(super) fn reserve_waiting(
        self: &Arc<Self>,
        name: &str,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        let waited = self.account().waiting.remove(name);
        let reserved = self.reserve(bytes);
        if let (Err(_), Some(waited)) = (&reserved, waited) {
            self.account().waiting.insert(name.to_owned(), waited);
        }
        reserved
    }

    /// An upload is left to wait in the data file `name`, of `bytes`, until it is taken up again.
    pub(super) fn waits(&self, name: String, bytes: u64) {
        self.account().waiting.insert(name, bytes);
    }

    /// What waited in the data file `name` was removed.
    pub(super) fn removed_waiting(&self, name: &str) {
        self.account().waiting.remove(name);
    }

    /// Whether a folder may be made.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`.
    pub(super) fn check_folder(self: &Arc<Self>) -> Result<(), Refusal> {
        // Given back at once: folders are counted when they are made.
        self.reserve(0).map(drop)
    }

    /// Folders are about to be made. Which, is said by [`Making::made`].
    pub(super) fn making_folders(&self) -> Making<'_> {
        self.account().making += 1;
        Making { usage: self }
    }

    /// A file was replaced by one that is published now.
    pub(super) fn replaced(&self, bytes: u64) {
        let stored = &mut self.account().stored;
        *stored = stored.less(Amount { bytes, files: 1 });
    }

    fn add(self: &Arc<Self>, amount: Amount) -> Result<(), Refusal> {
        let mut account = self.account();
        if self.fits(&account, amount) {
            account.reserved = account.reserved.plus(amount);
            return Ok(());
        }
        let mut account = self.count_again(account);
        if self.fits(&account, amount) {
            account.reserved = account.reserved.plus(amount);
            return Ok(());
        }
        Err(self.exceeded(&account, amount))
    }

    fn fits(&self, account: &Account, amount: Amount) -> bool {
        let waiting = Amount {
            bytes: account.waiting.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
            files: account.waiting.len() as u64,
        };
        let total = account.stored.plus(account.reserved).plus(waiting).plus(amount);
        self.quota.bytes_max.is_none_or(|most| total.bytes <= most || amount.bytes == 0)
            && self.quota.files_max.is_none_or(|most| total.files <= most || amount.files == 0)
    }

    fn exceeded(&self, account: &Account, amount: Amount) -> Refusal {
        let by_files = Amount { bytes: 0, ..amount };
        let words = match (self.quota.files_max, self.quota.bytes_max) {
            (Some(most), _) if !self.fits(account, by_files) => {
                format!("the inbox holds {most} files and folders at most")
            }
            (_, Some(most)) => format!("the inbox holds {most} bytes at most"),
            (_, None) => String::from("the inbox is full"),
        };
        Refusal::new(RefusalCode::QuotaExceeded, words)
    }

    /// Counts the tree once more if that was not done a moment ago, and waits for it in bounds.
    fn count_again<'a>(
        self: &'a Arc<Self>,
        mut account: MutexGuard<'a, Account>,
    ) -> MutexGuard<'a, Account> {
        if account.counting.is_none() {
            let pause =
                |took: Duration| took.saturating_mul(COUNT_PAUSE_FACTOR).max(COUNT_PAUSE_MIN);
            if account.last.is_some_and(|(ended, took)| ended.elapsed() < pause(took)) {
                return account;
            }
            account.counting = Some(Counting::default());
            let usage = Arc::clone(self);
            let thread = std::thread::Builder::new().name("sandport-count".to_owned());
            if let Err(error) = thread.spawn(move || usage.count()) {
                tracing::warn!(%error, "could not count what is in the inbox");
                account.counting = None;
                return account;
            }
        }
        let counting = |account: &mut Account| account.counting.is_some();
        match self.counted.wait_timeout_while(account, COUNT_WAIT_MAX, counting) {
            Ok((account, _)) => account,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Counts what is in the inbox. `counting` was set before.
    fn count(&self) {
        let started = Instant::now();
        let mut found = Amount::default();
        let walk = WalkDir::new(&self.dir)
            .min_depth(1)
            .into_iter()
            .filter_entry(|entry| entry.depth() != 1 || entry.file_name() != RESERVED_NAME);
        // What vanishes meanwhile, or may not be listed, counts as nothing.
        for entry in walk.filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            if !self.account().meet(metadata.ino(), metadata.is_dir()) {
                continue;
            }
            found.files += 1;
            if metadata.is_file() {
                found.bytes = found.bytes.saturating_add(metadata.len());
            }
        }
        let mut account = self.account();
        // Somebody may have removed some.
        account.waiting.retain(|name, bytes| match std::fs::metadata(self.partials().join(name)) {
            Ok(metadata) => {
                *bytes = metadata.len();
                true
            }
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        });
        let meanwhile = account.counting.take().unwrap_or_default();
        if account.making > 0 {
            account.met_late.extend(&meanwhile.folders);
        }
        account.stored = found.plus(meanwhile.added);
        account.last = Some((Instant::now(), started.elapsed()));
        drop(account);
        self.counted.notify_all();
    }

    /// The uploads that wait at the start, before any is open.
    fn waiting(&self) -> HashMap<String, u64> {
        let Ok(entries) = std::fs::read_dir(self.partials()) else { return HashMap::new() };
        let data = entries.filter_map(Result::ok).filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let metadata = entry.metadata().ok()?;
            (name.ends_with(DATA_SUFFIX) && metadata.is_file()).then_some((name, metadata.len()))
        });
        data.collect()
    }

    fn partials(&self) -> PathBuf {
        self.dir.join(RESERVED_NAME).join(FOLDER)
    }

    /// Bytes and files that are stored, and that are reserved.
    #[cfg(test)]
    pub(super) fn totals(&self) -> [u64; 4] {
        let Account { stored, reserved, .. } = &*self.account();
        [stored.bytes, stored.files, reserved.bytes, reserved.files]
    }

    /// Counts the tree now.
    #[cfg(test)]
    pub(super) fn count_now(&self) {
        self.account().counting = Some(Counting::default());
        self.count();
    }

    /// Lets the next refusal count again, as if the pause were over.
    #[cfg(test)]
    pub(super) fn end_pause(&self) {
        self.account().last = None;
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Counts something that has its name now.
    fn store(&mut self, amount: Amount, inode: u64) {
        self.stored = self.stored.plus(amount);
        if let Some(counting) = &mut self.counting {
            counting.added = counting.added.plus(amount);
            counting.published.insert(inode);
        }
    }

    /// Whether the count has to take something in that it meets. If not, that is or will be counted
    /// because it was made here.
    fn meet(&mut self, inode: u64, is_folder: bool) -> bool {
        let Some(counting) = &mut self.counting else { return true };
        if self.publishing.contains(&inode) || counting.published.contains(&inode) {
            return false;
        }
        if is_folder {
            counting.folders.insert(inode);
        }
        true
    }
}

impl Making<'_> {
    /// A folder was made.
    pub(super) fn made(&self, inode: u64) {
        let mut account = self.usage.account();
        let was_met = |counting: &Counting| counting.folders.contains(&inode);
        if !account.met_late.remove(&inode) && !account.counting.as_ref().is_some_and(was_met) {
            account.store(Amount { bytes: 0, files: 1 }, inode);
        }
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut account = self.usage.account();
        account.making -= 1;
        if account.making == 0 {
            account.met_late.clear();
        }
    }
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            files: self.files.saturating_add(other.files),
        }
    }

    fn less(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            files: self.files.saturating_sub(other.files),
        }
    }
}

impl Reservation {
    /// Makes sure that it is for `bytes` at least.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`; then it is as it was.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.amount.bytes);
        if more > 0 {
            self.usage.add(Amount { bytes: more, files: 0 })?;
            self.amount.bytes = bytes;
        }
        Ok(())
    }

    /// The file is about to get its name. It is followed by [`Reservation::settle`] or
    /// [`Reservation::not_published`].
    pub(super) fn publishing(&self, inode: u64) {
        self.usage.account().publishing.insert(inode);
    }

    /// It did not.
    pub(super) fn not_published(&self, inode: u64) {
        self.usage.account().publishing.remove(&inode);
    }

    /// The file has its name and is of `bytes`.
    pub(super) fn settle(mut self, inode: u64, bytes: u64) {
        let mut account = self.usage.account();
        account.publishing.remove(&inode);
        account.reserved = account.reserved.less(self.amount);
        account.store(Amount { bytes, files: 1 }, inode);
        drop(account);
        self.amount = Amount::default();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut account = self.usage.account();
        account.reserved = account.reserved.less(self.amount);
    }
}
