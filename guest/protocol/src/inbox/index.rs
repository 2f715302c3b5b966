//! The records in memory, by name.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::EntryName;

use super::Record;

/// Most records in memory. Those of a million files take about 100 MB. Past it the oldest half is
/// forgotten; a file that is sent again after that becomes a second copy, and nothing else happens.
const RECORDS_MAX: usize = 1 << 20;

/// Most names that are remembered for one offered name, the latest. A file name that thousands of
/// senders use (`report.pdf`) must not make each offer of it a search through thousands.
const RENAMED_MAX: usize = 64;

/// Records by the name under which a file was published, and for each offered name the numbers that
/// the conflict rule gave it.
///
/// Names are kept as hashes only. Two names with the same hash cost a record, never a wrong answer:
/// whoever finds a record compares it with the file that has the name in question.
pub struct Index {
    hasher: RandomState,
    /// Records that came since the last turn.
    young: Generation,
    /// Those of the turn before it; they are dropped at the next.
    old: Generation,
    generation_max: usize,
}

#[derive(Default)]
struct Generation {
    records: HashMap<u64, Record>,
    renamed: HashMap<u64, Vec<u32>>,
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_capacity_max(RECORDS_MAX)
    }

    /// An empty one that remembers this many at most.
    pub fn with_capacity_max(records_max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            young: Generation::default(),
            old: Generation::default(),
            generation_max: records_max / 2,
        }
    }

    /// Takes up a record. One under the same published name is gone: a name has one file.
    pub fn insert(&mut self, offered: &str, number: u32, published: &str, record: Record) {
        if self.young.records.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let key = self.hasher.hash_one(published);
        self.young.records.insert(key, record);
        if number > 0 {
            let numbers = self.young.renamed.entry(self.hasher.hash_one(offered)).or_default();
            numbers.retain(|&known| known != number);
            if numbers.len() == RENAMED_MAX {
                numbers.remove(0);
            }
            numbers.push(number);
        }
    }

    /// The record of a published name.
    pub fn get(&self, published: &str) -> Option<&Record> {
        let key = self.hasher.hash_one(published);
        self.young.records.get(&key).or_else(|| self.old.records.get(&key))
    }

    /// What was published for an offered name and fits: the names, with their records.
    pub fn find(
        &self,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Vec<(EntryName, Record)> {
        let key = self.hasher.hash_one(offered.as_str());
        let numbers = [&self.young, &self.old]
            .into_iter()
            .filter_map(|generation| generation.renamed.get(&key))
            .flatten();
        let renamed = numbers.filter_map(|&number| offered.renamed(number));
        let mut found = Vec::new();
        if let Some(record) = self.get(offered.as_str())
            && fits(record)
        {
            found.push((offered.clone(), *record));
        }
        for name in renamed {
            if let Some(record) = self.get(name.as_str())
                && fits(record)
            {
                found.push((name, *record));
            }
        }
        found
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.young.records.len() + self.old.records.len()
    }
}
