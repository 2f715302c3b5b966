//! What imports bring.

use syn::visit::{self, Visit};
use syn::{Ident, Item, ItemUse, UseTree, Visibility};

use crate::conditions::{attributes, is_for_tests};

/// One name that an import brings.
#[derive(Debug)]
pub(crate) struct Import {
    /// What it is called here; none for `_` and `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) glob: bool,
    pub(crate) line: usize,
    /// Whether others can take it from here.
    pub(crate) handed_on: bool,
}

/// Every name that an import brings. One that names another crate by `::` brings nothing of this one.
pub(crate) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        let handed_on = !matches!(item.vis, Visibility::Inherited);
        collect(&item.tree, &mut Vec::new(), handed_on, &mut found);
    }
    found
}

fn collect(tree: &UseTree, prefix: &mut Vec<String>, handed_on: bool, found: &mut Vec<Import>) {
    let mut leaf = |ident: &Ident, name: Option<String>, glob: bool| {
        let mut path = prefix.clone();
        let own = name_of(ident);
        // `a::{self}` names `a`; `self` alone stays what it is.
        let names_prefix = own == "self" && !path.is_empty();
        let name = if names_prefix && name.as_deref() == Some("self") {
            path.last().cloned()
        } else {
            name
        };
        if !glob && !names_prefix {
            path.push(own);
        }
        found.push(Import { name, path, glob, line: ident.span().start().line, handed_on });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(name_of(&path.ident));
            collect(&path.tree, prefix, handed_on, found);
            prefix.pop();
        }
        UseTree::Name(name) => leaf(&name.ident, Some(name_of(&name.ident)), false),
        UseTree::Rename(rename) => {
            let name = name_of(&rename.rename);
            leaf(&rename.ident, (name != "_").then_some(name), false);
        }
        UseTree::Glob(glob) => leaf(&Ident::new("glob", glob.star_token.spans[0]), None, true),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, prefix, handed_on, found);
            }
        }
    }
}

/// Every name that the functions of an item import for themselves.
pub(crate) fn inner_imports(item: &Item) -> Vec<Import> {
    let mut inner = InnerImports(Vec::new());
    if !matches!(item, Item::Use(_) | Item::Mod(_)) {
        inner.visit_item(item);
    }
    inner.0
}

struct InnerImports(Vec<Import>);

impl<'ast> Visit<'ast> for InnerImports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.0.extend(imports(item));
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }
}

/// A name without the mark of one that is a keyword too.
pub(crate) fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}
