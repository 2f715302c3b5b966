//! State that the connections of a run share.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value that is changed through a shared reference.
///
/// One task drives all connections of a run, so nobody waits for the lock: it is there for the task to be [`Send`]. The
/// guard of [`Shared::lock`] may live no longer than a statement that touches nothing else.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, value: T) {
        *self.lock() = value;
    }

    pub(crate) fn replace(&self, value: T) -> T {
        mem::replace(&mut *self.lock(), value)
    }
}

impl<T: Copy> Shared<T> {
    pub(crate) fn get(&self) -> T {
        *self.lock()
    }
}

impl<T: Default> Shared<T> {
    pub(crate) fn take(&self) -> T {
        mem::take(&mut *self.lock())
    }
}
