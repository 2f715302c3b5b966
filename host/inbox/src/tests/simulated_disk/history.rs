//! How folders looked, and what of that may be found after a power cut.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use super::{Entries, Entry, Inodes, next};

/// How the folders looked, one moment after the other.
#[derive(Clone, Default)]
pub(super) struct History {
    moments: Vec<Arc<Inodes>>,
    /// The moment as of which a folder is certain; others are as of the first.
    certain: HashMap<u64, usize>,
}

impl History {
    /// Takes up how the folders look, if that is news.
    pub(super) fn see(&mut self, folders: &Inodes) {
        if self.moments.last().is_none_or(|last| **last != *folders) {
            self.moments.push(Arc::new(folders.clone()));
        }
    }

    /// These are certain as they look now.
    pub(super) fn is_certain(&mut self, folders: impl IntoIterator<Item = u64>) {
        let now = self.moments.len() - 1;
        self.certain.extend(folders.into_iter().map(|folder| (folder, now)));
    }

    /// Each folder as of a moment between the one as of which it is certain, and now.
    pub(super) fn mixed(&self, random: &mut u64) -> Inodes {
        let now = self.moments.len() - 1;
        // In an order that a seed repeats.
        let folders: BTreeSet<u64> =
            self.moments.iter().flat_map(|moment| moment.keys().copied()).collect();
        let mut chosen: BTreeMap<u64, usize> = folders
            .into_iter()
            .map(|folder| {
                let from = self.certain.get(&folder).copied().unwrap_or(0);
                (folder, from + (next(random) % (now - from + 1) as u64) as usize)
            })
            .collect();
        // A move is one step: whoever has one half has the other.
        let moves = self.moves();
        while let Some((moment, folder)) = moves.iter().find_map(|&(moment, from, to)| {
            match (chosen[&from] >= moment, chosen[&to] >= moment) {
                (true, false) => Some((moment, to)),
                (false, true) => Some((moment, from)),
                _ => None,
            }
        }) {
            chosen.insert(folder, moment);
        }
        let look = |(folder, moment): (u64, usize)| {
            Some((folder, self.moments[moment].get(&folder)?.clone()))
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

    /// Two folders, a file that was made in the first, another in the second, and then moved to the first.
    fn history() -> History {
        let entry = |inode| Entry { inode, is_folder: false };
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

    /// What is found by each of many seeds: how many files of the one folder and of the other.
    fn found(history: &History) -> BTreeSet<(usize, usize)> {
        let count = |mut seed: u64| {
            let folders = history.mixed(&mut seed);
            (folders[&1].len(), folders[&2].len())
        };
        (0..100).map(count).collect()
    }

    #[test]
    fn folders_are_found_as_of_different_moments_and_moves_whole() {
        // The file in the second without the one that was made before it; and no file in both or in neither.
        assert_eq!(found(&history()), BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]));
    }

    #[test]
    fn a_folder_that_is_certain_is_found_as_of_that_moment_or_later() {
        let mut history = history();
        history.is_certain([1]);
        assert_eq!(found(&history), BTreeSet::from([(2, 0)]), "and what was moved there as well");
    }
}
