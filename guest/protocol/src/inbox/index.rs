//! The records in memory, by name.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use std::borrow::{Cow, ToOwned};

use crate::EntryName;

use super::{LoggedFile, Record};

/// Most records in memory: two generations. They take 77 MB. Past it the oldest half is
/// forgotten; a file that is sent again after that becomes a second copy, and nothing else happens.
const RECORDS_MAX: usize = 2 * GENERATION_RECORDS_MAX;

/// Most records of a generation: as many as a hash table of 2^19 places takes. One more would double it.
const GENERATION_RECORDS_MAX: usize = (1 << 19) / 8 * 7;

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

/// A record and its owner, side by side: a [`Record`] of its own would be padded, by a ninth of it all.
#[derive(Clone, Copy)]
struct Owned {
    digest: [u8; 32],
    size: u64,
    inode: u64,
    modified_s: i64,
    modified_ns: u32,
    identity: IdentityNumber,
}

impl Owned {
    fn new(record: Record, identity: IdentityNumber) -> Self {
        let Record { digest, size, inode, modified: (modified_s, modified_ns) } = record;
        Self { digest, size, inode, modified_s, modified_ns, identity }
    }

    fn record(&self) -> Record {
        let &Self { digest, size, inode, modified_s, modified_ns, .. } = self;
        Record { digest, size, inode, modified: (modified_s, modified_ns) }
    }
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
    pub record: Record,
    /// Who sent it; `None`: the anonymous identity.
    pub identity: Option<&'a Arc<str>>,
}

impl Known<'_> {
    /// Whether it is of the same file and sender.
    pub fn is(&self, stored: &LoggedFile<'_>) -> bool {
        self.record == stored.record
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
        Self::with_max_records(RECORDS_MAX)
    }

    /// An empty one that remembers this many at most.
    pub fn with_max_records(max_records: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            young: Generation::default(),
            old: Generation::default(),
            generation_max: max_records / 2,
            identities: Identities::default(),
        }
    }

    /// Takes up the record of a file that was published under a name. One under the same published name is
    /// gone: a name has one file, or none ([`Record::NONE`]).
    pub fn insert(&mut self, stored: &LoggedFile<'_>, published: &str) {
        let &LoggedFile { ref identity, ref offered, number, record } = stored;
        if record == Record::NONE {
            self.remove(published);
            return;
        }
        let identity = self.identities.number_or_new(identity.as_deref());
        if self.young.records.len() >= self.generation_max {
            // As large as it will be, since there are so many: growing would copy it, and leave the allocator
            // with pieces that it keeps. What is not used yet takes no memory.
            let records = HashMap::with_capacity(self.generation_max);
            let young = Generation { records, ..Generation::default() };
            self.old = std::mem::replace(&mut self.young, young);
        }
        let key = self.hasher.hash_one(published);
        self.young.records.insert(key, Owned::new(record, identity));
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

    /// Forgets the record of a published name.
    pub fn remove(&mut self, published: &str) {
        let key = self.hasher.hash_one(published);
        self.young.records.remove(&key);
        self.old.records.remove(&key);
    }

    /// The record of a published name.
    pub fn get(&self, published: &str) -> Option<Known<'_>> {
        let owned = self.owned(published)?;
        Some(Known { record: owned.record(), identity: self.identities.name(owned.identity) })
    }

    /// What is recorded of a published name, as an entry of the log; where nothing is, that as well.
    pub fn recorded(&self, published: &EntryName) -> LoggedFile<'static> {
        let known = self.get(published.as_str());
        let identity = known.as_ref().and_then(|known| known.identity);
        LoggedFile {
            identity: identity.map(|name| Cow::Owned(name.as_ref().to_owned())),
            // Whatever it was offered as: that stands in the entry that this one says again.
            offered: Cow::Owned(published.as_str().to_owned()),
            number: 0,
            record: known.map_or(Record::NONE, |known| known.record),
        }
    }

    fn owned(&self, published: &str) -> Option<&Owned> {
        let key = self.hasher.hash_one(published);
        self.young.records.get(&key).or_else(|| self.old.records.get(&key))
    }

    /// Changes the record of a published name, where it is this one: to `now`, or forgets it.
    pub fn update(&mut self, published: &str, record: &Record, now: Option<Record>) {
        let key = self.hasher.hash_one(published);
        for generation in [&mut self.young, &mut self.old] {
            let Some(owned) = generation.records.get_mut(&key) else { continue };
            if owned.record() != *record {
                continue;
            }
            match now {
                Some(now) => *owned = Owned::new(now, owned.identity),
                None => drop(generation.records.remove(&key)),
            }
        }
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
            let record = owned.record();
            (owned.identity == identity && fits(&record)).then_some(record)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of a hash table that has grown to take so many: a power of two, of which an eighth stays free.
    fn places(records: usize) -> usize {
        (records * 8).div_ceil(7).next_power_of_two()
    }

    #[test]
    fn a_full_index_takes_under_80_mb() {
        let place_bytes = size_of::<(u64, Owned)>() + 1;
        let bytes = 2 * places(RECORDS_MAX / 2) * place_bytes;
        assert!(bytes < 80_000_000, "{bytes}");
        let mut table: HashMap<u64, ()> = HashMap::new();
        table.extend((0..GENERATION_RECORDS_MAX as u64).map(|key| (key, ())));
        assert_eq!(table.capacity(), GENERATION_RECORDS_MAX, "it is full, and has not grown");
    }

    #[test]
    fn an_index_forgets_a_name_that_was_taken_back() {
        let record = Record { digest: [1; 32], size: 1, inode: 1, modified: (1, 1) };
        let stored = |record| LoggedFile { identity: None, offered: "a".into(), number: 0, record };
        let mut index = Index::with_max_records(2);
        for before in 0..3 {
            index.insert(&stored(record), "a");
            for other in 0..before {
                index.insert(&stored(record), &std::format!("other-{other}"));
            }
            index.insert(&stored(Record::NONE), "a");
            assert!(index.get("a").is_none(), "{before} came in between");
        }
    }
}
