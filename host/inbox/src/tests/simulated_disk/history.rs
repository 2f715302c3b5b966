//! How directories looked, and what of that may be found after a power cut.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use super::{Entries, Entry, Inodes, next};

/// How the directories looked, one moment after the other.
#[derive(Clone, Default)]
pub(super) struct History {
    moments: Vec<Arc<Inodes>>,
    /// The moment as of which a directory is certain; others are as of the first.
    certain: HashMap<u64, usize>,
}

impl History {
    /// Takes up how the directories look, if that is news.
    pub(super) fn see(&mut self, directories: &Inodes) {
        if self.moments.last().is_none_or(|last| **last != *directories) {
            self.moments.push(Arc::new(directories.clone()));
        }
    }

    /// These are certain as they look now.
    pub(super) fn is_certain(&mut self, directories: impl IntoIterator<Item = u64>) {
        let now = self.moments.len() - 1;
        self.certain.extend(directories.into_iter().map(|directory| (directory, now)));
    }

    /// Each directory as of a moment between the one as of which it is certain, and now.
    pub(super) fn mixed(&self, random: &mut u64) -> Inodes {
        let now = self.moments.len() - 1;
        // In an order that a seed repeats.
        let directories: BTreeSet<u64> =
            self.moments.iter().flat_map(|moment| moment.keys().copied()).collect();
        let mut chosen: BTreeMap<u64, usize> = directories
            .into_iter()
            .map(|directory| {
                let from = self.certain.get(&directory).copied().unwrap_or(0);
                (directory, from + (next(random) % (now - from + 1) as u64) as usize)
            })
            .collect();
        // A move is one step: whoever has one half has the other.
        let moves = self.moves();
        while let Some((moment, directory)) = moves.iter().find_map(|&(moment, from, to)| {
            match (chosen[&from] >= moment, chosen[&to] >= moment) {
                (true, false) => Some((moment, to)),
                (false, true) => Some((moment, from)),
                _ => None,
            }
        }) {
            chosen.insert(directory, moment);
        }
        let look = |(directory, moment): (u64, usize)| {
            Some((directory, self.moments[moment].get(&directory)?.clone()))
        };
        chosen.into_iter().filter_map(look).collect()
    }

    /// At which moment something was seen to have moved first, from where and to where.
    fn moves(&self) -> Vec<(usize, u64, u64)> {
        let mut moves = Vec::new();
        for (number, moment) in self.moments.windows(2).enumerate() {
            let [before, after] = moment else { continue };
            for (&to, entries) in after.iter() {
                let had = |name: &OsString, entry: &Entry| {
                    before.get(&to).is_some_and(|before| before.get(name) == Some(entry))
                };
                for entry in entries.iter().filter(|(name, entry)| !had(name, entry)).map(|it| it.1)
                {
                    let lost = before.iter().filter(|(from, entries)| {
                        let has = |entries: &Entries| entries.values().any(|it| it == entry);
                        **from != to && has(entries) && !after.get(from).is_some_and(has)
                    });
                    moves.extend(lost.map(|(&from, _)| (number + 1, from, to)));
                }
            }
        }
        moves
    }
}

mod tests {
    use super::*;

    /// Two directories, a file that was made in the first, another in the second, and then moved to the first.
    fn history() -> History {
        let entry = |inode| Entry { inode, is_directory: false };
        let named = |files: &[u64]| -> Entries {
            files.iter().map(|&file| (file.to_string().into(), entry(file))).collect()
        };
        let mut history = History::default();
        for (first, second) in [(&[][..], &[][..]), (&[10], &[]), (&[10], &[20]), (&[10, 20], &[])]
        {
            history.see(&HashMap::from([(1, named(first)), (2, named(second))]));
        }
        history
    }

    /// What is found by each of many seeds: how many files of the one directory and of the other.
    fn found(history: &History) -> BTreeSet<(usize, usize)> {
        let count = |mut seed: u64| {
            let directories = history.mixed(&mut seed);
            (directories[&1].len(), directories[&2].len())
        };
        (0..100).map(count).collect()
    }

    #[test]
    fn directories_are_found_at_different_moments_and_moves_whole() {
        // The file in the second without the one that was made before it; and no file in both or in neither.
        assert_eq!(found(&history()), BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]));
    }

    #[test]
    fn a_certain_directory_is_found_as_of_that_moment_or_later() {
        let mut history = history();
        history.is_certain([1]);
        assert_eq!(found(&history), BTreeSet::from([(2, 0)]), "and what was moved there as well");
    }
}
