//! Which crates a workspace has.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// A crate of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The directory of its package.
    pub package: PathBuf,
    /// The file where it begins.
    pub file: PathBuf,
}

/// The crates of all packages in and below a directory, where cargo looks for them by itself: libraries,
/// programs, examples, tests and build scripts. Directories called `target` and hidden ones are passed over.
///
/// # Errors
///
/// What the file system says about a directory that cannot be read.
pub fn roots(workspace: &Path) -> io::Result<Vec<Root>> {
    let mut found = Vec::new();
    let mut directories = vec![workspace.to_path_buf()];
    while let Some(directory) = directories.pop() {
        if directory.join("Cargo.toml").is_file() {
            roots_of_package(&directory, &mut found)?;
        }
        for entry in sorted(&directory)? {
            let hidden =
                entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if entry.is_dir()
                && !hidden
                && !entry.ends_with("target")
                && !entry.ends_with("node_modules")
            {
                directories.push(entry);
            }
        }
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

/// The files below the `src` of the packages of `roots` that are not in `reached`: either no crate has them, or
/// it begins where [`roots`] does not look.
///
/// # Errors
///
/// What the file system says about a directory that cannot be read.
pub fn unreached(roots: &[Root], reached: &BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let packages: BTreeSet<_> = roots.iter().map(|root| &root.package).collect();
    let mut missing = Vec::new();
    let mut directories: Vec<_> = packages.into_iter().map(|package| package.join("src")).collect();
    while let Some(directory) = directories.pop() {
        if !directory.is_dir() {
            continue;
        }
        for entry in sorted(&directory)? {
            if entry.is_dir() {
                directories.push(entry);
            } else if is_rust(&entry) && !reached.contains(&entry) {
                missing.push(entry);
            }
        }
    }
    missing.sort();
    Ok(missing)
}

fn roots_of_package(package: &Path, found: &mut Vec<Root>) -> io::Result<()> {
    let mut add = |file: PathBuf| {
        if file.is_file() {
            found.push(Root { package: package.to_path_buf(), file });
        }
    };
    for file in ["src/lib.rs", "src/main.rs", "build.rs"] {
        add(package.join(file));
    }
    for directory in ["src/bin", "examples", "tests", "benches"] {
        let directory = package.join(directory);
        if !directory.is_dir() {
            continue;
        }
        for entry in sorted(&directory)? {
            if is_rust(&entry) {
                add(entry);
            } else if entry.is_dir() && !entry.join("Cargo.toml").is_file() {
                add(entry.join("main.rs"));
            }
        }
    }
    Ok(())
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}
