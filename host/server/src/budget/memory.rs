//! Carries out how memory is shared out: what each connection holds, where it counts, and what it is refused.
//!
//! A connection takes its memory from the [`Holdings`] in steps, and gives it back in steps. Within a step nothing is
//! locked: opening and ending an upload adds to one number of its connection and no more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::holdings::{Holdings, Most};
use super::limit::{Limit, Met};
use super::settings::Budgets;
use super::source::Source;

/// What a connection takes of its source's share at once, and keeps of it while it holds less. Bytes: a few uploads.
const STEP_BYTES: u64 = 16 * 1024;

/// The memory of a server that its connections hold.
#[derive(Debug)]
pub(crate) struct Memory {
    holdings: Mutex<Holdings>,
    per_connection: u64,
    met: Arc<Met>,
}

/// What one connection holds. It counts until the last handle to it is dropped, which may be after the connection.
#[derive(Debug)]
pub(crate) struct MemoryAccount {
    memory: Arc<Memory>,
    used: AtomicU64,
    /// What it has taken of its source's share. Changed with `source` locked.
    taken: AtomicU64,
    /// Where it counts.
    source: Mutex<Source>,
    /// It has taken more than it may.
    is_over: AtomicBool,
}

/// Memory that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<MemoryAccount>,
    bytes: u64,
}

/// A connection may hold no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Default for Memory {
    fn default() -> Self {
        Self::new(&Budgets::default(), &Arc::default())
    }
}

impl Memory {
    pub(crate) fn new(budgets: &Budgets, met: &Arc<Met>) -> Self {
        let most = Most { all: budgets.max_upload_memory, per_source: budgets.address_memory() };
        let holdings = Mutex::new(Holdings::new(most));
        Self { holdings, per_connection: budgets.connection_memory(), met: Arc::clone(met) }
    }

