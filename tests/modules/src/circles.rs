//! Circles among the uses of a crate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::tree::{ModuleId, Tree};
use crate::uses::Use;

/// Modules that use each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Circle {
    /// The file of the module among whose children, and itself, it is.
    pub level: PathBuf,
    /// A shortest way around: the uses of each step, the last of which leads to where the first begins.
    pub steps: Vec<Vec<Use>>,
    /// How many modules lead to each other in this way and others.
    pub modules: usize,
}

/// The circles of a crate: at each level of its tree, those among a module's own file and each of its children
/// with all below them. A circle of files shows at the level where their ways part. A module's own file is left
/// out at its level where `is_own_left_out` says so of it.
pub(crate) fn circles(
    tree: &Tree,
    uses: &[Use],
    is_own_left_out: impl Fn(&Path) -> bool,
) -> Vec<Circle> {
    let mut levels: BTreeMap<ModuleId, Graph> = BTreeMap::new();
    for one in uses {
        let shared = one.from.iter().zip(&one.to).take_while(|(a, b)| a == b).count();
        let level = one.from[shared - 1];
        let node = |path: &[ModuleId]| path.get(shared).copied().unwrap_or(level);
        let (from, to) = (node(&one.from), node(&one.to));
        if (from == level || to == level) && is_own_left_out(&tree.modules[level].file) {
            continue;
        }
        levels.entry(level).or_default().add(from, to, one);
    }
    let of_level = |(level, graph): (&ModuleId, &Graph)| graph.circles(&tree.modules[*level].file);
    levels.iter().flat_map(of_level).collect()
}

/// The uses between the modules of one level.
#[derive(Default)]
struct Graph {
    edges: BTreeMap<ModuleId, BTreeMap<ModuleId, Vec<Use>>>,
}

impl Graph {
    fn add(&mut self, from: ModuleId, to: ModuleId, one: &Use) {
        self.edges.entry(from).or_default().entry(to).or_default().push(one.clone());
    }

    /// One circle for each set of modules that all lead to each other.
    fn circles(&self, level: &Path) -> Vec<Circle> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for &start in self.edges.keys() {
            if seen.contains(&start) {
                continue;
            }
            let tied: BTreeSet<_> = self
                .reached(start)
                .into_iter()
                .filter(|other| self.reached(*other).contains(&start))
                .collect();
            if let Some(shortest) =
                tied.iter().filter_map(|module| self.way_around(*module)).min_by_key(Vec::len)
            {
                let steps = shortest
                    .windows(2)
                    .map(|step| self.edges[&step[0]][&step[1]].clone())
                    .collect();
                found.push(Circle { level: level.to_path_buf(), steps, modules: tied.len() });
            }
            seen.extend(tied);
        }
        found
    }

    /// What a module uses, and what that uses, and so on.
    fn reached(&self, start: ModuleId) -> BTreeSet<ModuleId> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = self.used_by(start).collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(self.used_by(module));
            }
        }
        reached
    }

    /// A shortest way from a module to itself.
    fn way_around(&self, start: ModuleId) -> Option<Vec<ModuleId>> {
        let mut came_from = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(module) = next.pop_front() {
            for used in self.used_by(module) {
                if used == start {
                    let mut way = vec![start];
                    let mut at = module;
                    while at != start {
                        way.push(at);
                        at = came_from[&at];
                    }
                    way.push(start);
                    way.reverse();
                    return Some(way);
                }
                came_from.entry(used).or_insert_with(|| {
                    next.push_back(used);
                    module
                });
            }
        }
        None
    }

    fn used_by(&self, module: ModuleId) -> impl Iterator<Item = ModuleId> + '_ {
        self.edges.get(&module).into_iter().flat_map(|targets| targets.keys().copied())
    }
}
