//! What a body has brought that is to be checked.

use alloc::collections::BTreeMap;
use alloc::format;

use super::prefix::Prefix;
use crate::journal::ChainingValue;
use crate::{Refusal, RefusalCode};

/// Longest checked body. Bytes. All of it is sent again where one bit is wrong, and nothing of it is kept before its
/// end; a group of it takes some fifty bytes of memory.
pub const CHECKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most checked bodies of an upload at a time. What they bring lies on the disk beyond any step, and beyond what was
/// announced where that is not known.
pub const CHECKED_MAX: usize = 8;

/// What a checked body has brought.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    /// Where it begins.
    pub(super) start: u64,
    /// Where it is, with what it is writing.
    pub(super) end: u64,
    /// Groups that are whole by it.
    pub(super) whole: BTreeMap<u64, ChainingValue>,
    /// The group that it is at: its number, and its first bytes with those that were here before.
    pub(super) begun: Option<(u64, Prefix)>,
    /// Why it brings nothing more.
    pub(super) fault: Option<Refusal>,
}

impl Checked {
    pub(super) fn new(start: u64) -> Self {
        Self { start, end: start, whole: BTreeMap::new(), begun: None, fault: None }
    }

    /// The first bytes of a group that it has brought, with those that were here before.
    pub(super) fn prefix(&self, group: u64) -> Option<&Prefix> {
        self.begun.as_ref().filter(|(at, _)| *at == group).map(|(_, prefix)| prefix)
    }

    /// More of a group has come.
    pub(super) fn brought(&mut self, group: u64, prefix: Prefix, is_whole: bool) {
        if is_whole {
            self.whole.insert(group, prefix.value(group));
            self.begun = None;
        } else {
            self.begun = Some((group, prefix));
        }
    }

    /// Whether it may go on to `end`.
    ///
    /// # Errors
    /// `too-large`. What it met before.
    pub(super) fn check(&self, end: u64) -> Result<(), Refusal> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if end - self.start > CHECKED_BYTES_MAX {
            let words = format!("a body that is checked has {CHECKED_BYTES_MAX} bytes at most");
            return Err(Refusal::new(RefusalCode::TooLarge, words));
        }
        Ok(())
    }
}
