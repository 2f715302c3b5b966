//! Circles that are known and not resolved yet.
//!
//! A list has one a line: the file of a module, a word, and why. At the level of that module, `own` leaves its own
//! file out, and a number says how many of its children are tied together. A line that is not needed any more is a
//! fault like a circle that has none: so the list only becomes shorter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::circles::{Circle, circles};
use crate::tree::Tree;
use crate::uses::Use;

/// What is left out at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exception {
    /// The module's own file.
    Own,
    /// A circle of so many.
    Tied(usize),
}

/// A list of exceptions, by the files of the modules at whose levels they hold.
#[derive(Debug, Default)]
pub struct Exceptions(BTreeMap<PathBuf, Vec<Exception>>);

impl Exceptions {
    /// Reads a list, in which files are named as below `base`. What follows a `#` is no part of it.
    ///
    /// # Errors
    /// The first line that says nothing, in words.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let mut list = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let words: Vec<_> = line.split_whitespace().collect();
            let exception = match words.as_slice() {
                [_, "own"] => Exception::Own,
                [_, count] => match count.parse() {
                    Ok(count) => Exception::Tied(count),
                    Err(_) => {
                        return Err(format!(
                            "line {number}: {count} is neither `own` nor a number"
                        ));
                    }
                },
                _ => return Err(format!("line {number}: a file and one word are wanted")),
            };
            list.0.entry(base.join(words[0])).or_default().push(exception);
        }
        Ok(list)
    }

    /// The circles of a crate that this does not except.
    pub fn circles(&self, tree: &Tree, uses: &[Use]) -> Vec<Circle> {
        let mut found = circles(tree, uses, |level| self.has(level, Exception::Own));
        found.retain(|circle| !self.has(&circle.level, Exception::Tied(circle.modules)));
        found
    }

    /// The exceptions at levels of a crate that except nothing in it, in words.
    pub fn needless(&self, tree: &Tree, uses: &[Use]) -> Vec<String> {
        let strict = circles(tree, uses, |_| false);
        let without_own = circles(tree, uses, |level| self.has(level, Exception::Own));
        let mut words = Vec::new();
        for (file, exceptions) in self.0.iter().filter(|(file, _)| tree.files.contains(*file)) {
            let there = |circles: &[Circle], modules: Option<usize>| {
                circles.iter().any(|it| {
                    it.level == *file && modules.is_none_or(|wanted| wanted == it.modules)
                })
            };
            for exception in exceptions {
                let (is_needed, word) = match exception {
                    Exception::Own => (there(&strict, None), String::from("own")),
                    Exception::Tied(modules) => {
                        (there(&without_own, Some(*modules)), modules.to_string())
                    }
                };
                if !is_needed {
                    words.push(format!("{} {word}: there is no such circle", file.display()));
                }
            }
        }
        words
    }

    fn has(&self, level: &Path, exception: Exception) -> bool {
        self.0.get(level).is_some_and(|all| all.contains(&exception))
    }
}
