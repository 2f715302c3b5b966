//! `sandport:upload/log`: lines of the receiver in the operator's log.

use std::time::{Duration, Instant};

use crate::sandbox::bindings::sandport::upload::log::{Host, Level};
use crate::sandbox::state::State;
use crate::text::sanitise;

/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 512;

/// Lines that a connection may write in one go.
const LINES_BURST: u32 = 32;

/// After this, one more line may be written.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Lets lines through as long as they do not come too fast.
#[derive(Default)]
pub(in crate::sandbox) struct LogGate {
    written: u32,
    dropped: u64,
    since: Option<Instant>,
}

impl LogGate {
    /// Whether a line may be written, and how many were dropped before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let since = *self.since.get_or_insert(now);
        let earned = (now - since).as_secs() / LINE_INTERVAL.as_secs();
        if u64::from(self.written) >= u64::from(LINES_BURST) + earned {
            self.dropped += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

impl Host for State {
    fn emit(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let Some(dropped) = self.log.admit(Instant::now()) else { return Ok(()) };
        let peer = &self.connection.peer;
        let line = sanitise(&message, LINE_CHARS_MAX);
        match level {
            Level::Debug => tracing::debug!(target: "receiver", %peer, dropped, "{line}"),
            Level::Info => tracing::info!(target: "receiver", %peer, dropped, "{line}"),
            Level::Warn => tracing::warn!(target: "receiver", %peer, dropped, "{line}"),
            Level::Error => tracing::error!(target: "receiver", %peer, dropped, "{line}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_is_dropped_and_counted() {
        let mut gate = LogGate::default();
        let now = Instant::now();
        let passed = (0..LINES_BURST + 10).filter(|_| gate.admit(now).is_some()).count();
        assert_eq!(passed, LINES_BURST as usize);
        assert_eq!(gate.admit(now + LINE_INTERVAL), Some(10), "one more after a while");
    }
}
