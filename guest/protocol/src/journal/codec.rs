//! Entries to bytes and back, and what a journal comes to.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{ChainingValue, GROUP_BYTES, GROUPS_PER_ENTRY_MAX, Ranges, Tree};

/// The first bytes of a journal, before its version. As those of the wire, they show what a channel for
/// text does to them.
pub const MAGIC: [u8; 7] = [0x89, b'S', b'P', b'J', b'\r', b'\n', 0x1a];

/// The one version of the format that this crate reads and writes.
pub const VERSION: u8 = 1;

/// Longest payload of a frame. Bytes. [`GROUPS_PER_ENTRY_MAX`] chaining values, or the longest name,
/// with room for more.
pub const PAYLOAD_BYTES_MAX: usize = 40 * 1024;

/// Bytes of a check.
const CHECK_BYTES: usize = 16;

/// How far the first entry of a journal reaches at most. Bytes. The longest name has 2 KiB, that of an
/// identity 255 bytes, all else is under 100.
pub const BEGINNING_BYTES_MAX: usize = 4 * 1024;

/// Which upload a journal is of: what checks begin with. An inbox derives it from the resume key.
pub type JournalId = [u8; CHECK_BYTES];

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Entry {
    /// An upload was begun.
    Begun(Begun),
    /// Some of its bytes are kept.
    Kept(Kept),
}

/// What an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The name that was offered or made up.
    pub name: String,
    /// The size that was offered.
    pub size: Option<u64>,
    /// Who sends it; `None`: the anonymous identity.
    pub identity: Option<String>,
    /// When it was begun. Seconds since 1970-01-01T00:00:00Z.
    pub begun_s: i64,
}

/// Bytes that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The boot of the system for which it holds; `None`: it holds after a power cut too.
    pub boot: Option<u64>,
    /// The number of the first group.
    pub first: u64,
    /// The chaining values of groups that are whole, from `first` on. The last group of a file is
    /// whole at the file's end, where its size is known.
    pub groups: Vec<ChainingValue>,
    /// A group that is begun. It replaces what was said of a begun group before.
    pub tail: Option<Tail>,
}

/// The first bytes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The number of the group.
    pub group: u64,
    /// How many of its bytes are kept. From 1; less than a group.
    pub length: u64,
    /// The chaining value of these bytes alone, to compare what is read again with.
    pub value: ChainingValue,
}

/// Why a journal says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It does not begin as a journal does.
    #[error("it is not a journal")]
    NotAJournal,
    /// A later version of the format.
    #[error("it has version {0} of the format")]
    FutureVersion(u8),
    /// Its first entry is damaged, or it is the journal of another upload.
    #[error("its first entry is damaged, or of another upload")]
    NoBeginning,
}

/// Writes entries as frames.
#[derive(Clone, Debug)]
pub struct Writer {
    check: [u8; CHECK_BYTES],
}

impl Writer {
    /// A writer for a new journal: its first bytes, to which frames are appended.
    pub fn begin(id: JournalId, begun: Begun) -> (Self, Vec<u8>) {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        let mut writer = Self { check: id };
        writer.push(&mut bytes, &Entry::Begun(begun));
        (writer, bytes)
    }

    /// Appends the frame of an entry to `bytes`. The frames have to reach the journal in this order;
    /// where that fails, go on with a clone that was made before.
    pub fn push(&mut self, bytes: &mut Vec<u8>, entry: &Entry) {
        let Ok(payload) = postcard::to_allocvec(entry) else { return };
        // Entries are bounded where they are made; one that is not would be taken for damage.
        debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX);
        let Ok(length) = u32::try_from(payload.len()) else { return };
        self.check = check(&self.check, &payload);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.check);
        bytes.extend_from_slice(&payload);
    }
}

/// What a journal comes to.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What the upload is.
    pub begun: Begun,
    /// The whole groups that are kept.
    pub tree: Tree,
    /// The bytes of these groups.
    pub kept: Ranges,
    /// The group that is begun; not one of those.
    pub tail: Option<Tail>,
    /// Whether some of it was not synced, and so holds for this boot of the system alone.
    pub is_of_boot: bool,
    /// Whether a sync of that was begun, of which nobody wrote down that it went well ([`Kept::syncing`]).
    pub is_being_synced: bool,
    /// Where the journal ends; what lies behind has to be cut off.
    pub end: u64,
    /// Goes on from there.
    pub writer: Writer,
}

/// Reads the journal of the upload `id`, all of it at once: see [`Recovery`].
///
/// # Errors
/// [`JournalError`]: nothing of it can be used.
pub fn recover(
    id: JournalId,
    journal: &[u8],
    boot: u64,
    data_bytes: u64,
) -> Result<Recovered, JournalError> {
    let mut recovery = Recovery::new(id, boot, data_bytes);
    recovery.push(journal);
    recovery.finish()
}

/// Reads a journal piece by piece, so that no more of it is in memory than a frame and what it comes to.
#[derive(Debug)]
pub struct Recovery {
    /// `None`: it is not known which upload it is of, and its first check is believed.
    id: Option<JournalId>,
    boot: u64,
    data_bytes: u64,
    /// What was pushed and is not read.
    rest: Vec<u8>,
    /// How many bytes were read.
    end: u64,
    state: Reading,
}

