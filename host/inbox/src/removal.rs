//! Removing files where nobody waits for it.
//!
//! A file system that frees a large file takes seconds for it, and a directory that hangs takes as long as it likes. So
//! neither who discards an upload removes what is left of it, nor who publishes others, but threads that do nothing
//! else ([`Runtime::remove`](super::runtime::Runtime::remove)).

use std::sync::Arc;
use std::time::{Duration, Instant};

use sandport_protocol::{Millis, Refusal, RefusalCode};
use tokio::sync::oneshot;

use super::Core;
use super::runtime::Runtime;

/// How much may wait to be removed before uploads wait to be accepted. Each takes a few hundred bytes. The threads
/// remove as much in less than a second, unless the directory hangs.
pub(super) const REMOVALS_MAX: usize = 16_384;

/// How long an offer waits then before it is refused for now.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How long between two looks. Milliseconds.
const LOOK_MS: Millis = 20;

impl Core {
    /// Has something removed by a thread that may wait for the disk.
    pub(super) fn remove_later(&self, removal: impl FnOnce() + Send + 'static) {
        match self.runtime.get() {
            Some(runtime) => runtime.remove(Box::new(removal)),
            // The inbox is being opened.
            None => removal(),
        }
    }

    /// Waits until there is not too much to be removed.
    ///
    /// # Errors
    /// `io`: there still is.
    pub(super) async fn removals_come_along(&self) -> Result<(), Refusal> {
        let Some(runtime) = self.runtime.get() else { return Ok(()) };
        if self.looks(WAIT_MAX, || runtime.removals() < REMOVALS_MAX).await {
            return Ok(());
        }
        let words = "the inbox has too much to remove: try again";
        Err(Refusal::new(RefusalCode::Io, words))
    }

    /// Looks from time to time whether `is_so`, for a while; whether it is.
    pub(super) async fn looks(&self, most: Duration, is_so: impl Fn() -> bool) -> bool {
        if is_so() {
            return true;
        }
        let since = Instant::now();
        while !is_so() {
            match self.runtime.get() {
                Some(runtime) if since.elapsed() < most => pause(runtime).await,
                _ => return is_so(),
            }
        }
        true
    }
}

async fn pause(runtime: &Arc<dyn Runtime>) {
    let (wake, woken) = oneshot::channel::<()>();
    // It is dropped also where the inbox ends before.
    runtime.wake(runtime.now() + LOOK_MS, Box::new(move || drop(wake)));
    let _ = woken.await;
}
