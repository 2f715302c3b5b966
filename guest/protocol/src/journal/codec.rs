//! Entries to bytes and back, and what a journal comes to.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::ChainingValue;
use crate::Metadata;

/// The first bytes of a journal, before its version. As those of the wire, they show what a channel for
/// text does to them.
pub const MAGIC: [u8; 7] = [0x89, b'S', b'P', b'J', b'\r', b'\n', 0x1a];

/// The one version of the format that this crate reads and writes.
pub const VERSION: u8 = 1;

/// Longest payload of a frame. Bytes. [`GROUPS_PER_ENTRY_MAX`](super::GROUPS_PER_ENTRY_MAX) chaining values, or the
/// longest name, with room for more.
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
    /// What else is to be known of it. An earlier version ends the journal here: its sender begins again.
    Noted(Notes),
    /// How long the file will be, in bytes, where that was not known when the upload was begun. An earlier version
    /// ends the journal here.
    Sized(u64),
}

/// How many kinds of entries this version knows. What is of another kind and holds together is skipped.
const KINDS: u32 = 4;

/// What is known of an upload beside what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// What its sender wants to be told again.
    pub metadata: Metadata,
    /// Whether it is kept however little of it is here: its key was made by the inbox.
    pub keeps_empty: bool,
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
    /// One that goes on after a frame with this check.
    pub(super) fn after(check: [u8; CHECK_BYTES]) -> Self {
        Self { check }
    }

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

/// What follows the beginning of a journal.
pub(super) fn frames(journal: &[u8]) -> Result<&[u8], JournalError> {
    let rest = journal.strip_prefix(&MAGIC).ok_or(JournalError::NotAJournal)?;
    match rest.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(JournalError::FutureVersion(version)),
        None => Err(JournalError::NotAJournal),
    }
}

/// Whether `bytes` begin with all of a frame, or with what is none.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return false };
    let length = u32::from_le_bytes(*length) as usize;
    !(1..=PAYLOAD_BYTES_MAX).contains(&length) || rest.len() >= CHECK_BYTES + length
}

/// Takes a frame off the front of `bytes`: its check, its payload, and what follows.
pub(super) fn split_frame(bytes: &[u8]) -> Option<([u8; CHECK_BYTES], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<CHECK_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(1..=PAYLOAD_BYTES_MAX).contains(&length) {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((*found, payload, rest))
}

/// The same, decoded; `None`: there is none that is whole. `None` in the place of an entry: it is of an unknown kind.
pub(super) fn frame<'a>(writer: &mut Writer, bytes: &'a [u8]) -> Option<(Option<Entry>, &'a [u8])> {
    let (found, payload, rest) = split_frame(bytes)?;
    let check = check(&writer.check, payload);
    if check != found {
        return None;
    }
    let (kind, _) = postcard::take_from_bytes::<u32>(payload).ok()?;
    let entry = match kind < KINDS {
        true => {
            let (entry, []) = postcard::take_from_bytes(payload).ok()? else { return None };
            Some(entry)
        }
        false => None,
    };
    writer.check = check;
    Some((entry, rest))
}

pub(super) fn check(before: &[u8; CHECK_BYTES], payload: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(payload);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    check
}