#[derive(Debug)]
enum Reading {
    /// What makes it a journal.
    Head,
    /// Its first entry.
    Beginning,
    Entries(Recovered),
    /// It holds together up to here.
    Ended(Result<Recovered, JournalError>),
}

impl Recovery {
    /// Of the upload `id`. `boot` is this boot of the system, and `data_bytes` how long the data file is: what is
    /// said of bytes beyond it does not count.
    pub fn new(id: JournalId, boot: u64, data_bytes: u64) -> Self {
        Self::of(Some(id), boot, data_bytes)
    }

    /// For those who do not know which upload it is of: see [`inspect`].
    pub fn of_unknown(boot: u64, data_bytes: u64) -> Self {
        Self::of(None, boot, data_bytes)
    }

    fn of(id: Option<JournalId>, boot: u64, data_bytes: u64) -> Self {
        Self { id, boot, data_bytes, rest: Vec::new(), end: 0, state: Reading::Head }
    }

    /// Takes the next bytes in; `false`: what follows does not matter.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.rest.extend_from_slice(bytes);
        let pushed = core::mem::take(&mut self.rest);
        let mut rest = pushed.as_slice();
        loop {
            let before = rest.len();
            let state = core::mem::replace(&mut self.state, Reading::Head);
            (self.state, rest) = self.read(state, rest);
            self.end += (before - rest.len()) as u64;
            if rest.len() == before {
                break;
            }
        }
        if matches!(self.state, Reading::Ended(_)) {
            return false;
        }
        self.rest = rest.to_vec();
        true
    }

    /// Reads what comes next; where that is not whole, nothing.
    fn read<'a>(&self, state: Reading, bytes: &'a [u8]) -> (Reading, &'a [u8]) {
        match state {
            Reading::Head if bytes.len() <= MAGIC.len() => (Reading::Head, bytes),
            Reading::Head => match frames(bytes) {
                Ok(rest) => (Reading::Beginning, rest),
                Err(error) => (Reading::Ended(Err(error)), bytes),
            },
            Reading::Beginning => {
                if !is_complete(bytes) {
                    return (Reading::Beginning, bytes);
                }
                let Some((found, payload, rest)) = split_frame(bytes) else {
                    return (Reading::Ended(Err(JournalError::NoBeginning)), bytes);
                };
                let writer = Writer { check: found };
                let is_its = self.id.is_none_or(|id| check(&id, payload) == found);
                match postcard::take_from_bytes(payload) {
                    Ok((Entry::Begun(begun), [])) if is_its => {
                        let (tree, kept, tail) = (Tree::default(), Ranges::default(), None);
                        let (is_of_boot, is_being_synced, end) = (false, false, 0);
                        let recovered = Recovered {
                            begun,
                            tree,
                            kept,
                            tail,
                            is_of_boot,
                            is_being_synced,
                            end,
                            writer,
                        };
                        (Reading::Entries(recovered), rest)
                    }
                    _ => (Reading::Ended(Err(JournalError::NoBeginning)), bytes),
                }
            }
            Reading::Entries(mut recovered) => {
                if !is_complete(bytes) {
                    return (Reading::Entries(recovered), bytes);
                }
                let mut ahead = recovered.writer.clone();
                match frame(&mut ahead, bytes) {
                    Some((Entry::Kept(entry), rest)) if entry.fits(recovered.begun.size) => {
                        recovered.writer = ahead;
                        recovered.take_in(&entry, self.boot, self.data_bytes);
                        (Reading::Entries(recovered), rest)
                    }
                    _ => (Reading::Ended(Ok(recovered)), bytes),
                }
            }
            Reading::Ended(recovered) => (Reading::Ended(recovered), bytes),
        }
    }

    /// What it comes to.
    ///
    /// # Errors
    /// [`JournalError`]: nothing of it can be used.
    pub fn finish(self) -> Result<Recovered, JournalError> {
        let mut recovered = match self.state {
            Reading::Head => return Err(JournalError::NotAJournal),
            Reading::Beginning => return Err(JournalError::NoBeginning),
            Reading::Entries(recovered) | Reading::Ended(Ok(recovered)) => recovered,
            Reading::Ended(Err(error)) => return Err(error),
        };
        recovered.end = self.end;
        let data_bytes = self.data_bytes;
        recovered.tail = recovered.tail.filter(|tail| {
            let start = tail.group * GROUP_BYTES;
            !recovered.kept.contains(start) && start + tail.length <= data_bytes
        });
        Ok(recovered)
    }
}

impl Recovered {
    /// What of it matters to who only lists it.
    pub fn inspected(self) -> Inspected {
        let Self { begun, kept, tail, .. } = self;
        let kept_bytes = kept.bytes() + tail.map_or(0, |tail| tail.length);
        Inspected { begun, kept_bytes }
    }

