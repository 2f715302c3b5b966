//! What guests write to standard output and standard error: bounded in length, in rate, and in what it can do
//! to a terminal. Nothing of it is believed.

mod console;
mod last_words;
mod line;
mod pipe;
mod rate;

pub(super) use console::Console;
pub(crate) use last_words::LastWords;
pub(super) use line::Line;
pub(super) use pipe::{Pipe, Sink};
pub(super) use rate::{Bucket, Rate};

/// Longest line in the log, in characters.
pub(super) const LOGGED_CHARS_MAX: usize = 512;

/// Lines for the log: a panic with its trace at once, and then no more than anyone reads.
pub(super) const LOG_RATE: Rate = Rate { burst: 32, per_second: 1 };

/// One of the two streams of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}
