//! What a journal comes to when it is read again.

use alloc::vec;
use alloc::vec::Vec;

use super::codec::{MAGIC, Writer, check, frame, frames, is_complete, split_frame};
use super::{
    Begun, ChainingValue, Entry, GROUP_BYTES, GROUPS_PER_ENTRY_MAX, JournalError, JournalId, Kept,
    Notes, Ranges, Tail, Tree,
};
use crate::sorted::SortedMap;

/// What a journal comes to.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What the upload is, with the size that it has now.
    pub begun: Begun,
    /// What else is known of it.
    pub notes: Notes,
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
    /// Whole groups that entries with a boot alone speak of.
    of_boot: SortedMap<u64, ChainingValue>,
    /// Whether the last that was said of the begun group was said with a boot.
    is_tail_of_boot: bool,
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
                let writer = Writer::after(found);
                let is_its = self.id.is_none_or(|id| check(&id, payload) == found);
                match postcard::take_from_bytes(payload) {
                    Ok((Entry::Begun(begun), [])) if is_its => {
                        let (tree, kept, tail) = (Tree::default(), Ranges::default(), None);
                        let (is_of_boot, is_being_synced, end) = (false, false, 0);
                        let recovered = Recovered {
                            begun,
                            notes: Notes::default(),
                            tree,
                            kept,
                            tail,
                            is_of_boot,
                            is_being_synced,
                            end,
                            writer,
                            of_boot: SortedMap::default(),
                            is_tail_of_boot: false,
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
                    Some((entry, rest)) if recovered.fits(entry.as_ref()) => {
                        recovered.writer = ahead;
                        match entry {
                            Some(Entry::Kept(entry)) => {
                                recovered.take_in(&entry, self.boot, self.data_bytes);
                            }
                            Some(Entry::Noted(notes)) => recovered.notes = notes,
                            Some(Entry::Sized(size)) => recovered.begun.size = Some(size),
                            Some(Entry::Begun(_)) | None => {}
                        }
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

    /// What is to be said once more, without a boot, when all of it was synced: what entries with this boot alone speak
    /// of, which is lost with the next boot. Empty: there is no such thing.
    pub fn to_say_again(&self) -> Vec<Kept> {
        let tail = self.tail.filter(|_| self.is_tail_of_boot);
        if self.of_boot.is_empty() && tail.is_none() {
            return Vec::new();
        }
        Kept::all(None, self.of_boot.iter().map(|(group, &value)| (group, value)), tail)
    }

    /// Whether an entry may follow; `None`: one of an unknown kind.
    fn fits(&self, entry: Option<&Entry>) -> bool {
        match entry {
            None | Some(Entry::Noted(_)) => true,
            Some(Entry::Begun(_)) => false,
            Some(Entry::Kept(entry)) => entry.fits(self.begun.size),
            Some(&Entry::Sized(size)) => {
                let tail_end = self.tail.map_or(0, |tail| tail.group * GROUP_BYTES + tail.length);
                self.begun.size.is_none() && self.kept.end().max(tail_end) <= size
            }
        }
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
                if entry.boot.is_some() {
                    self.of_boot.insert(group, *value);
                }
            }
            if entry.boot.is_none() {
                self.of_boot.remove(group);
            }
        }
        if entry.tail.is_some() {
            (self.tail, self.is_tail_of_boot) = (entry.tail, entry.boot.is_some());
        }
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
/// [`BEGINNING_BYTES_MAX`](super::BEGINNING_BYTES_MAX). As with [`inspect`], nobody can tell whether that is damaged.
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

impl Kept {
    /// The entry that comes before what was said of this boot alone is synced. The system tells a failed write once:
    /// where no entry without a boot follows, nobody knows whether that was told.
    pub fn syncing(boot: u64) -> Self {
        Self { boot: Some(boot), ..Self::default() }
    }

    /// The entry that comes after that, where there is nothing else to be said.
    pub fn synced() -> Self {
        Self::default()
    }

    /// Entries of all these groups, in ascending order, and of one that is begun; an empty one of nothing.
    pub(crate) fn all(
        boot: Option<u64>,
        groups: impl Iterator<Item = (u64, ChainingValue)>,
        tail: Option<Tail>,
    ) -> Vec<Self> {
        let mut entries: Vec<Self> = Vec::new();
        for (group, value) in groups {
            match entries.last_mut() {
                Some(last)
                    if last.first + last.groups.len() as u64 == group
                        && last.groups.len() < GROUPS_PER_ENTRY_MAX =>
                {
                    last.groups.push(value);
                }
                _ => entries.push(Self { boot, first: group, groups: vec![value], tail: None }),
            }
        }
        match entries.last_mut() {
            Some(last) => last.tail = tail,
            None => entries.push(Self { boot, tail, ..Self::default() }),
        }
        entries
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
