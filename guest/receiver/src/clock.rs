//! The clock of this instance.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::Pollable;

const NS_PER_MS: u64 = 1_000_000;

/// A reading. Milliseconds.
pub(crate) fn now_ms() -> u64 {
    monotonic_clock::now() / NS_PER_MS
}

/// A pollable for a moment of [`now_ms`].
pub(crate) fn timer(at_ms: u64) -> Pollable {
    monotonic_clock::subscribe_instant(at_ms.saturating_mul(NS_PER_MS))
}
