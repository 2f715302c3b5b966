//! The format of the receipt log, `DIR/.sandport/receipts`.
//!
//! The file is a sequence of frames with nothing in between:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of the payload, little-endian, from 1 to [`LOG_PAYLOAD_BYTES_MAX`] |
//! | 8 | the first bytes of the BLAKE3 digest of the payload |
//! | length | the payload: an [`LogEntry`], encoded by postcard |
//!
//! Entries are appended, and the file may be replaced by one without those that later ones supersede
//! ([`Compaction`](super::Compaction)). What is no frame ends the log where no frame follows: a crash left it,
//! and it is overwritten. Where frames follow, it is damage: they count, and so do those before
//! ([`LogReader`](super::LogReader)).
//!
//! An entry is written *before* its file gets its name, so that there is no file without one. It is
//! therefore not true by itself: it counts where the file that has the name now is the one that the
//! entry describes. Where the file does not get the name, the entry is taken back by another one under that
//! name: what was true of it before, or a record of no file ([`Record::NONE`]). Every version knows entries
//! like these; one that does not know what they are for finds no file that they describe.
//!
//! Of a file whose sender has an identity an entry of its own kind is written, since the first kind had
//! no room for one. Kinds that are not known are skipped. Versions before 0.2 end the log at the first that they
//! do not know, or at damage, and cut it there: they forget, which costs second copies and no file.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::EntryName;

/// Length and checksum before each payload. Bytes.
pub const LOG_HEAD_BYTES: usize = 12;

/// Longest payload. Bytes. The longest name has 2 KiB, that of an identity 255 bytes, all else is under
/// 100.
pub const LOG_PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry<'a> {
    /// A server began to write; what follows is by it.
    Session(Session),
    /// A file has its name, or is about to get it.
    Stored(LoggedFile<'a>),
    /// The server ended in good order, and all before is durable.
    Closed,
}

/// A run of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Tells one boot of the system from another; 0: not known.
    pub boot: u64,
    /// Whether files were made durable before they were published. If not, what is said of them
    /// holds until the system stops.
    pub durable: bool,
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFile<'a> {
    /// Who sent it; `None`: the anonymous identity.
    pub identity: Option<Cow<'a, str>>,
    /// The name that the sender offered, or that was made up for it.
    pub offered: Cow<'a, str>,
    /// What the conflict rule put into the name ([`EntryName::renamed`]); 0: it is as offered.
    pub number: u32,
    /// What was stored.
    pub record: Record,
}

impl LoggedFile<'_> {
    /// The same, without anything borrowed.
    pub fn into_owned(self) -> LoggedFile<'static> {
        let Self { identity, offered, number, record } = self;
        let identity = identity.map(|identity| Cow::Owned(identity.into_owned()));
        LoggedFile { identity, offered: Cow::Owned(offered.into_owned()), number, record }
    }

    /// The name under which it was published.
    pub fn published(&self) -> Option<EntryName> {
        let offered = EntryName::parse_stored(&self.offered).ok()?;
        if self.number == 0 { Some(offered) } else { offered.renamed(self.number) }
    }
}

impl Record {
    /// What is recorded of a name that has no file of ours. No file has this inode and time.
    pub const NONE: Self =
        Self { digest: [0; 32], size: 0, inode: 0, modified: (i64::MIN, u32::MAX) };
}

/// A stored file, and how to recognise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// BLAKE3 of the content.
    pub digest: [u8; 32],
    /// Bytes.
    pub size: u64,
    /// Inode number, or what else the system tells files apart by.
    pub inode: u64,
    /// Modification time as the file system keeps it: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
}

/// An entry as it is encoded.
#[derive(Serialize, Deserialize)]
enum Encoded<'a> {
    Session(Session),
    Stored(#[serde(borrow)] Named<'a>),
    Closed,
    StoredBy(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Named<'a>),
}

/// What both kinds say of a stored file.
#[derive(Serialize, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    offered: Cow<'a, str>,
    number: u32,
    record: Record,
}

impl<'a> From<&'a LogEntry<'_>> for Encoded<'a> {
    fn from(entry: &'a LogEntry<'_>) -> Self {
        match entry {
            LogEntry::Session(session) => Self::Session(*session),
            LogEntry::Closed => Self::Closed,
            LogEntry::Stored(stored) => {
                let (number, record) = (stored.number, stored.record);
                let named = Named { offered: Cow::Borrowed(&stored.offered), number, record };
                match &stored.identity {
                    None => Self::Stored(named),
                    Some(identity) => Self::StoredBy(Cow::Borrowed(identity), named),
                }
            }
        }
    }
}

impl<'a> From<Encoded<'a>> for LogEntry<'a> {
    fn from(encoded: Encoded<'a>) -> Self {
        let (identity, Named { offered, number, record }) = match encoded {
            Encoded::Session(session) => return Self::Session(session),
            Encoded::Closed => return Self::Closed,
            Encoded::Stored(named) => (None, named),
            Encoded::StoredBy(identity, named) => (Some(identity), named),
        };
        Self::Stored(LoggedFile { identity, offered, number, record })
    }
}

/// Appends the frame of an entry.
pub fn push_frame(frames: &mut Vec<u8>, entry: &LogEntry<'_>) {
    // Encoding into memory does not fail for these types; if it did, it would cost a receipt.
    let Ok(payload) = postcard::to_allocvec(&Encoded::from(entry)) else {
        return;
    };
    let Ok(length) = u32::try_from(payload.len()) else {
        return;
    };
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(&checksum(&payload));
    frames.extend_from_slice(&payload);
}

/// Length and checksum of the payload of a frame that begins so; `None`: no frame does.
pub(super) fn frame_head(head: [u8; LOG_HEAD_BYTES]) -> Option<(usize, [u8; 8])> {
    let [l0, l1, l2, l3, check @ ..] = head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    (1..=LOG_PAYLOAD_BYTES_MAX).contains(&length).then_some((length, check))
}

/// The entry in the payload of a frame; `None`: it is of a kind that this version does not know.
pub(super) fn entry(payload: &[u8]) -> Option<LogEntry<'_>> {
    match postcard::take_from_bytes::<Encoded<'_>>(payload) {
        Ok((encoded, [])) => Some(encoded.into()),
        _ => None,
    }
}

pub(super) fn checksum(payload: &[u8]) -> [u8; 8] {
    let digest = blake3::hash(payload);
    let mut check = [0; 8];
    check.copy_from_slice(&digest.as_bytes()[..8]);
    check
}
