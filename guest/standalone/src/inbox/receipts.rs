//! What was stored: the log on disk, in the format of every inbox, and the index of it in memory.

use std::borrow::Cow;
use std::cell::RefCell;

use sandport_protocol::EntryName;
use sandport_protocol::inbox::{
    Entry, Index, Known, LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, Record, Session, Stored,
    frame_entry, frame_head, push_frame,
};

use super::files::{DiskError, File, Folder};
use super::tree;

/// How much of the log is read in one go. Bytes. More than the longest frame.
const READ_BYTES: usize = 256 * 1024;

/// The receipts of an inbox.
pub(super) struct Receipts<F: Folder> {
    log: RefCell<Log<F::File>>,
    durable: bool,
    index: RefCell<Index>,
    /// What this run has made durable, by published name. WASI cannot sync all of a disk at the start,
    /// so what an earlier run wrote down is synced when it is first vouched for.
    vouched: RefCell<Index>,
}

struct Log<T> {
    file: T,
    /// Where the next frame goes.
    end: u64,
    /// Whether this run has written its [`Entry::Session`].
    begun: bool,
}

impl<F: Folder> Receipts<F> {
    /// Loads the log in `state`.
    pub(super) fn open(state: &F, durable: bool) -> Result<Self, DiskError> {
        let mut file = state.open("receipts")?;
        let mut index = Index::new();
        // No boot can be told from another here.
        let mut holds = true;
        let end = read(&mut file, |entry| match entry {
            Entry::Session(session) => holds = session.durable,
            Entry::Stored(stored) => {
                if holds && let Some(published) = stored.published() {
                    index.insert(&stored, published.as_str());
                }
            }
            Entry::Closed => {}
        })?;
        file.truncate(end)?;
        Ok(Self {
            log: RefCell::new(Log { file, end, begun: false }),
            durable,
            index: RefCell::new(index),
            vouched: RefCell::new(Index::new()),
        })
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
        let is_same = |known: Known<'_>| *known.record == record;
        let vouched = self.vouched.borrow().get(name.as_str()).is_some_and(is_same);
        if self.durable && !vouched {
            sync(root, &name).ok()?;
            self.vouch(&anonymous(offered, 0, record), &name);
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
        let mut log = self.log.borrow_mut();
        let mut frames = Vec::new();
        if !log.begun {
            push_frame(&mut frames, &Entry::Session(Session { boot: 0, durable: self.durable }));
        }
        push_frame(&mut frames, &Entry::Stored(anonymous(offered, number, record)));
        let end = log.end;
        log.file.write(&frames, end)?;
        if self.durable {
            // Where it fails, the next entries overwrite it: behind a hole in the log a power cut
            // would hide them.
            log.file.sync()?;
        }
        log.end += frames.len() as u64;
        log.begun = true;
        Ok(())
    }

    /// From now on an offer of the file is answered with its receipt.
    pub(super) fn publish(
        &self,
        offered: &EntryName,
        number: u32,
        published: &EntryName,
        record: Record,
    ) {
        let stored = anonymous(offered, number, record);
        self.vouch(&stored, published);
        self.index.borrow_mut().insert(&stored, published.as_str());
    }

    fn vouch(&self, stored: &Stored<'_>, published: &EntryName) {
        self.vouched.borrow_mut().insert(stored, published.as_str());
    }
}

/// All senders are anonymous here: WASI does not say who is at the other end of a socket.
fn anonymous(offered: &EntryName, number: u32, record: Record) -> Stored<'_> {
    Stored { identity: None, offered: Cow::Borrowed(offered.as_str()), number, record }
}

/// Makes a file durable that an earlier run has published, and the folders that lead to it.
fn sync<F: Folder>(root: &F, name: &EntryName) -> Result<(), DiskError> {
    let mut folder = root.clone();
    folder.sync()?;
    for part in name.parent().into_iter().flat_map(|path| path.split('/')) {
        folder = folder.folder(part)?;
        folder.sync()?;
    }
    folder.open(name.leaf())?.sync()
}

/// Calls `each` with the entries of the log and says where the first broken frame begins.
fn read(file: &mut impl File, mut each: impl FnMut(Entry<'_>)) -> Result<u64, DiskError> {
    let mut buffer: Vec<u8> = Vec::new();
    let (mut start, mut end) = (0, 0_u64);
    loop {
        if buffer.len() - start < LOG_HEAD_BYTES + LOG_PAYLOAD_BYTES_MAX {
            buffer.drain(..start);
            start = 0;
            let more = file.read(end + buffer.len() as u64, READ_BYTES)?;
            buffer.extend_from_slice(&more);
        }
        let rest = &buffer[start..];
        let Some((head, rest)) = rest.split_first_chunk::<LOG_HEAD_BYTES>() else {
            return Ok(end);
        };
        let Some((length, check)) = frame_head(*head) else {
            return Ok(end);
        };
        let Some(entry) = rest.get(..length).and_then(|payload| frame_entry(payload, check)) else {
            return Ok(end);
        };
        each(entry);
        start += LOG_HEAD_BYTES + length;
        end += (LOG_HEAD_BYTES + length) as u64;
    }
}
