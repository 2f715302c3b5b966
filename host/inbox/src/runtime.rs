//! Where the work of uploads is done, where whole files are read, where files are removed, and a clock.

use sandport_protocol::Millis;

/// Something to be done.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// Threads that may wait for a disk, and a clock. Tests have one that is simulated.
pub(super) trait Runtime: Send + Sync {
    /// Milliseconds since any fixed moment, never going back.
    fn now(&self) -> Millis;

    /// Has it done soon, after all that were given before.
    fn spawn(&self, task: Task);

    /// Has a whole file read soon, after all that were given before, by threads that do nothing else: nobody who writes
    /// or keeps waits for that.
    fn read(&self, task: Task);

    /// Has it done at that time. What is not due when the inbox ends is left out.
    fn wake(&self, at: Millis, task: Task);

    /// Has something removed soon, by threads that do nothing else: nobody who writes, keeps or publishes waits for
    /// that. All of it is done before the inbox has ended.
    fn remove(&self, task: Task);

    /// How much waits to be removed, or is being removed.
    fn removals(&self) -> usize;
}
