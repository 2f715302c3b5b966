//! Which entries of a receipt log stay when it is written anew.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::vec::Vec;

use crate::EntryName;

use super::receipt_log::{LogEntry, LoggedFile, Session, push_frame};
use super::{LogItem, Record};

/// Fewest entries for which a log is written anew without its dead ones. Under it the file has less
/// than a megabyte and loads in a millisecond or two.
pub const COMPACT_ENTRIES_MIN: u64 = 4_096;

/// Whether a log of so many entries is to be written anew, where so many are remembered: then half of them are
/// superseded, or so old that they are forgotten.
pub fn is_compaction_due(entries: u64, remembered: u64) -> bool {
    entries >= COMPACT_ENTRIES_MIN && entries / 2 >= remembered
}

/// Writes a log anew: takes all that is found in the old one, in order, and gives the frames that stay.
#[derive(Debug, Default)]
pub struct Compaction {
    hasher: RandomState,
    /// The names that have been written, as hashes: a name has one file. Two with the same hash cost a record.
    written: HashSet<u64>,
    /// The session that the next entry belongs to, where it has not been written.
    session: Option<Session>,
    is_closed: bool,
    /// All that counts was made durable since.
    is_durable: bool,
}

impl Compaction {
    /// One of a log of which all that counts was made durable since: it holds after this boot of the system too.
    pub fn durable() -> Self {
        Self { is_durable: true, ..Self::default() }
    }

    /// Appends to `frames` what stays of the next thing in the old log. `is_live` says whether the entry under
    /// the name counts still.
    pub fn handle_item(
        &mut self,
        item: &LogItem<'_>,
        is_live: impl FnOnce(&EntryName, &LoggedFile<'_>) -> bool,
        frames: &mut Vec<u8>,
    ) {
        self.is_closed = *item == LogItem::Entry(LogEntry::Closed);
        match item {
            LogItem::Entry(LogEntry::Session(session)) => {
                let durable = session.durable || self.is_durable;
                self.session = Some(Session { durable, ..*session });
            }
            LogItem::Entry(entry @ LogEntry::Stored(stored)) => {
                let Some(published) = stored.published() else { return };
                let key = self.hasher.hash_one(published.as_str());
                if stored.record == Record::NONE
                    || self.written.contains(&key)
                    || !is_live(&published, stored)
                {
                    return;
                }
                self.written.insert(key);
                self.begin(frames);
                push_frame(frames, entry);
            }
            // Of a later version, which may be back.
            LogItem::Unknown(frame) => {
                self.begin(frames);
                frames.extend_from_slice(frame);
            }
            LogItem::Entry(LogEntry::Closed) | LogItem::Damaged(_) => {}
        }
    }

    /// Appends what ends the new log; how many entries of stored files it has.
    pub fn finish(mut self, frames: &mut Vec<u8>) -> u64 {
        // What is appended from now on is by the last session.
        self.begin(frames);
        if self.is_closed {
            push_frame(frames, &LogEntry::Closed);
        }
        self.written.len() as u64
    }

    fn begin(&mut self, frames: &mut Vec<u8>) {
        if let Some(session) = self.session.take() {
            push_frame(frames, &LogEntry::Session(session));
        }
    }
}
