//! The two ends of a commit: what completes it, and what waits for that.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use sandport_protocol::{ContentDigest, Receipt, Refusal};
use tokio::sync::SetOnce;

use super::loss::Loss;
use super::meter::Bill;
use super::threads::COMMITTER;

/// The duty to say how a commit ended.
pub(super) struct Completer {
    completion: Arc<Completion>,
    /// Of those who wait for the same file.
    others: Vec<Completer>,
}

type Outcome = Result<Receipt, Refusal>;

/// How a commit ended, for all who wait for it.
struct Completion {
    outcome: SetOnce<Outcome>,
    /// Whether somebody has taken on to report it to the operator.
    reported: AtomicBool,
    sums: Mutex<KnownSums>,
}

/// What was found out beside the outcome.
#[derive(Default)]
struct KnownSums {
    /// Digests besides BLAKE3.
    digests: Vec<ContentDigest>,
    /// What it took to find them out.
    bills: Vec<Bill>,
}

impl Completion {
    fn begun() -> Arc<Self> {
        Arc::new(Self {
            outcome: SetOnce::new(),
            reported: AtomicBool::new(false),
            sums: Mutex::default(),
        })
    }

    fn set(&self, outcome: Outcome) {
        let bills = std::mem::take(&mut self.sums().bills);
        bills.into_iter().for_each(|bill| bill.settle(&outcome));
        // The first outcome stays.
        let _ = self.outcome.set(outcome);
    }

    fn sums(&self) -> MutexGuard<'_, KnownSums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_digests(&self, digests: Vec<ContentDigest>) {
        let known = &mut self.sums().digests;
        let news: Vec<_> = digests.into_iter().filter(|digest| !known.contains(digest)).collect();
        known.extend(news);
    }
}

impl Completer {
    pub(super) fn new() -> (Self, CommitHandle) {
        let completion = Completion::begun();
        let handle = CommitHandle { completion: Arc::clone(&completion), waiting: None };
        (Self { completion, others: Vec::new() }, handle)
    }

    /// From now on `other` ends as this one does.
    pub(super) fn join(&mut self, other: Self) {
        self.others.push(other);
    }

    /// The file has these digests too: to be said before it ends.
    pub(super) fn add_digests(&self, digests: Vec<ContentDigest>) {
        self.completion.add_digests(digests);
    }

    /// Finding them out took this.
    pub(super) fn owes(&self, bill: Bill) {
        self.completion.sums().bills.push(bill);
    }

    pub(super) fn complete(mut self, outcome: Outcome) {
        for other in std::mem::take(&mut self.others) {
            other.complete(outcome.clone());
        }
        self.completion.set(outcome);
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        // Whatever happened to the committer, nobody waits forever.
        if self.completion.outcome.get().is_none() {
            self.completion.set(Err(Loss::Thread(COMMITTER).refusal()));
        }
    }
}

/// A commit on its way: a `Future` of its outcome, which stays and can be had again. Dropping it does not undo the
/// commit, and cloning it gives another handle to the same one.
///
/// Who cannot wait asks [`try_get`](Self::try_get).
pub struct CommitHandle {
    completion: Arc<Completion>,
    /// While it is polled.
    waiting: Option<Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>>,
}

impl CommitHandle {
    /// The outcome, or `None` while it is not known. It stays.
    pub fn try_get(&self) -> Option<Result<Receipt, Refusal>> {
        self.completion.outcome.get().cloned()
    }

    /// Whether the outcome is known.
    pub fn is_complete(&self) -> bool {
        self.completion.outcome.get().is_some()
    }

    /// Returns once the outcome is known, as the handle itself does, and leaves the handle to others. In which order
    /// commits end is not said.
    pub async fn ready(&self) {
        self.completion.outcome.wait().await;
    }

    /// The digests besides BLAKE3 that its file was found to have: those that somebody has claimed or wanted. They are
    /// all here when the [outcome](Self::is_complete) is.
    pub fn digests(&self) -> Vec<ContentDigest> {
        self.completion.sums().digests.clone()
    }

    /// Its file has these digests too.
    pub fn add_digests(&self, digests: Vec<ContentDigest>) {
        self.completion.add_digests(digests);
    }

    /// Whether it is for the caller to report the outcome to the operator. That is so once, for one of all who wait for
    /// it: several connections may carry one file.
    pub fn take_report(&self) -> bool {
        !self.completion.reported.swap(true, Ordering::Relaxed)
    }

    /// A commit that somebody else makes, and what completes it. It ends as lost where that is dropped.
    pub fn begun() -> (Self, impl FnOnce(Result<Receipt, Refusal>)) {
        let (completer, handle) = Completer::new();
        (handle, |outcome| completer.complete(outcome))
    }

    /// Whether it is the same commit.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.completion, &other.completion)
    }
}

impl Clone for CommitHandle {
    fn clone(&self) -> Self {
        Self { completion: Arc::clone(&self.completion), waiting: None }
    }
}

impl Future for CommitHandle {
    type Output = Result<Receipt, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiting = this.waiting.get_or_insert_with(|| {
            let completion = Arc::clone(&this.completion);
            Box::pin(async move { completion.outcome.wait().await.clone() })
        });
        let outcome = ready!(waiting.as_mut().poll(context));
        this.waiting = None;
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for CommitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommitHandle").field(&self.completion.outcome.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sandport_protocol::{Digest, RefusalCode};
    use sandport_testkit::patience::within;

    use super::*;

    fn receipt() -> Receipt {
        let digest = Digest::Blake3([7; 32]);
        Receipt { name: String::from("a"), size: 5, digest, proof: None }
    }

    #[tokio::test]
    async fn a_commit_handle_is_a_future_whose_outcome_stays() {
        let (mut handle, complete) = CommitHandle::begun();
        let mut other = handle.clone();
        assert!(polled(&mut handle).is_none() && !handle.is_complete());
        let waits = tokio::spawn(handle.clone());
        complete(Ok(receipt()));
        assert_eq!(within("the outcome", waits).await.unwrap(), Ok(receipt()));
        for _ in 0..2 {
            assert_eq!(within("the outcome", &mut handle).await, Ok(receipt()));
            assert_eq!(polled(&mut other), Some(Ok(receipt())));
        }
    }

    #[tokio::test]
    async fn a_commit_that_nobody_completes_ends_as_lost() {
        let (handle, complete) = CommitHandle::begun();
        drop(complete);
        assert_eq!(within("the outcome", handle).await.unwrap_err().code, RefusalCode::Io);
    }

    fn polled(handle: &mut CommitHandle) -> Option<Result<Receipt, Refusal>> {
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        match Pin::new(handle).poll(&mut nobody) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}
