//! Which module a path leads to.

use std::collections::HashSet;

use crate::tree::{Module, ModuleId, Named, Tree};

/// How a path has to end. A name may stand for a type and a function at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// A module or a type, which more can follow.
    Types,
    Any,
}

/// Where a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// At a module itself.
    Module(ModuleId),
    /// At something that is defined in a module.
    In(ModuleId),
}

/// Where a path ends that stands in `from`. Nowhere, where it leaves the crate.
pub(crate) fn resolve(tree: &Tree, from: ModuleId, path: &[String], space: Space) -> Vec<Place> {
    Search { tree, under_way: HashSet::new() }.follow(from, path, space)
}

struct Search<'a> {
    tree: &'a Tree,
    /// What is being looked up: imports can lead back to themselves.
    under_way: HashSet<(ModuleId, String, Space)>,
}

impl Search<'_> {
    fn follow(&mut self, from: ModuleId, path: &[String], space: Space) -> Vec<Place> {
        let mut rest = path;
        let mut module = from;
        let mut rooted = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" | "$crate" => module = 0,
                "self" => {}
                "super" => match self.tree.modules[module].parent {
                    Some(parent) => module = parent,
                    None => return Vec::new(),
                },
                _ => break,
            }
            rooted = true;
            rest = after;
        }
        if rest.is_empty() {
            return if rooted { vec![Place::Module(module)] } else { Vec::new() };
        }
        self.descend(module, rest, space, rooted)
    }

    /// Follows names downwards from a module. What is `known` to lie in it and is not found there was made by a
    /// macro, or was handed on from another crate: it counts as the module's own.
    fn descend(
        &mut self,
        module: ModuleId,
        path: &[String],
        space: Space,
        known: bool,
    ) -> Vec<Place> {
        let Some((first, rest)) = path.split_first() else { return vec![Place::Module(module)] };
        let wanted = if rest.is_empty() { space } else { Space::Types };
        let found = self.look_up(module, first, wanted);
        if found.is_empty() && known {
            return vec![Place::In(module)];
        }
        let mut places = Vec::new();
        for place in found {
            match place {
                Place::Module(next) if !rest.is_empty() => {
                    places.extend(self.descend(next, rest, space, true))
                }
                other => places.push(other),
            }
        }
        places
    }

    fn look_up(&mut self, module: ModuleId, name: &str, space: Space) -> Vec<Place> {
        let key = (module, name.to_owned(), space);
        if !self.under_way.insert(key.clone()) {
            return Vec::new();
        }
        let Module { names, inner_imports, globs, .. } = &self.tree.modules[module];
        let mut places = self.stands_for(module, names.get(name), space);
        if places.is_empty() {
            places = self.stands_for(module, inner_imports.get(name), space);
        }
        for glob in globs {
            if !places.is_empty() {
                break;
            }
            for place in self.follow(module, glob, Space::Types) {
                if let Place::Module(source) = place {
                    places.extend(self.look_up(source, name, space));
                }
            }
        }
        self.under_way.remove(&key);
        places
    }

    fn stands_for(
        &mut self,
        module: ModuleId,
        named: Option<&Vec<Named>>,
        space: Space,
    ) -> Vec<Place> {
        let mut places = Vec::new();
        for one in named.into_iter().flatten() {
            match one {
                Named::Child(child) => places.push(Place::Module(*child)),
                Named::Type => places.push(Place::In(module)),
                Named::Value | Named::Macro if space == Space::Any => {
                    places.push(Place::In(module))
                }
                Named::Value | Named::Macro => {}
                Named::Import(path) => places.extend(self.follow(module, path, space)),
            }
        }
        places
    }
}
