//! The thread that removes uploads which nobody comes back to.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sandport_protocol::inbox::{JumpResistantClock, Reading};

use super::Core;
use super::maintenance::{self, Rule, expire};
use super::threads::start_thread;

/// How often is looked for what is due. Seldom enough to cost nothing; no age matters to the hour.
const PASS_INTERVAL: Duration = Duration::from_secs(3_600);

/// The thread of an inbox. Dropping it ends it.
pub(super) struct Expiry {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Expiry {
    /// Starts it. The first pass is when the clock is believed ([`JumpResistantClock`]).
    pub(super) fn start(core: &Arc<Core>, expiry: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let of_thread = Arc::clone(core);
        let work = move || run(&of_thread, expiry, &stopped);
        let thread = start_thread(core, "sandport-expiry", work, |_| ())?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are told by the inbox.
            #[expect(clippy::disallowed_methods, reason = "it was told to stop")]
            let _ = thread.join();
        }
    }
}

fn run(core: &Core, expiry: Duration, stopped: &Receiver<()>) {
    let mut clock = JumpResistantClock::default();
    loop {
        pass(core, expiry, &mut clock, maintenance::now());
        if stopped.recv_timeout(PASS_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Removes what is due at this reading of the clocks.
pub(super) fn pass(
    core: &Core,
    expiry: Duration,
    clock: &mut JumpResistantClock,
    reading: Reading,
) {
    let Some(now_s) = clock.look(reading) else { return };
    let rule = Rule { now_s, expiry_s: expiry.as_secs(), dry_run: false };
    match expire(core.layout.partials.as_fd(), rule) {
        Ok(expired) => {
            for error in &expired.failed {
                tracing::warn!(%error, "could not remove an abandoned upload");
            }
            let names = expired.removed.iter().filter_map(|leftover| leftover.path.file_name());
            let names: Vec<&str> = names.filter_map(OsStr::to_str).collect();
            core.space.forget_removed(&names);
            if let Some(usage) = &core.usage {
                names.iter().for_each(|name| usage.removed_waiting(name));
            }
            if !expired.removed.is_empty() {
                let removed = expired.removed.len();
                tracing::info!(removed, "removed uploads that nobody went on with");
            }
        }
        Err(error) => tracing::warn!(%error, "could not look for abandoned uploads"),
    }
}
