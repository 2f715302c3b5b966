//! Which documents there are.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Directories that have no documents of this repository: what tools build or fetch.
const PASSED_OVER: [&str; 3] = [".git", "node_modules", "target"];

/// All `*.md` files in and below a directory, in order.
///
/// # Errors
/// If a directory cannot be read.
pub fn documents(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type()?.is_dir() {
                if !PASSED_OVER.iter().any(|passed| name == *passed) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The names of the directories at the root: paths that begin with one are paths of this repository.
///
/// # Errors
/// If the directory cannot be read.
pub fn top_level(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !PASSED_OVER.contains(&name.as_str()) {
            names.insert(name);
        }
    }
    Ok(names)
}
