//! The records in memory, by name.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::EntryName;

use super::{Record, Stored};

/// Most records in memory. Those of a million files take about 100 MB. Past it the oldest half is
/// forgotten; a file that is sent again after that becomes a second copy, and nothing else happens.
const RECORDS_MAX: usize = 1 << 20;

/// Most names that are remembered for one offered name of an identity, the latest. A file name that thousands
/// of senders use (`report.pdf`) must not make each offer of it a search through thousands.
const RENAMED_MAX: usize = 64;

/// Records by the name under which a file was published, and for each identity and offered name the
/// numbers that the conflict rule gave it.
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
    identities: Identities,
}

#[derive(Default)]
struct Generation {
    records: HashMap<u64, Owned>,
    renamed: HashMap<u64, Vec<u32>>,
}

#[derive(Clone, Copy)]
struct Owned {
    record: Record,
    identity: IdentityNumber,
}

/// An identity by its place in [`Identities`], from 1; 0: the anonymous one.
type IdentityNumber = u32;

/// The identities that have records. Each is known to the system of the host, so there are not many.
#[derive(Default)]
struct Identities {
    numbers: HashMap<Arc<str>, IdentityNumber>,
    names: Vec<Arc<str>>,
}

impl Identities {
    /// The number of an identity; `None`: it has none.
    fn number(&self, identity: Option<&str>) -> Option<IdentityNumber> {
        identity.map_or(Some(0), |name| self.numbers.get(name).copied())
    }

    /// The same; it gets one.
    fn number_or_new(&mut self, identity: Option<&str>) -> IdentityNumber {
        if let Some(number) = self.number(identity) {
            return number;
        }
        let name: Arc<str> = identity.unwrap_or_default().into();
        self.names.push(Arc::clone(&name));
        let number = IdentityNumber::try_from(self.names.len()).unwrap_or(IdentityNumber::MAX);
        self.numbers.insert(name, number);
        number
    }

    fn name(&self, number: IdentityNumber) -> Option<&Arc<str>> {
        self.names.get((number as usize).checked_sub(1)?)
    }
}

/// A record that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// What was stored.
    pub record: &'a Record,
    /// Who sent it; `None`: the anonymous identity.
    pub identity: Option<&'a Arc<str>>,
}

impl Known<'_> {
    /// Whether it is of the same file and sender.
    pub fn is(&self, stored: &Stored<'_>) -> bool {
        *self.record == stored.record
            && self.identity.map(|name| &**name) == stored.identity.as_deref()
    }
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
            identities: Identities::default(),
        }
    }

    /// Takes up the record of a file that was published under a name. One under the same published name is
    /// gone: a name has one file.
    pub fn insert(&mut self, stored: &Stored<'_>, published: &str) {
        let &Stored { ref identity, ref offered, number, record } = stored;
        let identity = self.identities.number_or_new(identity.as_deref());
        if self.young.records.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let key = self.hasher.hash_one(published);
        self.young.records.insert(key, Owned { record, identity });
        if number > 0 {
            let key = self.hasher.hash_one((identity, &**offered));
            let numbers = self.young.renamed.entry(key).or_default();
            numbers.retain(|&known| known != number);
            if numbers.len() == RENAMED_MAX {
                numbers.remove(0);
            }
            numbers.push(number);
        }
    }

    /// The record of a published name.
    pub fn get(&self, published: &str) -> Option<Known<'_>> {
        let Owned { record, identity } = self.owned(published)?;
        Some(Known { record, identity: self.identities.name(*identity) })
    }

    fn owned(&self, published: &str) -> Option<&Owned> {
        let key = self.hasher.hash_one(published);
        self.young.records.get(&key).or_else(|| self.old.records.get(&key))
    }

    /// What an identity has sent under an offered name, and fits: the names, with their records.
    pub fn find(
        &self,
        identity: Option<&str>,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Vec<(EntryName, Record)> {
        let mut found = Vec::new();
        let Some(identity) = self.identities.number(identity) else { return found };
        let fitting = |name: &str| {
            let owned = self.owned(name)?;
            (owned.identity == identity && fits(&owned.record)).then_some(owned.record)
        };
        let key = self.hasher.hash_one((identity, offered.as_str()));
        let numbers = [&self.young, &self.old]
            .into_iter()
            .filter_map(|generation| generation.renamed.get(&key))
            .flatten();
        let renamed = numbers.filter_map(|&number| offered.renamed(number));
        if let Some(record) = fitting(offered.as_str()) {
            found.push((offered.clone(), record));
        }
        for name in renamed {
            if let Some(record) = fitting(name.as_str()) {
                found.push((name, record));
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