    /// Takes in an entry after the first.
    fn take_in(&mut self, entry: &Kept, boot: u64, data_bytes: u64) {
        if entry.boot.is_some_and(|named| named != boot || boot == 0) {
            return;
        }
        // Before one without a boot is written, all that was written before is synced.
        self.is_of_boot = entry.boot.is_some();
        self.is_being_synced = entry.boot.is_some() && (self.is_being_synced || entry.is_empty());
        for (group, value) in (entry.first..).zip(&entry.groups) {
            let (start, end) = group_range(group, self.begun.size);
            if end <= data_bytes && !self.kept.contains(start) {
                self.kept.insert(start, end);
                self.tree.insert(group, *value);
            }
        }
        self.tail = entry.tail.or(self.tail);
    }
}

/// What a journal says to those who do not know which upload it is of, and only want to list it:
/// nobody can tell whether its first entry is damaged, or whose it is. All else is as of [`recover`].
///
/// # Errors
/// [`JournalError`]: nothing of it can be read.
pub fn inspect(journal: &[u8], boot: u64, data_bytes: u64) -> Result<Inspected, JournalError> {
    let mut recovery = Recovery::of_unknown(boot, data_bytes);
    recovery.push(journal);
    Ok(recovery.finish()?.inspected())
}

/// What upload a journal is of, by its beginning: as much of it as there is, or
/// [`BEGINNING_BYTES_MAX`]. As with [`inspect`], nobody can tell whether that is damaged.
///
/// # Errors
/// [`JournalError`]: nothing of it can be read.
pub fn beginning(journal: &[u8]) -> Result<Begun, JournalError> {
    let (_, payload, _) = split_frame(frames(journal)?).ok_or(JournalError::NoBeginning)?;
    match postcard::take_from_bytes(payload) {
        Ok((Entry::Begun(begun), [])) => Ok(begun),
        _ => Err(JournalError::NoBeginning),
    }
}

/// What can be told of a journal without its upload's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What the upload is.
    pub begun: Begun,
    /// How many of its bytes are kept.
    pub kept_bytes: u64,
}

/// What follows the beginning of a journal.
fn frames(journal: &[u8]) -> Result<&[u8], JournalError> {
    let rest = journal.strip_prefix(&MAGIC).ok_or(JournalError::NotAJournal)?;
    match rest.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(JournalError::FutureVersion(version)),
        None => Err(JournalError::NotAJournal),
    }
}

impl Kept {
    /// The entry that comes before what was said of this boot alone is synced. The system tells a failed write once: where
    /// no entry without a boot follows, nobody knows whether that was told.
    pub fn syncing(boot: u64) -> Self {
        Self { boot: Some(boot), ..Self::default() }
    }

    /// The entry that comes after that, where there is nothing else to be said.
    pub fn synced() -> Self {
        Self::default()
    }

    /// Whether it says nothing of any byte.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.tail.is_none()
    }

    /// Whether it speaks of bytes that a file of that size has.
    fn fits(&self, size: Option<u64>) -> bool {
        let groups_max = size.unwrap_or(u64::MAX).div_ceil(GROUP_BYTES);
        let groups_fit = self.groups.is_empty()
            || (self.groups.len() <= GROUPS_PER_ENTRY_MAX
                && self
                    .first
                    .checked_add(self.groups.len() as u64)
                    .is_some_and(|end| end <= groups_max));
        let tail_fits = self.tail.is_none_or(|tail| {
            let end = tail
                .group
                .checked_mul(GROUP_BYTES)
                .and_then(|start| start.checked_add(tail.length));
            (1..GROUP_BYTES).contains(&tail.length)
                && end.is_some_and(|end| end <= size.unwrap_or(u64::MAX))
        });
        groups_fit && tail_fits
    }
}

/// The bytes of a group, given the size of the file where that is known.
fn group_range(group: u64, size: Option<u64>) -> (u64, u64) {
    let start = group.saturating_mul(GROUP_BYTES);
    let end = start.saturating_add(GROUP_BYTES);
    (start, size.map_or(end, |size| end.min(size)))
}

/// Whether `bytes` begin with all of a frame, or with what is none.
fn is_complete(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return false };
    let length = u32::from_le_bytes(*length) as usize;
    !(1..=PAYLOAD_BYTES_MAX).contains(&length) || rest.len() >= CHECK_BYTES + length
}

/// Takes a frame off the front of `bytes`: its check, its payload, and what follows.
fn split_frame(bytes: &[u8]) -> Option<([u8; CHECK_BYTES], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<CHECK_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(1..=PAYLOAD_BYTES_MAX).contains(&length) {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((*found, payload, rest))
}

/// The same, decoded; `None`: there is none that is whole.
fn frame<'a>(writer: &mut Writer, bytes: &'a [u8]) -> Option<(Entry, &'a [u8])> {
    let (found, payload, rest) = split_frame(bytes)?;
    let check = check(&writer.check, payload);
    if check != found {
        return None;
    }
    let (entry, []) = postcard::take_from_bytes(payload).ok()? else { return None };
    writer.check = check;
    Some((entry, rest))
}

fn check(before: &[u8; CHECK_BYTES], payload: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(payload);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    check
}
