//! Waiting that comes to an end.
//!
//! Whatever a test waits for, it waits for it here, or through something of this crate that has a
//! [`Deadline`]. What does not come in time fails the test with a message that says what it was: no test
//! hangs. `clippy.toml` refuses the ways to wait that have no deadline.

use std::fmt::Display;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a test waits for what has to come. It only bounds how long a broken build keeps people waiting,
/// so it is long: what takes seconds on a quiet machine may take minutes beside a build.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How long a test waits for cargo or another tool that builds something. All of a component's
/// dependencies may have to be compiled, and another cargo may be at work in the same directory before.
pub const BUILD_PATIENCE: Duration = Duration::from_secs(3_600);

/// Pauses between two looks at a condition. They grow, so that what comes at once costs nothing, and a
/// long wait takes no processor time from what it waits for.
const LOOK_AGAIN_FIRST: Duration = Duration::from_micros(100);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(10);

/// When a wait is over, whether something came or not.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    /// After [`PATIENCE`].
    pub fn new() -> Self {
        Self::after(PATIENCE)
    }

    /// After another time.
    pub fn after(patience: Duration) -> Self {
        Self { at: Instant::now() + patience, patience }
    }

    /// How much time is left.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Fails the test if it has passed before `what` came.
    #[track_caller]
    pub fn check(&self, what: impl Display) {
        assert!(!self.is_over(), "{}", self.missed(what));
    }

    /// The words for that.
    pub fn missed(&self, what: impl Display) -> String {
        format!("waited {} s for {what}, and it did not come", self.patience.as_secs())
    }

    /// Looks again and again until there is something, or the time is over.
    pub fn poll<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut pause = LOOK_AGAIN_FIRST;
        loop {
            // Before the look: what has come is found, however late this thread gets to it.
            let is_over = self.is_over();
            if let Some(found) = look() {
                return Some(found);
            }
            if is_over {
                return None;
            }
            #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
            thread::sleep(pause);
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: impl Display, mut holds: impl FnMut() -> bool) {
    found(what, || holds().then_some(()));
}

/// Waits until there is something.
#[track_caller]
pub fn found<T>(what: impl Display, look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::new();
    match deadline.poll(look) {
        Some(found) => found,
        None => panic!("{}", deadline.missed(what)),
    }
}

/// Waits for the end of a thread; what it came to. Its panic is the caller's.
#[track_caller]
pub fn joined<T>(what: impl Display, thread: JoinHandle<T>) -> T {
    until(what, || thread.is_finished());
    #[expect(clippy::disallowed_methods, reason = "it has ended")]
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Waits for what another thread sends.
#[track_caller]
pub fn received<T>(what: impl Display, from: &Receiver<T>) -> T {
    let deadline = Deadline::new();
    match from.recv_timeout(deadline.left()) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("{}", deadline.missed(what)),
        Err(RecvTimeoutError::Disconnected) => panic!("nobody is left who could send {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_says_what_it_waited_for() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.is_over());
        assert_eq!(deadline.poll(|| None::<()>), None);
        let words = Deadline::new().missed("the ready line");
        assert_eq!(words, "waited 600 s for the ready line, and it did not come");
    }

    #[test]
    fn a_deadline_that_has_passed_finds_what_has_come() {
        assert_eq!(Deadline::after(Duration::ZERO).poll(|| Some(7)), Some(7));
    }

    #[test]
    #[should_panic(expected = "out of the thread")]
    fn a_panic_of_a_joined_thread_is_the_tests() {
        joined("the thread", thread::spawn(|| panic!("out of the thread")));
    }
}
