//! The memory of one instance.
//!
//! A component may have several linear memories and tables, in several core instances: what all of them hold
//! together is bounded, whichever of them grows. What it grows by while it serves is on the account of its connection.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::budget::MemoryAccount;

/// An element of a table: a pointer. Bytes.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// The instance wanted more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the receiver needs more than its {allowed} bytes of memory")]
pub(super) struct MemoryExhausted {
    allowed: usize,
}

/// How much linear memories and tables may hold together. Nothing of it comes back while the instance lives.
pub(super) struct MemoryBudget {
    allowed: usize,
    left: usize,
    /// Who is told of more.
    account: Option<Arc<MemoryAccount>>,
    /// What that account has been told of. Bytes.
    told: u64,
}

impl MemoryBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { allowed: bytes, left: bytes, account: None, told: 0 }
    }

    /// What it grows by from now on, until it is dropped, is on this account. It may grow all the same: what the account
    /// does not allow is refused elsewhere, and no guest dies of what others of its address hold.
    pub(super) fn charge(&mut self, account: &Arc<MemoryAccount>) {
        self.account = Some(Arc::clone(account));
    }

    fn take(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(MemoryExhausted { allowed: self.allowed })?;
        if let Some(account) = &self.account {
            account.hold(bytes as u64);
            self.told += bytes as u64;
        }
        Ok(true)
    }
}

impl Drop for MemoryBudget {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.release(self.told);
        }
    }
}

/// A guest that is told "no" most often dies of something less clear: so growth that fails is a trap.
impl ResourceLimiter for MemoryBudget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("a memory cannot grow"))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("a table cannot grow"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::budget::{Memory, Source};

    #[test]
    fn all_memories_and_tables_draw_on_one_budget() {
        let mut budget = MemoryBudget::new(1_000);
        assert!(budget.memory_growing(0, 400, None).unwrap());
        assert!(budget.memory_growing(0, 300, None).unwrap());
        assert!(budget.table_growing(0, 25, None).unwrap());
        assert!(budget.memory_growing(400, 500, None).unwrap());
        let error = budget.table_growing(25, 26, None).unwrap_err();
        assert!(error.to_string().contains("1000 bytes of memory"), "{error}");
    }

    #[test]
    fn what_it_grows_by_while_it_serves_is_charged() {
        let memory = Arc::new(Memory::default());
        let account = memory.account(Source::Local);
        let mut budget = MemoryBudget::new(64 << 20);
        assert!(budget.memory_growing(0, 40 << 20, None).unwrap());
        assert!(!account.is_full(), "it was there before");
        budget.charge(&account);
        assert!(budget.memory_growing(0, 20 << 20, None).unwrap());
        assert!(account.take(16 << 20).is_err() && account.take(8 << 20).is_ok());
        drop(budget);
        assert!(account.take(16 << 20).is_ok());
    }

    #[test]
    fn memory_that_cannot_grow_is_a_trap() {
        let mut budget = MemoryBudget::new(1_000);
        assert!(budget.memory_growing(0, 900, Some(500)).unwrap());
        assert!(budget.memory_grow_failed(wasmtime::Error::msg("over its maximum")).is_err());
    }
}
