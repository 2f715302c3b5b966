//! How much an inbox holds, where that has a limit: files that have their names, uploads on their way,
//! which reserve what they announced, and uploads that were cut and can be resumed. The same for each
//! identity, where its share has a limit.
//!
//! The tree is counted at the start, and every upload after that. Files that somebody takes out are
//! noticed when it matters: before an upload is refused, the tree is counted again, unless that was done
//! a moment ago. Whoever is refused while that goes on is refused for now. Whose a file is, the records say
//! ([`Receipts`]).

mod account;
mod count;
mod reservation;

use std::future::ready;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::receipts::Receipts;
use crate::Identity;
use crate::network::network;
use account::{Account, Amount, Counting, Waiting};
pub(super) use reservation::Reservation;

/// How much an inbox may hold, or an identity in it. Default: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Bytes of content of all files, of uploads on their way, and of those that wait to be resumed.
    pub max_bytes: Option<u64>,
    /// Files and directories, with uploads on their way and those that wait. Directories are nobody's, and in no
    /// identity's share.
    pub max_files: Option<u64>,
}

impl Quota {
    /// Limits of both kinds; `None`: no limit.
    pub fn new(max_bytes: Option<u64>, max_files: Option<u64>) -> Self {
        Self { max_bytes, max_files }
    }

    fn is_none(self) -> bool {
        self.max_bytes.is_none() && self.max_files.is_none()
    }

    /// Whether there may be `more`, so that it is `total`. Where not: which limit is in the way.
    fn check(self, total: Amount, more: Amount) -> Result<(), Limit> {
        let over = |most: Option<u64>, total: u64, more: u64| {
            most.filter(|&most| total > most && more > 0)
        };
        if let Some(most) = over(self.max_files, total.files, more.files) {
            return Err(Limit::Files(most));
        }
        over(self.max_bytes, total.bytes, more.bytes).map_or(Ok(()), |most| Err(Limit::Bytes(most)))
    }
}

/// How much there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Most {
    pub(super) quota: Quota,
    /// Of each identity.
    pub(super) share: Quota,
    /// Bytes of one place that are under way or wait.
    pub(super) of_place: Option<u64>,
}

/// A limit that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Bytes(u64),
    Files(u64),
}

/// The account of an inbox with a quota.
pub(super) struct Usage {
    quota: Quota,
    /// Of each identity.
    share: Quota,
    /// Bytes of one place that are under way or wait.
    most_of_place: Option<u64>,
    /// Absolute: the process may go to another directory.
    dir: PathBuf,
    receipts: Arc<Receipts>,
    account: Mutex<Account>,
    /// Told when a count has ended, or takes long.
    count_news: Notify,
    count_takes_long: AtomicBool,
}

/// Someone makes directories: until this is dropped, counts remember which they have met.
pub(super) struct Making<'a> {
    usage: &'a Usage,
}

