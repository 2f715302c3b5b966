//! Offers that begin an upload anew and have to wait: what somebody else has begun meanwhile is not theirs to discard.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sandport_protocol::upload::mutation::{Mutant, is};

use super::Id;

/// Those that wait.
#[derive(Default)]
pub(super) struct Restarts(Mutex<Vec<(Id, Weak<AtomicBool>)>>);

/// One of them, until it is dropped.
pub(super) struct Restart(Arc<AtomicBool>);

impl Restarts {
    /// One more, from now on.
    pub(super) fn enter(&self, id: Id) -> Restart {
        let is_late = Arc::new(AtomicBool::new(false));
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(_, other)| other.strong_count() > 0);
        waiting.push((id, Arc::downgrade(&is_late)));
        Restart(is_late)
    }

    /// Somebody begins an upload.
    pub(super) fn begun(&self, id: Id) {
        if is(Mutant::RestartsAgain) {
            return;
        }
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let its = waiting.iter().filter(|(other, _)| *other == id);
        for is_late in its.filter_map(|(_, is_late)| is_late.upgrade()) {
            is_late.store(true, Ordering::Relaxed);
        }
    }
}

impl Restart {
    /// Whether what is there was begun since.
    pub(super) fn is_late(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
