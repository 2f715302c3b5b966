//! Which references lead nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::document::{Document, Link};
use crate::files::{documents, top_level};

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// The document, relative to the root.
    pub document: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.document.display(), self.line, self.reason)
    }
}

/// Checks all documents in and below `root`. The result has their number, and what is broken.
///
/// Links to other sites are not followed. A text in backticks counts as a path if it begins with a directory at the
/// root and has no placeholder in it.
///
/// # Errors
/// If a file or a directory cannot be read.
pub fn check(root: &Path) -> io::Result<(usize, Vec<Broken>)> {
    let mut parsed = BTreeMap::new();
    for path in documents(root)? {
        parsed.insert(path.clone(), Document::parse(&fs::read_to_string(&path)?));
    }
    let top_level = top_level(root)?;
    let mut broken = Vec::new();
    for (path, document) in &parsed {
        let name = path.strip_prefix(root).unwrap_or(path);
        let mut add = |link: &Link, reason: String| {
            broken.push(Broken { document: name.to_owned(), line: link.line, reason });
        };
        for link in &document.links {
            if let Some(reason) = follow(path, &link.target, &parsed) {
                add(link, reason);
            }
        }
        for code in &document.code {
            if let Some(missing) = missing_path(root, &code.target, &top_level) {
                add(code, format!("no such path: {missing}"));
            }
        }
    }
    broken.sort();
    Ok((parsed.len(), broken))
}

/// Why a link leads nowhere; `None`: it leads somewhere, or to another site.
fn follow(from: &Path, target: &str, parsed: &BTreeMap<PathBuf, Document>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.to_owned()
    } else {
        normalised(&from.parent().unwrap_or(Path::new("")).join(file))
    };
    if !path.exists() {
        return Some(format!("no such file: {file}"));
    }
    let known = |document: &Document| document.anchors.contains(anchor);
    if anchor.is_empty() || parsed.get(&path).is_some_and(known) {
        return None;
    }
    Some(format!("no such heading: {target}"))
}

/// The path that a text in backticks is, if it is one of this repository and is not there.
fn missing_path<'a>(root: &Path, text: &'a str, top_level: &BTreeSet<String>) -> Option<&'a str> {
    let (first, _) = text.split_once('/')?;
    let is_path = text.chars().all(|it| it.is_alphanumeric() || "/._-".contains(it));
    let is_ours = is_path && top_level.contains(first);
    (is_ours && !root.join(text).exists()).then_some(text)
}

/// A path without `..` in it.
fn normalised(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            parts.pop();
        } else if part.as_os_str() != "." {
            parts.push(part);
        }
    }
    parts
}
