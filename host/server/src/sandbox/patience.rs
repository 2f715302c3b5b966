//! Saying that something takes long, while it does.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Does `work` on this thread. Where it is not done after `patience`, calls `tell` once, on another thread.
pub(super) fn tell_if_slow<T>(
    patience: Duration,
    tell: impl FnOnce() + Send,
    work: impl FnOnce() -> T,
) -> T {
    let (working, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let watch = move || {
            if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
                tell();
            }
        };
        // Without a thread nothing is told, and the work is done all the same.
        let _ =
            std::thread::Builder::new().name("sandport-watch".into()).spawn_scoped(scope, watch);
        let outcome = work();
        drop(working);
        outcome
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn slow_work_is_told_while_it_goes_on() {
        let (told, heard) = channel();
        // The work ends when it was told of.
        let work = || heard.recv_timeout(LONG).is_ok();
        assert!(tell_if_slow(Duration::ZERO, || told.send(()).unwrap(), work), "nothing was told");
    }

    #[test]
    fn quick_work_is_not_told() {
        let mut told = false;
        assert_eq!(tell_if_slow(LONG, || told = true, || 5), 5);
        assert!(!told);
    }
}
