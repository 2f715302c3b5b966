//! Something that ends in a while, well or not.

use std::sync::Arc;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::SetOnce;

/// Tells when something has ended, and how. Cloning is cheap, and dropping it undoes nothing.
#[derive(Clone, Debug)]
pub struct Finishing(Arc<SetOnce<Result<(), Refusal>>>);

/// The duty to say how it has ended.
#[derive(Debug)]
pub(super) struct Finish(Arc<SetOnce<Result<(), Refusal>>>);

impl Finishing {
    /// Something that is under way, and the duty to end it.
    pub(super) fn begun() -> (Finish, Self) {
        let end = Arc::new(SetOnce::new());
        (Finish(Arc::clone(&end)), Self(end))
    }

    /// Something that has ended.
    pub(super) fn ended(outcome: Result<(), Refusal>) -> Self {
        let (finish, finishing) = Self::begun();
        finish.end(outcome);
        finishing
    }

    /// How it has ended, or `None` while it has not. It stays.
    pub fn try_get(&self) -> Option<Result<(), Refusal>> {
        self.0.get().cloned()
    }

    /// Returns once it has ended: how.
    ///
    /// # Errors
    /// Whatever it has come to.
    pub async fn ready(&self) -> Result<(), Refusal> {
        self.0.wait().await.clone()
    }
}

impl Finish {
    pub(super) fn end(self, outcome: Result<(), Refusal>) {
        // Nobody else sets it before this is dropped.
        let _ = self.0.set(outcome);
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        // The first value stays.
        let _ = self.0.set(Err(Refusal::new(RefusalCode::Io, "the inbox has stopped")));
    }
}
