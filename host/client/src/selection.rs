//! Which entries of a tree are sent: what is left out, and whether links are followed.

use std::fmt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What a walk through a tree takes. The default takes everything and follows no link.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// What is left out.
    pub(super) exclude: Exclude,
    /// Whether a symbolic link within a tree is sent as what it leads to. A link to a directory that it
    /// lies in is a failure, [`FileError::LinkLoop`](super::FileError::LinkLoop).
    pub(super) follow_links: bool,
}

/// Patterns of what is left out of trees.
///
/// They are those of `.gitignore`, matched from the top of each tree: `*.log` anywhere, `/build` or
/// `docs/*.tmp` from the top on, `cache/` directories alone, `**` any number of directories, and `!keep.log`
/// takes back what an earlier one left out. The last pattern that matches decides. A directory that is
/// left out is not entered, so that nothing in it can be taken back.
///
/// What is named by itself, as a [`Source`](super::Source), is sent in any case.
///
/// ```
/// use sandport_client::Exclude;
///
/// let exclude = Exclude::new(["*.log", "/build", "!keep.log"])?;
/// assert!(Exclude::new(["["]).is_err());
/// # Ok::<(), sandport_client::PatternError>(())
/// ```
#[derive(Clone)]
pub struct Exclude {
    patterns: Gitignore,
}

impl Exclude {
    /// Parses patterns; later ones outweigh earlier ones.
    ///
    /// # Errors
    /// [`PatternError`] names the first that is none.
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, PatternError> {
        // "." keeps the matcher from cutting anything off: it is asked about relative paths alone.
        let mut builder = GitignoreBuilder::new(".");
        // In a file, a bracket that is left open is a letter; who types one has mistyped.
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let wrong = |words: String| PatternError { pattern: pattern.to_owned(), words };
            if pattern.trim().is_empty() {
                return Err(wrong(String::from("it is empty")));
            }
            // A file of patterns has comments; a list of them has none.
            let line =
                if pattern.starts_with('#') { format!("\\{pattern}") } else { pattern.to_owned() };
            builder.add_line(None, &line).map_err(|error| wrong(words_of(&error)))?;
        }
        let patterns = builder
            .build()
            .map_err(|error| PatternError { pattern: String::new(), words: words_of(&error) })?;
        Ok(Self { patterns })
    }

    /// Whether an entry is left out whose path from the top of its tree is `path`.
    pub(super) fn matches(&self, path: &Path, is_directory: bool) -> bool {
        !path.as_os_str().is_empty() && self.patterns.matched(path, is_directory).is_ignore()
    }
}

impl Default for Exclude {
    fn default() -> Self {
        Self { patterns: Gitignore::empty() }
    }
}

impl fmt::Debug for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclude").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

/// A text that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is not a pattern: {words}")]
pub struct PatternError {
    pattern: String,
    words: String,
}

/// What is wrong, without the pattern, which is named beside it.
fn words_of(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn left_out(patterns: &[&str], path: &str) -> bool {
        let (path, is_directory) = match path.strip_suffix('/') {
            Some(directory) => (directory, true),
            None => (path, false),
        };
        Exclude::new(patterns).unwrap().matches(Path::new(path), is_directory)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_any_depth() {
        assert!(left_out(&["*.log"], "a.log"));
        assert!(left_out(&["*.log"], "deep/er/a.log"));
        assert!(!left_out(&["*.log"], "a.log.gz"));
        assert!(left_out(&["/build"], "build/"));
        assert!(!left_out(&["/build"], "src/build/"));
        assert!(left_out(&["docs/*.tmp"], "docs/a.tmp"));
        assert!(!left_out(&["docs/*.tmp"], "docs/more/a.tmp"));
        assert!(left_out(&["docs/**/*.tmp"], "docs/more/a.tmp"));
    }

    #[test]
    fn a_slash_at_the_end_means_directories_alone() {
        assert!(left_out(&["cache/"], "a/cache/"));
        assert!(!left_out(&["cache/"], "a/cache"));
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        assert!(!left_out(&["*.log", "!keep.log"], "keep.log"));
        assert!(left_out(&["!keep.log", "*.log"], "keep.log"));
    }

    #[test]
    fn a_pattern_may_begin_with_what_begins_a_comment_in_a_file() {
        assert!(left_out(&["#*#"], "a/#draft#"));
    }

    #[test]
    fn case_matters() {
        assert!(!left_out(&["*.LOG"], "a.log"));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for wrong in ["", " ", "[a", "a{b"] {
            let error = Exclude::new(["*.log", wrong]).unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn without_patterns_nothing_is_left_out() {
        assert!(!Exclude::default().matches(Path::new("a"), false));
    }
}
