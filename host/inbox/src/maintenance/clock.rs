//! The clocks that ages are judged by: see [`JumpResistantClock`](sandport_protocol::inbox::JumpResistantClock).

use rustix::time::{ClockId, clock_gettime};
use sandport_protocol::inbox::Reading;

/// What the two clocks show now, suspension included.
pub(crate) fn now() -> Reading {
    Reading {
        wall_s: clock_gettime(ClockId::Realtime).tv_sec,
        boot_s: clock_gettime(ClockId::Boottime).tv_sec,
    }
}
