//! What was stored: the log on disk, and the index of it in memory.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{Index, LogEntry, LoggedFile, Record, Session};

use super::files::{Directory, DiskError, File, Look};
use super::log::Log;
use super::tree;

/// Most files of which it is remembered that they are durable. With more, those of an earlier run are synced
/// once more when they are vouched for again.
const VOUCHED_MAX: usize = 1 << 20;

/// The receipts of an inbox.
pub(super) struct Receipts<F: Directory> {
    log: RefCell<Log<F>>,
    durable: bool,
    index: RefCell<Index>,
    vouched: RefCell<Vouched>,
}

/// The files that this run has made durable, as hashes of their names and records. WASI cannot sync all of a disk
/// at the start, so what an earlier run wrote down is synced when it is first vouched for.
#[derive(Default)]
struct Vouched {
    hasher: RandomState,
    files: HashSet<u64>,
}

impl Vouched {
    fn key(&self, published: &EntryName, record: &Record) -> u64 {
        let Record { digest, size, inode, modified } = record;
        self.hasher.hash_one((published.as_str(), digest, size, inode, modified))
    }

    fn has(&self, published: &EntryName, record: &Record) -> bool {
        self.files.contains(&self.key(published, record))
    }

    fn add(&mut self, published: &EntryName, record: &Record) {
        if self.files.len() >= VOUCHED_MAX {
            self.files.clear();
        }
        let key = self.key(published, record);
        self.files.insert(key);
    }
}

impl<F: Directory> Receipts<F> {
    /// Loads the log in `state`, which speaks of files beneath `root`, of which those that look like `unpublished`
    /// have not got their names.
    pub(super) fn open(
        root: &F,
        state: &F,
        durable: bool,
        unpublished: &[Look],
    ) -> Result<Self, DiskError> {
        let unpublished: HashSet<_> =
            unpublished.iter().map(|look| (look.identity, look.size, look.modified)).collect();
        let mut index = Index::new();
        // No boot can be told from another here.
        let mut holds = true;
        let mut truths = Vec::new();
        let log = Log::open(state, Session { boot: 0, durable }, |entry| match entry {
            LogEntry::Session(session) => holds = session.durable,
            LogEntry::Stored(stored) => {
                if holds && let Some(published) = stored.published() {
                    let Record { inode, size, modified, .. } = stored.record;
                    if unpublished.contains(&(inode, size, modified)) {
                        truths.push((stored.record, index.recorded(&published)));
                    }
                    index.insert(&stored, published.as_str());
                }
            }
            LogEntry::Closed => {}
        })?;
        let receipts = Self {
            log: RefCell::new(log),
            durable,
            index: RefCell::new(index),
            vouched: RefCell::default(),
        };
        receipts.take_back_all(root, truths);
        while receipts.compact_some() {}
        Ok(receipts)
    }

    /// Takes back what a run that was killed had written of files that did not get their names. Each comes with what
    /// was recorded of its name before.
    fn take_back_all(&self, root: &F, truths: Vec<(Record, LoggedFile<'static>)>) {
        let mut owed = Vec::new();
        for (record, before) in truths.into_iter().rev() {
            let Some(published) = before.published() else { continue };
            let mut index = self.index.borrow_mut();
            let is_latest = index.get(published.as_str()).is_some_and(|it| it.record == record);
            let is_there =
                || matches!(tree::look_up(root, &published), Ok(Some(look)) if look.is(&record));
            if is_latest && !is_there() {
                index.insert(&before, published.as_str());
                owed.push(before);
            }
        }
        self.log.borrow_mut().owe(owed);
    }

    /// Goes on with writing the log anew, where that is due. Whether there is more to do.
    fn compact_some(&self) -> bool {
        let mut log = self.log.borrow_mut();
        let index = self.index.borrow();
        let is_live = |name: &EntryName, stored: &LoggedFile<'_>| {
            index.get(name.as_str()).is_some_and(|known| known.is(stored))
        };
        // Where it fails, the log goes on as it is, and it is tried again when there is twice as much.
        let _ = log.compact_some(index.len() as u64, is_live);
        log.is_compacting()
    }

    /// What anonymous senders have sent as `offered`, and fits, and is on the disk as it was published, durably where
    /// this run promises that.
    pub(super) fn find(
        &self,
        root: &F,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<(EntryName, Record)> {
        let is_there = |(name, record): &(EntryName, Record)| matches!(tree::look_up(root, name), Ok(Some(look)) if look.is(record));
        let found = self.index.borrow().find(None, offered, fits);
        let (name, record) = found.into_iter().find(is_there)?;
        if self.durable && !self.vouched.borrow().has(&name, &record) {
            sync(root, &name).ok()?;
            self.vouched.borrow_mut().add(&name, &record);
        }
        Some((name, record))
    }

    /// Writes down what is about to be published, and makes that durable where that is promised.
    pub(super) fn intend(
        &self,
        offered: &EntryName,
        number: u32,
        record: Record,
    ) -> Result<(), DiskError> {
        self.compact_some();
        let stored = anonymous(offered, number, record);
        self.log.borrow_mut().write(std::iter::once(stored))
    }

    /// A file that was about to get the name did not: what was true of it before is written down again.
    pub(super) fn take_back(&self, published: &EntryName) {
        let truth = self.index.borrow().recorded(published);
        self.log.borrow_mut().owe([truth]);
    }

    /// From now on an offer of the file is answered with its receipt.
    pub(super) fn publish(
        &self,
        offered: &EntryName,
        number: u32,
        published: &EntryName,
        record: Record,
    ) {
        self.vouched.borrow_mut().add(published, &record);
        let stored = anonymous(offered, number, record);
        self.index.borrow_mut().insert(&stored, published.as_str());
    }
}

/// All senders are anonymous here: WASI does not say who is at the other end of a socket.
fn anonymous(offered: &EntryName, number: u32, record: Record) -> LoggedFile<'_> {
    LoggedFile { identity: None, offered: Cow::Borrowed(offered.as_str()), number, record }
}

/// Makes a file durable that an earlier run has published, and the directories that lead to it.
fn sync<F: Directory>(root: &F, name: &EntryName) -> Result<(), DiskError> {
    let mut directory = root.clone();
    directory.sync()?;
    for part in name.parent().into_iter().flat_map(|path| path.split('/')) {
        directory = directory.directory(part)?;
        directory.sync()?;
    }
    directory.open(name.leaf())?.sync()
}
