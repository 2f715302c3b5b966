//! A value that is set once and can be waited for: the fault of an upload, the outcome of a commit.

use std::sync::OnceLock;

use tokio::sync::Notify;

/// Set once, read often, from any thread. The first value stays.
#[derive(Debug)]
pub(super) struct Latch<T> {
    value: OnceLock<T>,
    changed: Notify,
}

impl<T> Latch<T> {
    pub(super) fn new() -> Self {
        Self { value: OnceLock::new(), changed: Notify::new() }
    }

    /// Sets the value, unless there is one already, and wakes everyone who waits.
    pub(super) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Returns once there is a value.
    pub(super) async fn wait(&self) {
        // Made before the check: `notify_waiters` reaches every `Notified` that exists by then.
        let changed = self.changed.notified();
        if self.value.get().is_none() {
            changed.await;
        }
    }
}
