//! Carries out what [`Delays`] says: has the clock, and counts who waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::delays::{Delays, Futile};
use super::limit::{Limit, Met};
use super::settings::Budgets;
use super::source::Source;

/// What came to nothing of all connections of a server.
#[derive(Debug)]
pub(crate) struct Failures {
    since: Instant,
    /// Whether something counts against anybody. Where not, nobody has to look.
    any: AtomicBool,
    delays: Mutex<Delays>,
    met: Arc<Met>,
}

impl Default for Failures {
    fn default() -> Self {
        Self::new(&Budgets::default(), &Arc::default())
    }
}

impl Failures {
    pub(crate) fn new(budgets: &Budgets, met: &Arc<Met>) -> Self {
        let delays = Mutex::new(Delays::new(budgets.free_failures, budgets.max_delay));
        let any = AtomicBool::new(false);
        Self { since: Instant::now(), any, delays, met: Arc::clone(met) }
    }

    /// Something came to nothing.
    pub(crate) fn fail(&self, source: Source, futile: Futile) {
        let mut delays = self.lock();
        delays.fail(source, futile, self.since.elapsed());
        self.any.store(!delays.is_empty(), Ordering::Relaxed);
    }

    /// Something was stored.
    pub(crate) fn pay(&self, source: impl FnOnce() -> Source) {
        if self.any.load(Ordering::Relaxed) {
            let mut delays = self.lock();
            delays.pay(source());
            self.any.store(!delays.is_empty(), Ordering::Relaxed);
        }
    }

    /// How long a connection of this source waits that arrives.
    pub(crate) fn before_place(&self, source: Source) -> Duration {
        self.wait(|delays, now| delays.before_place(source, now))
    }

    /// How long one is held up of which an offer came to nothing.
    pub(crate) fn within(&self, source: Source) -> Duration {
        self.wait(|delays, now| delays.within(source, now))
    }

    fn wait(&self, ask: impl FnOnce(&Delays, Duration) -> Duration) -> Duration {
        if !self.any.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let wait = ask(&self.lock(), self.since.elapsed());
        if !wait.is_zero() {
            self.met.count(Limit::Failures);
        }
        wait
    }

    fn lock(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
