//! Which files of a crate use which others.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::names::{Place, Space, resolve};
use crate::paths::paths;
use crate::tree::{ModuleId, Tree};

/// One place where a file takes something from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The module whose file it is, as a path of modules from the crate's root.
    pub(crate) from: Vec<ModuleId>,
    /// The module in whose file it is defined.
    pub(crate) to: Vec<ModuleId>,
    /// The file that takes.
    pub file: PathBuf,
    /// The line there, from 1.
    pub line: usize,
    /// What it takes, as it is written there.
    pub path: String,
    /// The file that has it.
    pub defined_in: PathBuf,
}

/// Every use of one file by another in a crate, in order and each once.
pub fn uses(tree: &Tree) -> Vec<Use> {
    let mut found = BTreeSet::new();
    for (id, module) in tree.modules.iter().enumerate() {
        let paths = paths(&module.items);
        for import in &paths.imports {
            for target in defined_in(tree, id, &import.path) {
                // What a module hands on of what is below it, it does not use by that.
                let handed_on = import.handed_on && tree.path(target).contains(&module.of_file);
                if !handed_on && !import.glob {
                    found.extend(use_of(tree, id, target, import.line, &import.path));
                }
            }
        }
        for mention in &paths.others {
            for target in defined_in(tree, id, &mention.path) {
                found.extend(use_of(tree, id, target, mention.line, &mention.path));
            }
        }
    }
    found.into_iter().collect()
}

/// The modules in whose files the end of a path is defined.
fn defined_in(tree: &Tree, from: ModuleId, path: &[String]) -> Vec<ModuleId> {
    resolve(tree, from, path, Space::Any)
        .into_iter()
        .filter_map(|place| match place {
            Place::In(module) => Some(tree.modules[module].of_file),
            Place::Module(_) => None,
        })
        .collect()
}

fn use_of(tree: &Tree, from: ModuleId, to: ModuleId, line: usize, path: &[String]) -> Option<Use> {
    let from = tree.modules[from].of_file;
    (from != to).then(|| Use {
        from: tree.path(from),
        to: tree.path(to),
        file: tree.modules[from].file.clone(),
        line,
        path: path.join("::"),
        defined_in: tree.modules[to].file.clone(),
    })
}
