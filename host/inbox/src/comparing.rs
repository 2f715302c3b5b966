//! Who compares stored files with their records.

use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError, Weak};

use super::Core;
use super::comparison::{COMPARISONS_MAX, Comparison, read};
use super::receipts::Candidate;

impl Core {
    /// Compares a file, unless somebody does that already.
    pub(super) fn begin_comparing(self: &Arc<Self>, candidate: Candidate) -> Comparison {
        let mut under_way =
            self.comparisons.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let name = candidate.name.as_str();
        if let Some(comparison) = under_way.get(name) {
            return comparison.clone();
        }
        if under_way.len() >= COMPARISONS_MAX
            && let Some(other) = under_way.values().next()
        {
            return other.clone();
        }
        let comparison = Comparison::new();
        let told = Told {
            core: Arc::downgrade(self),
            name: name.to_owned(),
            comparison: comparison.clone(),
        };
        under_way.insert(name.to_owned(), comparison.clone());
        drop(under_way);
        let (weak, reading) = (Arc::downgrade(self), Arc::clone(&self.comparisons.reading));
        let thread = std::thread::Builder::new().name("sandport-compare".to_owned());
        let started = thread.spawn(move || {
            let told = told;
            let _one = reading.lock().unwrap_or_else(PoisonError::into_inner);
            compare(&weak, &candidate);
            drop(told);
        });
        if let Err(error) = started {
            // What waits is woken, and offers again.
            tracing::warn!(%error, "could not start to compare a stored file");
        }
        comparison
    }

    /// Whether the file that has the name of `candidate` is the one of its record, found out by reading it.
    pub(super) fn compare(&self, candidate: &Candidate) -> bool {
        let seen = read(self.layout.root.as_fd(), candidate);
        self.receipts.compared(candidate, seen.as_ref());
        seen.is_some()
    }
}

/// Wakes who waits when it is dropped, whatever happened to the thread.
struct Told {
    core: Weak<Core>,
    name: String,
    comparison: Comparison,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            let under_way = &core.comparisons.under_way;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        }
        self.comparison.is_over();
    }
}

/// Compares a file without keeping the inbox open meanwhile.
fn compare(core: &Weak<Core>, candidate: &Candidate) {
    let root = core.upgrade().and_then(|core| core.layout.root.try_clone().ok());
    let seen = root.and_then(|root| read(root.as_fd(), candidate));
    if let Some(core) = core.upgrade() {
        core.receipts.compared(candidate, seen.as_ref());
    }
}
