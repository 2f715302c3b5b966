//! The account of an inbox with a quota: what there is, and whose it is.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Identity;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Amount {
    /// One file.
    pub(super) fn file(bytes: u64) -> Self {
        Self { bytes, files: 1 }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            files: self.files.saturating_add(other.files),
        }
    }

    pub(super) fn less(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            files: self.files.saturating_sub(other.files),
        }
    }
}

/// What something comes to, and what each identity has of it. What is nobody's is only in the whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) whole: Amount,
    /// Of those that have any.
    shares: HashMap<Identity, Amount>,
}

impl Tally {
    pub(super) fn share(&self, identity: &Identity) -> Amount {
        self.shares.get(identity).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, owner: Option<&Identity>, amount: Amount) {
        self.whole = self.whole.plus(amount);
        let Some(owner) = owner else { return };
        match self.shares.get_mut(owner) {
            Some(share) => *share = share.plus(amount),
            None => drop(self.shares.insert(owner.clone(), amount)),
        }
    }

    pub(super) fn remove(&mut self, owner: Option<&Identity>, amount: Amount) {
        self.whole = self.whole.less(amount);
        let Some(owner) = owner else { return };
        if let Some(share) = self.shares.get_mut(owner) {
            *share = share.less(amount);
            if *share == Amount::default() {
                self.shares.remove(owner);
            }
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.whole = self.whole.plus(other.whole);
        for (owner, amount) in &other.shares {
            let share = self.share(owner).plus(*amount);
            self.shares.insert(owner.clone(), share);
        }
    }
}

/// An upload that waits to be resumed.
pub(super) struct Waiting {
    pub(super) owner: Option<Identity>,
    /// Where it counts, where that is known and matters.
    pub(super) place: Option<IpAddr>,
    pub(super) bytes: u64,
}

#[derive(Default)]
pub(super) struct Account {
    /// Of what has its name.
    pub(super) stored: Tally,
    /// Of uploads on their way.
    pub(super) reserved: Tally,
    /// Of uploads that wait to be resumed.
    pub(super) waits: Tally,
    /// Each of those, by the name of its data file.
    waiting: HashMap<String, Waiting>,
    /// Bytes of both kinds, by where they count. Those that have any.
    places: HashMap<IpAddr, u64>,
    /// Inodes that are about to get a name: a count that meets them leaves them out, because they are
    /// counted when they have it.
    pub(super) publishing: HashSet<u64>,
    /// Whose the files are that have their names, and that the records do not know yet.
    pub(super) unrecorded: HashMap<u64, Identity>,
    pub(super) counting: Option<Counting>,
    /// How many are making directories now.
    pub(super) making: usize,
    /// Inodes of directories that a count has met which ended before all of those had said what they made.
    pub(super) met_late: HashSet<u64>,
    /// When the last count ended, and how long it took.
    pub(super) last: Option<(Instant, Duration)>,
}

/// What happened while a count is under way.
#[derive(Default)]
pub(super) struct Counting {
    /// Inodes that were counted by their publication: the count leaves them out.
    published: HashSet<u64>,
    /// Inodes of directories that the count has met: a directory is there before anyone can say so.
    pub(super) directories: HashSet<u64>,
    pub(super) added: Tally,
}

impl Account {
    /// Counts something that has its name now.
    pub(super) fn store(&mut self, owner: Option<&Identity>, amount: Amount, inode: u64) {
        self.stored.add(owner, amount);
        if let Some(counting) = &mut self.counting {
            counting.added.add(owner, amount);
            counting.published.insert(inode);
        }
    }

    /// Whether the count has to take something in that it meets. If not, that is or will be counted
    /// because it was made here.
    pub(super) fn meet(&mut self, inode: u64, is_directory: bool) -> bool {
        let Some(counting) = &mut self.counting else { return true };
        if self.publishing.contains(&inode) || counting.published.contains(&inode) {
            return false;
        }
        if is_directory {
            counting.directories.insert(inode);
        }
        true
    }

    /// An upload waits in a data file from now on.
    pub(super) fn wait(&mut self, name: String, waiting: Waiting) {
        self.stop_waiting(&name);
        self.waits.add(waiting.owner.as_ref(), Amount::file(waiting.bytes));
        self.add_at(waiting.place, waiting.bytes);
        self.waiting.insert(name, waiting);
    }

    /// It does not any more.
    pub(super) fn stop_waiting(&mut self, name: &str) -> Option<Waiting> {
        let waiting = self.waiting.remove(name)?;
        self.waits.remove(waiting.owner.as_ref(), Amount::file(waiting.bytes));
        self.remove_at(waiting.place, waiting.bytes);
        Some(waiting)
    }

    /// What waits in a data file counts at this place from now on.
    pub(super) fn wait_at(&mut self, name: &str, place: IpAddr) {
        if let Some(waiting) = self.stop_waiting(name) {
            self.wait(name.to_owned(), Waiting { place: Some(place), ..waiting });
        }
    }

    /// Bytes of a place that are under way or wait.
    pub(super) fn at(&self, place: IpAddr) -> u64 {
        self.places.get(&place).copied().unwrap_or_default()
    }

    pub(super) fn add_at(&mut self, place: Option<IpAddr>, bytes: u64) {
        if let Some(place) = place.filter(|_| bytes > 0) {
            let here = self.places.entry(place).or_default();
            *here = here.saturating_add(bytes);
        }
    }

    pub(super) fn remove_at(&mut self, place: Option<IpAddr>, bytes: u64) {
        if let Some(place) = place
            && let Some(here) = self.places.get_mut(&place)
        {
            *here = here.saturating_sub(bytes);
            if *here == 0 {
                self.places.remove(&place);
            }
        }
    }

    /// All that waits, by the names of the data files, with their bytes.
    pub(super) fn waiting(&self) -> Vec<(String, u64)> {
        self.waiting.iter().map(|(name, waiting)| (name.clone(), waiting.bytes)).collect()
    }

    /// What was found of an upload that waited with `before` bytes: how many there are now; `None`: it is gone. If it
    /// does not wait so any more, that is older than what is known.
    pub(super) fn look_again(&mut self, name: &str, before: u64, now: Option<u64>) {
        if now == Some(before) || self.waiting.get(name).is_none_or(|it| it.bytes != before) {
            return;
        }
        let waited = self.stop_waiting(name);
        if let (Some(waited), Some(bytes)) = (waited, now) {
            self.wait(name.to_owned(), Waiting { bytes, ..waited });
        }
    }
}
