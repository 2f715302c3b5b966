//! Looking at directories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::{process, send};

/// An entry of a directory.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file and its content.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link and where it leads.
    Link(String),
    /// Something else.
    Special,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(content) if content.len() <= 64 => {
                write!(f, "file {:?}", String::from_utf8_lossy(content))
            }
            Self::File(content) => write!(f, "file of {} bytes", content.len()),
            Self::Directory => f.write_str("directory"),
            Self::Link(to) => write!(f, "link to {to:?}"),
            Self::Special => f.write_str("something else"),
        }
    }
}

/// Everything below a directory, by its path from there.
pub type Tree = BTreeMap<String, Entry>;

/// A file in a [`Tree`].
pub fn file(content: impl AsRef<[u8]>) -> Entry {
    Entry::File(content.as_ref().to_vec())
}

/// Everything below a directory.
pub fn tree(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    add(directory, "", &mut tree);
    tree
}

/// Everything in an inbox that has a name there.
pub fn published(inbox: &Path) -> Tree {
    let mut tree = Tree::new();
    // What the server is at comes and goes.
    add_some(inbox, "", &mut tree, |name| name != ".sandport");
    tree
}

fn add(directory: &Path, prefix: &str, tree: &mut Tree) {
    add_some(directory, prefix, tree, |_| true);
}

fn add_some(directory: &Path, prefix: &str, tree: &mut Tree, which: impl Fn(&str) -> bool) {
    for name in names_in(directory).into_iter().filter(|name| which(name)) {
        let path = directory.join(&name);
        let key = format!("{prefix}{name}");
        let kind = path.symlink_metadata().expect("it was listed").file_type();
        let entry = if kind.is_symlink() {
            Entry::Link(fs::read_link(&path).expect("a link").to_string_lossy().into_owned())
        } else if kind.is_dir() {
            add(&path, &format!("{key}/"), tree);
            Entry::Directory
        } else if kind.is_file() {
            Entry::File(fs::read(&path).expect("a readable file"))
        } else {
            Entry::Special
        };
        tree.insert(key, entry);
    }
}

/// The names in a directory, sorted.
pub fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| {
            entry.expect("a readable directory").file_name().to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

/// How much of the uploads that are under way is kept, as the operator sees it. Bytes.
pub fn kept(inbox: &Path) -> u64 {
    let ended = process::run(send::command().args(["--json", "ls"]).arg(inbox), b"");
    let lines = ended.stdout.lines().map(serde_json::from_str::<Value>);
    lines.filter_map(|line| line.expect("lines are JSON")["kept"].as_u64()).sum()
}

/// The resume keys in a sender's state directory.
pub fn keys_in(state: &Path) -> Vec<String> {
    names_in(state).into_iter().filter(|name| name.ends_with(".upload")).collect()
}

/// When a file was modified.
pub fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a file with a time")
}

/// Sets when a file was modified.
pub fn set_modified(path: &Path, time: SystemTime) {
    fs::File::open(path).and_then(|file| file.set_modified(time)).expect("a file of our own");
}

/// Whether its owner may execute a file.
pub fn is_executable(path: &Path) -> bool {
    fs::metadata(path).expect("a file").permissions().mode() & 0o100 != 0
}

/// Makes a file executable.
pub fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
}
