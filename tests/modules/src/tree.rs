//! The modules of a crate, as its files declare them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use syn::{Ident, Item, ItemMod};

use crate::conditions::{attributes, is_for_tests};
use crate::imports::{imports, inner_imports, name_of};

/// Where the text of a file comes from.
pub trait Sources {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// What the file system says; [`io::ErrorKind::NotFound`] where the file is not there.
    fn text(&self, file: &Path) -> io::Result<String>;
}

/// Why a crate could not be read.
#[derive(Debug)]
pub struct Error {
    /// The file that it is about.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for Error {}

/// A module's place in [`Tree::modules`].
pub(crate) type ModuleId = usize;

/// A crate: its modules, the first of which is its root.
pub struct Tree {
    pub(crate) modules: Vec<Module>,
    /// Every file of it, those for tests too.
    pub files: BTreeSet<PathBuf>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("files", &self.files).finish_non_exhaustive()
    }
}

/// A module: one with a file of its own, or one within another's.
pub(crate) struct Module {
    pub(crate) parent: Option<ModuleId>,
    pub(crate) file: PathBuf,
    /// The module that the file belongs to: this one, where it is not written within another.
    pub(crate) of_file: ModuleId,
    /// What it declares and imports. A name may stand for several things, a type and a function say.
    pub(crate) names: HashMap<String, Vec<Named>>,
    /// What its functions import.
    pub(crate) inner_imports: HashMap<String, Vec<Named>>,
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) items: Vec<Item>,
}

/// What a name in a module stands for.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Child(ModuleId),
    Type,
    Value,
    Macro,
    Import(Vec<String>),
}

impl Tree {
    /// Reads a crate that begins in `root`.
    ///
    /// # Errors
    ///
    /// [`Error`] where a file is missing or is no Rust.
    pub fn read(root: &Path, sources: &dyn Sources) -> Result<Self, Error> {
        let mut tree = Self { modules: Vec::new(), files: BTreeSet::new() };
        let directory = root.parent().unwrap_or(Path::new("")).to_path_buf();
        let items = tree.parse(root, sources)?;
        tree.add(None, root.to_path_buf(), items, &directory, sources)?;
        Ok(tree)
    }

    /// A module's path from the crate's root, which is empty.
    pub(crate) fn path(&self, mut module: ModuleId) -> Vec<ModuleId> {
        let mut path = vec![module];
        while let Some(parent) = self.modules[module].parent {
            path.push(parent);
            module = parent;
        }
        path.reverse();
        path
    }

