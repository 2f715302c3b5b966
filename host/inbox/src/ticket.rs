//! How a commit ends, for whoever has to say so and for whoever waits.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::{ContentDigest, Receipt, Refusal};

use super::latch::Latch;
use super::loss::Loss;
use super::meter::Bill;
use super::threads::COMMITTER;

/// The duty to say how a commit ended.
pub(super) struct Ticket {
    end: Arc<End>,
    /// Of those who wait for the same file.
    others: Vec<Ticket>,
}

type Outcome = Result<Receipt, Refusal>;

/// How a commit ended, for all who wait for it.
struct End {
    outcome: Latch<Outcome>,
    /// Whether the operator heard of it.
    told: AtomicBool,
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

impl End {
    fn begun() -> Arc<Self> {
        Arc::new(Self {
            outcome: Latch::new(),
            told: AtomicBool::new(false),
            sums: Mutex::default(),
        })
    }

    fn set(&self, outcome: Outcome) {
        let bills = std::mem::take(&mut self.sums().bills);
        bills.into_iter().for_each(|bill| bill.settle(&outcome));
        self.outcome.set(outcome);
    }

    fn sums(&self) -> MutexGuard<'_, KnownSums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, digests: Vec<ContentDigest>) {
        let known = &mut self.sums().digests;
        let news: Vec<_> = digests.into_iter().filter(|digest| !known.contains(digest)).collect();
        known.extend(news);
    }
}

impl Ticket {
    pub(super) fn new() -> (Self, Pending) {
        let end = End::begun();
        (Self { end: Arc::clone(&end), others: Vec::new() }, Pending(end))
    }

    /// From now on `other` ends as this one does.
    pub(super) fn join(&mut self, other: Self) {
        self.others.push(other);
    }

    /// The file has these digests too: to be said before it ends.
    pub(super) fn tell(&self, digests: Vec<ContentDigest>) {
        self.end.tell(digests);
    }

    /// Finding them out took this.
    pub(super) fn owes(&self, bill: Bill) {
        self.end.sums().bills.push(bill);
    }

    pub(super) fn resolve(mut self, outcome: Outcome) {
        for other in std::mem::take(&mut self.others) {
            other.resolve(outcome.clone());
        }
        self.end.set(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whatever happened to the committer, nobody waits forever.
        if self.end.outcome.get().is_none() {
            self.end.set(Err(Loss::Thread(COMMITTER).refusal()));
        }
    }
}

/// A commit on its way. Dropping it does not undo the commit.
#[derive(Clone)]
pub struct Pending(Arc<End>);

impl Pending {
    /// Whether the outcome is known.
    pub fn is_over(&self) -> bool {
        self.0.outcome.get().is_some()
    }

    /// The outcome, or `None` while it is not known. It stays.
    pub fn try_get(&self) -> Option<Result<Receipt, Refusal>> {
        self.0.outcome.get().cloned()
    }

    /// The digests besides BLAKE3 that its file was found to have: those that somebody has claimed or wanted. Complete
    /// when it is [ready](Self::ready).
    pub fn digests(&self) -> Vec<ContentDigest> {
        self.0.sums().digests.clone()
    }

    /// Its file has these digests too.
    pub fn tell(&self, digests: Vec<ContentDigest>) {
        self.0.tell(digests);
    }

    /// Whether the operator is to hear of the outcome from whoever asks: one of all that wait for it,
    /// since several connections may carry one file.
    pub fn take_news(&self) -> bool {
        !self.0.told.swap(true, Ordering::Relaxed)
    }

    /// A commit that somebody else makes, and what ends it. It ends as lost where that is dropped.
    pub fn begun() -> (Self, impl FnOnce(Outcome)) {
        let (ticket, pending) = Ticket::new();
        (pending, |outcome| ticket.resolve(outcome))
    }

    /// Returns once the outcome is known. In which order commits end is not said.
    pub async fn ready(&self) {
        self.0.outcome.wait().await;
    }

    /// Whether it is the same commit.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.0.outcome.get()).finish()
    }
}