    /// The account of a connection that counts there.
    pub(crate) fn account(self: &Arc<Self>, source: Source) -> Arc<MemoryAccount> {
        Arc::new(MemoryAccount {
            memory: Arc::clone(self),
            used: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            source: Mutex::new(source),
            is_over: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryAccount {
    /// Takes memory until what is returned is dropped, if there is some for it.
    ///
    /// # Errors
    /// There is not. That counts as a limit that was met.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Charge, Full> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // What it holds is given back also where it does not get it.
        let charge = Charge { account: Arc::clone(self), bytes };
        let is_there = used <= self.memory.per_connection
            && (used <= self.taken.load(Ordering::Relaxed) || self.grow(used, false));
        if is_there {
            return Ok(charge);
        }
        self.memory.met.count(Limit::Memory);
        Err(Full)
    }

    /// The same, whether or not there is some.
    pub(crate) fn hold_for(self: &Arc<Self>, bytes: u64) -> Charge {
        self.hold(bytes);
        Charge { account: Arc::clone(self), bytes }
    }

    /// Memory was taken, whether or not there is some.
    pub(crate) fn hold(&self, bytes: u64) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used > self.taken.load(Ordering::Relaxed) {
            self.grow(used, true);
        }
    }

    /// Memory is free again.
    pub(crate) fn release(&self, bytes: u64) {
        let used = self.used.fetch_sub(bytes, Ordering::Relaxed).saturating_sub(bytes);
        if self.taken.load(Ordering::Relaxed).saturating_sub(used) >= 2 * STEP_BYTES {
            self.shrink();
        }
    }

    /// Whether it holds more than it may: what it can do without is to be refused.
    pub(crate) fn is_full(&self) -> bool {
        if !self.is_over.load(Ordering::Relaxed) {
            return self.used.load(Ordering::Relaxed) > self.memory.per_connection;
        }
        let source = self.source();
        let is_over = self.memory.lock().room(*source) == 0;
        self.is_over.store(is_over, Ordering::Relaxed);
        is_over
    }

    /// From now on it counts there.
    pub(crate) fn count_at(&self, source: Source) {
        let mut before = self.source();
        let taken = self.taken.load(Ordering::Relaxed);
        if *before != source && taken > 0 {
            self.memory.lock().hand_over(*before, source, taken);
        }
        *before = source;
    }

    /// Takes more of the share of its source; whether it may hold so much.
    fn grow(&self, used: u64, is_forced: bool) -> bool {
        let source = self.source();
        let taken = self.taken.load(Ordering::Relaxed);
        let exact = used.saturating_sub(taken);
        let ahead = used.div_ceil(STEP_BYTES).saturating_mul(STEP_BYTES).saturating_sub(taken);
        let mut holdings = self.memory.lock();
        let is_there = |more| holdings.take(*source, more).then_some(more);
        let more = match [ahead, exact].into_iter().find_map(is_there) {
            Some(more) => more,
            None if is_forced => {
                self.is_over.store(true, Ordering::Relaxed);
                holdings.force(*source, exact);
                exact
            }
            None => return false,
        };
        self.taken.store(taken.saturating_add(more), Ordering::Relaxed);
        true
    }

    fn shrink(&self) {
        let source = self.source();
        let (taken, used) = (self.taken.load(Ordering::Relaxed), self.used.load(Ordering::Relaxed));
        let kept = used.div_ceil(STEP_BYTES).max(1).saturating_mul(STEP_BYTES).min(taken);
        self.memory.lock().give_back(*source, taken - kept);
        self.taken.store(kept, Ordering::Relaxed);
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl sandport_inbox::MemoryAccount for MemoryAccount {
    fn hold(&self, bytes: u64) {
        Self::hold(self, bytes);
    }

    fn release(&self, bytes: u64) {
        Self::release(self, bytes);
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }

    fn handle_refusal(&self) {
        self.memory.met.count(Limit::Memory);
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        let (source, taken) = (*self.source(), self.taken.load(Ordering::Relaxed));
        self.memory.lock().give_back(source, taken);
    }
}

impl Charge {
    /// No more than so much is held still.
    pub(crate) fn keep(&mut self, bytes: u64) {
        let free = self.bytes.saturating_sub(bytes);
        if free > 0 {
            self.bytes -= free;
            self.account.release(free);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn memory() -> (Arc<Memory>, Arc<Met>) {
        let met = Arc::new(Met::default());
        let budgets = Budgets {
            max_upload_memory: 64 * MIB,
            max_address_memory: Some(4 * MIB),
            max_connection_memory: Some(3 * MIB),
            ..Budgets::default()
        };
        (Arc::new(Memory::new(&budgets, &met)), met)
    }

    fn held(memory: &Memory, source: Source) -> u64 {
        memory.lock().held(source)
    }

    #[test]
    fn a_connection_is_refused_what_is_more_than_its_own() {
        let (memory, met) = memory();
        let account = memory.account(Source::User(1));
        let charge = account.take(3 * MIB).unwrap();
        assert_eq!(account.take(1).unwrap_err(), Full);
        assert_eq!(met.counts(), [(Limit::Memory, 1)]);
        drop(charge);
        assert!(account.take(3 * MIB).is_ok());
    }

    #[test]
    fn connections_of_an_address_share_what_it_may_have() {
        let (memory, _) = memory();
        let [first, second] = [(); 2].map(|()| memory.account(Source::User(1)));
        let _held = first.take(3 * MIB).unwrap();
        let rest = second.take(MIB).unwrap();
        assert!(second.take(1).is_err() && memory.account(Source::User(2)).take(MIB).is_ok());
        drop(rest);
        assert!(second.take(MIB).is_ok());
    }

    #[test]
    fn what_is_held_counts_until_the_last_of_it_is_gone() {
        let (memory, _) = memory();
        let account = memory.account(Source::User(1));
        let charge = account.take(MIB).unwrap();
        drop(account);
        assert_eq!(held(&memory, Source::User(1)), MIB);
        drop(charge);
        assert_eq!(held(&memory, Source::User(1)), 0);
    }

    #[test]
    fn what_is_kept_of_it_is_held_still() {
        let (memory, _) = memory();
        let account = memory.account(Source::User(1));
        let mut charge = account.take(MIB).unwrap();
        charge.keep(2 * MIB);
        assert_eq!(held(&memory, Source::User(1)), MIB);
        charge.keep(MIB / 2);
        assert_eq!(held(&memory, Source::User(1)), MIB / 2);
        drop(charge);
        assert!(held(&memory, Source::User(1)) <= STEP_BYTES);
    }

    #[test]
    fn an_upload_after_the_other_takes_one_step_of_the_share() {
        let (memory, _) = memory();
        let account = memory.account(Source::User(1));
        for _ in 0..100 {
            drop(account.take(2_000).unwrap());
            assert_eq!(held(&memory, Source::User(1)), STEP_BYTES);
        }
        let charges: Vec<_> = (0..1_000).map(|_| account.take(2_000).unwrap()).collect();
        let most = held(&memory, Source::User(1));
        assert!((2_000_000..2_000_000 + STEP_BYTES).contains(&most), "{most}");
        drop(charges);
        assert!(held(&memory, Source::User(1)) < 2 * STEP_BYTES);
    }

    #[test]
    fn what_a_sandbox_takes_is_held_and_makes_it_full() {
        let (memory, met) = memory();
        let account = memory.account(Source::User(1));
        assert!(!account.is_full());
        account.hold(5 * MIB);
        assert!(account.is_full() && account.take(1).is_err());
        assert!(memory.account(Source::User(1)).take(1).is_err(), "nor another of its address");
        account.release(5 * MIB);
        assert!(!account.is_full() && account.take(MIB).is_ok());
        assert_eq!(met.counts(), [(Limit::Memory, 2)]);
    }

    #[test]
    fn what_is_served_for_another_address_counts_there() {
        let (memory, _) = memory();
        let account = memory.account(Source::Proxy(None));
        let charge = account.take(MIB).unwrap();
        account.count_at(Source::User(1));
        assert_eq!([Source::Proxy(None), Source::User(1)].map(|it| held(&memory, it)), [0, MIB]);
        drop((charge, account));
        assert_eq!(held(&memory, Source::User(1)), 0);
    }
}
