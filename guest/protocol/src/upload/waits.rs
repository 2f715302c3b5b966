//! Those who wait until what has come is kept.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ids::KeepId;
use crate::{Refusal, RefusalCode};

/// Most who wait at a time for what came of one upload to be kept. Twice as many as one sender's connections.
pub const KEEPS_MAX: usize = 128;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    /// What was here of a begun group: its number, and how many bytes.
    pub(super) begun: Option<(u64, u64)>,
    /// The journal is being written with all that it waits for.
    is_asked: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    waits: BTreeMap<KeepId, Wait>,
    made: u64,
}

impl Waits {
    pub(super) fn insert(&mut self, begun: Option<(u64, u64)>) -> Result<KeepId, Refusal> {
        if self.waits.len() >= KEEPS_MAX {
            let words = "too many wait for the upload to be kept";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        self.made += 1;
        let id = KeepId(self.made);
        self.waits.insert(id, Wait { begun, is_asked: false });
        Ok(id)
    }

    /// Whether somebody waits for whom the journal is not being written.
    pub(super) fn are_new(&self) -> bool {
        self.waits.values().any(|wait| !wait.is_asked)
    }

    /// The journal is being written with all that is here.
    pub(super) fn ask(&mut self) {
        self.waits.values_mut().for_each(|wait| wait.is_asked = true);
    }

    /// Those for whom it was written, or all.
    pub(super) fn take(&mut self, all: bool) -> Vec<(KeepId, Wait)> {
        let is_due = |wait: &Wait| all || wait.is_asked;
        let due = self.waits.iter().filter(|(_, wait)| is_due(wait));
        let due: Vec<_> = due.map(|(&id, wait)| (id, wait.clone())).collect();
        for (id, _) in &due {
            self.waits.remove(id);
        }
        due
    }
}