    fn parse(&mut self, file: &Path, sources: &dyn Sources) -> Result<Vec<Item>, Error> {
        let failed = |reason: String| Error { file: file.to_path_buf(), reason };
        let text = sources.text(file).map_err(|error| failed(error.to_string()))?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| failed(format!("line {}: {error}", error.span().start().line)))?;
        self.files.insert(file.to_path_buf());
        Ok(parsed.items)
    }

    /// Adds a module and all below it. `directory` is where the files of its children are.
    fn add(
        &mut self,
        parent: Option<(ModuleId, bool)>,
        file: PathBuf,
        items: Vec<Item>,
        directory: &Path,
        sources: &dyn Sources,
    ) -> Result<ModuleId, Error> {
        let id = self.modules.len();
        let of_file = match parent {
            Some((parent, true)) => self.modules[parent].of_file,
            _ => id,
        };
        let mut module = Module {
            parent: parent.map(|(parent, _)| parent),
            file,
            of_file,
            names: HashMap::new(),
            inner_imports: HashMap::new(),
            globs: Vec::new(),
            items: Vec::new(),
        };
        let mut children = Vec::new();
        for item in items {
            if is_for_tests(attributes(&item)) {
                if let Item::Mod(child) = &item {
                    self.list_files(child, directory, &module.file, sources)?;
                }
                continue;
            }
            module.declare(&item);
            match item {
                Item::Mod(child) => children.push(child),
                other => module.items.push(other),
            }
        }
        self.modules.push(module);
        for child in children {
            let name = name_of(&child.ident);
            let id_of_child = match child.content {
                Some((_, items)) => {
                    let file = self.modules[id].file.clone();
                    self.add(Some((id, true)), file, items, &directory.join(&name), sources)?
                }
                None => {
                    let (file, items) = self.parse_child(
                        &child,
                        directory,
                        &self.modules[id].file.clone(),
                        sources,
                    )?;
                    self.add(Some((id, false)), file, items, &directory.join(&name), sources)?
                }
            };
            self.modules[id].names.entry(name).or_default().push(Named::Child(id_of_child));
        }
        Ok(id)
    }

    /// Notes the files of a module that is for tests alone.
    fn list_files(
        &mut self,
        module: &ItemMod,
        directory: &Path,
        declared_in: &Path,
        sources: &dyn Sources,
    ) -> Result<(), Error> {
        let (file, items) = match &module.content {
            Some((_, items)) => (declared_in.to_path_buf(), items.clone()),
            None => self.parse_child(module, directory, declared_in, sources)?,
        };
        let directory = directory.join(name_of(&module.ident));
        for item in items {
            if let Item::Mod(child) = &item {
                self.list_files(child, &directory, &file, sources)?;
            }
        }
        Ok(())
    }

    /// Reads the file of a module that is declared by its name.
    fn parse_child(
        &mut self,
        module: &ItemMod,
        directory: &Path,
        declared_in: &Path,
        sources: &dyn Sources,
    ) -> Result<(PathBuf, Vec<Item>), Error> {
        let name = name_of(&module.ident);
        if let Some(path) = named_file(module) {
            // A file of another crate, which is checked with that.
            if path.starts_with("../") {
                return Ok((directory.join(path), Vec::new()));
            }
            let reason = format!("module {name} names its file, which this check does not follow");
            return Err(Error { file: declared_in.to_path_buf(), reason });
        }
        let beside = directory.join(format!("{name}.rs"));
        match self.parse(&beside, sources) {
            Ok(items) => Ok((beside, items)),
            // It lies in a directory of its own; or, where that is not there either, this says so.
            Err(_) if !is_there(&beside, sources) => {
                let within = directory.join(&name).join("mod.rs");
                let items = self.parse(&within, sources)?;
                Ok((within, items))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_there(file: &Path, sources: &dyn Sources) -> bool {
    !matches!(sources.text(file), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

impl Module {
    /// Notes what an item makes known in the module.
    fn declare(&mut self, item: &Item) {
        match item {
            Item::Const(item) => self.name(&item.ident, &[Named::Value]),
            Item::Static(item) => self.name(&item.ident, &[Named::Value]),
            Item::Fn(item) => self.name(&item.sig.ident, &[Named::Value]),
            Item::Enum(item) => self.name(&item.ident, &[Named::Type]),
            Item::Trait(item) => self.name(&item.ident, &[Named::Type]),
            Item::TraitAlias(item) => self.name(&item.ident, &[Named::Type]),
            Item::Type(item) => self.name(&item.ident, &[Named::Type]),
            Item::Union(item) => self.name(&item.ident, &[Named::Type]),
            Item::Struct(item) => self.name(&item.ident, &[Named::Type, Named::Value]),
            Item::Macro(item) => {
                if let Some(ident) = &item.ident {
                    self.name(ident, &[Named::Macro]);
                }
            }
            Item::Use(item) => {
                for import in imports(item) {
                    match import.name {
                        Some(name) => {
                            self.names.entry(name).or_default().push(Named::Import(import.path))
                        }
                        None if import.glob => self.globs.push(import.path),
                        None => {}
                    }
                }
            }
            _ => {}
        }
        for import in inner_imports(item) {
            if let Some(name) = import.name {
                self.inner_imports.entry(name).or_default().push(Named::Import(import.path));
            }
        }
    }

    fn name(&mut self, ident: &Ident, stands_for: &[Named]) {
        self.names.entry(name_of(ident)).or_default().extend_from_slice(stands_for);
    }
}

/// The file that a module says that it is in, by `#[path]`.
fn named_file(module: &ItemMod) -> Option<String> {
    let path = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(named) = &path.meta else { return Some(String::new()) };
    match &named.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => Some(String::new()),
    }
}
