//! What was found out about the directories of the last files, for the next ones: where each file is a batch of its own
//! a tree of small files would have its directories looked at once for each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long it serves, by a clock that moves every few milliseconds. As long as a batch that syncs takes: a directory
/// that someone moves away should not get new files.
const RECENT: Duration = Duration::from_millis(5);

/// How many directories are remembered. A sender's connections bring files of different directories at the same time,
/// up to eight of them.
const DIRECTORIES_MAX: usize = 8;

/// By the path of a directory what was found out about it, and when.
pub(super) struct Recent<T>(Mutex<Vec<Finding<T>>>);

struct Finding<T> {
    path: String,
    found: T,
    since: Duration,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T: Clone> Recent<T> {
    /// What was found out of late.
    pub(super) fn get(&self, path: &str) -> Option<T> {
        let mut findings = self.findings();
        let at = findings.iter().position(|finding| finding.path == path)?;
        if now().saturating_sub(findings[at].since) >= RECENT {
            findings.swap_remove(at);
            return None;
        }
        Some(findings[at].found.clone())
    }

    /// Remembers it, in the place of what was found out first.
    pub(super) fn set(&self, path: &str, found: T) {
        let finding = Finding { path: path.to_owned(), found, since: now() };
        let mut findings = self.findings();
        findings.retain(|earlier| earlier.path != path);
        if findings.len() == DIRECTORIES_MAX
            && let Some(first) = (0..DIRECTORIES_MAX).min_by_key(|at| findings[*at].since)
        {
            findings.swap_remove(first);
        }
        findings.push(finding);
    }

    /// Forgets all.
    pub(super) fn forget(&self) {
        self.findings().clear();
    }

    fn findings(&self) -> MutexGuard<'_, Vec<Finding<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time since any moment. Each file asks for it twice, and a precise clock takes ten times as long.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::MonotonicCoarse)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_remembered_and_the_first_gives_way() {
        let recent = Recent::default();
        let paths: Vec<String> = (0..=DIRECTORIES_MAX).map(|number| number.to_string()).collect();
        for path in &paths {
            recent.set(path, path.clone());
        }
        let remembered = recent.findings().iter().map(|it| it.path.clone()).collect::<Vec<_>>();
        assert_eq!(remembered.len(), DIRECTORIES_MAX);
        assert!(!remembered.contains(&paths[0]), "{remembered:?}");
    }

    #[test]
    fn a_directory_is_remembered_once() {
        let recent = Recent::default();
        recent.set("a", 1);
        recent.set("a", 2);
        assert_eq!(recent.findings().len(), 1);
        assert_eq!(recent.findings()[0].found, 2);
    }

    #[test]
    fn what_is_old_is_found_out_anew() {
        let recent = Recent::default();
        let since = now().saturating_sub(RECENT);
        recent.findings().push(Finding { path: "a".to_owned(), found: (), since });
        assert_eq!(recent.get("a"), None);
        assert!(recent.findings().is_empty());
    }
}
