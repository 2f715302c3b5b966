//! What all connections of a server share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sandport_protocol::{Limits, Refusal};

use super::buffers::Buffers;
use super::output::{Bucket, Rate};
use super::sharing::Sharing;
use super::telling::{Telling, TellingAccount};
use super::writers::Writers;
use crate::budget::{Failures, Memory, Met, Source};
use crate::event::{EventSink, ServerEvent};
use crate::net::{Peer, Proxies};
use sandport_inbox::AnyInbox;

/// What all connections of a server share.
pub(crate) struct Context {
    pub(crate) inbox: AnyInbox,
    pub(crate) limits: Limits,
    pub(crate) events: EventSink,
    pub(crate) proxies: Proxies,
    pub(super) buffers: Buffers,
    pub(super) disk: DiskPace,
    pub(super) sharing: Sharing,
    pub(crate) telling: Telling,
    pub(crate) failures: Arc<Failures>,
    pub(super) memory: Arc<Memory>,
    pub(super) writers: Writers,
    trap_details: Mutex<Bucket>,
}

/// Traps whose last words and backtraces are told: who found out how to make a receiver trap can do so as
/// often as they connect, and each would fill a screen.
const TRAP_DETAILS_RATE: Rate = Rate { burst: 16, per_second: 1 };

impl Context {
    pub(crate) fn new(inbox: AnyInbox, limits: Limits, events: EventSink) -> Self {
        let trap_details = Mutex::new(Bucket::new(TRAP_DETAILS_RATE));
        let (proxies, buffers, disk, writers, sharing) = Default::default();
        let (telling, failures, memory) = Default::default();
        Self {
            inbox,
            limits,
            events,
            proxies,
            buffers,
            disk,
            sharing,
            telling,
            failures,
            memory,
            writers,
            trap_details,
        }
    }

    /// The same, behind proxies.
    pub(crate) fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same, with what limits are met counted here.
    pub(crate) fn counting(self, met: &Arc<Met>) -> Self {
        Self { telling: Telling::new(met), ..self }
    }

    /// Tells the owner of the server that a connection was refused that no receiver has seen.
    pub(crate) fn refuse(&self, source: Source, peer: Peer, refusal: Refusal) {
        let event = ServerEvent::ConnectionRefused { peer, refusal };
        if self.telling.admit(&TellingAccount::default(), source, 0, &event, &self.events) {
            self.events.emit(event);
        }
    }

    /// The same, with processor time shared out in this way.
    pub(crate) fn sharing(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// The same, where what comes to nothing counts here.
    pub(crate) fn delaying(self, failures: &Arc<Failures>) -> Self {
        Self { failures: Arc::clone(failures), ..self }
    }

    /// The same, with memory shared out in this way.
    pub(crate) fn holding(self, memory: Memory) -> Self {
        Self { memory: Arc::new(memory), ..self }
    }

    /// Whether more than the reason of a trap is to be told.
    pub(super) fn trap_details_wanted(&self) -> bool {
        let mut rate = self.trap_details.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = rate.admit(Instant::now());
        if let Some(dropped @ 1..) = admitted {
            tracing::warn!(target: "receiver", dropped, "receivers trapped too often to tell of each in detail");
        }
        admitted.is_some()
    }
}

/// How long a disk counts as slow after a write that had to wait. A few rounds of the kernel's own
/// write-back, which wakes every five seconds.
const SLOW_FOR: Duration = Duration::from_secs(15);

/// Whether the disk makes writers wait, as all connections found it lately.
pub(super) struct DiskPace {
    since: Instant,
    /// Milliseconds after `since`.
    slow_until_ms: AtomicU64,
}

impl Default for DiskPace {
    fn default() -> Self {
        Self { since: Instant::now(), slow_until_ms: AtomicU64::new(0) }
    }
}

impl DiskPace {
    pub(super) fn found_slow(&self) {
        self.slow_until_ms.store(millis(self.since.elapsed() + SLOW_FOR), Ordering::Relaxed);
    }

    pub(super) fn is_slow(&self) -> bool {
        millis(self.since.elapsed()) < self.slow_until_ms.load(Ordering::Relaxed)
    }
}

/// A duration in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