impl Usage {
    /// Counts what is in the inbox at `dir`, with what waits in `partials`; `None`: there is no limit, so
    /// nobody has to know.
    pub(super) fn open(
        dir: &Path,
        most: Most,
        receipts: &Arc<Receipts>,
        partials: BorrowedFd<'_>,
    ) -> Option<Arc<Self>> {
        let Most { quota, share, of_place } = most;
        let counts_stored = !quota.is_none() || !share.is_none();
        if !counts_stored && of_place.is_none() {
            return None;
        }
        let usage = Self {
            quota,
            share,
            most_of_place: of_place,
            dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf()),
            receipts: Arc::clone(receipts),
            account: Mutex::default(),
            count_news: Notify::new(),
            count_takes_long: AtomicBool::new(false),
        };
        if !counts_stored {
            return Some(Arc::new(usage));
        }
        usage.find_waiting(partials);
        usage.account().counting = Some(Counting::default());
        usage.count();
        // The first refusal counts again, however soon it comes.
        usage.account().last = None;
        Some(Arc::new(usage))
    }

    /// Does what reserves, and once more where the first answer was that what is stored is being counted.
    ///
    /// # Errors
    ///
    /// Those of what reserves.
    pub(super) async fn counted<T>(
        &self,
        reserve: impl Fn() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        Self::counted_later(Some(self), || ready(reserve())).await
    }

    /// The same where reserving takes its time. `usage`: the account, where there is one.
    ///
    /// # Errors
    ///
    /// As of [`Self::counted`].
    pub(super) async fn counted_later<T, F>(
        usage: Option<&Self>,
        reserve: impl Fn() -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let news = usage.and_then(Self::count_news);
        match (reserve().await, news) {
            (Err(refusal), Some(news)) if refusal.code == RefusalCode::InsufficientSpace => {
                news.await;
                reserve().await
            }
            (reserved, _) => reserved,
        }
    }

    /// Returns when a count has ended, or takes long. To be made before what may begin one. `None`: one takes long.
    fn count_news(&self) -> Option<Notified<'_>> {
        // Made before the look: `notify_waiters` reaches every `Notified` that exists by then.
        let news = self.count_news.notified();
        (!self.count_takes_long.load(Ordering::Relaxed)).then_some(news)
    }

    /// Whether what is stored is being counted: until that has ended, who finds no room may find some.
    pub(super) fn is_being_counted(&self) -> bool {
        self.account().counting.is_some()
    }

    /// Returns when no count is under way, however long it takes.
    pub(super) async fn count_end(&self) {
        loop {
            // As above.
            let news = self.count_news.notified();
            if !self.is_being_counted() {
                return;
            }
            news.await;
        }
    }

    /// An upload of `sender` is left to wait in the data file `name`, of `bytes`, until it is taken up again.
    pub(super) fn waits(&self, sender: &Identity, name: String, bytes: u64) {
        let owner = self.owner_of(sender);
        self.account().wait(name, Waiting { owner, place: None, bytes });
    }

    /// What waits in the data file `name` counts at this place.
    pub(super) fn waits_at(&self, name: &str, place: IpAddr) {
        self.account().wait_at(name, network(place));
    }

    /// What waited in the data file `name` was removed.
    pub(super) fn removed_waiting(&self, name: &str) {
        self.account().stop_waiting(name);
    }

    /// Directories are about to be made. Which, is said by [`Making::made`].
    pub(super) fn making_directories(&self) -> Making<'_> {
        self.account().making += 1;
        Making { usage: self }
    }

    /// A file was replaced by one that is published now. `owner`: whose it was, where that is known.
    pub(super) fn replaced(&self, owner: Option<&Identity>, bytes: u64) {
        let owner = owner.filter(|_| self.counts_shares());
        self.account().stored.remove(owner, Amount::file(bytes));
    }

    /// The records know whose the file with this inode is, if they are going to.
    pub(super) fn recorded(&self, inode: u64) {
        if self.counts_shares() {
            self.account().unrecorded.remove(&inode);
        }
    }

    /// Whether it matters whose a file is.
    pub(super) fn counts_shares(&self) -> bool {
        !self.share.is_none()
    }

    fn owner_of(&self, sender: &Identity) -> Option<Identity> {
        self.counts_shares().then(|| sender.clone())
    }

    fn add(self: &Arc<Self>, owner: Option<&Identity>, amount: Amount) -> Result<(), Refusal> {
        let mut account = self.account();
        if self.check(&account, owner, amount).is_err() {
            account = self.count_again(account);
            let is_counting = account.counting.is_some();
            self.check(&account, owner, amount)
                .map_err(|refusal| if is_counting { being_counted(refusal) } else { refusal })?;
        }
        account.reserved.add(owner, amount);
        Ok(())
    }

    /// Counts so much more at a place.
    ///
    /// # Errors
    ///
    /// `too-many`: as much is under way from there as may be. `quota-exceeded`: it alone is more.
    fn add_at(&self, place: Option<IpAddr>, bytes: u64) -> Result<(), Refusal> {
        let mut account = self.account();
        if let (Some(most), Some(place)) = (self.most_of_place, place)
            && account.at(place).saturating_add(bytes) > most
            && bytes > 0
        {
            let words = format!("{most} bytes may be under way from one address");
            let alone =
                if bytes > most { RefusalCode::QuotaExceeded } else { RefusalCode::TooMany };
            return Err(Refusal::new(alone, words));
        }
        account.add_at(place, bytes);
        Ok(())
    }

    /// Whether there is room.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`, in words about the limit that is met and not about what others have sent. The share
    /// comes first: who has used that up need not know how full the inbox is.
    fn check(
        &self,
        account: &Account,
        owner: Option<&Identity>,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let refuse = |words| Err(Refusal::new(RefusalCode::QuotaExceeded, words));
        let Account { stored, reserved, waits, .. } = account;
        if let Some(owner) = owner {
            let of = |tally: &account::Tally| tally.share(owner);
            let total = of(stored).plus(of(reserved)).plus(of(waits)).plus(amount);
            let who = if owner.is_anonymous() {
                "anonymous senders together have room for"
            } else {
                "each sender has room for"
            };
            match self.share.check(total, amount) {
                Ok(()) => {}
                Err(Limit::Files(most)) => return refuse(format!("{who} {most} files")),
                Err(Limit::Bytes(most)) => return refuse(format!("{who} {most} bytes")),
            }
        }
        let total = stored.whole.plus(reserved.whole).plus(waits.whole).plus(amount);
        match self.quota.check(total, amount) {
            Ok(()) => Ok(()),
            Err(Limit::Files(most)) => {
                refuse(format!("the inbox holds {most} files and directories at most"))
            }
            Err(Limit::Bytes(most)) => refuse(format!("the inbox holds {most} bytes at most")),
        }
    }

    /// Bytes and files that are stored, and that are reserved.
    #[cfg(test)]
    pub(super) fn totals(&self) -> [u64; 4] {
        let Account { stored, reserved, .. } = &*self.account();
        [stored.whole.bytes, stored.whole.files, reserved.whole.bytes, reserved.whole.files]
    }

    /// The same for an identity, and what of it waits.
    #[cfg(test)]
    pub(super) fn share(&self, identity: &Identity) -> [u64; 6] {
        let Account { stored, reserved, waits, .. } = &*self.account();
        let [stored, reserved, waits] = [stored, reserved, waits].map(|it| it.share(identity));
        [stored.bytes, stored.files, reserved.bytes, reserved.files, waits.bytes, waits.files]
    }

    /// Counts the tree now.
    #[cfg(test)]
    pub(super) fn count_now(&self) {
        self.account().counting = Some(Counting::default());
        self.count();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said while the last count may be wrong.
fn being_counted(refusal: Refusal) -> Refusal {
    let words = refusal.detail.unwrap_or_default();
    let words = format!("{words}, and what it holds is being counted: try again");
    Refusal::new(RefusalCode::InsufficientSpace, words)
}

impl Making<'_> {
    /// A directory was made.
    pub(super) fn made(&self, inode: u64) {
        let mut account = self.usage.account();
        let was_met = |counting: &Counting| counting.directories.contains(&inode);
        if !account.met_late.remove(&inode) && !account.counting.as_ref().is_some_and(was_met) {
            account.store(None, Amount::file(0), inode);
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
