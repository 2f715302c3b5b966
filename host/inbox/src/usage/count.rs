//! Counting what is in an inbox: at the start, and before an upload is refused.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use sandport_protocol::RESERVED_NAME;
use walkdir::WalkDir;

use super::Usage;
use super::account::{Account, Amount, Counting, Tally, Waiting};
use crate::Identity;
use crate::partial_files::{DATA_SUFFIX, DIRECTORY, sender_of};
use crate::recognition::Seen;
use crate::space::STAT_BLOCK_BYTES;

/// How long an offer waits for a count before it is refused for now. Counting some hundred thousand files fits, and a
/// sender hears nothing meanwhile.
const COUNT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Shortest pause between two counts, so that refused senders who try again do not keep the disk busy.
const COUNT_PAUSE_MIN: Duration = Duration::from_secs(1);

/// And the pause as a multiple of what the last count took.
const COUNT_PAUSE_FACTOR: u32 = 20;

/// How many bytes are here of an upload that waits. Most of its length may be a hole.
fn held_bytes(metadata: &std::fs::Metadata) -> u64 {
    metadata.len().min(metadata.blocks().saturating_mul(STAT_BLOCK_BYTES))
}

/// A count, until it ends or panics.
struct Ends<'a>(&'a Usage);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.account().counting = None;
        self.0.count_takes_long.store(false, Ordering::Relaxed);
        self.0.count_news.notify_waiters();
    }
}

impl Usage {
    /// Has the tree counted once more if that was not done a moment ago.
    pub(super) fn count_again<'a>(
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
        account
    }

    /// Counts what is in the inbox. `counting` was set before.
    pub(super) fn count(&self) {
        let started = Instant::now();
        let _ends = Ends(self);
        let mut takes_long = false;
        let mut found = Tally::default();
        let walk = WalkDir::new(&self.dir)
            .min_depth(1)
            .into_iter()
            // The directory of the inbox, and copies that a crash left elsewhere.
            .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != RESERVED_NAME);
        // What vanishes meanwhile, or may not be listed, counts as nothing.
        for entry in walk.filter_map(Result::ok) {
            if !takes_long && started.elapsed() > COUNT_WAIT_MAX {
                takes_long = true;
                self.count_takes_long.store(true, Ordering::Relaxed);
                self.count_news.notify_waiters();
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if !self.account().meet(metadata.ino(), metadata.is_dir()) {
                continue;
            }
            if metadata.is_file() {
                let owner = self.owner(entry.path(), &metadata);
                found.add(owner.as_ref(), Amount::file(metadata.len()));
            } else {
                found.add(None, Amount::file(0));
            }
        }
        let looked = self.look_at_waiting();
        let mut account = self.account();
        for (name, before, now) in looked {
            account.look_again(&name, before, now);
        }
        let meanwhile = account.counting.take().unwrap_or_default();
        if account.making > 0 {
            account.met_late.extend(&meanwhile.directories);
        }
        found.add_all(&meanwhile.added);
        account.stored = found;
        account.last = Some((Instant::now(), started.elapsed()));
    }

    /// What waits now of each upload that waits, with what did before: somebody may have removed some. Nothing is
    /// locked while the disk is asked.
    fn look_at_waiting(&self) -> Vec<(String, u64, Option<u64>)> {
        let partials = self.registry();
        let waiting = self.account().waiting();
        let look = |(name, before): (String, u64)| {
            let now = match std::fs::metadata(partials.join(&name)) {
                Ok(metadata) => Some(held_bytes(&metadata)),
                Err(error) => (error.kind() != std::io::ErrorKind::NotFound).then_some(before),
            };
            (name, before, now)
        };
        waiting.into_iter().map(look).collect()
    }

    /// Whose share a file is in that the count meets. What somebody has changed, or put there, and what
    /// the records have forgotten, is in none.
    fn owner(&self, path: &Path, metadata: &std::fs::Metadata) -> Option<Identity> {
        if self.share.is_none() {
            return None;
        }
        let unrecorded = self.account().unrecorded.get(&metadata.ino()).cloned();
        unrecorded.or_else(|| {
            let name = path.strip_prefix(&self.dir).ok()?.to_str()?;
            self.receipts.owner(name, &Seen::from(metadata))
        })
    }

    /// The uploads that wait at the start in the directory `partials`, before any is open.
    pub(super) fn find_waiting(&self, partials: BorrowedFd<'_>) {
        let Ok(entries) = std::fs::read_dir(self.registry()) else { return };
        for entry in entries.filter_map(Result::ok) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some(id) = name.strip_suffix(DATA_SUFFIX) else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            let owner = match sender_of(partials.as_fd(), id) {
                Ok(sender) => sender.filter(|_| !self.share.is_none()),
                Err(error) => {
                    tracing::warn!(%error, id, "could not find out whose partial file it is");
                    None
                }
            };
            self.account()
                .wait(name.clone(), Waiting { owner, place: None, bytes: held_bytes(&metadata) });
        }
    }

    fn registry(&self) -> PathBuf {
        self.dir.join(RESERVED_NAME).join(DIRECTORY)
    }
}
