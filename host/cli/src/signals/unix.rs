//! Signals of Unix.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, the request to end, and the end of the terminal. They do nothing else from now on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: whoever started the process may want it to go on without its terminal, as `nohup` does. What the
    /// signal does then was decided before.
    hangup: Option<Signal>,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn catch() -> io::Result<Self> {
        let catches_hangup = !may_ignore_hangup();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if catches_hangup { Some(signal(SignalKind::hangup())?) } else { None },
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// From now on a file that would become larger than the process may write (`ulimit -f`) is an error of that write,
/// and not the end of the process. To be called inside of a runtime.
///
/// # Errors
/// Those of the system.
pub(crate) fn survive_large_files() -> io::Result<()> {
    // Caught and dropped: what is caught once stays so.
    signal(SignalKind::from_raw(Number::XFSZ.as_raw())).map(drop)
}

/// Whether the process was started to ignore the end of its terminal. Where the system does not tell, it may have been:
/// what is left alone is still ignored, and ends a process that was started to be ended.
fn may_ignore_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .map_or(true, |status| is_ignored(&status, Number::HUP))
}

/// Whether a process ignores a signal, as its `status` in `/proc` says: proc_pid_status(5).
fn is_ignored(status: &str, signal: Number) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal.as_raw() - 1).ok();
    mask.zip(bit).is_some_and(|(mask, bit)| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_seen_in_the_status_of_the_process() {
        let status = |mask: &str| format!("Name:\tsandport\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(is_ignored(&status("0000000000000001"), Number::HUP));
        assert!(is_ignored(&status("0000000000001001"), Number::HUP));
        assert!(!is_ignored(&status("0000000000001000"), Number::HUP));
        assert!(!is_ignored("", Number::HUP));
    }
}
